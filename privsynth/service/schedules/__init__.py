"""Releases that are repeated: when they are due, what a year of them costs, and the runs that they become."""
