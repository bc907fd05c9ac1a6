"""A stand-in of Snowflake that the vendor's own connector talks to, and that really enforces masks, row policies and tags."""
