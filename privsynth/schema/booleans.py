"""How true and false may be written, where the schema does not say otherwise; `1` and `true` always stand for true."""

from __future__ import annotations

from collections.abc import Sequence

TRUE_TEXTS = ("true", "t", "yes", "y", "1")
FALSE_TEXTS = ("false", "f", "no", "n", "0")


def boolean_text(text: str, false: Sequence[str], true: Sequence[str]) -> str | None:
    """Return the first spelling of the truth value that a text stands for; None if it stands for neither.

    Args:
      false, true: the spellings of the column. They come before the usual ones.
    """
    for spelt in (false, true):
        if text in spelt:
            return spelt[0]
    lower = text.lower()
    own = ((spelt, [one.lower() for one in spelt]) for spelt in (false, true))
    for spelt, texts in (*own, (false, FALSE_TEXTS), (true, TRUE_TEXTS)):
        if lower in texts:
            return spelt[0]
    return None
