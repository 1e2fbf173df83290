"""Synthetic rows on their way to a database, to FHIR or to OMOP: tables of Arrow with the keys that link them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv

from privsynth import _validate
from privsynth._validate import in_range
from privsynth.codecs.columns import SurrogateCodec
from privsynth.errors import ConfigError, Option, SourceError
from privsynth.progress import Progress, no_progress
from privsynth.randomness import new_sampling_seed
from privsynth.release.label import ALTERED, Label, model_digest
from privsynth.release.linked import linked_label, links_of, parquet_label, read_reference
from privsynth.release.parquet import write_parquet
from privsynth.sampling.draw import Order
from privsynth.sampling.linked.drawn import DrawnTable
from privsynth.sampling.linked.model import LinkedModel
from privsynth.sampling.linked.persons import draw_persons, order_persons
from privsynth.sampling.linked.saved import is_linked, linked_digest, load_linked
from privsynth.sampling.linked.written import written_tables
from privsynth.sampling.synthetic_model import SyntheticModel
from privsynth.schema.identifier_format import identifier_format
from privsynth.sources.linked import Link


@dataclass(frozen=True, repr=False)
class WrittenTable:
    """One table, ready to be written.

    Attributes:
      name: of the table.
      schema: names, types and nullability of the columns.
      blocks: the rows, read once, each block in `schema`.
      key: the columns that tell its rows apart; none where that is not known.
      links: which columns repeat the key of another table.
      uuids: the columns of texts of which every one is a UUID.
      is_reference: whether it is a public table, as it was given.
    """

    name: str
    schema: pa.Schema
    blocks: Iterator[pa.Table]
    key: tuple[str, ...] = ()
    links: tuple[Link, ...] = ()
    uuids: frozenset[str] = frozenset()
    is_reference: bool = False


@dataclass(frozen=True, repr=False)
class DrawnTables:
    """What was drawn from a model.

    Attributes:
      tables: parents before children.
      facts: what every table says of itself: name -> text.
      seed: with which it was drawn.
      is_linked: whether it is of several linked tables, or may be.
      groups: rows of each balanced group.
    """

    tables: tuple[WrittenTable, ...]
    facts: Mapping[str, str]
    seed: int
    is_linked: bool = False
    groups: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What is to be drawn from a model.

    Attributes:
      rows: how many, or persons of linked tables; None takes the released number.
      seed: None draws one.
      given: conditions that every row, or every person, meets.
      balance: shares of groups; of one table only.
    """

    rows: int | None = None
    seed: int | None = None
    given: tuple[str, ...] = ()
    balance: str | None = None

    def __post_init__(self) -> None:
        _validate.whole_numbers(rows=self.rows, seed=self.seed)
        _validate.texts(balance=self.balance)

    @property
    def altered(self) -> str:
        """A warning that base rates are altered; empty if they are the model's."""
        return ALTERED if self.given or self.balance is not None else ""

    def chosen_seed(self) -> int:
        """Return the seed, or a fresh one."""
        found = new_sampling_seed() if self.seed is None else self.seed
        in_range(0, 2**63 - 1, seed=found)
        return found

    def refuse_balance(self) -> None:
        """Raise `ConfigError` where shares are asked of linked tables."""
        if self.balance is not None:
            raise ConfigError(
                "the persons of linked tables cannot be balanced; draw each group with ", Option("given"), " instead"
            )


def draw_tables(folder: Path, wanted: Wanted, *, progress: Progress = no_progress) -> DrawnTables:
    """Return the rows that a model draws.

    Args:
      folder: of the model; reference tables are beside it, as in a release.
    Raises:
      SourceError: there is no model, or no reference table beside it.
      ConfigError: a condition cannot be read, or (nearly) no row of the model meets it.
    """
    return (_linked if is_linked(folder) else _one_table)(folder, wanted, progress)


def _one_table(folder: Path, wanted: Wanted, progress: Progress) -> DrawnTables:
    model = SyntheticModel.load(folder)
    order, seed = order_rows(model, wanted)
    surrogates = {codec.name: codec for codec in model.codec.codecs if isinstance(codec, SurrogateCodec)}
    table = WrittenTable(
        model.dataset or "data",
        model.written(order, (), seed=seed).arrow_schema,
        _rows_of(model, order, seed, progress),
        uuids=_uuids(surrogates),
    )
    facts = Label.of(model, model_digest(folder), seed=seed, altered=wanted.altered).facts
    return DrawnTables((table,), facts, seed, groups=order.counts if wanted.balance is not None else {})


def order_rows(model: SyntheticModel, wanted: Wanted) -> tuple[Order, int]:
    """Return the order for rows of one table, and the seed.

    Raises:
      ConfigError: a condition cannot be read, or a number is absurd.
    """
    n_rows = model.default_rows if wanted.rows is None else wanted.rows
    in_range(1, 10**10, rows=n_rows)
    return model.order(n_rows, given=wanted.given, balance=wanted.balance), wanted.chosen_seed()


def _rows_of(model: SyntheticModel, order: Order, seed: int, progress: Progress) -> Iterator[pa.Table]:
    """Yield the rows, drawn part by part as they are asked for."""
    for part in range(len(order.split)):
        progress("sampling", part / len(order.split))
        rows, _ = model.draw(order, seed=seed, part=part)
        yield from model.written(order, (rows,), seed=seed, part=part).tables()


def _linked(folder: Path, wanted: Wanted, progress: Progress) -> DrawnTables:
    wanted.refuse_balance()
    model, digest, seed = load_linked(folder), linked_digest(folder), wanted.chosen_seed()
    order = order_persons(model, model.n_persons if wanted.rows is None else wanted.rows, wanted.given)
    references = [_reference(model, name, folder.parent / "data") for name in model.schema.references]
    drawn = draw_persons(model, order, seed=seed, progress=progress)
    facts = linked_label(model, digest, seed=seed) | ({"base_rates": ALTERED} if wanted.given else {})
    tables = [_linked_table(model, name, drawn, seed) for name in model.models]
    return DrawnTables((*references, *tables), facts, seed, is_linked=True)


def _linked_table(model: LinkedModel, name: str, drawn: Mapping[str, DrawnTable], seed: int) -> WrittenTable:
    declared, columns = model.schema.tables[name], set(model.models[name].columns)
    blocks = written_tables(model, name, drawn, seed=seed)
    first = next(blocks)
    surrogates = dict(model.models[name].keys)
    for pointer in (*([] if declared.parent is None else [declared.parent]), *declared.refers_to):
        for column, part in zip(pointer.columns, model.schema.tables[pointer.table].key, strict=True):
            origin, first_part = model.schema.origin(pointer.table, part)
            if (codec := model.models[origin].keys.get(first_part)) is not None:
                surrogates[column] = codec
    # Rows are written table by table, and no row before the one it refers to.
    before = list(model.models)[: list(model.models).index(name)]
    links = tuple(link for link in links_of(model, name) if link.parent in before)
    return WrittenTable(
        name,
        first.schema,
        chain([first], blocks),
        key=declared.key if set(declared.key) <= columns else (),
        links=links,
        uuids=_uuids(surrogates) & columns,
    )


def _uuids(surrogates: Mapping[str, SurrogateCodec]) -> frozenset[str]:
    alphabets = identifier_format("{uuid}").alphabets
    return frozenset(name for name, codec in surrogates.items() if codec.pattern.alphabets == alphabets)


def _reference(model: LinkedModel, name: str, data: Path) -> WrittenTable:
    """Return a public table of a release as it lies there."""
    table = read_reference(data, name)
    if table is None:
        raise SourceError(
            f"the reference table '{name}' is not beside the model; give the public folder of the release"
        )
    key = model.schema.tables[name].key
    at = [table.schema.get_field_index(part) for part in key]
    whole = all(place >= 0 and not table.column(place).null_count for place in at)
    is_key = bool(key) and whole and table.group_by(list(key)).aggregate([]).num_rows == table.num_rows
    for place in at if is_key else []:
        table = table.cast(table.schema.set(place, table.schema.field(place).with_nullable(False)))
    return WrittenTable(name, table.schema, iter([table]), key=key if is_key else (), is_reference=True)


def write_table(table: WrittenTable, folder: Path, suffix: str, facts: Mapping[str, str]) -> int:
    """Write a table into a file of a folder and return how many rows it has; CSV as Arrow spells it.

    Args:
      suffix: "parquet" or "csv".
      facts: the label, for Parquet.
    Raises:
      OSError: the disk is full or failing.
    """
    path, counts = folder / f"{table.name}.{suffix}", []

    def counted() -> Iterator[pa.Table]:
        for block in table.blocks:
            counts.append(block.num_rows)
            yield block

    if suffix == "parquet":
        write_parquet(counted(), table.schema, path, parquet_label(facts))
        return sum(counts)
    with pa_csv.CSVWriter(path, table.schema) as writer:
        for block in counted():
            writer.write_table(block)
    return sum(counts)
