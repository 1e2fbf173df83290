"""Whom a reader trusts: the options of keyrings and roots, and the commands of roots."""
