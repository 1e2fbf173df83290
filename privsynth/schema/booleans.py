"""How true and false may be written, where the schema does not say otherwise; `1` and `true` always stand for true."""

from __future__ import annotations

from collections.abc import Sequence

# English, German, Dutch and Scandinavian, French, Spanish, Italian, Portuguese, Polish; no word stands for both.
TRUE_TEXTS = (
    "true", "t", "yes", "y", "1", "ja", "j", "wahr", "waar", "oui", "vrai", "sí", "sì", "si", "verdadero", "vero",
    "sim", "verdadeiro", "tak", "prawda",
)  # fmt: skip
FALSE_TEXTS = (
    "false", "f", "no", "n", "0", "nein", "falsch", "nee", "nej", "nei", "onwaar", "non", "faux", "falso", "não",
    "nao", "nie", "fałsz",
)  # fmt: skip


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


def usual_booleans(texts: Sequence[str]) -> tuple[str, str] | None:
    """Return which of two texts stands for false and which for true; None if they are no such two."""
    if len(texts) != 2:
        return None
    one, other = texts
    for false, true in ((one, other), (other, one)):
        if false.lower() in FALSE_TEXTS and true.lower() in TRUE_TEXTS:
            return false, true
    return None
