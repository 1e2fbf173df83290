"""How long work says how far it is."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, float], None]


def no_progress(_stage: str, _share: float) -> None:
    """Report progress to nobody."""
