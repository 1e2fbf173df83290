"""The refusal of a run in which little can be learned, with what would help."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import pyarrow as pa

from privsynth.errors import LittleToLearn, Option
from privsynth.generators.registry import Generator
from privsynth.pipeline.spending_plan import make_plan, modelled_columns, respread
from privsynth.pipeline.usability.outlook import GUESSED_CATEGORIES, Outlook, TableSize, outlook
from privsynth.privacy.budget import Bill, Budget, SpendingPlan
from privsynth.schema.definition import Column, Schema

LARGER_EPSILONS = (2.0, 3.0, 5.0, 8.0, 10.0)  # to try, up to the default cap of a dataset: beyond, ε promises little
FEWER_ROWS_OF_UNIT = (20, 10, 5, 3, 2, 1)  # to try
SHOWN = 5  # names of columns in a sentence; the plan has all (own)

Parts = tuple[str | Option, ...]


@dataclass(frozen=True, kw_only=True)
class Prospect:
    """A release to be judged: public facts, and a number of rows.

    Attributes:
      known: columns whose categories or bins a prior tells.
    """

    schema: Schema
    types: Mapping[str, pa.DataType]
    budget: Budget
    generator: Generator
    scale: TableSize
    known: tuple[str, ...] = ()

    @property
    def columns(self) -> list[str]:
        """Return the columns that the generator models."""
        return modelled_columns(self.types, self.schema, self.budget.unit)

    def respread(self, plan: SpendingPlan) -> SpendingPlan:
        """Return a plan with the shares that suit the number of rows, as in a run."""
        rows_per_unit = self.scale.usual_rows(self.budget)
        return respread(plan, n_rows=self.scale.rows, columns=len(self.columns), rows_per_unit=rows_per_unit)

    def outlook(self, plan: SpendingPlan | None = None) -> Outlook:
        """Return what can be resolved, by the plan of a run or, if none is given, one that is made here."""
        spent = plan or self.respread(make_plan(self.schema, self.types, self.budget, self.generator.training_spec()))
        return outlook(self.scale, self.columns, self.schema, spent, self.generator, known=self.known)


def sentence(found: Outlook, what: str = "rows") -> str:
    """Return in words what can be resolved from so many rows."""
    resolved, coarse, lost = found.names("resolved"), found.names("coarse"), found.names("lost")
    of = f"at {found.rows:,} {what} {len(resolved)} of {len(found.columns)} columns would be resolved"
    more = [f"{len(coarse)} coarse"] if coarse else []
    more += [f"{len(lost)} lost in noise ({_named(lost)})"] if lost else []
    return ", ".join([of, *more])


def refusal(case: Prospect, found: Outlook, *, what: str = "rows", cost: str = "Nothing was spent.") -> LittleToLearn:
    """Return the error that ends a run in which little can be learned.

    Args:
      what: the words for the rows that are counted.
      cost: what the run has cost by then, as a sentence.
    """
    return LittleToLearn(
        f"little can be learned: at epsilon {case.budget.epsilon:g}, {sentence(found, what)}. What would help: ",
        *what_helps(case),
        f". {cost} To go on all the same: ",
        Option("anyway", python="anyway=True"),
    )


def cost_of_stop(bill: Bill, what: str) -> str:
    """Return what a run has cost that ends once it has counted, as a sentence.

    Args:
      what: was counted.
    """
    if not bill.spends:
        return "Nothing was spent."
    epsilon, delta = bill.epsilon_if_stopped(), bill.plan.budget.delta
    return f"Counting the {what} cost epsilon {epsilon:.3g} and delta {delta:g}; nothing else was spent."


def what_helps(case: Prospect) -> Parts:
    """Return what would let at least half of the columns be resolved or coarse, as parts of a sentence.

    Each is tried alone; if none is enough, all together with declared domains.
    """
    alone = [words for words, other in _changes(case) if not other.outlook().hopeless]
    if alone:
        return _listed(alone)
    declared = _declared(case)
    both = [(*_DECLARE, " and ", *words) for words, other in _changes(declared) if not other.outlook().hopeless]
    if both:
        return _listed(both)
    return ("many more rows, or far fewer columns with all categories and bounds declared",)


_DECLARE: Parts = ("declare the kinds, categories and bounds of columns in the schema",)


def _changes(case: Prospect) -> Iterator[tuple[Parts, Prospect]]:
    """Yield what a person could change, and the case then; of each kind the first that is enough."""
    budget = case.budget
    declared = _declared(case)
    if any(declared.schema.column(name) != case.schema.column(name) for name in case.columns):
        yield _DECLARE, declared
    epsilons = (e for e in LARGER_EPSILONS if e > budget.epsilon)
    yield from _first(((Option("epsilon", f"{e:g}"),), _with_epsilon(case, e)) for e in epsilons)
    counts = (n for n in FEWER_ROWS_OF_UNIT if n < budget.max_rows_per_unit)
    yield from _first(((Option("max_rows_per_unit", n),), _with_rows_of_unit(case, n)) for n in counts)
    widths = (len(case.columns) // 2**i for i in range(1, 10))
    yield from _first(
        ((f"{n} columns or fewer (kind: text drops one)",), _with_columns(case, n)) for n in widths if n >= 2
    )


def _first(tried: Iterator[tuple[Parts, Prospect]]) -> Iterator[tuple[Parts, Prospect]]:
    return (found for found in [next((one for one in tried if not one[1].outlook().hopeless), None)] if found)


def _declared(case: Prospect) -> Prospect:
    """Return the case if every domain were declared."""
    declared = {name: _whole(case.schema.column(name)) for name in case.columns}
    return replace(case, schema=case.schema.model_copy(update={"columns": {**case.schema.columns, **declared}}))


def _whole(column: Column) -> Column:
    if column.kind in ("numeric", "integer", "datetime", "date"):
        low, high = (0, 1) if column.minimum is None or column.maximum is None else (column.minimum, column.maximum)
        return column.model_copy(update={"minimum": low, "maximum": high})
    if column.kind in ("boolean", "id", "text") or column.categories is not None:
        return column
    categories = tuple(f"category {n + 1}" for n in range(GUESSED_CATEGORIES - 1))
    return column.model_copy(update={"kind": "categorical", "categories": categories})


def _with_epsilon(case: Prospect, epsilon: float) -> Prospect:
    return replace(case, budget=replace(case.budget, epsilon=epsilon))


def _with_rows_of_unit(case: Prospect, most: int) -> Prospect:
    """Return the case with fewer rows of a unit: the table has fewer rows then."""
    usual = case.scale.usual_rows(case.budget)
    now = min(usual, most)
    scale = TableSize(rows=case.scale.rows * now / usual, rows_per_unit=now)
    return replace(case, budget=replace(case.budget, max_rows_per_unit=most), scale=scale)


def _with_columns(case: Prospect, count: int) -> Prospect:
    kept = set(case.columns[:count])
    types = {name: of for name, of in case.types.items() if name in kept or name == case.budget.unit}
    return replace(case, types=types)


def _listed(options: list[Parts]) -> Parts:
    """Return alternatives as parts of a sentence."""
    parts: list[str | Option] = []
    for number, words in enumerate(options):
        if number:
            parts.append(", or " if number == len(options) - 1 else ", ")
        parts += words
    return tuple(parts)


def _named(names: tuple[str, ...]) -> str:
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {more} more" if more > 0 else "")
