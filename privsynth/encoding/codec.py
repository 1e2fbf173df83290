"""`TableCodec`: a parsed table to an (attributes, rows) array of codes, and codes back to a synthetic frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from privsynth.encoding.cells import Categories, Grid
from privsynth.encoding.codecs import (
    DAY,
    Attribute,
    CategoryCodec,
    ColumnCodec,
    DerivedCodec,
    NumberCodec,
    SurrogateCodec,
    TimeCodec,
    codec_from_json,
    codec_to_json,
)
from privsynth.encoding.domain import clip_steps
from privsynth.encoding.parsed import ParsedTable, grid_values


@dataclass(frozen=True)
class TableCodec:
    """The codecs of a table, in column order. Holds only declared facts and paid releases."""

    codecs: tuple[ColumnCodec, ...]

    @property
    def attributes(self) -> list[Attribute]:
        """Every attribute, in order."""
        return [attribute for codec in self.codecs for attribute in codec.attributes()]

    @property
    def names(self) -> list[str]:
        """Column names of the synthetic table."""
        return [codec.name for codec in self.codecs]

    def attributes_of(self, column: str) -> list[int]:
        """Return the indices of a column's attributes."""
        found, at = [], 0
        for codec in self.codecs:
            count = len(codec.attributes())
            if codec.name == column:
                found = list(range(at, at + count))
            at += count
        return found

    def encode(self, parsed: ParsedTable) -> np.ndarray:
        """Return (attributes, n) uint16 codes of private rows. A row-by-row function."""
        out = np.empty((len(self.attributes), parsed.n_rows), dtype=np.uint16)
        at = 0
        by_name = {codec.name: codec for codec in self.codecs}
        for codec in self.codecs:
            for codes in _encode_column(codec, parsed, by_name):
                out[at] = codes
                at += 1
        return out

    def decode(self, codes: np.ndarray, rng: np.random.Generator, *, first_row: int = 1) -> pd.DataFrame:
        """Return a synthetic frame of n rows from (attributes, n) codes; surrogates count from `first_row`.

        Integers are Int64, numbers float64, times datetime64[s], everything else text; null as pandas has it.
        """
        slices, at = {}, 0
        for codec in self.codecs:
            count = len(codec.attributes())
            slices[codec.name] = codes[at : at + count].astype(np.int64)
            at += count
        lines: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        frame: dict[str, pd.Series] = {}
        by_name = {codec.name: codec for codec in self.codecs}
        for codec in _bases_first(self.codecs):
            if isinstance(codec, DerivedCodec):
                frame[codec.name] = _derive(codec, lines, by_name)
            elif isinstance(codec, SurrogateCodec):
                frame[codec.name] = codec.fresh(first_row, codes.shape[1])
            else:
                frame[codec.name] = _decode_column(codec, slices[codec.name], lines, rng)
        return pd.DataFrame({name: frame[name] for name in self.names})

    def to_json(self) -> list[dict[str, Any]]:
        """Return JSON-able data."""
        return [codec_to_json(codec) for codec in self.codecs]

    @classmethod
    def from_json(cls, data: Sequence[dict[str, Any]]) -> TableCodec:
        """Return the codec that `to_json` wrote."""
        return cls(tuple(codec_from_json(item) for item in data))


def _bases_first(codecs: Sequence[ColumnCodec]) -> list[ColumnCodec]:
    """Return the codecs so that each stands after the columns it is computed from."""
    ordered: list[ColumnCodec] = []
    waiting = list(codecs)
    while waiting:
        ready = {codec.name for codec in ordered}
        now = [codec for codec in waiting if set(_needs(codec)) <= ready]
        ordered += now
        waiting = [codec for codec in waiting if codec not in now]
    return ordered


def _needs(codec: ColumnCodec) -> list[str]:
    if isinstance(codec, DerivedCodec):
        return [codec.minuend, codec.subtrahend]
    if isinstance(codec, NumberCodec | TimeCodec) and codec.base:
        return [codec.base]
    return []


def _bounded(codec: NumberCodec | TimeCodec, column: Grid) -> np.ndarray:
    """Return grid steps (numbers) or seconds (times) inside the declared bounds."""
    scale = codec.precision if isinstance(codec, TimeCodec) else 1
    return clip_steps(column.steps * scale, codec.low, codec.high)


def _encode_column(codec: ColumnCodec, parsed: ParsedTable, by_name: dict[str, ColumnCodec]) -> list[np.ndarray]:
    if isinstance(codec, CategoryCodec):
        column = parsed.columns[codec.name]
        assert isinstance(column, Categories)
        return [codec.encode(column.codes, column.values)]
    if not isinstance(codec, NumberCodec | TimeCodec):
        return []
    column = parsed.columns[codec.name]
    assert isinstance(column, Grid)
    steps, null, base = _bounded(codec, column), column.null, None
    if codec.base:
        base_codec, base_column = by_name[codec.base], parsed.columns[codec.base]
        assert isinstance(base_codec, NumberCodec | TimeCodec)
        assert isinstance(base_column, Grid)
        base = _bounded(base_codec, base_column)
        null = null | base_column.null
    if isinstance(codec, TimeCodec):
        return codec.encode(steps, null, base)
    return [codec.encode(steps if base is None else np.maximum(steps - base, 0), null)]


def _decode_column(
    codec: ColumnCodec,
    codes: np.ndarray,
    lines: dict[str, tuple[np.ndarray, np.ndarray]],
    rng: np.random.Generator,
) -> pd.Series:
    if isinstance(codec, CategoryCodec):
        return codec.decode(codes[0])
    if isinstance(codec, NumberCodec):
        steps, null = codec.decode(codes[0], rng)
        if codec.base:
            base, base_null = lines[codec.base]
            steps, null = steps + base, null | (base_null & codec.nullable)
        if codec.low is not None or codec.high is not None:
            steps = np.clip(steps, codec.low, codec.high)
        if codec.base:
            steps = np.maximum(steps, lines[codec.base][0])
        lines[codec.name] = (steps, null)
        values = grid_values(steps, codec.precision)
        if codec.integer:
            return pd.Series(np.where(null, 0, np.rint(values)).astype(np.int64), dtype="Int64").mask(null)
        return pd.Series(np.where(null, np.nan, values))
    assert isinstance(codec, TimeCodec)
    base_seconds, base_null = lines[codec.base] if codec.base else (None, np.zeros(codes.shape[1], dtype=bool))
    seconds, null = codec.decode(list(codes), rng, base_seconds)
    null = null | (base_null & codec.nullable)
    lines[codec.name] = (seconds, null)
    return pd.Series(np.where(null, np.datetime64("NaT", "s"), seconds.astype("datetime64[s]")))


def _derive(
    codec: DerivedCodec, lines: dict[str, tuple[np.ndarray, np.ndarray]], by_name: dict[str, ColumnCodec]
) -> pd.Series:
    """Return minuend − subtrahend of two decoded lines, times in days."""

    def amount(name: str) -> np.ndarray:
        source, (steps, _) = by_name[name], lines[name]
        return steps * source.precision if isinstance(source, NumberCodec) else steps / DAY

    null = lines[codec.minuend][1] | lines[codec.subtrahend][1]
    difference = amount(codec.minuend) - amount(codec.subtrahend)
    values = grid_values(np.rint(difference / codec.precision), codec.precision)
    if codec.integer:
        return pd.Series(np.where(null, 0, np.rint(values)).astype(np.int64), dtype="Int64").mask(null)
    return pd.Series(np.where(null, np.nan, values))
