"""Audits: functions from tables to `Finding`s."""
