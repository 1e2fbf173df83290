"""Drawing persons with all their rows, as many as are wanted, and such as meet conditions.

A condition is on a person's own columns (`sex = F`), or asks for a row of another table (`stays: ward = surgery`: the
person has at least one such row). The first kind is drawn directly (see `privsynth.sampling.likelihood`); of the
second kind, persons are drawn until enough have such a row. Both are exact, and use nothing but the model.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from privsynth._validate import in_range
from privsynth.codecs.columns import TimeCodec
from privsynth.codecs.decoded_rows import Decoded, DecodedRows, join
from privsynth.codecs.table import MAX_ROWS, TableCodec
from privsynth.errors import ConfigError
from privsynth.progress import Progress, no_progress
from privsynth.randomness import sampling_rng
from privsynth.sampling.conditions import Clause, parse_clauses
from privsynth.sampling.draw import LEAST_RATE
from privsynth.sampling.likelihood import Conditioned, condition
from privsynth.sampling.linked.draw import TableDrawing, draw_linked
from privsynth.sampling.linked.drawn import DrawnTable
from privsynth.sampling.linked.model import (
    Known,
    LinkedModel,
    codes_above,
    count_column,
    given_attributes,
    pace_codes,
)
from privsynth.schema.linked import LinkedSchema
from privsynth.schema.linked.definition import MAX_TABLES

PART_PERSONS = 20_000  # persons drawn at once (own): some 1 GB for 400,000 rows. Another value gives other persons
TRY_PERSONS = 20_000  # drawn before a condition is refused (own): at the least rate, 20 ± 4.5 of them meet it
_OF_TABLE = re.compile(r"\s*(?P<table>[A-Za-z0-9][A-Za-z0-9_-]*)\s*:(?P<rest>.*)", re.DOTALL)


@dataclass(frozen=True)
class PersonOrder:
    """The persons that are wanted; a function of public facts.

    Attributes:
      n_persons: how many.
      person: what their own columns have to meet.
      events: (table, clauses): each person has a row of the table that meets all clauses.
      asked: the conditions as they were written.
    """

    n_persons: int
    person: Conditioned
    events: tuple[tuple[str, tuple[Clause, ...]], ...] = ()
    asked: tuple[str, ...] = ()

    @property
    def is_plain(self) -> bool:
        """Whether nothing is asked of the persons."""
        return not self.asked


def order_persons(model: LinkedModel, n_persons: int, given: Sequence[str] = ()) -> PersonOrder:
    """Return an order for persons.

    Args:
      given: conditions, all of which every person meets.
    Raises:
      ConfigError: a condition cannot be read, or names what the model does not have; or there are fewer identifiers
        than persons.
    """
    in_range(1, MAX_ROWS, rows=n_persons)
    root = model.schema.root
    _check_room(model, root, n_persons)
    own: list[Clause] = []
    events = []
    for text in given:
        found = _OF_TABLE.fullmatch(text)
        table = found["table"] if found else root
        if table in model.schema.references:
            raise ConfigError(f"'{table}' is a reference table; a condition can be put on the tables of persons' rows")
        if found is None or table not in model.models:
            own += parse_clauses(_without_prefix(text, root, model.codecs[root]), model.codecs[root])
        elif table == root:
            own += parse_clauses(found["rest"], model.codecs[root])
        else:
            events.append((table, parse_clauses(found["rest"], model.codecs[table])))
    return PersonOrder(n_persons, condition(own, model.codecs[root]), tuple(events), tuple(given))


def _without_prefix(text: str, root: str, codec: TableCodec) -> str:
    """Return a condition on persons without the name of their table: `patients.age >= 60` is `age >= 60`."""
    if any(name.startswith(f"{root}.") for name in codec.names):
        return text
    return re.sub(rf"(^|\band)(\s*){re.escape(root)}\.(?=[\w`])", r"\1\2", text)


def draw_persons(
    model: LinkedModel, order: PersonOrder, *, seed: int, progress: Progress = no_progress
) -> dict[str, DrawnTable]:
    """Return the rows of each modelled table, for persons of an order, without their codes.

    Args:
      seed: published; the same seed and order give the same rows. Up to `PART_PERSONS` persons of whom nothing is asked
        are those of `draw_linked`.
    Raises:
      ConfigError: no person of the model, or hardly any, meets the conditions; or a table has more rows than
        identifiers.
    """
    parts = []
    for part, start in enumerate(range(0, order.n_persons, PART_PERSONS)):
        progress("drawing persons", start / order.n_persons)
        wanted = min(PART_PERSONS, order.n_persons - start)
        if order.is_plain:
            drawn = draw_linked(model, wanted, seed=seed, part=part)
        else:
            drawn = _meeting(model, order, wanted, sampling_rng(seed, part * MAX_TABLES), progress)
        parts.append({name: _packed(table) for name, table in drawn.items()})
    drawn = _joined(model.schema, parts)
    for name, table in drawn.items():
        _check_room(model, name, table.n_rows)
    return drawn


def _meeting(
    model: LinkedModel, order: PersonOrder, wanted: int, rng: np.random.Generator, progress: Progress
) -> dict[str, DrawnTable]:
    """Return persons who meet the conditions: drawn given what is asked of their columns, the others left out."""
    parts: list[dict[str, DrawnTable]] = []
    drawn = kept = 0
    while kept < wanted:
        progress("drawing persons who meet the conditions", kept / wanted)
        if drawn >= TRY_PERSONS and kept < LEAST_RATE * drawn:
            raise ConfigError(
                f"only {kept:,} of {drawn:,} persons that the model drew have rows that meet the conditions; loosen "
                "them, or ask for fewer rows of one person"
            )
        count = int(np.clip(1.1 * (wanted - kept) * drawn / max(kept, 0.5), 64, PART_PERSONS)) if drawn else wanted
        found = _who_meet(model, order, count, rng)
        chosen = np.arange(min(found[model.schema.root].n_rows, wanted - kept))
        parts.append(_of_persons(model.schema, found, chosen))
        drawn, kept = drawn + count, kept + len(chosen)
    return _joined(model.schema, parts)


def _who_meet(
    model: LinkedModel, order: PersonOrder, n_persons: int, rng: np.random.Generator
) -> dict[str, DrawnTable]:
    """Return those of so many persons who meet the conditions, with all their rows.

    Their own columns are drawn inside the conditions. Who lacks a row is left out before the tables that come later are
    drawn: those are drawn given what is there already, so that this changes no distribution.
    """
    root = model.schema.root
    drawn: dict[str, DrawnTable] = {}
    drawn[root] = TableDrawing(model, root, drawn, rng).draw_root(n_persons, order.person)
    for name in model.schema.modelled:
        if name != root:
            drawn[name] = TableDrawing(model, name, drawn, rng).draw_below()
        for table, clauses in order.events:
            if table == name:
                met = _have_row(model.codecs[name], drawn[name], clauses, drawn[root].n_rows)
                drawn = _of_persons(model.schema, drawn, np.flatnonzero(met))
    return _of_persons(model.schema, drawn, np.flatnonzero(_meet_as_they_are(model, order, drawn)))


def _meet_as_they_are(model: LinkedModel, order: PersonOrder, drawn: Mapping[str, DrawnTable]) -> np.ndarray:
    """Return (persons,) booleans: the person meets the conditions with the numbers of rows that came out.

    They may be smaller than those that were drawn, where a history ended early.
    """
    root = model.schema.root
    n_persons = drawn[root].n_rows
    met = np.ones(n_persons, dtype=bool)
    for name, clauses in ((root, order.person.clauses), *order.events):
        if clauses:
            met &= _have_row(model.codecs[name], _counted(model.schema, drawn, name), clauses, n_persons)
    return met


def _counted(schema: LinkedSchema, drawn: Mapping[str, DrawnTable], name: str) -> DrawnTable:
    """Return a table whose columns of numbers of children count those that are there."""
    table, columns = drawn[name], dict(drawn[name].rows.columns)
    for child in schema.children(name):
        number = np.bincount(drawn[child].parent, minlength=table.n_rows)
        columns[count_column(child)] = Decoded(number, np.zeros(table.n_rows, dtype=bool))
    return DrawnTable(DecodedRows(columns, table.n_rows), table.codes, table.parent, table.person)


def _have_row(codec: TableCodec, table: DrawnTable, clauses: Sequence[Clause], n_persons: int) -> np.ndarray:
    """Return (n_persons,) booleans: the person has a row that meets all clauses."""
    frame = codec.frame(table.rows, names={name for clause in clauses for name in clause.columns})
    met = np.ones(table.n_rows, dtype=bool)
    for clause in clauses:
        met &= clause.met(frame)
    return np.bincount(table.person[met], minlength=n_persons) > 0


def _of_persons(schema: LinkedSchema, drawn: Mapping[str, DrawnTable], chosen: np.ndarray) -> dict[str, DrawnTable]:
    """Return the rows of some persons, who are numbered anew, in the tables that are there, parents first."""
    number: dict[str, np.ndarray] = {}
    found: dict[str, DrawnTable] = {}
    for name, table in drawn.items():
        parent = schema.tables[name].parent
        at = np.flatnonzero(np.isin(table.person, chosen))
        number[name] = np.full(table.n_rows, -1, dtype=np.int64)
        number[name][at] = np.arange(len(at))
        above = table.parent[at] if parent is None else number[parent.table][table.parent[at]]
        found[name] = DrawnTable(table.rows.take(at), table.codes[:, at], above, number[schema.root][table.person[at]])
    return found


def _packed(table: DrawnTable) -> DrawnTable:
    """Return a table in few bytes, without its codes."""
    return DrawnTable(table.rows.packed(), table.codes[:0], table.parent, table.person)


def _joined(schema: LinkedSchema, parts: Sequence[Mapping[str, DrawnTable]]) -> dict[str, DrawnTable]:
    """Return the persons of several parts, one after the other."""
    found = {}
    for name in schema.modelled:
        tables, parent = [part[name] for part in parts], schema.tables[name].parent
        above = [0 if parent is None else part[parent.table].n_rows for part in parts]
        found[name] = DrawnTable(
            join([table.rows for table in tables]),
            np.concatenate([table.codes for table in tables], axis=1),
            _shifted([table.parent for table in tables], above),
            _shifted([table.person for table in tables], [part[schema.root].n_rows for part in parts]),
        )
    return found


def _shifted(numbers: Sequence[np.ndarray], sizes: Sequence[int]) -> np.ndarray:
    """Return numbers of rows of several parts, counted through all of them.

    Args:
      sizes: rows of each part in the table that is meant.
    """
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64)
    return np.concatenate([part + start for part, start in zip(numbers, starts.tolist(), strict=True)])


def _check_room(model: LinkedModel, name: str, n_rows: int) -> None:
    """Raise `ConfigError` if a table has more rows than its format has identifiers."""
    keys = model.models[name].keys
    if keys and n_rows > (room := TableCodec(tuple(keys.values())).room):
        raise ConfigError(
            f"the format of '{next(iter(keys))}' has room for {room:,} rows of '{name}'; draw fewer persons at once"
        )


def draw_histories(
    model: LinkedModel, name: str, n_persons: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return rows of a table below the root, drawn with all that is above them. Post-processing.

    Args:
      model: has the models of the table and of those above it.
      n_persons: how many persons are drawn; some of them may have no row.
    Returns:
      (attributes of the table's model, n) codes, and (n,) the person of each row; a parent's rows are in their order.
    """
    drawn: dict[str, DrawnTable] = {}
    for table in (*model.schema.ancestors(name), name):
        drawing = TableDrawing(model, table, drawn, rng)
        drawn[table] = drawing.draw_root(n_persons) if table == model.schema.root else drawing.draw_below()
    return known_codes(model, name, drawn), drawn[name].person


def known_codes(model: LinkedModel, name: str, drawn: Mapping[str, DrawnTable]) -> np.ndarray:
    """Return (attributes of the table's model, n) codes of drawn rows, and of what was known before each.

    The end of a history is its last row: what was left until then is counted to that row.
    """
    schema, own, one = model.schema, drawn[name], model.models[name]
    rows = np.arange(own.n_rows)
    first = np.append(True, own.parent[1:] != own.parent[:-1])[: own.n_rows]
    begin = np.maximum.accumulate(np.where(first, rows, 0))
    place = rows - begin
    length = np.bincount(begin, minlength=own.n_rows)[begin]
    before = np.maximum(rows - 1, 0)
    previous = own.codes[:, before].astype(np.int32)
    previous[:, first] = -1
    pace, order = None, schema.tables[name].order
    if order is not None:
        column, codec = own.rows.columns[order], one.codec.by_name[order]
        unit = codec.precision if isinstance(codec, TimeCodec) else 1
        left = (column.values[begin + length - 1] - column.values[before]) // unit
        pace = pace_codes(np.maximum(left, 0), length - place, first | column.null[before])
    tables = {table: of.codes for table, of in drawn.items()}
    above = codes_above(schema, name, own.parent, tables, {table: of.parent for table, of in drawn.items()})
    parts = [
        own.codes.astype(np.int32),
        Known(above, previous, place, pace).codes(given_attributes(schema, name, model.codecs)),
    ]
    if one.rows_per_unit is not None:
        total = np.bincount(own.person)[own.person] if own.n_rows else np.zeros(0, dtype=np.int64)
        kinds = np.clip(one.rows_per_unit.class_of(np.maximum(total, 1)), 0, len(one.rows_per_unit.classes) - 1)
        parts.append(kinds[None].astype(np.int32))
    return np.concatenate(parts).astype(np.uint16)
