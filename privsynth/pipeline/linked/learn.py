"""The private core for linked tables: from tables to a model of persons. No I/O; rows are read by mechanisms alone.

A person is one unit in each table: the rows that the person has there, weighed together, move every release by what one
unit may. Each table has its own parts of one plan, and Gaussian releases add up, so that one (ε, δ) holds for all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from privsynth.codecs.column_facts import declared_facts
from privsynth.codecs.encoded_table import Encoded
from privsynth.codecs.parse import Grid, as_numbers, as_times
from privsynth.codecs.parsed_table import parse_table
from privsynth.domain.bounding import Partition
from privsynth.domain.linking import LinkedRows, People, link_rows, number_of_children
from privsynth.domain.unit_sizes import REACH
from privsynth.generators.registry import Generator
from privsynth.pipeline.learning.columns import LearnedColumns, learn_columns
from privsynth.pipeline.learning.learn import FITTING_STREAM, share_out, with_rows_per_unit
from privsynth.pipeline.learning.request import Request
from privsynth.pipeline.learning.sizes import Sizes, release_sizes
from privsynth.pipeline.linked.plan import LinkedPlan, MechanismsOfTable
from privsynth.privacy.budget import SpendingPlan
from privsynth.privacy.mechanisms import Mechanisms
from privsynth.progress import Progress, no_progress
from privsynth.randomness import KeyedFunction, sampling_rng
from privsynth.sampling.linked.model import (
    Given,
    LinkedModel,
    TableModel,
    count_column,
    given_attributes,
    given_codes,
    hidden_columns,
    since_column,
)
from privsynth.schema.definition import Column, Schema
from privsynth.schema.linked import LinkedSchema
from privsynth.table import Table


@dataclass(frozen=True, kw_only=True)
class LinkedRequest:
    """What the core is to do with linked tables; all public.

    Attributes:
      holdout_fraction: share of the persons that are held out for the audit.
      seed: of every public draw.
    """

    schema: LinkedSchema
    plan: LinkedPlan
    generator: Generator
    dataset: str
    holdout_fraction: float
    seed: int


def learn_linked(
    tables: Mapping[str, Table],
    request: LinkedRequest,
    mechanisms: Mechanisms,
    keyed: KeyedFunction,
    *,
    progress: Progress = no_progress,
) -> LinkedModel:
    """Return a model of persons with all their rows.

    Guarantee: (ε, δ)-DP for adding or removing one person with all rows in all tables, with the plan's budget. Each
      table's releases see at most `max_children` rows of a person, and spend that table's parts.
    """
    schema = request.schema
    rows = link_rows(tables, schema, lambda name: order_values(tables[name], schema, name))
    root = schema.tables[schema.root]
    people = People.draw(_keys(tables[schema.root], root.key), request.holdout_fraction, keyed)
    models: dict[str, TableModel] = {}
    codes: dict[str, np.ndarray] = {}
    n_persons, parts = 1, dict(request.plan.whole.parts)
    for i, name in enumerate(schema.modelled):
        progress(f"learning {name}", i / len(schema.modelled))
        partition = people.partition(rows[name], 1 if name == schema.root else schema.tables[name].max_children, keyed)
        of_table = MechanismsOfTable(mechanisms, parts, name)
        stage = _TableStage(name, request, of_table, request.plan.of_table(name, parts))
        models[name], codes[name], sizes = stage.learn(tables[name], rows, partition, models, codes, progress)
        of_table.pass_on(schema.modelled[i + 1 :])
        if name == schema.root:
            n_persons = max(round(sizes.used), 1)
    return LinkedModel(schema, models, n_persons)


@dataclass(frozen=True)
class _TableStage:
    name: str
    request: LinkedRequest
    mechanisms: MechanismsOfTable
    plan: SpendingPlan

    def learn(
        self,
        table: Table,
        rows: Mapping[str, LinkedRows],
        partition: Partition,
        models: Mapping[str, TableModel],
        codes: Mapping[str, np.ndarray],
        progress: Progress,
    ) -> tuple[TableModel, np.ndarray, Sizes]:
        """Return the table's model, the (attributes, n) codes of all its rows, which are private, and its sizes."""
        linked, name = self.request.schema, self.name
        view = self._view(table, rows)
        asked = self._request(view)
        sizes = release_sizes(partition, asked, self.mechanisms)
        asked = replace(asked, plan=share_out(view, sizes, asked, self.mechanisms))
        columns = learn_columns(view, partition, sizes, asked, self.mechanisms, progress)
        own = self._codes_of_all(view, columns, asked.schema)
        codecs = {**{n: model.codec for n, model in models.items()}, name: columns.codec}
        given = given_attributes(linked, name, codecs)
        known = _known(linked, name, rows, {**codes, name: own}, given)
        data = _training(columns, partition, sizes, np.concatenate([own, known.astype(own.dtype)]))
        data = replace(
            data,
            attributes=(*data.attributes, *(one.attribute for one in given)),
            columns=(*data.columns, *range(len(view.names), len(view.names) + len(given))),
            given=frozenset(range(len(own), len(own) + len(given))),
            targets=_when(columns, linked, name),
        )
        per_unit = sizes.rows_per_unit
        if per_unit is not None:
            per_unit = replace(per_unit, joined=())  # it says how many rows are drawn, and not only what they weigh
            at = len(data.attributes)
            data = with_rows_per_unit(data, per_unit, partition.rows_of_unit(partition.train))
            data = replace(data, given=data.given | {at})
        number = list(linked.modelled).index(name)
        rng = sampling_rng(self.request.seed, FITTING_STREAM - number)
        fitted = self.request.generator.fit(data, self.mechanisms, asked.plan, rng=rng, progress=progress)
        return TableModel(columns.codec, fitted, per_unit), own, sizes

    def _view(self, table: Table, rows: Mapping[str, LinkedRows]) -> Table:
        """Return the table without the columns that hold keys, and with what is known of each row beside it."""
        linked, declared = self.request.schema, self.request.schema.tables[self.name]
        links = set(linked.links(self.name))
        data = table.data.select([n for n in table.names if n not in links])
        for child in linked.children(self.name):
            counts = number_of_children(rows[child].parent, table.n_rows)
            data = data.append_column(count_column(child), pa.chunked_array([pa.array(counts)]))
        since = rows[self.name].since
        if declared.order is not None and since is not None:
            steps = pa.array(since.steps, mask=since.null)
            data = data.append_column(since_column(declared.order), pa.chunked_array([steps]))
        return Table(data)

    def _request(self, view: Table) -> Request:
        linked = self.request.schema
        return Request(
            schema=table_schema(linked, self.name),
            budget=self.plan.budget,
            plan=self.plan,
            generator=self.request.generator,
            dataset=self.request.dataset,
            holdout_fraction=self.request.holdout_fraction,
            n_synthetic=None,
            seed=self.request.seed,
            plain=frozenset({*hidden_columns(linked, self.name), linked.tables[self.name].order or ""}),
        )

    def _codes_of_all(self, view: Table, columns: LearnedColumns, schema: Schema) -> np.ndarray:
        parsed = parse_table(view, schema, columns.facts, [*columns.layout.modelled, *columns.layout.derived])
        return columns.codec.encode(parsed)


def table_schema(linked: LinkedSchema, name: str) -> Schema:
    """Return the schema of a table as it is modelled: with the numbers of children and the time since the row before.

    A rule by which the order column follows from others only holds when rows are drawn: the order is known before them.
    """
    own, declared = linked.of_table(name), linked.tables[name]
    columns = {n: c for n, c in own.columns.items() if n != declared.key}
    for child in linked.children(name):
        most = REACH * linked.tables[child].max_children
        columns[count_column(child)] = Column(kind="integer", minimum=0, maximum=most, nullable=False)
    if declared.order is not None:
        columns[since_column(declared.order)] = Column(kind="integer", minimum=0)
    rules = [rule for rule in own.parsed_rules() if not (rule.order and rule.order[1] == declared.order)]
    return Schema(columns=columns, rules=tuple(rule.text for rule in rules))


def view_types(linked: LinkedSchema, name: str, table: Table) -> dict[str, pa.DataType]:
    """Return column -> Arrow type of a table as it is modelled; a function of its header."""
    links = set(linked.links(name))
    found = {column: table.column(column).type for column in table.names if column not in links}
    return {**found, **dict.fromkeys(hidden_columns(linked, name), pa.int64())}


def _keys(table: Table, key: str | None) -> pa.ChunkedArray:
    if key is not None:
        return table.column(key)
    return pa.chunked_array([pa.array(np.arange(table.n_rows)).cast(pa.string())])


def order_values(table: Table, schema: LinkedSchema, name: str) -> Grid | None:
    order = schema.tables[name].order
    if order is None:
        return None
    column = table.column(order)
    facts = declared_facts(schema.tables[name].columns[order], column.type)
    if facts.kind in ("numeric", "integer"):
        return as_numbers(column, precision=facts.precision, decimal=facts.decimal)
    return as_times(column, precision=facts.precision, format=facts.format)


def _known(
    schema: LinkedSchema, name: str, rows: Mapping[str, LinkedRows], codes: Mapping[str, np.ndarray], given: list[Given]
) -> np.ndarray:
    """Return (given, n) codes of what is known of each row of a table. Private."""
    own = rows[name]
    if not given:
        return np.zeros((0, len(own.person)), dtype=np.int32)
    above, at = {}, np.maximum(own.parent, 0)
    for table in reversed(schema.ancestors(name)):
        above[table] = codes[table][:, at]
        at = np.maximum(rows[table].parent[at], 0)
    previous = codes[name][:, np.maximum(own.previous, 0)].astype(np.int32)
    previous[:, own.previous < 0] = -1
    return given_codes(given, above, previous, own.place)


def _training(columns: LearnedColumns, partition: Partition, sizes: Sizes, codes: np.ndarray) -> Encoded:
    """Return the rows of training, with codes of more attributes."""
    train = len(partition.train)
    everyone = columns.everyone
    return replace(everyone, codes=codes[:, partition.train], unit=everyone.unit[:train], n_rows=sizes.train)


def _when(columns: LearnedColumns, schema: LinkedSchema, name: str) -> tuple[int, ...]:
    """Return the attributes that say when a row is: errors in them add up along a history."""
    order = schema.tables[name].order
    if order is None:
        return ()
    return tuple(columns.codec.attributes_of(since_column(order)))
