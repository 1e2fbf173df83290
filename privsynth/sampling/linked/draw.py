"""Drawing persons with all their rows: the root table first, then each table's rows, event by event, given the person.

Post-processing of released models. Rows of one place are drawn for all parents at once: the first row of each, then the
second, and so on, each given what is above it and the row before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from privsynth.codecs.columns import ColumnCodec, Drawn, NumberCodec, TimeCodec
from privsynth.codecs.decoded_rows import Decoded, DecodedRows, join
from privsynth.progress import Progress, no_progress
from privsynth.randomness import sampling_rng
from privsynth.sampling.conditional import complete
from privsynth.sampling.linked.model import (
    Given,
    LinkedModel,
    count_column,
    given_attributes,
    given_codes,
    since_column,
)
from privsynth.schema.linked.definition import MAX_TABLES
from privsynth.schema.rule_parser import Vocabulary, parse_rule
from privsynth.schema.rules import Rule

ROUNDS = 25  # times that rows are drawn again until they keep the rules, before their history ends there (own)
LATER_ROUNDS = 8  # times that a step in time is drawn again if it leads beyond the declared end (own)


@dataclass(frozen=True, repr=False)
class DrawnTable:
    """Synthetic rows of one table.

    Attributes:
      rows: values, those of hidden columns too.
      codes: (attributes, n) codes.
      parent: (n,) the row above each, in its own table.
      person: (n,) the person of each.
    """

    rows: DecodedRows
    codes: np.ndarray
    parent: np.ndarray
    person: np.ndarray

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return self.rows.n_rows

    def children(self, child: str) -> np.ndarray:
        """Return (n,) how many rows of a child table each row has."""
        column = self.rows.columns[count_column(child)]
        return np.where(column.null, 0, np.maximum(column.values, 0)).astype(np.int64)


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


def rules_held(model: LinkedModel, name: str, drawn: Mapping[str, DrawnTable]) -> list[tuple[str, np.ndarray]]:
    """Return each rule of a table that can be told of its rows, and (n,) booleans: the row keeps it."""
    rules, table = rules_of(model, name), drawn[name]
    frame = model.codecs[name].frame(table.rows)
    parent = model.schema.tables[name].parent
    if parent is not None:
        above = model.codecs[parent.table].frame(drawn[parent.table].rows.take(table.parent))
        frame = frame.join(_prefixed(above, "parent"))
    before = np.maximum(np.arange(table.n_rows) - 1, 0)  # rows of one parent stand one after the other, in order
    first = table.parent != table.parent[before] if table.n_rows else np.zeros(0, dtype=bool)
    first[:1] = True
    frame = frame.join(_prefixed(model.codecs[name].frame(table.rows.take(before)), "previous"))
    held = []
    for rule in rules:
        of_previous = any(column.startswith("previous.") for column in rule.columns)
        held.append((rule.text, rule.holds(frame) | (first & of_previous)))
    return held


class TableDrawing:
    """Draws the rows of one table.

    Args:
      above: the tables that are drawn already.
    """

    def __init__(
        self, model: LinkedModel, name: str, above: Mapping[str, DrawnTable], rng: np.random.Generator
    ) -> None:
        self._schema, self._name, self._above, self._rng = model.schema, name, above, rng
        self._model = model.models[name]
        self._codec = self._model.codec
        self._given: list[Given] = given_attributes(model.schema, name, model.codecs)
        self._order = model.schema.tables[name].order
        self._rules = rules_of(model, name)
        parent = model.schema.tables[name].parent
        self._parent_codec = None if parent is None else model.codecs[parent.table]

    def draw_root(self, n_persons: int) -> DrawnTable:
        """Return persons."""
        codes = self._complete(np.full((len(self._codec.attributes), n_persons), -1, dtype=np.int32))
        rows = self._codec.draw(codes, self._rng)
        everyone = np.arange(n_persons, dtype=np.int64)
        for _ in range(ROUNDS):
            bad = np.flatnonzero(~self._hold(rows, everyone, None))
            if not len(bad):
                break
            fresh = self._complete(np.full((len(codes), len(bad)), -1, dtype=np.int32))
            codes[:, bad] = fresh
            rows.put(bad, self._codec.draw(fresh, self._rng))
        held = self._hold(rows, everyone, None)
        if not held.all() and held.any():
            chosen = np.where(held, everyone, self._rng.choice(np.flatnonzero(held), size=n_persons))
            rows, codes = rows.take(chosen), codes[:, chosen]
        return DrawnTable(rows, codes, np.full(n_persons, -1, dtype=np.int64), everyone)

    def draw_below(self) -> DrawnTable:
        """Return rows below those of the parent table."""
        declared = self._schema.tables[self._name].parent
        assert declared is not None
        above = self._above[declared.table]
        wanted = above.children(self._name)
        kind = self._kinds(above.person, wanted)
        parents = np.flatnonzero(wanted > 0)
        parts: list[DecodedRows] = []
        codes_of, owners = [], []
        previous: DecodedRows | None = None
        before: np.ndarray | None = None
        place = 0
        while len(parents):
            step = _Step(parents, kind[:, parents], place, before, previous)
            codes, rows, held = self._draw_step(step)
            # A history in which no row keeps the rules any more ends here.
            parents, codes, rows = parents[held], codes[:, held], rows.take(np.flatnonzero(held))
            parts.append(rows)
            codes_of.append(codes)
            owners.append(parents)
            place += 1
            on = np.flatnonzero(wanted[parents] > place)
            parents, before, previous = parents[on], codes[:, on].astype(np.int32), rows.take(on)
        if not parts:
            empty = self._codec.draw(np.zeros((len(self._codec.attributes), 0), dtype=np.uint16), self._rng)
            none = np.zeros(0, dtype=np.int64)
            return DrawnTable(empty, np.zeros((len(self._codec.attributes), 0), dtype=np.uint16), none, none)
        owner = np.concatenate(owners)
        at = np.argsort(owner, kind="stable")  # a parent's rows one after the other, in their order
        rows, codes = join(parts).take(at), np.concatenate(codes_of, axis=1)[:, at]
        return DrawnTable(rows, codes, owner[at], above.person[owner[at]])

    def _kinds(self, person: np.ndarray, wanted: np.ndarray) -> np.ndarray:
        """Return (1, parents) the class of each parent's person by all rows that the person will have here.

        Where one row of a person is used at most, there are no classes, and it is (0, parents).
        """
        per_unit = self._model.rows_per_unit
        if per_unit is None:
            return np.zeros((0, len(person)), dtype=np.int32)
        total = np.bincount(person, weights=wanted).astype(np.int64)[person]
        return np.clip(per_unit.class_of(np.maximum(total, 1)), 0, len(per_unit.classes) - 1)[None]

    def _draw_step(self, step: _Step) -> tuple[np.ndarray, DecodedRows, np.ndarray]:
        """Return the codes and rows of one place, and which of them keep the rules."""
        known = self._known(step)
        codes, rows = self._one_row_each(step, known)
        held = self._hold(rows, step.parents, step.previous)
        for _ in range(ROUNDS):
            bad = np.flatnonzero(~held)
            if not len(bad):
                break
            fresh_codes, fresh = self._one_row_each(step.take(bad), known[:, bad])
            codes[:, bad] = fresh_codes
            rows.put(bad, fresh)
            held[bad] = self._hold(fresh, step.parents[bad], step.take(bad).previous)
        return codes, rows, held

    def _known(self, step: _Step) -> np.ndarray:
        """Return (all attributes of the model, n) codes, −1 for those of the table itself."""
        above, at = {}, step.parents
        for table in reversed(self._schema.ancestors(self._name)):
            above[table] = self._above[table].codes[:, at]
            at = np.maximum(self._above[table].parent[at], 0)
        place = np.full(len(step.parents), step.place)
        given = given_codes(self._given, above, step.before, place)
        own = np.full((len(self._codec.attributes), len(step.parents)), -1, dtype=np.int32)
        return np.concatenate([own, given, step.kind.astype(np.int32)])

    def _one_row_each(self, step: _Step, known: np.ndarray) -> tuple[np.ndarray, DecodedRows]:
        """Return codes and values of a row for each parent; where rows have an order, first when, and then what."""
        if self._order is None:
            codes = self._complete(known)
            return codes, self._codec.draw(codes, self._rng)
        known, since = known.copy(), since_column(self._order)
        (at,) = self._codec.attributes_of(since)
        nothing = self._codec.attributes[at].size - 1
        if step.previous is None:
            known[at] = nothing
            codes = self._complete(known)
            return codes, self._codec.draw(codes, self._rng)
        never = np.ones(nothing + 1)
        never[-1] = 0.0
        when, passed = self._next_times(step.previous, known, {at: never}, at)
        known[at] = passed.codes
        order: ColumnCodec = self._codec.by_name[self._order]
        known[self._codec.attributes_of(self._order)] = np.array(order.encode(order.parsed(when), None))
        codes = self._complete(known)
        return codes, self._codec.draw(codes, self._rng, {self._order: when, since: passed.values})

    def _next_times(
        self, previous: DecodedRows, known: np.ndarray, evidence: Mapping[int, np.ndarray], at: int
    ) -> tuple[Decoded, _Passed]:
        """Return when the next rows are, and the steps that passed, which do not lead beyond the last time there is."""
        assert self._order is not None
        codec, before = self._codec.by_name[self._order], previous.columns[self._order]
        assert isinstance(codec, NumberCodec | TimeCodec)
        gap = self._codec.by_name[since_column(self._order)]
        unit = codec.precision if isinstance(codec, TimeCodec) else 1
        last = _last_value(codec)
        codes = np.zeros(known.shape[1], dtype=np.int64)
        steps = np.zeros(known.shape[1], dtype=np.int64)
        todo = np.arange(known.shape[1])
        for _ in range(LATER_ROUNDS):
            drawn = complete(self._model.fitted, known[:, todo], evidence, self._rng)[at]
            codes[todo] = drawn
            steps[todo] = gap.decode(drawn[None], Drawn({}, self._codec.by_name), self._rng).values
            todo = todo[before.values[todo] + steps[todo] * unit > last]
            if not len(todo):
                break
        left = np.maximum(last - before.values[todo], 0) // unit
        steps[todo] = np.floor(self._rng.random(len(todo)) * (left + 1)).astype(np.int64)
        codes[todo] = gap.encode(gap.parsed(Decoded(steps, np.zeros(len(steps), dtype=bool))), None)[0][todo]
        when = Decoded(codec.bounded(before.values + steps * unit), before.null.copy())
        return when, _Passed(codes, Decoded(steps, before.null.copy()))

    def _complete(self, known: np.ndarray) -> np.ndarray:
        own = len(self._codec.attributes)
        if not own:
            return np.zeros((0, known.shape[1]), dtype=np.uint16)
        return complete(self._model.fitted, known, {}, self._rng)[:own]

    def _hold(self, rows: DecodedRows, parents: np.ndarray, previous: DecodedRows | None) -> np.ndarray:
        """Return (n,) booleans: the row keeps all rules that can be told of it."""
        held = np.ones(rows.n_rows, dtype=bool)
        if not self._rules:
            return held
        frame = self._codec.frame(rows)
        parent = self._schema.tables[self._name].parent
        if parent is not None and self._parent_codec is not None:
            above = self._parent_codec.frame(self._above[parent.table].rows.take(parents))
            frame = frame.join(_prefixed(above, "parent"))
        if previous is not None:
            frame = frame.join(_prefixed(self._codec.frame(previous), "previous"))
        for rule in self._rules:
            if set(rule.columns) <= set(frame.columns):
                held &= rule.holds(frame)
        return held


@dataclass(frozen=True, repr=False)
class _Passed:
    """How many steps passed since the row before: (n,) codes, and values."""

    codes: np.ndarray
    values: Decoded


@dataclass(frozen=True, repr=False)
class _Step:
    """Rows of one place.

    Attributes:
      parents: (n,) the row above each.
      kind: (1, n) class of the person by the number of rows; (0, n) where there are none.
      place: from 0.
      before, previous: codes and values of the row before; None at the first place.
    """

    parents: np.ndarray
    kind: np.ndarray
    place: int
    before: np.ndarray | None
    previous: DecodedRows | None

    def take(self, at: np.ndarray) -> _Step:
        """Return some of the rows."""
        before = None if self.before is None else self.before[:, at]
        previous = None if self.previous is None else self.previous.take(at)
        return _Step(self.parents[at], self.kind[:, at], self.place, before, previous)


def _last_value(codec: NumberCodec | TimeCodec) -> int:
    """Return the last value that the order column can have: the declared end, else that of its last bin."""
    if codec.high is not None:
        return int(codec.high)
    end = int(codec.bins.seg_high[-1])
    return (end * 7 + 10) * 86_400 + 86_399 if isinstance(codec, TimeCodec) else end


def _prefixed(frame: pd.DataFrame, prefix: str) -> pd.DataFrame:
    return frame.add_prefix(f"{prefix}.").set_index(pd.RangeIndex(len(frame)))


def rules_of(model: LinkedModel, name: str) -> Sequence[Rule]:
    """Return the rules of a table whose columns are all drawn."""
    schema = model.schema
    codecs = {"": model.models[name].codec, "previous.": model.models[name].codec}
    parent = schema.tables[name].parent
    if parent is not None:
        codecs["parent."] = model.models[parent.table].codec
    names = {prefix + c.name for prefix, codec in codecs.items() for c in codec.codecs if c.family != "invented"}
    own = schema.of_table(name)
    known = Vocabulary(
        names=tuple(sorted(names)),
        hierarchies={n: c.hierarchy for n, c in own.columns.items() if c.hierarchy is not None},
        booleans=own.booleans(),
    )
    rules = [parse_rule(text, known) for text in schema.tables[name].rules]
    return [rule for rule in rules if set(rule.columns) <= names]
