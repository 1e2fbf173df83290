"""Drawn tables as a user gets them: with keys that lead from each row to the row above, in the types of the source."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa

from privsynth.codecs.decoded_rows import Decoded, DecodedRows
from privsynth.codecs.synthetic_rows import SyntheticRows
from privsynth.codecs.table import TableCodec
from privsynth.codecs.written.rows import data_frame
from privsynth.sampling.linked.drawn import DrawnTable
from privsynth.sampling.linked.model import LinkedModel
from privsynth.sampling.linked.references import targets
from privsynth.schema.definition import Column

_Block = TypeVar("_Block")
BLOCK_ROWS = 200_000  # rows written at once (own): some 100 MB while they are texts


def written_tables(model: LinkedModel, name: str, drawn: Mapping[str, DrawnTable], *, seed: int) -> Iterator[pa.Table]:
    """Yield one table's rows with their keys, block by block, in the types of the source; an empty one if it has none.

    Raises:
      ConfigError: there are fewer identifiers than rows.
    """
    order = model.models[name].columns
    keys, declared = written_keys(model, name, drawn, seed=seed), model.schema.tables[name]
    open_ = {column for reference in declared.refers_to for column in declared.own_columns(reference)}
    for start, n, table in _blocks(_own_rows(model, name, drawn, seed=seed).tables(), drawn[name].n_rows):
        columns = dict(zip(table.schema.names, table.columns, strict=True))
        fields = {field.name: field for field in table.schema}
        for column, values in keys.items():
            columns[column] = pa.chunked_array([values.slice(start, n)])
            fields[column] = pa.field(column, values.type, nullable=column in open_)
        yield pa.Table.from_arrays([columns[c] for c in order], schema=pa.schema([fields[c] for c in order]))


def written_texts(
    model: LinkedModel, name: str, drawn: Mapping[str, DrawnTable], *, seed: int
) -> Iterator[pd.DataFrame]:
    """Yield one table's rows with their keys, block by block, as a delimited file spells them."""
    keys = written_keys(model, name, drawn, seed=seed)
    for start, n, frame in _blocks(_own_rows(model, name, drawn, seed=seed).texts(), drawn[name].n_rows):
        for column, values in keys.items():
            frame[column] = values.slice(start, n).cast(pa.string()).to_pandas()
        yield frame[list(model.models[name].columns)]


def written_frame(model: LinkedModel, name: str, drawn: Mapping[str, DrawnTable], *, seed: int) -> pd.DataFrame:
    """Return one table's rows with their keys, as pandas has them."""
    return data_frame(pa.concat_tables(list(written_tables(model, name, drawn, seed=seed))))


def _blocks(blocks: Iterable[_Block], n_rows: int) -> Iterator[tuple[int, int, _Block]]:
    """Yield each block with the number of its first row and of its rows, which one without columns cannot say."""
    for start, block in zip(range(0, max(n_rows, 1), BLOCK_ROWS), blocks, strict=True):
        yield start, min(BLOCK_ROWS, n_rows - start), block


def _own_rows(model: LinkedModel, name: str, drawn: Mapping[str, DrawnTable], *, seed: int) -> SyntheticRows:
    """Return the rows without the columns that hold keys."""
    of_table, rows = model.models[name], drawn[name].rows
    visible = of_table.visible
    shown = {c: column for c, column in rows.columns.items() if c in visible.by_name}
    starts = range(0, max(rows.n_rows, 1), BLOCK_ROWS)
    parts = [_cut(shown, start, min(start + BLOCK_ROWS, rows.n_rows)) for start in starts]
    return SyntheticRows(visible, parts, 0, _draw_key(model, name, drawn, seed), of_table.source_format)


def _cut(columns: Mapping[str, Decoded], start: int, end: int) -> DecodedRows:
    cut = {name: Decoded(c.values[start:end], c.null[start:end]) for name, c in columns.items()}
    return DecodedRows(cut, end - start)


def written_keys(model: LinkedModel, name: str, drawn: Mapping[str, DrawnTable], *, seed: int) -> dict[str, pa.Array]:
    """Return column -> (n,) values of the columns that hold keys, and are not modelled."""
    declared, kinds = model.schema.tables[name], model.schema.parts(name)
    found = {part: values for part, values in own_key(model, name, drawn, seed=seed).items() if kinds[part] != "column"}
    for reference in declared.refers_to:
        at = targets(model, name, reference, drawn, seed=seed)
        keys = own_key(model, reference.table, drawn, seed=seed).values()
        rows = pa.array(at, mask=at < 0)
        found |= {c: values.take(rows) for c, values in zip(reference.columns, keys, strict=True)}
    if declared.parent is not None:
        above = own_key(model, declared.parent.table, drawn, seed=seed).values()
        rows = pa.array(drawn[name].parent)
        found |= {c: values.take(rows) for c, values in zip(declared.parent.columns, above, strict=True)}
    return {column: keys for column, keys in found.items() if column in model.models[name].columns}


def own_key(model: LinkedModel, name: str, drawn: Mapping[str, DrawnTable], *, seed: int) -> dict[str, pa.Array]:
    """Return column -> (n,) values of each part of a table's key, in its order; no two rows have the same key.

    Surrogates of two tables meet no more often than those of two draws do.
    """
    kinds, table = model.schema.parts(name), drawn[name]
    parent = model.schema.tables[name].parent
    above: dict[str, pa.Array] = {}
    if parent is not None and "above" in kinds.values():
        keys = own_key(model, parent.table, drawn, seed=seed).values()
        above = {c: values.take(pa.array(table.parent)) for c, values in zip(parent.columns, keys, strict=True)}
    found: dict[str, pa.Array] = {}
    for part, kind in kinds.items():
        if kind == "above":
            found[part] = above[part]
        elif kind == "number":
            found[part] = _numbers(model.schema.tables[name].columns[part], table.parent)
        elif kind == "surrogate":
            codecs = TableCodec(tuple(model.models[name].keys.values()))
            rows, key = DecodedRows({}, table.n_rows), _draw_key(model, name, drawn, seed)
            found[part] = codecs.array(codecs.by_name[part], rows, key=key)
        else:
            of_table = model.models[name]
            codec = TableCodec((of_table.codec.by_name[part],))
            written = SyntheticRows(codec, [table.rows.only(part)], source_format=of_table.source_format).tables()
            found[part] = pa.concat_tables(list(written)).column(part).combine_chunks()
    return found


def _numbers(column: Column, parent: np.ndarray) -> pa.Array:
    """Return (n,) numbers of rows under their parents: 1, 2, 3, or from the declared minimum in steps of the precision.

    Args:
      parent: (n,) the row above each; rows of one parent stand one after the other.
    """
    n = len(parent)
    starts = np.flatnonzero(np.diff(parent, prepend=-1))
    place = np.arange(n) - np.repeat(starts, np.diff(np.append(starts, n)))
    first, step = 1 if column.minimum is None else int(column.minimum), int(column.precision or 1)  # type: ignore[arg-type]
    return pa.array(first + place * step, pa.int64())


def _draw_key(model: LinkedModel, name: str, drawn: Mapping[str, DrawnTable], seed: int) -> int:
    """Return the 256-bit key of a table's invented values; public (see `privsynth.sampling.draw.draw_key`)."""
    asked = json.dumps([model.dataset, name, seed, drawn[model.schema.root].n_rows])
    return int.from_bytes(hashlib.blake2b(asked.encode("utf-8"), digest_size=32).digest(), "little")
