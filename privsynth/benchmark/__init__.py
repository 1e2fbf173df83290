"""Benchmarks of generators on a real table: for the officer alone, outside the ledger."""
