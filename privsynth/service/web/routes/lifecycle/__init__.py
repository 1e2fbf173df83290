"""Endpoints about the end of data: what is deleted and held."""
