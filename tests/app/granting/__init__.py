"""The folder of a connector that says which grants it needs."""
