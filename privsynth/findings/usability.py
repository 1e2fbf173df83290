"""`Usability`: which columns and which ties of a release are worth something, in a few sentences for its first page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace

COLUMNS = ("resolved", "coarse", "lost", "empty")
EMPTY = "where real cells are not missing, the declared kind does not fit how they are written; correct the schema"
SHOWN = 6  # names in a sentence; report.json has all (own)


@dataclass(frozen=True, kw_only=True)
class Usability:
    """What is worth something; a function of released figures and public facts alone.

    Attributes:
      resolved: columns whose distribution the release holds.
      coarse: columns of which it shows the shape, and no details.
      lost: columns that are noise.
      empty: columns of which hardly a synthetic row has a value.
      kept: the strongest ties between two columns, where the real rows have them too.
      missed: ties of the synthetic rows that the real rows have not, or not so.
      unclear: ties that noise hides.
    """

    resolved: tuple[str, ...] = ()
    coarse: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    empty: tuple[str, ...] = field(default=(), metadata={"omit_empty": True})
    kept: tuple[str, ...] = ()
    missed: tuple[str, ...] = ()
    unclear: tuple[str, ...] = ()

    def of_table(self, name: str) -> Usability:
        """Return the same, with the table before the names of columns; ties have it already."""
        named = {key: tuple(f"{name}: {column}" for column in getattr(self, key)) for key in COLUMNS}
        return replace(self, **named)

    @classmethod
    def joined(cls, parts: Sequence[Usability]) -> Usability:
        """Return what is worth something of several tables."""
        return cls(**{f.name: tuple(name for part in parts for name in getattr(part, f.name)) for f in fields(cls)})

    def columns_text(self) -> str:
        """Return what became of the columns."""
        count = self.count
        known = len(self.resolved)
        parts = [f"of {count} {'column' if count == 1 else 'columns'} {known} {'is' if known == 1 else 'are'} resolved"]
        if self.coarse:
            parts.append(f"{len(self.coarse)} only coarsely ({first(self.coarse)})")
        if self.lost:
            parts.append(f"{len(self.lost)} {'is' if len(self.lost) == 1 else 'are'} noise ({first(self.lost)})")
        if self.empty:
            parts.append(f"{len(self.empty)} {'is' if len(self.empty) == 1 else 'are'} empty ({first(self.empty)})")
        return ", ".join(parts)

    @property
    def count(self) -> int:
        """How many columns were judged."""
        return len(self.resolved) + len(self.coarse) + len(self.lost) + len(self.empty)

    def empty_text(self) -> str:
        """Return what it means that columns are empty; "" where none is."""
        if not self.empty:
            return ""
        return f"hardly a row has a value of {first(self.empty)}: {EMPTY}"

    def lines(self) -> list[tuple[str, str]]:
        """Return headings and sentences, for people."""
        found = [("Columns", self.columns_text())]
        found += [("Empty", text)] if (text := self.empty_text()) else []
        return [*found, ("Strongest ties", ties)] if (ties := self.ties_text()) else found

    def ties_text(self) -> str:
        """Return what became of the strongest ties between columns; "" where none was looked at."""
        parts = [
            f"{words}: {first(ties)}"
            for words, ties in (
                ("mostly kept", self.kept),
                ("not as in the real table", self.missed),
                ("unclear", self.unclear),
            )
            if ties
        ]
        return "; ".join(parts)


def first(names: Sequence[str]) -> str:
    """Return the first few names, and how many more there are."""
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {more} more" if more > 0 else "")
