"""The stand-in for Atlan: what `/api/meta/` answers, a search index behind it, tags that travel, and webhooks."""
