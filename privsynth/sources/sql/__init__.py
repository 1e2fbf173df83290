"""Databases, through SQLAlchemy."""

from privsynth.sources.sql.select import SOURCE

__all__ = ["SOURCE"]
