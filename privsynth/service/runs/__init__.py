"""Requests for releases: what they would cost, who asked for what, and what became of it."""
