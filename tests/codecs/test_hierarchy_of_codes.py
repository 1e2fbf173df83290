"""A column's hierarchy in its codec: groups of codes for the generator, saved with the model, checked when loaded."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from privsynth.codecs.columns import CategoryCodec, codec_from_json, codec_to_json
from privsynth.codecs.loaded import Malformed
from privsynth.codecs.parse import as_categories
from privsynth.codecs.table import TableCodec
from privsynth.hierarchies import SHIPPED, hierarchy_from

CODES = ("O36", "O42", "O80", "O82", "I21", "I22", "zz")
WARDS = hierarchy_from(
    {"levels": ["floor", "wing"], "groups": {"up": {"east": ["a", "b"], "west": "c"}, "down": ["d"]}}
)


def diagnosis(*, other: bool = True) -> CategoryCodec:
    return CategoryCodec("d", CODES, other, True, hierarchy=SHIPPED["icd10"])


def test_levels_come_from_coarse_to_fine_with_null_and_the_unknown_apart():
    chapters, blocks = TableCodec((diagnosis(),)).books()[0]
    assert chapters.tolist() == [0, 0, 0, 0, 1, 1, 2, 2, 3]  # the last two are OTHER, with what is no code, and NULL
    assert blocks.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4]
    chapters, blocks = TableCodec((diagnosis(other=False),)).books()[0]
    assert chapters.tolist() == [0, 0, 0, 0, 1, 1, 2, 3]


def test_levels_that_group_nothing_or_everything_are_left_out():
    assert CategoryCodec("d", ("O36", "O42"), False, True, hierarchy=SHIPPED["icd10"]).groups() == {}
    assert TableCodec((CategoryCodec("d", ("O36", "I21"), False, True, hierarchy=SHIPPED["icd10"]),)).books() == {}


def test_a_column_that_follows_hands_its_levels_on():
    ward = CategoryCodec("ward", tuple("abcd"), False, True, "bed", (0, 0, 1, 2, 3, -1, 3), WARDS)
    bed = CategoryCodec("bed", tuple("1234567"), False, True)
    floors, wings, wards = TableCodec((bed, ward)).books()[0]
    assert floors.tolist() == [1, 1, 1, 1, 2, 0, 2, 3]
    assert wings.tolist() == [1, 1, 1, 2, 3, 0, 3, 4]
    assert wards.tolist() == [1, 1, 2, 3, 4, 0, 4, 5]


@pytest.mark.parametrize("hierarchy", [SHIPPED["icd10"], WARDS])
def test_it_is_saved_with_the_model(hierarchy):
    codec = CategoryCodec("d", ("a", "up", "O36"), True, True, hierarchy=hierarchy)
    saved = codec_to_json(codec)
    assert codec_from_json(saved) == codec
    assert saved["hierarchy"] == "icd10" or saved["hierarchy"]["levels"] == ["floor", "wing"]


@pytest.mark.parametrize(
    "data", ["icd11", {}, [], 7, {"a": {"b": ["x"]}, "c": {"b": ["y"]}}, {"file": "/etc/passwd", "x": 1}]
)
def test_a_saved_hierarchy_that_is_none_is_malformed(data):
    saved = codec_to_json(diagnosis()) | {"hierarchy": data}
    if isinstance(data, dict) and "file" in data:
        assert set(codec_from_json(saved).hierarchy.codes) == {"/etc/passwd", "1"}  # a group's name: no file is read
        return
    with pytest.raises(Malformed, match="the hierarchy of a column is none"):
        codec_from_json(saved)


def test_known_values_of_a_users_table_fall_to_their_group_too():
    codec = CategoryCodec("d", ("I21", "O00-O99"), True, True, hierarchy=SHIPPED["icd10"])
    cells = as_categories(pa.chunked_array([pa.array(["O36.4", "I21", "I22", None])]))
    assert codec.encode(cells)[0].tolist() == [1, 0, 2, 3]
    assert np.array(codec.texts)[codec.known(cells).values[:3]].tolist() == ["O00-O99", "I21", "OTHER"]
