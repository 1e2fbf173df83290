"""Linked tables: learning from all of them with one person as the privacy unit."""
