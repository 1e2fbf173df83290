"""`Plan`: what a release would cost and reach, as it is shown."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from privsynth.errors import LittleToLearn
from privsynth.notebook import card, promise_text
from privsynth.pipeline.usability.advice import sentence
from privsynth.pipeline.usability.outlook import Outlook
from privsynth.pipeline.usability.workload import Workload


@dataclass(frozen=True)
class Part:
    """One part of the bill: its share of the total and the noise multiplier if it were spent on one release."""

    name: str
    share: float
    noise_multiplier: float


def pair_error(outlook: Outlook) -> str:
    """Return the expected error of a pair's table, as it is printed."""
    return "not measured" if outlook.pair_tvd is None else f"{outlook.pair_tvd:.3f}"


@dataclass(frozen=True)
class TablePlan:
    """What one of several linked tables would cost and resolve.

    Attributes:
      parent: the table above it, empty for the table of persons.
      max_children: rows of one person that are used; 1 in the table of persons.
      share: its part of the budget.
      outlooks: one for each number of persons that is guessed; they count its rows, for which each person has half of
        `max_children`.
    """

    name: str
    parent: str
    max_children: int
    share: float
    outlooks: tuple[Outlook, ...]


@dataclass(frozen=True, repr=False)
class Plan:
    """What a release would cost and reach.

    Attributes:
      parts: those of the last outlook.
      refused: the error with which `synthesize` would end at the number of rows that was guessed or declared; None if
        it would not, or if there is no such number.
      rows_noise: standard deviation of the released number of rows, 0 where that is declared.
      tables, persons: of linked tables, what each costs and resolves, at these numbers of persons; then there are no
        `outlooks`, and a part is named "table/part".
      prior: what a prior would bring, in a sentence; None without one.
      over_cap: that the ledger would refuse the run, in a sentence; None if it would not.
      workload: what it takes to compute, at the number of rows that was guessed or declared; None without one, and for
        linked tables.
    """

    dataset: str
    epsilon: float
    delta: float
    unit: str
    max_rows_per_unit: int
    neighbours: str
    generator: str
    epsilon_of_events: float
    parts: tuple[Part, ...]
    outlooks: tuple[Outlook, ...]
    rows_noise: float = 0.0
    refused: LittleToLearn | None = None
    tables: tuple[TablePlan, ...] = ()
    persons: tuple[int, ...] = ()
    prior: str | None = None
    over_cap: str | None = None
    workload: Workload | None = None

    def __repr__(self) -> str:
        promise = f"epsilon={self.epsilon:g}, delta={self.delta:g}, unit={self.unit!r}"
        if self.tables:
            tables = tuple(table.name for table in self.tables)
            return f"Plan(dataset={self.dataset!r}, {promise}, tables={tables}, persons={self.persons})"
        rows = tuple(outlook.rows for outlook in self.outlooks)
        return f"Plan(dataset={self.dataset!r}, {promise}, generator={self.generator!r}, rows={rows})"

    def _repr_html_(self) -> str:
        sizes = [
            (f"If it has {o.rows:,} rows", f"expected error of a pair's table {pair_error(o)}, {o.bins} bins a number")
            for o in self.outlooks
        ]
        shares = [f"{table.name} {table.share:.0%}" for table in self.tables]
        shares = shares or [f"{part.name} {part.share:.0%}" for part in self.parts]
        learned = [f"{table.name}: {sentence(outlook)}" for table in self.tables for outlook in table.outlooks]
        return card(
            f"Plan of a release of {self.dataset}",
            [
                ("Promise", promise_text(self.epsilon, self.delta, self.unit, self.max_rows_per_unit)),
                ("Generator", self.generator),
                ("Shares", ", ".join(shares)),
                *sizes,
                ("What can be learned", "; ".join(learned or [sentence(outlook) for outlook in self.outlooks])),
                ("Prior", self.prior or ""),
                ("Refused", "" if self.refused is None else str(self.refused)),
                ("Budget", self.over_cap or ""),
            ],
            note="Nothing was read beyond the header, and nothing was spent.",
        )

    def to_json(self) -> dict[str, Any]:
        """Return JSON-able data."""
        data = asdict(replace(self, refused=None))
        return {**data, "refused": None if self.refused is None else str(self.refused)}
