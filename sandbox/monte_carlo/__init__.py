"""A stand-in for Monte Carlo: its GraphQL API and its signed webhooks, over HTTP, with alerts that are made up on request."""
