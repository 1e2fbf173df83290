"""Benchmarks of linked tables: persons with all their rows."""
