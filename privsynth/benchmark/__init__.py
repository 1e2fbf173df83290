"""Benchmarks of generators on a real table, for the officer alone and outside the ledger."""
