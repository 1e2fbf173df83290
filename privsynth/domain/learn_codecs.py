"""The domain stage: from facts to codecs. What nobody declared is bought here: categories, atoms, bins.

Order of releases: frequent texts of all open columns at once (thresholded, but for those of a public list), frequent
values of all lines at once (thresholded), then one tree a numeric line, level by level for all lines at once.
Everything after them is a pure function of what came out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from privsynth.codecs.bins import NumberCells, build_cells
from privsynth.codecs.bounds import clip_steps
from privsynth.codecs.column_facts import Facts
from privsynth.codecs.columns import (
    DAY,
    CategoryCodec,
    ColumnCodec,
    DerivedCodec,
    NumberCodec,
    SurrogateCodec,
    TimeCodec,
    following_codec,
    split_week,
)
from privsynth.codecs.parse import GRID_LIMIT, Categories, Grid, narrowest
from privsynth.codecs.parsed_table import ParsedTable, boolean_values
from privsynth.domain.budget_split import FIRST_LOOK, SCARCE, choose_prices, domain_prices
from privsynth.domain.categories import OpenTexts
from privsynth.domain.layout import Layout
from privsynth.domain.magnitude_prior import Missing
from privsynth.domain.quantile_tree import FIRST_PARTS, Leaves, Line, grow
from privsynth.privacy.mechanisms import Mechanisms
from privsynth.privacy.unit_weights import Look, Weights, count
from privsynth.schema.definition import Schema

RARE_ATOM = 0.2  # share of the rows: where only more frequent values come out, no numbers are looked for


@dataclass
class _Piece:
    """One line (or one open set of texts) on the way to becoming cells."""

    column: str
    part: str
    steps: np.ndarray | None = None
    known: np.ndarray | None = None
    low: int | None = None
    high: int | None = None
    wants_keys: bool = False
    weight: np.ndarray | None = None
    atoms: dict[int, float] = field(default_factory=dict)

    def key_counts(self) -> dict[str, int]:
        assert self.steps is not None
        assert self.known is not None
        if self.weight is None:
            values, counts = np.unique(self.steps[self.known], return_counts=True)
        else:
            values, at = np.unique(self.steps[self.known], return_inverse=True)
            counts = count(at, len(values), self.weight[self.known])
        return {str(v): int(c) for v, c in zip(values.tolist(), counts.tolist(), strict=True)}

    def line(self, rows: float | None) -> Line:
        """Return what is to be cut into cells; the rows themselves are the line's from then on."""
        assert self.steps is not None
        assert self.known is not None
        steps, kept = self.steps, self.known
        if self.atoms:
            kept = kept & ~np.isin(steps, np.fromiter(self.atoms, dtype=np.int64))
        self.steps = self.known = None
        weight = None if self.weight is None else self.weight[kept]
        values = steps if kept.all() else steps[kept]
        return Line(f"{self.column}·{self.part}", values, self.low, self.high, weight, rows)


def learn_codecs(
    parsed: ParsedTable,
    schema: Schema,
    layout: Layout,
    facts: Mapping[str, Facts],
    mechanisms: Mechanisms,
    *,
    k: int,
    n_rows: float,
    rows_sigma: float = 0.0,
    mu_squared: float,
    delta: float,
    bins: int,
    weights: Weights | None = None,
) -> list[ColumnCodec]:
    """Return the codec of each column of the layout, in table order.

    Guarantee: part "domain" at `mu_squared`, and `delta` for all thresholds together (see `stable_keys`, `grow`).
    Args:
      n_rows: the paid number of rows, and its standard deviation.
      bins: about how many cells a numeric line is cut into.
      weights: of the rows; if None they weigh one each.
    """
    pieces = [p for name in layout.modelled for p in _pieces(name, parsed, schema, layout, facts)]
    look = Look(k, weights)
    for piece in pieces:
        piece.weight = look.rows
    texts = [n for n in layout.modelled if facts[n].kind == "categorical" and schema.column(n).categories is None]
    keyed = [p for p in pieces if p.wants_keys and delta > 0]
    of_texts = delta * len(texts) / max(len(texts) + len(keyed), 1)
    each = choose_prices(
        look,
        texts=len(texts),
        keyed=len(keyed),
        lines=len(pieces),
        mu_squared=mu_squared,
        delta_of_values=delta - of_texts,
        n_rows=n_rows,
    )
    shared = partial(domain_prices, keyed=len(keyed), lines=len(pieces), each=each)
    left, again = texts, of_texts
    categories = OpenTexts(parsed, facts, mechanisms, look, n_rows)
    if each is SCARCE:
        first, again = FIRST_LOOK * shared(texts=len(texts), mu_squared=mu_squared)[0], (1 - FIRST_LOOK) * of_texts
        categories.look(texts, mu_squared=first, delta=FIRST_LOOK * of_texts)
        mu_squared -= first
        price = partial(shared, mu_squared=mu_squared)
        left = categories.unexplained(texts, price=lambda columns: price(texts=columns)[0], delta=again)
    of_left, of_atoms, of_trees = shared(texts=len(left), mu_squared=mu_squared)
    categories.look(left, mu_squared=of_left, delta=again)
    keys_sigma = 0.0
    if keyed and look.least(len(keyed), of_atoms, delta - of_texts) > RARE_ATOM * n_rows:
        # No value of a number is that frequent: the trees have it all.
        keyed, of_trees = [], of_atoms + of_trees
    if keyed:
        release = mechanisms.stable_keys(
            [p.key_counts() for p in keyed],
            max_rows_per_unit=k,
            part="domain",
            mu_squared=of_atoms,
            delta=delta - of_texts,
            label="frequent values of numbers",
            unit_weight=look.of_unit,
        )
        keys_sigma = release.sigma * look.in_rows
        for piece, counts in zip(keyed, release.counts, strict=True):
            piece.atoms = {int(key): n * look.in_rows for key, n in counts.items()}
    target = max(n_rows / bins, 1.0)
    missing = [_missing(p, facts[p.column], n_rows, keys_sigma, rows_sigma) for p in pieces]
    leaves = grow(
        [p.line(None if m is None else m.rows) for p, m in zip(pieces, missing, strict=True)],
        mechanisms,
        k=look.of_unit,
        part="domain",
        mu_squared=of_trees,
        split_above=target / 3,
        n_rows=n_rows,
        in_rows=look.in_rows,
    )
    cells = {
        (p.column, p.part): _cells(p, leaf, target, left) for p, leaf, left in zip(pieces, leaves, missing, strict=True)
    }
    found = categories.found()
    return [_codec(name, schema, layout, facts, found, cells) for name in layout.names]


def _cells(piece: _Piece, leaves: Leaves, target: float, missing: Missing | None) -> NumberCells:
    kept = leaves.trimmed(piece.low, piece.high, piece.atoms, missing)
    sigma = float(np.sqrt(np.mean(kept.sigma**2)))
    return build_cells(kept.low, kept.high, kept.weight, piece.atoms, target=target, sigma=sigma)


def _missing(piece: _Piece, fact: Facts, n_rows: float, keys_sigma: float, rows_sigma: float) -> Missing | None:
    """Return how many rows lie on a line besides its atoms, from the paid number of rows; None if nulls are unknown."""
    if fact.nulls is None:
        return None
    rows = n_rows * (1.0 - fact.nulls) - math.fsum(piece.atoms.values())
    return Missing(rows, math.hypot(rows_sigma, n_rows * fact.doubt, keys_sigma * math.sqrt(len(piece.atoms))))


def declared_steps(schema: Schema, name: str, fact: Facts) -> tuple[int | None, int | None]:
    """Return the declared bounds of a column in grid steps (seconds for times), the grid inside the bounds."""
    column = schema.column(name)

    def steps(bound: object, inwards: Callable[[float], int]) -> int | None:
        if bound is None:
            return None
        if fact.kind in ("datetime", "date"):
            seconds = int(np.datetime64(bound, "s").astype(np.int64))  # type: ignore[call-overload]
            return inwards(seconds / DAY) * DAY if fact.kind == "date" else seconds
        exact = float(bound) / fact.precision  # type: ignore[arg-type]
        near = np.rint(exact)
        on_grid = abs(exact - near) <= 1e-9 * max(1.0, abs(exact))  # 0.7 / 0.1 is not quite 7
        clipped = min(max(near if on_grid else exact, -GRID_LIMIT), GRID_LIMIT)
        return inwards(clipped)

    low, high = steps(column.minimum, math.ceil), steps(column.maximum, math.floor)
    if low is not None and high is not None and low > high:
        return high, high  # no step of the grid lies inside the bounds: the one below
    return low, high


def _pieces(name: str, parsed: ParsedTable, schema: Schema, layout: Layout, facts: Mapping[str, Facts]) -> list[_Piece]:
    fact, column = facts[name], parsed.columns[name]
    if isinstance(column, Categories):
        return []
    low, high = declared_steps(schema, name, fact)
    base_name = layout.bases.get(name)
    base = parsed.columns[base_name] if base_name else None
    known = ~column.null
    if fact.kind in ("numeric", "integer"):
        steps = clip_steps(column.steps, low, high)
        if isinstance(base, Grid):
            base_low, base_high = declared_steps(schema, base_name or "", facts[base_name or ""])
            steps = np.maximum(steps - clip_steps(base.steps, base_low, base_high), 0)
            known = known & ~base.null
            low, high = 0, (max(high - base_low, 0) if high is not None and base_low is not None else None)
        wide = low is None or high is None or high - low >= FIRST_PARTS
        return [_Piece(name, "number", narrowest(steps), known, low, high, wants_keys=wide)]
    precision = int(fact.precision)
    seconds = clip_steps(column.steps * precision, low, high)
    day = seconds // DAY
    if isinstance(base, Grid):
        base_fact = facts[base_name or ""]  # its precision may differ: a date below a datetime
        base_low, base_high = declared_steps(schema, base_name or "", base_fact)
        base_seconds = clip_steps(base.steps * int(base_fact.precision), base_low, base_high)
        above = np.maximum(day - base_seconds // DAY, 0)
        span = max(high // DAY - base_low // DAY, 0) if high is not None and base_low is not None else None
        pieces = [_Piece(name, "days", narrowest(above), known & ~base.null, 0, span, wants_keys=True)]
    else:
        weeks = [int(split_week(np.array([b // DAY]))[0][0]) if b is not None else None for b in (low, high)]
        pieces = [_Piece(name, "days", narrowest(split_week(day)[0]), known, weeks[0], weeks[1])]
    if fact.kind == "datetime":
        clock = seconds % DAY // precision
        pieces.append(_Piece(name, "clock", narrowest(clock), known, 0, DAY // precision - 1, wants_keys=True))
    return pieces


def _codec(
    name: str,
    schema: Schema,
    layout: Layout,
    facts: Mapping[str, Facts],
    kept: Mapping[str, tuple[str, ...]],
    cells: Mapping[tuple[str, str], NumberCells],
) -> ColumnCodec:
    fact, column = facts[name], schema.column(name)
    if name in layout.surrogates:
        return SurrogateCodec(name)
    if name in layout.derived:
        minuend, subtrahend = layout.derived[name]
        precision = column.precision or (1.0 if fact.kind == "integer" else fact.precision)
        return DerivedCodec(name, minuend, subtrahend, precision, fact.kind == "integer")
    if name in layout.follows:
        book = column.follows
        assert book is not None
        values = boolean_values(schema, name) if fact.kind == "boolean" else column.categories or ()
        said_by = schema.column(book.column).categories or ()
        return following_codec(name, values, column.nullable, book.column, said_by, book.values)
    if fact.kind == "boolean":
        return CategoryCodec(name, boolean_values(schema, name), False, column.nullable)
    if fact.kind == "categorical":
        if column.categories is not None:
            return CategoryCodec(name, column.categories, False, column.nullable)
        return CategoryCodec(name, kept[name], True, column.nullable)
    low, high = declared_steps(schema, name, fact)
    base = layout.bases.get(name)
    if fact.kind in ("numeric", "integer"):
        return NumberCodec(
            name,
            cells[name, "number"],
            fact.precision,
            column.nullable,
            fact.kind == "integer",
            low,
            high,
            base,
        )
    return TimeCodec(
        name,
        cells[name, "days"],
        cells.get((name, "clock")),
        int(fact.precision),
        column.nullable,
        fact.format,
        low,
        high,
        base,
    )
