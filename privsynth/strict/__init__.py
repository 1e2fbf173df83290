"""Readers of JSON, YAML and times that refuse what is ambiguous."""
