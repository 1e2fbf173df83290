"""Readers of JSON and YAML that refuse what is ambiguous."""
