"""Commands about what becomes of a release: decisions, their log, revocation."""
