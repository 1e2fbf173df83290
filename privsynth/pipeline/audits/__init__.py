"""Audits as they are run: of a release, by its officer, and of any synthetic table beside the real one."""
