"""Singling out: how many predicates that fit exactly one synthetic row fit exactly one real row?

Three kinds of predicate: one column (a value that occurs once, the extremes, a lone missing value), several columns
(a random conjunction that grows until it is alone), whole rows (all columns, numbers within one per cent of the
ranks). All are evaluated on equally many members and others, so no correction for size is needed. Times count as
numbers, and missing as a value.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import pandas as pd

from privsynth.audit.common.audit_tables import AuditTables, numbers, texts, thin
from privsynth.audit.common.settings import AuditContext, Level
from privsynth.audit.disclosure.excess_risk import Attack, arm, risk_finding
from privsynth.audit.disclosure.targets import NO_ROWS, choose_targets
from privsynth.findings.finding import Finding
from privsynth.findings.insufficient import insufficient

# Predicates of a kind; bounds the time (own).
GUESSES: dict[Level, int] = {"quick": 500, "standard": 1_500, "deep": 4_000}
MAX_ROWS = 10_000  # members, and as many others, in which predicates are counted; bounds the time (own)
MIN_GUESSES = 20  # fewer predicates of a kind give no figure (own)
TRIES = 5  # for each predicate that is wanted; bounds the time where few rows can be isolated (own)
WINDOW = 0.01  # share of the ranks on either side of a number that still fits a whole row (own)
MISSING = -1  # code of a missing value, below every other; as `pandas.factorize`
TOP = 2**31 - 1  # above every code
MEANING = (
    "An attacker makes statements that fit exactly one synthetic row and claims that each fits exactly one real person."
)


class SortedCodes:
    """A (d, n) table of codes from -1 up, indexed so that a range of a column is found without a scan."""

    def __init__(self, codes: np.ndarray) -> None:
        self.codes = codes
        self.order = np.argsort(codes, axis=1, kind="stable")
        self.top = int(codes.max(initial=0))
        counts = np.zeros((len(codes), self.top + 3), dtype=np.int64)
        for column, cells in enumerate(codes):
            counts[column, 1:] = np.bincount(cells + 1, minlength=self.top + 2)
        self.starts = counts.cumsum(axis=1)  # [column, code + 1]: how many rows are below the code

    def between(self, columns: np.ndarray, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return, for each range, the first position of `order[column]` inside and the first beyond."""
        first = self.starts[columns, np.minimum(low, self.top + 1) + 1]
        return first, self.starts[columns, np.minimum(high, self.top) + 2]


@dataclass(frozen=True, repr=False, eq=False)
class Predicate:
    """A conjunction of ranges of codes: row x fits if low[i] <= x[columns[i]] <= high[i] for all i."""

    columns: np.ndarray
    low: np.ndarray
    high: np.ndarray

    def rows(self, table: SortedCodes) -> np.ndarray:
        """Return the positions of the rows that fit."""
        first, beyond = table.between(self.columns, self.low, self.high)
        by_size = np.argsort(beyond - first)
        rarest = by_size[0]
        found: np.ndarray = table.order[self.columns[rarest], first[rarest] : beyond[rarest]]
        for i in by_size[1:]:
            if len(found) == 0:
                break
            cells = table.codes[self.columns[i], found]
            found = found[(cells >= self.low[i]) & (cells <= self.high[i])]
        return found

    def key(self) -> tuple[int, ...]:
        """Return a key that equals that of an equivalent predicate."""
        order = np.argsort(self.columns)
        return tuple(np.concatenate([self.columns[order], self.low[order], self.high[order]]).tolist())


def singling_out(tables: AuditTables, *, rng: np.random.Generator, context: AuditContext) -> list[Finding]:
    """Return the excess risk of three kinds of predicate."""
    who = choose_targets(tables, rng=rng, at_most=min(MAX_ROWS, context.settings.max_rows), reference=False)
    if who is None:
        return [insufficient("disclosure", "singling_out", NO_ROWS)]
    size = len(who.others)
    synthetic = tables.synthetic.iloc[thin(len(tables.synthetic), size, rng)]
    codes = order_codes(tables, (synthetic, who.members, who.others))
    is_number = np.array([tables.is_number(name) for name in tables.columns])
    shuffled = np.stack([rng.permutation(row) for row in codes[0]])
    n = min(GUESSES[context.settings.level], context.settings.max_targets, len(synthetic))
    kinds: list[tuple[str, Callable[[np.ndarray], list[Predicate]]]] = [
        ("several columns", lambda table: conjunctions(table, is_number, n, rng)),
        ("whole rows", lambda table: whole_rows(table, is_number, n, rng)),
    ]
    found = [("one column", one_column(codes[0], is_number, n, rng), any_value(codes[0], n, rng))]
    found += [(label, make(codes[0]), make(shuffled)) for label, make in kinds]
    return [_finding(label, guesses, naive, codes, tests=len(found)) for label, guesses, naive in found]


def order_codes(tables: AuditTables, frames: Sequence[pd.DataFrame]) -> list[np.ndarray]:
    """Return (d, n) codes of each frame: equal cells have equal codes, numbers keep their order, missing is -1.

    Numbers are rounded to 6 decimals, times to seconds.
    """
    ends = np.cumsum([len(frame) for frame in frames])[:-1]
    rows = []
    for name in tables.columns:
        if tables.is_number(name):
            cells = np.round(np.concatenate([numbers(frame[name]) for frame in frames]), 6)
            missing = np.isnan(cells)
            codes = np.unique(np.where(missing, 0.0, cells), return_inverse=True)[1]
        else:
            pairs = [texts(frame[name]) for frame in frames]
            missing = np.concatenate([gone for _, gone in pairs])
            codes = pd.factorize(np.concatenate([words for words, _ in pairs]))[0]
        rows.append(np.where(missing, MISSING, codes).astype(np.int32))
    return np.split(np.stack(rows), ends, axis=1)


def one_column(codes: np.ndarray, is_number: np.ndarray, n: int, rng: np.random.Generator) -> list[Predicate]:
    """Return at most n predicates on one column that fit one row of the (d, n) codes; columns take turns."""
    queues = []
    for column, cells in enumerate(codes):
        values, counts = np.unique(cells, return_counts=True)
        ranges = [(int(v), int(v)) for v in values[counts == 1]]
        known = values[values != MISSING]
        if is_number[column] and len(known):
            ranges += [(int(known[-1]), TOP)] if counts[-1] == 1 else []
            ranges += [(0, int(known[0]))] if counts[values == known[0]][0] == 1 else []
        queues.append([_single(column, *ranges[i]) for i in rng.permutation(len(ranges))])
    longest = max((len(queue) for queue in queues), default=0)
    turns = [queue[i] for i in range(longest) for queue in queues if i < len(queue)]
    return turns[:n]


def any_value(codes: np.ndarray, n: int, rng: np.random.Generator) -> list[Predicate]:
    """Return n predicates of one column and any of its values: what an uninformed attacker would guess."""
    values = [np.unique(cells) for cells in codes]
    columns = rng.integers(0, len(codes), n)
    return [_single(int(c), *(2 * [int(rng.choice(values[c]))])) for c in columns]


def _single(column: int, low: int, high: int) -> Predicate:
    return Predicate(np.array([column]), np.array([low]), np.array([high]))


def conjunctions(codes: np.ndarray, is_number: np.ndarray, n: int, rng: np.random.Generator) -> list[Predicate]:
    """Return at most n conjunctions over two and more columns that fit one row of the codes.

    For a random row and a random order of columns, conditions are added until the row is alone: equality for categories
    and missing values; for numbers, at least (or at most) the row's value, away from the median.
    """
    d, size = codes.shape
    if d < 2 or size == 0:
        return []
    middle = np.array([np.median(cells[cells != MISSING]) if (cells != MISSING).any() else 0 for cells in codes])
    found: dict[tuple[int, ...], Predicate] = {}
    for _ in range(TRIES * n):
        row = codes[:, rng.integers(size)]
        half = is_number & (row != MISSING)
        low = np.where(half & (row < middle), 0, row)
        high = np.where(half & (row >= middle), TOP, row)
        chosen = _grow(codes, rng.permutation(d), low, high)
        if chosen is not None:
            found.setdefault(chosen.key(), chosen)
        if len(found) >= n:
            break
    return list(found.values())


def _grow(codes: np.ndarray, order: np.ndarray, low: np.ndarray, high: np.ndarray) -> Predicate | None:
    """Return the shortest conjunction of at least two leading columns of `order` that fits one row, or None."""
    cells = codes[order[0]]
    left = np.flatnonzero((cells >= low[order[0]]) & (cells <= high[order[0]]))
    for used, column in enumerate(order[1:], start=2):
        cells = codes[column, left]
        left = left[(cells >= low[column]) & (cells <= high[column])]
        if len(left) == 1:
            return Predicate(order[:used], low[order[:used]], high[order[:used]])
    return None


def whole_rows(codes: np.ndarray, is_number: np.ndarray, n: int, rng: np.random.Generator) -> list[Predicate]:
    """Return at most n predicates of all columns, numbers within 1 % of the ranks, that fit one row of the codes."""
    size = codes.shape[1]
    low, high = codes.copy(), codes.copy()
    for column in np.flatnonzero(is_number):
        cells = codes[column]
        known = np.sort(cells[cells != MISSING])
        if len(known) == 0:
            continue
        reach = int(WINDOW * len(known))
        first = np.searchsorted(known, cells, side="left") - reach
        last = np.searchsorted(known, cells, side="right") - 1 + reach
        low[column] = np.where(cells == MISSING, MISSING, known[np.clip(first, 0, len(known) - 1)])
        high[column] = np.where(cells == MISSING, MISSING, known[np.clip(last, 0, len(known) - 1)])
    every = np.arange(len(codes))
    table = SortedCodes(codes)
    made = (Predicate(every, low[every, row], high[every, row]) for row in rng.permutation(size)[: TRIES * n])
    return list(islice((p for p in made if len(p.rows(table)) == 1), n))


def _hits(guesses: Sequence[Predicate], codes: np.ndarray) -> np.ndarray:
    """Return (n,) the row that each predicate isolates, -1 where it fits none or several."""
    table = SortedCodes(codes)
    rows = [guess.rows(table) for guess in guesses]
    return np.array([int(found[0]) if len(found) == 1 else -1 for found in rows], dtype=np.int64)


def _finding(
    label: str, guesses: list[Predicate], naive: list[Predicate], codes: list[np.ndarray], *, tests: int
) -> Finding:
    synthetic, members, others = codes
    if len(guesses) < MIN_GUESSES:
        why = f"the synthetic rows yield only {len(guesses)} predicates of this kind, {MIN_GUESSES} are needed."
        return insufficient("disclosure", "singling_out", why, group=label, n=len(guesses))
    inside, outside = _hits(guesses, members), _hits(guesses, others)
    blind = _hits(naive, members)
    return risk_finding(
        Attack(
            name="singling_out",
            group=label,
            members=arm(inside >= 0, inside),
            others=arm(outside >= 0, outside),
            naive=float(np.mean(blind >= 0)) if len(blind) else 0.0,
            naive_label="knows only single columns",
            meaning=MEANING,
            source="own; WP216; after Giomi et al. (2023) and Cohen & Nissim (2020)",
            bounded=False,
            detail={
                "columns": float(np.mean([len(guess.columns) for guess in guesses])),
                "rows": members.shape[1],
                "synthetic_rows": synthetic.shape[1],
            },
        ),
        claimed=None,
        tests=tests,
    )
