"""Drawn tables as a user gets them: with keys that lead from each row to the row above, in the types of the source."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

import pandas as pd
import pyarrow as pa

from privsynth.codecs.columns import SurrogateCodec
from privsynth.codecs.decoded_rows import DecodedRows
from privsynth.codecs.synthetic_rows import SyntheticRows
from privsynth.codecs.table import TableCodec
from privsynth.codecs.written.rows import data_frame
from privsynth.sampling.linked.draw import DrawnTable
from privsynth.sampling.linked.model import LinkedModel


def written_table(model: LinkedModel, name: str, drawn: Mapping[str, DrawnTable], *, seed: int) -> pa.Table:
    """Return one table's rows with their keys, in the types of the source."""
    (table,) = list(_own_rows(model, name, drawn, seed=seed).tables())
    columns = dict(zip(table.schema.names, table.columns, strict=True))
    fields = {field.name: field for field in table.schema}
    for column, keys in _keys(model, name, drawn, seed=seed).items():
        columns[column] = pa.chunked_array([keys])
        fields[column] = pa.field(column, keys.type, nullable=False)
    order = model.models[name].columns
    return pa.Table.from_arrays([columns[c] for c in order], schema=pa.schema([fields[c] for c in order]))


def written_texts(model: LinkedModel, name: str, drawn: Mapping[str, DrawnTable], *, seed: int) -> pd.DataFrame:
    """Return one table's rows with their keys, as a delimited file spells them."""
    (frame,) = list(_own_rows(model, name, drawn, seed=seed).texts())
    for column, keys in _keys(model, name, drawn, seed=seed).items():
        frame[column] = keys.to_pandas()
    return frame[list(model.models[name].columns)]


def written_frame(model: LinkedModel, name: str, drawn: Mapping[str, DrawnTable], *, seed: int) -> pd.DataFrame:
    """Return one table's rows with their keys, as pandas has them."""
    return data_frame(written_table(model, name, drawn, seed=seed))


def _own_rows(model: LinkedModel, name: str, drawn: Mapping[str, DrawnTable], *, seed: int) -> SyntheticRows:
    """Return the rows without the columns that hold keys."""
    of_table, rows = model.models[name], drawn[name].rows
    visible = of_table.visible
    shown = {c: column for c, column in rows.columns.items() if c in visible.by_name}
    key = _draw_key(model, name, drawn, seed)
    return SyntheticRows(visible, [DecodedRows(shown, rows.n_rows)], 0, key, of_table.source_format)


def _keys(model: LinkedModel, name: str, drawn: Mapping[str, DrawnTable], *, seed: int) -> dict[str, pa.Array]:
    """Return column -> surrogates, for the table's own key and its parent's."""
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
