"""Drawing persons with all their rows: the root table first, then each table's rows, event by event, given the person.

Post-processing of released models. Rows of one place are drawn for all parents at once: the first row of each, then the
second, and so on, each given what is above it and the row before.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cached_property

import numpy as np
import pandas as pd

from privsynth.codecs.columns import DAY, FIRST_SECOND, LAST_SECOND, Drawn, NumberCodec, TimeCodec
from privsynth.codecs.decoded_rows import Decoded, DecodedRows, join
from privsynth.codecs.encoded_table import REACH
from privsynth.codecs.parse import GRID_LIMIT, Grid
from privsynth.errors import ConfigError
from privsynth.generators.registry import FittedGenerator
from privsynth.progress import Progress, no_progress
from privsynth.randomness import sampling_rng
from privsynth.sampling.conditional import complete
from privsynth.sampling.draw import draw_rows
from privsynth.sampling.likelihood import Conditioned
from privsynth.sampling.linked.changes import Changes
from privsynth.sampling.linked.demands import demands_on
from privsynth.sampling.linked.drawn import DrawnTable, Step, frame_of_rules, is_of_other_row, rules_of
from privsynth.sampling.linked.model import (
    Given,
    Known,
    LinkedModel,
    codes_above,
    first_column,
    given_attributes,
    is_relative,
    pace_codes,
    since_column,
    span_column,
)
from privsynth.sampling.linked.order_rules import OrderRules
from privsynth.sampling.repair import Repairs
from privsynth.schema.linked.definition import MAX_TABLES

ROUNDS = 25  # times that rows are drawn again until they keep the rules, before their history ends there (own)
ROUNDING = 1e-3  # of a grid step, by which bounds in days may miss a whole one: minutes since 1970 lose far less
UNLIKE_ROUNDS = 4  # times that a row is drawn again if a value is as before that should be another (own)
TOGETHER = 0.01  # share of the rows at the time of the row before, from which on rows may be drawn so (own)
LATER_ROUNDS = 8  # times that a time is drawn again if rules, or the last row, do not let a row be then (own)

# What is known of rows before they are drawn: (all attributes of the model, n) codes, and what the demands rest on.
Context = tuple[np.ndarray, pd.DataFrame]


def draw_linked(
    model: LinkedModel, n_persons: int, *, seed: int, part: int = 0, progress: Progress = no_progress
) -> dict[str, DrawnTable]:
    """Return the rows of each modelled table, for so many persons.

    Args:
      seed: published; the same seed, number and part give the same rows. Parts are independent.
    """
    drawn: dict[str, DrawnTable] = {}
    for i, name in enumerate(model.schema.modelled):
        progress(f"drawing {name}", i / len(model.schema.modelled))
        drawing = TableDrawing(model, name, drawn, sampling_rng(seed, part * MAX_TABLES + i))
        drawn[name] = drawing.draw_root(n_persons) if name == model.schema.root else drawing.draw_below()
    return drawn


def draw_inside(fitted: FittedGenerator, known: np.ndarray, given: Conditioned, rng: np.random.Generator) -> np.ndarray:
    """Return codes of rows inside what is demanded of them; where the model has no mass there, of any."""
    try:
        return complete(fitted, known, given.evidence, rng)
    except ConfigError:
        return complete(fitted, known, {}, rng)


class TableDrawing:
    """Draws the rows of one table.

    Args:
      above: the tables that are drawn already.
      contexts: a list to which what is known of rows before they are drawn is added; None to keep nothing.

    Attributes:
      demands: what the rules demand of single columns.
    """

    def __init__(
        self,
        model: LinkedModel,
        name: str,
        above: Mapping[str, DrawnTable],
        rng: np.random.Generator,
        contexts: list[Context] | None = None,
    ) -> None:
        self._of, self._schema, self._name, self._above, self._rng = model, model.schema, name, above, rng
        self._model = model.models[name]
        self._codec, self._codecs = self._model.codec, model.codecs
        self._given: list[Given] = given_attributes(model.schema, name, model.codecs)
        self._order = model.schema.tables[name].order
        self._rules = rules_of(model, name)
        own = len(self._codec.attributes)
        before = {one.at: own + i for i, one in enumerate(self._given) if one.source == "previous"}
        self._changes = Changes(model.schema, name, self._codec, before)
        self._times = OrderRules(self._rules, self._order or "")
        self.demands = demands_on(model, name)
        self._asked = {*self.demands.columns, *self._times.columns}
        self._mending: dict[int, Repairs] = {}
        self._contexts = contexts

    @cached_property
    def _only_when(self) -> list[int]:
        """The attributes that say when a row is, and nothing more once that is known.

        A mixture has only so many components, and each thing that is known leaves fewer for the others.
        """
        parent = self._schema.tables[self._name].parent
        if parent is None or self._order is None or getattr(self._model.fitted, "keeps_given", False):
            return []
        codec, own = self._codecs[parent.table], len(self._codec.attributes)
        names = (first_column(self._name, self._order), span_column(self._name, self._order))
        of_parent = {at for name in names for at in codec.attributes_of(name)}
        return [
            own + i
            for i, one in enumerate(self._given)
            if one.source == "pace" or (one.source == "above" and one.table == parent.table and one.at in of_parent)
        ]

    def draw_root(self, n_persons: int, asked: Conditioned | None = None) -> DrawnTable:
        """Return persons.

        Args:
          asked: what their own columns have to meet; nothing if None.
        Raises:
          ConfigError: no person of the model, or hardly any, meets that and keeps the rules.
        """
        asked = asked or Conditioned((), self._codec, {})
        rows, codes = draw_rows(asked, self._model.fitted, self._rules, n_persons, self._rng)
        nobody = np.full(n_persons, -1, dtype=np.int64)
        return DrawnTable(rows, codes, nobody, np.arange(n_persons, dtype=np.int64))

    def draw_below(self) -> DrawnTable:
        """Return rows below those of the parent table."""
        declared = self._schema.tables[self._name].parent
        assert declared is not None
        above = self._above[declared.table]
        # As many classes of numbers of rows there are; noise may say more, without end.
        wanted = np.minimum(above.children(self._name), REACH * self._schema.tables[self._name].max_children)
        kind = self._kinds(above.person, wanted)
        parents = np.flatnonzero(wanted > 0)
        ends = self._ends(declared.table, above, parents, wanted[parents])
        step = Step(parents, kind[:, parents], 0, wanted[parents], ends, None, None)
        parts: list[tuple[np.ndarray, np.ndarray, DecodedRows]] = []
        while len(step.parents):
            codes, rows, held = self._draw_step(step)
            # A history in which no row keeps the rules any more ends here.
            kept = np.flatnonzero(held)
            step, codes, rows = step.take(kept), codes[:, kept], rows.take(kept)
            parts.append((step.parents, codes, rows))
            step = step.after(codes.astype(np.int32), rows)
        if not parts:
            parts.append((parents, np.zeros((len(self._codec.attributes), 0), dtype=np.uint16), self._no_rows()))
        owner = np.concatenate([parents for parents, _, _ in parts])
        at = np.argsort(owner, kind="stable")  # a parent's rows one after the other, in their order
        rows = join([rows for _, _, rows in parts]).take(at)
        codes = np.concatenate([codes for _, codes, _ in parts], axis=1)[:, at]
        return DrawnTable(rows, codes, owner[at], above.person[owner[at]])

    def _no_rows(self) -> DecodedRows:
        return self._codec.draw(np.zeros((len(self._codec.attributes), 0), dtype=np.uint16), self._rng)

    @cached_property
    def _least_step(self) -> int:
        """The least number of steps between two rows: 1 where hardly any were released with none between them."""
        bins = self._codec.measured(since_column(self._order or "")).bins
        return int(bins.share_of(0) < TOGETHER)

    def _ends(self, table: str, above: DrawnTable, parents: np.ndarray, wanted: np.ndarray) -> np.ndarray | None:
        """Return (2, n) values of the order column in the first and the last row of each parent, as drawn with it.

        Where the model left them out, though there are to be rows, those of another parent stand in.
        """
        if self._order is None:
            return None
        columns = above.rows.columns
        first, span = columns[first_column(self._name, self._order)], columns[span_column(self._name, self._order)]
        null = first.null[parents].copy()
        start = first.values[parents].astype(np.int64)
        own = self._schema.tables[table].order
        if is_relative(self._schema, self._name) and own is not None:
            of_row = columns[own]
            null |= of_row.null[parents]
            start = self._later_than(self._amount(table, own, of_row.values[parents]), start)
        known = np.flatnonzero(~null)
        if len(known) and len(known) < len(parents):
            start[null] = start[self._rng.choice(known, size=int(null.sum()))]
        start = self._allowed_start(parents, self._inside(start))
        least = self._least_step * (wanted - 1)  # noise makes spans that so many rows do not fit into
        steps = np.maximum(np.where(span.null, 0, span.values)[parents], least)
        end = self._inside(self._later_than(start, steps))
        return np.stack([np.minimum(start, self._inside(self._later_than(end, -least))), end])

    def _inside(self, values: np.ndarray) -> np.ndarray:
        """Return values of the order column inside its declared bounds, and inside what such a column can hold."""
        codec = self._ordered
        low, high = (FIRST_SECOND, LAST_SECOND) if isinstance(codec, TimeCodec) else (-GRID_LIMIT, GRID_LIMIT)
        found: np.ndarray = codec.bounded(np.clip(values, low, high))
        return found // self._unit * self._unit

    @property
    def _ordered(self) -> NumberCodec | TimeCodec:
        codec = self._codec.by_name[self._order or ""]
        assert isinstance(codec, NumberCodec | TimeCodec)
        return codec

    @property
    def _unit(self) -> int:
        """What one step of the order column is in its decoded values: seconds, or steps of a number."""
        codec = self._ordered
        return codec.precision if isinstance(codec, TimeCodec) else 1

    def _amount(self, table: str, column: str, values: np.ndarray) -> np.ndarray:
        """Return decoded values of a column of the row above in those of the order column, rounded down."""
        above, own = self._codecs[table].by_name[column], self._ordered
        if isinstance(own, TimeCodec) or not isinstance(above, NumberCodec):
            return values.astype(np.int64)
        return np.floor(values * above.precision / own.precision).astype(np.int64)

    def _later_than(self, above: np.ndarray, steps: np.ndarray) -> np.ndarray:
        unit = self._unit
        most = GRID_LIMIT // unit  # of steps, so that no sum leaves 64 bits
        later: np.ndarray = (above // unit + np.clip(steps.astype(np.int64), -most, most)) * unit
        return later

    def _kinds(self, person: np.ndarray, wanted: np.ndarray) -> np.ndarray:
        """Return (1, parents) the class of each parent's person by all rows that the person will have here.

        Where one row of a person is used at most, there are no classes, and it is (0, parents).
        """
        per_unit = self._model.rows_per_unit
        if per_unit is None:
            return np.zeros((0, len(person)), dtype=np.int32)
        total = np.bincount(person, weights=wanted).astype(np.int64)[person]
        return np.clip(per_unit.class_of(np.maximum(total, 1)), 0, len(per_unit.classes) - 1)[None]

    def _allowed_start(self, parents: np.ndarray, start: np.ndarray) -> np.ndarray:
        """Return (n,) values of the order column in first rows, as rules allow: else that of another parent's rows."""
        low, high = self._bounds(parents, None)
        for _ in range(LATER_ROUNDS):
            bad = np.flatnonzero((start < low) | (start > high))
            if not len(bad):
                return start
            start[bad] = start[self._rng.integers(0, len(start), len(bad))]
        return self._inside(np.where((low <= high) & (start < low), low, np.minimum(start, np.maximum(low, high))))

    def _bounds(self, parents: np.ndarray, previous: DecodedRows | None) -> tuple[np.ndarray, np.ndarray]:
        """Return (n,) the least and the largest value of the order column that rules allow, on its grid."""
        unit, codec = self._unit, self._ordered
        step = DAY / unit if isinstance(codec, TimeCodec) else 1.0 / codec.precision  # grid steps in what rules count
        low, high = self._times.bounds(self._told(parents, previous))
        edge = float(GRID_LIMIT // unit)
        least = np.ceil(np.clip(low * step - ROUNDING, -edge, edge)).astype(np.int64)
        most = np.floor(np.clip(high * step + ROUNDING, -edge, edge)).astype(np.int64)
        return least * unit, most * unit

    def _draw_step(self, step: Step) -> tuple[np.ndarray, DecodedRows, np.ndarray]:
        """Return the codes and rows of one place, and which of them keep the rules."""
        known = self._known(step)
        codes, rows = self._one_row_each(step, known)
        held = self._hold(rows, step.parents, step.previous)
        for _ in range(ROUNDS):
            bad = np.flatnonzero(~held)
            if not len(bad):
                break
            some = step.take(bad)
            codes[:, bad], fresh = self._one_row_each(some, known[:, bad])
            rows.put(bad, fresh)
            held[bad] = self._hold(fresh, some.parents, some.previous)
        return codes, rows, held

    def _known(self, step: Step) -> np.ndarray:
        """Return (all attributes of the model, n) codes, −1 for those of the table itself."""
        codes = {table: drawn.codes for table, drawn in self._above.items()}
        parents = {table: drawn.parent for table, drawn in self._above.items()}
        above = codes_above(self._schema, self._name, step.parents, codes, parents)
        place = np.full(len(step.parents), step.place)
        pace = None
        if self._order is not None and step.previous is not None:
            pace = pace_codes(self._left(step), step.wanted - step.place, step.previous.columns[self._order].null)
        given = Known(above, step.before, place, pace).codes(self._given)
        own = np.full((len(self._codec.attributes), len(step.parents)), -1, dtype=np.int32)
        return np.concatenate([own, given, step.kind.astype(np.int32)])

    def _left(self, step: Step) -> np.ndarray:
        """Return (n,) steps from the row before to the last row."""
        assert step.previous is not None
        assert step.ends is not None
        left: np.ndarray = (step.ends[1] - step.previous.columns[self._order or ""].values) // self._unit
        return np.maximum(left, 0)

    def _one_row_each(self, step: Step, known: np.ndarray) -> tuple[np.ndarray, DecodedRows]:
        """Return codes and values of a row for each parent; where rows have an order, first when, and then what."""
        if self._order is None or step.ends is None:
            return self._row(step, known, {})
        known, since = known.copy(), since_column(self._order)
        (at,) = self._codec.attributes_of(since)
        nothing = self._codec.attributes[at].size - 1
        whole = np.zeros(known.shape[1], dtype=bool)
        if step.previous is None:
            known[at] = nothing
            when, passed = Decoded(step.ends[0], whole), Decoded(np.zeros_like(step.ends[0]), ~whole)
        else:
            steps = self._next_steps(step, known, at)
            known[at] = self._codec.by_name[since].encode(Grid(steps, whole), None)[0]
            before = step.previous.columns[self._order].values
            when, passed = Decoded(before + steps * self._unit, whole), Decoded(steps, whole)
        order = self._ordered
        known[self._codec.attributes_of(self._order)] = np.array(order.encode(order.parsed(when), None))
        values = {self._order: when, since: passed}
        if step.before is None or step.previous is None:
            self._changes.leave_out(known)
        else:
            values |= self._changes.carry(known, step.before, step.previous, self._model.fitted, self._rng)
        known[self._only_when] = -1
        codes, rows = self._row(step, known, values)
        if step.previous is not None:
            self._make_unlike(step, known, values, codes, rows)
        return codes, rows

    def _make_unlike(
        self, step: Step, known: np.ndarray, values: Mapping[str, Decoded], codes: np.ndarray, rows: DecodedRows
    ) -> None:
        """Draw again, in place, the rows with a value of the row before in a column that is not to be as before."""
        assert step.previous is not None
        bad = np.arange(rows.n_rows)
        for _ in range(UNLIKE_ROUNDS):
            bad = bad[self._changes.unlike(known[:, bad], rows.take(bad), step.previous.take(bad))]
            if not len(bad):
                return
            there = {name: Decoded(one.values[bad], one.null[bad]) for name, one in values.items()}
            codes[:, bad], fresh = self._row(step.take(bad), known[:, bad], there)
            rows.put(bad, fresh)

    def _row(self, step: Step, known: np.ndarray, values: Mapping[str, Decoded]) -> tuple[np.ndarray, DecodedRows]:
        """Return codes and values of a row for each parent, inside what rules demand given what is known.

        Args:
          known: (all attributes of the model, n) codes, −1 for those to be drawn.
          values: those that are known of the row itself.
        """
        own, frame = len(self._codec.attributes), self._told(step.parents, step.previous, values)
        if self._contexts is not None:
            self._contexts.append((known, frame))
        codes = np.zeros((own, known.shape[1]), dtype=np.uint16)
        parts, places = [], []
        for given, at in self.demands.groups(frame):
            some = self._complete(known[:, at], given)
            there = {name: Decoded(one.values[at], one.null[at]) for name, one in values.items()}
            rows = given.codec.draw(some[:own], self._rng, there)
            self._mend(given, rows, some)
            codes[:, at] = some[:own]
            parts.append(rows)
            places.append(at)
        if not parts:
            return codes, self._no_rows()
        return codes, join(parts).take(np.argsort(np.concatenate(places)))

    def _complete(self, known: np.ndarray, given: Conditioned) -> np.ndarray:
        """Return codes of all attributes of the model."""
        if not len(self._codec.attributes):
            return known.astype(np.uint16)
        return draw_inside(self._model.fitted, known, given, self._rng)

    def _mend(self, given: Conditioned, rows: DecodedRows, codes: np.ndarray) -> None:
        """Mend rows that break rules on their own columns, in place; when they are stays."""
        if id(given) not in self._mending:
            own = [rule for rule in self._rules if not any(is_of_other_row(column) for column in rule.columns)]
            fixed = () if self._order is None else (self._order, since_column(self._order))
            self._mending[id(given)] = Repairs(given, self._model.fitted, own, fixed)
        self._mending[id(given)].mend(rows, codes, self._rng)

    def _next_steps(self, step: Step, known: np.ndarray, at: int) -> np.ndarray:
        """Return (n,) steps from the row before to this one: all that are left for a last row, else no more than that.

        What rules say of the time by arithmetic comes first; then a last row is as late as it has to be.

        Args:
          at: the attribute of these steps.
        """
        assert step.previous is not None
        gap, left = self._codec.by_name[since_column(self._order or "")], self._left(step)
        before = step.previous.columns[self._order or ""].values
        low, high = ((bound - before) // self._unit for bound in self._bounds(step.parents, step.previous))
        low = np.maximum(low, self._least_step)
        high = np.maximum(np.minimum(left - self._least_step * (step.wanted - step.place - 1), high), low)
        size = self._codec.attributes[at].size
        never = np.ones(size)
        never[-1] = 0.0
        steps = np.clip(left, low, high)
        todo = np.flatnonzero((step.wanted - step.place > 1) & (high > low))
        for _ in range(LATER_ROUNDS):
            if not len(todo):
                return steps
            drawn = complete(self._model.fitted, known[:, todo], {at: never}, self._rng)[at]
            steps[todo] = gap.decode(drawn[None], Drawn({}, self._codec.by_name), self._rng).values
            todo = todo[(steps[todo] > high[todo]) | (steps[todo] < low[todo])]
        room = high[todo] - low[todo] + 1
        steps[todo] = low[todo] + np.floor(self._rng.random(len(todo)) * room).astype(np.int64)
        return steps

    def _told(
        self, parents: np.ndarray, previous: DecodedRows | None, values: Mapping[str, Decoded] | None = None
    ) -> pd.DataFrame:
        """Return what decides the demands on rows, and when they may be, by the names of rules.

        Args:
          values: those that are known of the rows themselves.
        """
        rows = DecodedRows(values or {}, len(parents))
        names = {name for name in self._asked if is_of_other_row(name) or name in rows.columns}
        return self._frame(rows, parents, previous, names)

    def _frame(
        self, rows: DecodedRows, parents: np.ndarray, previous: DecodedRows | None, names: Collection[str]
    ) -> pd.DataFrame:
        parent = self._schema.tables[self._name].parent
        above = None if parent is None else self._above[parent.table].rows.take(parents)
        return frame_of_rules(self._of, self._name, rows, above, previous, names)

    def _hold(self, rows: DecodedRows, parents: np.ndarray, previous: DecodedRows | None) -> np.ndarray:
        """Return (n,) booleans: the row keeps all rules that can be told of it."""
        held = np.ones(rows.n_rows, dtype=bool)
        if not self._rules:
            return held
        frame = self._frame(rows, parents, previous, {column for rule in self._rules for column in rule.columns})
        for rule in self._rules:
            if set(rule.columns) <= set(frame.columns):
                held &= rule.holds(frame)
        return held
