"""A stand-in of Databricks: statement API and Unity Catalog over DuckDB, with masks, filters and privileges in force."""
