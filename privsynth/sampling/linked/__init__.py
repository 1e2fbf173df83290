"""Linked tables: drawing persons, and then their rows, table by table and event by event."""
