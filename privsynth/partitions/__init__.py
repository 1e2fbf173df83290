"""Rows in partitions: what is counted in each adds up."""
