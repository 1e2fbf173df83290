"""Findings: what audits and public figures report, each a figure with its interval, never a row."""
