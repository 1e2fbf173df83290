"""Synthetic tables in a database, in a new schema of it: all of them, or nothing."""
