"""Drawn tables as a user gets them: with keys that lead from each row to the row above, in the types of the source."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import TypeVar

import pandas as pd
import pyarrow as pa

from privsynth.codecs.columns import SurrogateCodec
from privsynth.codecs.decoded_rows import Decoded, DecodedRows
from privsynth.codecs.synthetic_rows import SyntheticRows
from privsynth.codecs.table import TableCodec
from privsynth.codecs.written.rows import data_frame
from privsynth.sampling.linked.drawn import DrawnTable
from privsynth.sampling.linked.model import LinkedModel

_Block = TypeVar("_Block")
BLOCK_ROWS = 200_000  # rows written at once (own): some 100 MB while they are texts


def written_tables(model: LinkedModel, name: str, drawn: Mapping[str, DrawnTable], *, seed: int) -> Iterator[pa.Table]:
    """Yield one table's rows with their keys, block by block, in the types of the source; an empty one if it has none.

    Raises:
      ConfigError: there are fewer identifiers than rows.
    """
    order = model.models[name].columns
    keys = written_keys(model, name, drawn, seed=seed)
    for start, n, table in _blocks(_own_rows(model, name, drawn, seed=seed).tables(), drawn[name].n_rows):
        columns = dict(zip(table.schema.names, table.columns, strict=True))
        fields = {field.name: field for field in table.schema}
        for column, values in keys.items():
            columns[column] = pa.chunked_array([values.slice(start, n)])
            fields[column] = pa.field(column, values.type, nullable=False)
        yield pa.Table.from_arrays([columns[c] for c in order], schema=pa.schema([fields[c] for c in order]))


def written_texts(
    model: LinkedModel, name: str, drawn: Mapping[str, DrawnTable], *, seed: int
) -> Iterator[pd.DataFrame]:
    """Yield one table's rows with their keys, block by block, as a delimited file spells them."""
    keys = written_keys(model, name, drawn, seed=seed)
    for start, n, frame in _blocks(_own_rows(model, name, drawn, seed=seed).texts(), drawn[name].n_rows):
        for column, values in keys.items():
            frame[column] = values.slice(start, n).to_pandas()
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
    """Return column -> (n,) surrogates, for the table's own key and its parent's."""
    declared, found = model.schema.tables[name], {}
    if declared.key is not None:
        found[declared.key] = _surrogates(model, name, drawn, seed)
    if declared.parent is not None:
        above = _surrogates(model, declared.parent.table, drawn, seed)
        found[declared.parent.column] = above.take(pa.array(drawn[name].parent))
    return {column: keys for column, keys in found.items() if column in model.models[name].columns}


def _surrogates(model: LinkedModel, name: str, drawn: Mapping[str, DrawnTable], seed: int) -> pa.Array:
    """Return the key of each row of a table; those of two tables meet no more often than two draws do."""
    key = model.schema.tables[name].key
    assert key is not None
    codec: SurrogateCodec = model.models[name].keys[key]
    rows = DecodedRows({}, drawn[name].n_rows)
    return TableCodec((codec,)).array(codec, rows, key=_draw_key(model, name, drawn, seed))


def _draw_key(model: LinkedModel, name: str, drawn: Mapping[str, DrawnTable], seed: int) -> int:
    """Return the 256-bit key of a table's invented values; public (see `privsynth.sampling.draw.draw_key`)."""
    asked = json.dumps([model.dataset, name, seed, drawn[model.schema.root].n_rows])
    return int.from_bytes(hashlib.blake2b(asked.encode("utf-8"), digest_size=32).digest(), "little")
