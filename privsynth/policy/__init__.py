"""Policies: checks on findings, and their verdicts. No row enters here."""
