"""Learning one of the linked tables, given those above it."""
