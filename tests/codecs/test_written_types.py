"""Types in which columns are written: what is beyond a type moves to its end, and inferred types state nothing."""

from __future__ import annotations

import pyarrow as pa
import pytest

from privsynth.codecs.written.types import container_types, written_array
from privsynth.schema.source_format import SourceFormat


@pytest.mark.parametrize(
    "kind", [pa.decimal128(18, 18), pa.decimal128(20, 18), pa.decimal128(5, 4), pa.decimal128(38, 0)]
)
def test_numbers_beyond_a_decimal_move_to_its_end(kind):
    values = pa.array([-1e40, 0.0, 1e40])
    low, zero, high = written_array(values, kind).cast(pa.float64()).to_pylist()
    assert zero == 0.0
    assert 0.99 * min(10.0 ** (kind.precision - kind.scale), 1e15) <= high
    assert low == -high


def test_an_integer_that_nothing_states_is_what_it_is_with_a_missing_cell():
    with_all, with_a_gap = ({"pid": kind} for kind in (pa.int64(), pa.float64()))
    assert container_types(with_all, SourceFormat()) == container_types(with_a_gap, SourceFormat())
    stated = SourceFormat(whole_numbers=("pid",))
    assert container_types(with_all, stated) == {"pid": pa.int64()}
