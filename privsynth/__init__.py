"""privsynth: share a safe copy of a sensitive table, with proof."""

__version__ = "0.1.0"
