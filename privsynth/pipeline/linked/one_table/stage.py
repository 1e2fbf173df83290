"""Learning one of the linked tables: its columns, what is known beside them, and its model. Private."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from privsynth.codecs.columns.surrogate import surrogate_codec
from privsynth.codecs.encoded_table import Encoded, Histories, RowsPerUnit
from privsynth.codecs.parsed_table import parse_table
from privsynth.codecs.table import TableCodec
from privsynth.codecs.written.types import container_types
from privsynth.domain.bounding import Partition, marked
from privsynth.domain.linking import LinkedRows
from privsynth.generators.registry import FittedGenerator, Generator, MovesShares, codes_never_drawn
from privsynth.pipeline.learning.coded_parts import training
from privsynth.pipeline.learning.columns import LearnedColumns, learn_columns
from privsynth.pipeline.learning.learn import (
    FITTING_STREAM,
    as_drawn,
    share_out,
    with_rows_per_unit,
    written_format,
)
from privsynth.pipeline.learning.noisy_tables import Counted, counted_rows, unit_axes
from privsynth.pipeline.learning.request import Request
from privsynth.pipeline.learning.sizes import Sizes, count_noise, release_sizes, unit_sizes_sigma
from privsynth.pipeline.linked.changes import with_changes_that_tell
from privsynth.pipeline.linked.one_table.first_and_later import Split, fit_by_place
from privsynth.pipeline.linked.one_table.numbers_of_rows import RowNumbers, with_both
from privsynth.pipeline.linked.plan import LinkedPlan, MechanismsOfTable
from privsynth.pipeline.linked.views import table_schema, view_of
from privsynth.privacy.budget import SpendingPlan
from privsynth.progress import Progress
from privsynth.randomness import sampling_rng
from privsynth.release.noisy.axes import axes_of_given
from privsynth.sampling.linked.changes import hidden_changes
from privsynth.sampling.linked.model import (
    Given,
    Known,
    LinkedModel,
    TableModel,
    codes_above,
    count_column,
    first_rows,
    given_attributes,
    hidden_columns,
    pace_codes,
    since_column,
    timing_columns,
)
from privsynth.sampling.linked.persons import draw_histories
from privsynth.schema.definition import Schema
from privsynth.schema.linked import LinkedSchema
from privsynth.schema.linked.definition import MAX_TABLES
from privsynth.schema.source_format import SourceFormat
from privsynth.schema.stated_types import Family
from privsynth.table import Table

PARENTS = 10_000  # drawn from a model to see how many have children (own): ± 0.5 %


@dataclass(frozen=True, kw_only=True)
class LinkedRequest:
    """What the core is to do with linked tables; all public.

    Attributes:
      holdout_fraction: share of the persons that are held out for the audit.
      seed: of every public draw.
      n_persons: synthetic persons, None for the released number of persons.
      of_persons: the generator of the root table; None for that of the others.
      typed, families: table -> as in `Request`.
      formats: table -> how the source's table is written, by its header and types.
      judge: called with the number of persons in training as soon as that is released, before anything else is; may end
        the run.
    """

    schema: LinkedSchema
    plan: LinkedPlan
    generator: Generator
    dataset: str
    holdout_fraction: float
    seed: int
    n_persons: int | None = None
    of_persons: Generator | None = None
    typed: Mapping[str, frozenset[str]] = field(default_factory=dict)
    families: Mapping[str, Mapping[str, Family]] = field(default_factory=dict)
    formats: Mapping[str, SourceFormat] = field(default_factory=dict)
    judge: Callable[[float], None] = lambda persons: None

    def of_table(self, name: str) -> Generator:
        """Return the generator of a table."""
        return self.of_persons or self.generator if name == self.schema.root else self.generator


@dataclass(frozen=True, kw_only=True, repr=False)
class LearnedTable:
    """What was learned of one table; private for the rows that it holds."""

    model: TableModel
    codes: np.ndarray
    sizes: Sizes
    columns: LearnedColumns
    partition: Partition
    mechanisms: MechanismsOfTable
    counted: Counted


@dataclass(frozen=True)
class TableStage:
    name: str
    request: LinkedRequest
    mechanisms: MechanismsOfTable
    plan: SpendingPlan

    def learn(
        self,
        table: Table,
        rows: Mapping[str, LinkedRows],
        partition: Partition,
        above: Mapping[str, LearnedTable],
        progress: Progress,
    ) -> LearnedTable:
        """Return the table's model, and what the tables below and the figures need of its rows."""
        linked, name = self.request.schema, self.name
        view = view_of(linked, name, table, rows)
        asked = self._request(view)
        rows_of_view = marked(view, partition)
        sizes = release_sizes(rows_of_view, asked, self.mechanisms)
        if name == linked.root:
            self.request.judge(sizes.train)
        asked = replace(asked, plan=share_out(view.names, sizes, asked, self.mechanisms))
        columns = learn_columns(rows_of_view, sizes, asked, self.mechanisms, progress)
        beside = 1.0 if sizes.rows_per_unit is None else sizes.rows_per_unit.rows_beside(used=True)
        columns = with_changes_that_tell(columns, linked, name, beside)
        own = self._codes_of_all(view, columns, asked.schema)
        codecs = {**{n: one.columns.codec for n, one in above.items()}, name: columns.codec}
        given = given_attributes(linked, name, codecs)
        codes = {**{n: one.codes for n, one in above.items()}, name: own}
        known = _known(linked, name, rows, codes, given)
        data = _training(columns, partition, sizes, np.concatenate([own, known.astype(own.dtype)]))
        data = replace(
            data,
            attributes=(*data.attributes, *(one.attribute for one in given)),
            columns=(*data.columns, *range(len(columns.codec.codecs), len(columns.codec.codecs) + len(given))),
            given=frozenset(range(len(own), len(own) + len(given))),
            targets=_when(columns, linked, name),
        )
        per_unit = sizes.rows_per_unit
        if per_unit is not None:
            per_unit = replace(per_unit, joined=())  # it says how many rows are drawn, and not only what they weigh
            at = len(data.attributes)
            data = with_rows_per_unit(data, per_unit)
            data = replace(data, given=data.given | {at})
        if name != linked.root:
            draw = self._drawer(table, columns, per_unit, above, sizes)
            data = replace(data, histories=Histories(_drawn_first(columns, linked, name), draw))
        split = self._first_rows(columns.codec, given, sizes, data, above)
        fitted = self._fit(data, split, asked.plan, progress)
        codec = as_drawn(columns.codec, codes_never_drawn(fitted, data.sizes))
        axes = axes_of_given(columns.codec, name, given, {n: one.counted.axes for n, one in above.items()})
        return LearnedTable(
            model=self._model(table, columns, codec, fitted, per_unit),
            codes=own,
            sizes=sizes,
            columns=columns,
            partition=partition,
            mechanisms=self.mechanisms,
            counted=Counted(
                fitted=fitted,
                axes=(*axes, *unit_axes(per_unit)),
                rows=counted_rows(sizes, asked, fitted, once=split is not None and split.once),
            ),
        )

    def _fit(
        self,
        data: Encoded,
        split: Split | None,
        plan: SpendingPlan,
        progress: Progress,
    ) -> FittedGenerator:
        """Return the generator's model, or one of first rows and one of later rows.

        Guarantee: the generator's parts of the plan.
        """
        generator, number = self.request.of_table(self.name), list(self.request.schema.modelled).index(self.name)
        rng = sampling_rng(self.request.seed, FITTING_STREAM - number)
        # A training run has one budget, for all rows.
        if split is None or generator.training_spec() is not None:
            return generator.fit(data, self.mechanisms, plan, rng=rng, progress=progress)
        return fit_by_place(data, split, generator, self.mechanisms, plan, rng=rng, progress=progress)

    def with_row_numbers(self, root: LearnedTable, own: LearnedTable) -> LearnedTable:
        """Return the persons' table with a model that knows what this one tells of their numbers of rows.

        Post-processing, where the persons' table is right above, and both counted them.
        """
        linked, name, sizes = self.request.schema, self.name, own.sizes
        parent, fitted = linked.tables[name].parent, root.model.fitted
        if parent is None or parent.table != linked.root or sizes.units is None or sizes.rows_per_unit is None:
            return root
        if not isinstance(fitted, MovesShares):
            return root
        persons, (with_rows, counted) = root.sizes.train, sizes.units
        of_units = count_noise(self.plan, self.request.holdout_fraction).sigma
        of_persons = count_noise(self.request.plan.of_table(linked.root), self.request.holdout_fraction).sigma
        numbers = RowNumbers(
            per_unit=sizes.rows_per_unit,
            persons=persons,
            with_rows=with_rows,
            counted=counted,
            sigma=unit_sizes_sigma(self.plan),
            sigma_any=float(np.hypot(of_units, of_persons * with_rows / persons) / persons),
        )
        at = FITTING_STREAM - 2 * MAX_TABLES - list(linked.modelled).index(name)
        rng = sampling_rng(self.request.seed, at)
        both = with_both(fitted, root.model.codec, count_column(name), numbers, rng)
        return replace(root, model=replace(root.model, fitted=both))

    def _first_rows(
        self, codec: TableCodec, given: list[Given], sizes: Sizes, data: Encoded, above: Mapping[str, LearnedTable]
    ) -> Split | None:
        """Return what is known of first rows, by released figures; None where each row is one."""
        linked, name, per_unit = self.request.schema, self.name, sizes.rows_per_unit
        parent = linked.tables[name].parent
        if per_unit is None or parent is None or sizes.units is None:
            return None
        rows = first_rows(linked, name, codec, given, data.sizes)
        if parent.table == linked.root:
            used = np.minimum(1.0, per_unit.most_used / per_unit.rows)  # of first rows, as of all others
            return Split(rows=rows, n_first=sizes.units[0] * float(used @ np.array(per_unit.units)), once=True)
        model, rng = above[parent.table].model, sampling_rng(self.request.seed, FITTING_STREAM)
        codes = model.fitted.sample_codes(PARENTS, rng)[: len(model.codec.attributes)]
        children = model.codec.draw(codes, rng).columns[count_column(name)]
        share = float((~children.null & (children.values > 0)).mean())
        return Split(rows=rows, n_first=above[parent.table].sizes.train * share, once=False)

    def _drawer(
        self,
        table: Table,
        columns: LearnedColumns,
        per_unit: RowsPerUnit | None,
        above: Mapping[str, LearnedTable],
        sizes: Sizes,
    ) -> Callable[[FittedGenerator, int], tuple[np.ndarray, np.ndarray]]:
        """Return a function that draws histories from a model of this table and those of the tables above."""
        linked, name, persons = self.request.schema, self.name, above[self.request.schema.root].sizes.used

        def draw(fitted: FittedGenerator, rows: int) -> tuple[np.ndarray, np.ndarray]:
            never = codes_never_drawn(fitted, fitted.settings()["sizes"])
            own = self._model(table, columns, as_drawn(columns.codec, never), fitted, per_unit)
            models = {**{n: one.model for n, one in above.items()}, name: own}
            each = max(sizes.train, 1.0) / max(persons, 1.0)
            count = max(1, round(min(persons, rows / each)))
            rng = sampling_rng(self.request.seed, FITTING_STREAM - MAX_TABLES - list(linked.modelled).index(name))
            return draw_histories(LinkedModel(linked, models, count), name, count, rng)

        return draw

    def _model(
        self,
        table: Table,
        columns: LearnedColumns,
        codec: TableCodec,
        fitted: FittedGenerator,
        per_unit: RowsPerUnit | None,
    ) -> TableModel:
        links = set(self.request.schema.links(self.name))
        stated = self.request.formats.get(self.name, SourceFormat())
        asked = self.request.schema.surrogates(self.name)
        kinds = container_types({part: table.column(part).type for part in asked}, stated)
        keys = {part: surrogate_codec(part, column, kinds[part]) for part, column in asked.items()}
        return TableModel(
            codec,
            fitted,
            per_unit,
            tuple(name for name in table.names if name in links or name in codec.by_name),
            keys,
            written_format(columns, stated),
        )

    def _request(self, view: Table) -> Request:
        linked = self.request.schema
        return Request(
            schema=table_schema(linked, self.name),
            budget=self.plan.budget,
            plan=self.plan,
            generator=self.request.of_table(self.name),
            dataset=self.request.dataset,
            holdout_fraction=self.request.holdout_fraction,
            n_synthetic=None,
            seed=self.request.seed,
            typed=self.request.typed.get(self.name, frozenset()),
            families=self.request.families.get(self.name, {}),
            source_format=self.request.formats.get(self.name, SourceFormat()),
            plain=frozenset({*hidden_columns(linked, self.name), linked.tables[self.name].order or ""}),
        )

    def _codes_of_all(self, view: Table, columns: LearnedColumns, schema: Schema) -> np.ndarray:
        parsed = parse_table(view, schema, columns.facts, [*columns.layout.modelled, *columns.layout.derived])
        return columns.codec.encode(parsed)


def _known(
    schema: LinkedSchema, name: str, rows: Mapping[str, LinkedRows], codes: Mapping[str, np.ndarray], given: list[Given]
) -> np.ndarray:
    """Return (given, n) codes of what is known of each row of a table. Private."""
    own = rows[name]
    if not given:
        return np.zeros((0, len(own.person)), dtype=np.int32)
    above = codes_above(schema, name, np.maximum(own.parent, 0), codes, {n: one.parent for n, one in rows.items()})
    previous = codes[name][:, np.maximum(own.previous, 0)].astype(np.int32)
    previous[:, own.previous < 0] = -1
    pace = None if own.left is None else pace_codes(own.left.steps, own.remaining, own.left.null)
    return Known(above, previous, own.place, pace).codes(given)


def _training(columns: LearnedColumns, partition: Partition, sizes: Sizes, codes: np.ndarray) -> Encoded:
    """Return the rows of training, with codes of more attributes."""
    trained = training(columns.everyone.gathered())
    return replace(columns.everyone, rows=replace(trained, codes=codes[:, partition.train]), n_rows=sizes.train)


def _when(columns: LearnedColumns, schema: LinkedSchema, name: str) -> tuple[int, ...]:
    """Return the attributes that say how many rows there are and when: errors in them add up along a history."""
    return tuple(at for column in timing_columns(schema, name) for at in columns.codec.attributes_of(column))


def _drawn_first(columns: LearnedColumns, schema: LinkedSchema, name: str) -> tuple[int, ...]:
    """Return the attributes that are drawn first: when a row is, and then what of the row before stays or changes."""
    order = schema.tables[name].order
    when = [] if order is None else [since_column(order), order]
    return tuple(at for column in (*when, *hidden_changes(schema, name)) for at in columns.codec.attributes_of(column))
