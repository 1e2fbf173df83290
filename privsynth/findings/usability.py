"""`Usability`: which columns and which ties of a release are worth something, in a few sentences for its first page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

COLUMNS = ("resolved", "coarse", "lost", "empty")
EMPTY = "where real cells are not missing, the declared kind does not fit how they are written; correct the schema"
HIDDEN = ("hidden_columns", "hidden_pairs")
COUNTS = ("pairs", "pairs_hidden")
JOIN = " × "  # between the names of two columns
SHOWN = 6  # names in a sentence; report.json has all (own)
MOST_PAIRS = 5_000  # hidden pairs of a table in report.json (own): all of 100 columns, about half a megabyte


@dataclass(frozen=True, kw_only=True)
class HiddenTie:
    """Something that the noise hides: a column by itself, or how two columns go together.

    Attributes:
      name: of the column, or of both: "age × ward".
      why: "noise" where the noise of what was bought is too large, "not bought" where no table has both columns: then
        they go together only as other tables imply; "passed over" where such a table would have been clear enough, but
        noisy scores ranked other pairs higher.
      noise: the share of rows that noise alone would misplace in the table, expected; of a pair that was not bought, in
        a table of all its codes at the usual price of one.
      rows: how many rows would resolve it at the same budget; 0 where rows are not what it lacks.
    """

    name: str
    why: Literal["noise", "not bought", "passed over"]
    noise: float
    rows: int


@dataclass(frozen=True, kw_only=True)
class JoinedCodes:
    """That a tie was judged in groups of the codes of a column, and code by code nothing is known of it.

    Attributes:
      tie: of which two columns: "diagnosis × ward".
      place: which of them, 0 or 1.
      groups, codes: how many groups, of how many codes; missing cells aside.
      level: the declared level of the groups, such as "chapter"; "" where they are none.
    """

    tie: str
    place: int
    groups: int
    codes: int
    level: str = ""

    @property
    def text(self) -> str:
        """The groups in words."""
        return f"in {self.groups:,} groups" + (f": {self.level}" if self.level else "")


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
      judged_in: of these ties, those that were judged in groups of codes.
      hidden_columns: each column that is noise, and at how many rows it would not be.
      hidden_pairs: each pair of columns that noise hides, the most relevant first; at most `MOST_PAIRS`.
      pairs, pairs_hidden: how many pairs there are, and how many of them are hidden; 0 where no pairs are measured.
    """

    resolved: tuple[str, ...] = ()
    coarse: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    empty: tuple[str, ...] = field(default=(), metadata={"omit_empty": True})
    kept: tuple[str, ...] = ()
    missed: tuple[str, ...] = ()
    unclear: tuple[str, ...] = ()
    judged_in: tuple[JoinedCodes, ...] = field(default=(), metadata={"omit_empty": True})
    hidden_columns: tuple[HiddenTie, ...] = field(default=(), metadata={"omit_empty": True})
    hidden_pairs: tuple[HiddenTie, ...] = field(default=(), metadata={"omit_empty": True})
    pairs: int = field(default=0, metadata={"omit_empty": True})
    pairs_hidden: int = field(default=0, metadata={"omit_empty": True})

    def of_table(self, name: str) -> Usability:
        """Return the same, with the table before the names of columns; ties have it already."""
        named: dict[str, Any] = {key: tuple(f"{name}: {column}" for column in getattr(self, key)) for key in COLUMNS}
        for key in HIDDEN:
            named[key] = tuple(replace(one, name=f"{name}: {one.name}") for one in getattr(self, key))
        return replace(self, **named)

    @classmethod
    def joined(cls, parts: Sequence[Usability]) -> Usability:
        """Return what is worth something of several tables."""
        joined: dict[str, Any] = {key: sum(getattr(part, key) for part in parts) for key in COUNTS}
        lists = [f.name for f in fields(cls) if f.name not in COUNTS]
        joined |= {key: tuple(one for part in parts for one in getattr(part, key)) for key in lists}
        return cls(**joined)

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

    def levels(self, tie: str) -> dict[int, JoinedCodes]:
        """Return place -> in which groups a column of a tie was judged; empty where each code was judged."""
        return {one.place: one for one in self.judged_in if one.tie == tie}

    def tie_text(self, tie: str) -> str:
        """Return a tie with the level at which it was judged: "diagnosis (in 21 groups: chapter) × ward"."""
        levels = self.levels(tie)
        names = tie.split(JOIN) if levels else [tie]
        told = [f"{name} ({levels[at].text})" if at in levels else name for at, name in enumerate(names)]
        return JOIN.join(told)

    def ties_text(self) -> str:
        """Return what became of the strongest ties between columns; "" where none was looked at."""
        parts = [
            f"{words}: {first([self.tie_text(tie) for tie in ties])}"
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
