"""`unresolved`: whether a run has learned any value of a column."""

from __future__ import annotations

from functools import singledispatch

from privsynth.codecs.columns import CategoryCodec, ColumnCodec, NumberCodec, TiedCodec, TimeCodec
from privsynth.schema.definition import Column


def unresolved(codec: ColumnCodec | None, column: Column) -> bool:
    """Return whether no value of the column stood clear of the noise, so that what it holds is arbitrary."""
    return codec is not None and _unresolved(codec, column)


@singledispatch
def _unresolved(codec: ColumnCodec, column: Column) -> bool:
    return False


@_unresolved.register
def _(codec: CategoryCodec, column: Column) -> bool:
    return codec.other and not codec.values


@_unresolved.register(NumberCodec)
@_unresolved.register(TiedCodec)
@_unresolved.register(TimeCodec)
def _(codec: NumberCodec | TiedCodec | TimeCodec, column: Column) -> bool:
    if column.minimum is not None and column.maximum is not None:
        return False
    return codec.bins.size == 1 and int(codec.bins.seg_high[-1]) > int(codec.bins.seg_low[0])
