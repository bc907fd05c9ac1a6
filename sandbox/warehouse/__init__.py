"""What the stand-ins of warehouses share: tables in DuckDB, queries rewritten so that protection holds, statements on disk."""
