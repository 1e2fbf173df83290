"""Sensitive tables that the institution registered: where they are, and what is declared about them."""
