"""Endpoints for keys that are not here: what is to be signed goes out as a file, and comes back signed."""
