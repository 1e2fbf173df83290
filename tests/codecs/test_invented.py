"""Invented values: identifiers that are distinct and do not meet, and personal values of nobody."""

from __future__ import annotations

import re
from itertools import combinations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privsynth.codecs.columns import PersonalCodec, SurrogateCodec, codec_from_json, codec_to_json, surrogate_codec
from privsynth.codecs.columns.personal import KINDS
from privsynth.codecs.decoded_rows import Decoded, DecodedRows
from privsynth.codecs.loaded import Malformed
from privsynth.codecs.synthetic_rows import SyntheticRows
from privsynth.codecs.table import TableCodec
from privsynth.schema.definition import Column
from privsynth.schema.identifier_format import identifier_format

KEYS = st.integers(0, 2**256 - 1)
FORMATS = {
    "P{8 digits}": r"P[0-9]{8}",
    "{3 letters}-{2 digits}": r"[A-Z]{3}-[0-9]{2}",
    "S{12 hex}": r"S[0-9a-f]{12}",
    "{64 hex}": r"[0-9a-f]{64}",
    "{uuid}": r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}",
    "Ärzte {{{5 digits}}}": r"Ärzte \{[0-9]{5}\}",
    "{1 letter}": r"[A-Z]",
}


def surrogates(text: str, integer: bool = False) -> SurrogateCodec:
    return SurrogateCodec("id", identifier_format(text), integer)


@pytest.mark.parametrize(("text", "shape"), FORMATS.items())
@given(key=KEYS)
@settings(max_examples=5, deadline=None)
def test_identifiers_are_distinct_and_look_like_their_format(text, shape, key):
    codec = surrogates(text)
    count = min(codec.pattern.room, 5_000)
    made = codec.invent(np.arange(count), key)
    assert made.type == pa.string()
    assert len(set(made.to_pylist())) == count
    assert all(re.fullmatch(shape, one) for one in made.to_pylist())


@given(key=KEYS, text=st.sampled_from(["{3 digits}", "{1 letter}{1 digit}", "{2 hex}", "A{1 hex}{1 digit}"]))
@settings(max_examples=40, deadline=None)
def test_as_many_rows_as_there_is_room_get_every_identifier_once(key, text):
    codec = surrogates(text)
    assert len(set(codec.invent(np.arange(codec.pattern.room), key).to_pylist())) == codec.pattern.room


@given(key=KEYS, cut=st.integers(0, 1_000))
@settings(max_examples=20, deadline=None)
def test_parts_have_the_identifiers_of_the_whole(key, cut):
    codec, numbers = surrogates("P{8 digits}"), np.arange(1_000)
    whole = codec.invent(numbers, key).to_pylist()
    assert codec.invent(numbers[:cut], key).to_pylist() + codec.invent(numbers[cut:], key).to_pylist() == whole


def test_two_draws_do_not_meet():
    """100 draws of 20,000 rows of a format with room for 1e8: expected pairs that meet at all: 4950 × 4e-4 = 2.

    More than 12 of 4950 pairs is an event of probability below 2e-6 under Poisson(1.98).
    """
    codec, rng = surrogates("P{8 digits}"), np.random.default_rng(11)
    draws = [int.from_bytes(rng.bytes(32), "little") for _ in range(100)]
    made = [set(codec.invent(np.arange(20_000), key).to_pylist()) for key in draws]
    assert sum(bool(one & other) for one, other in combinations(made, 2)) <= 12


def test_neighbouring_rows_do_not_have_neighbouring_identifiers():
    made = surrogates("{9 digits}", integer=True).invent(np.arange(10_000), 5).to_numpy()
    gaps = np.abs(np.diff(made.astype(float)))
    assert np.median(gaps) > 1e8  # of uniform numbers: 2.6e8


@pytest.mark.parametrize(
    ("kind", "text", "type_"),
    [
        (pa.int64(), "{12 digits}", pa.int64()),
        (pa.int32(), "{9 digits}", pa.int64()),
        (pa.string(), "S{12 hex}", pa.string()),
    ],
)  # fmt: skip
def test_identifiers_are_whole_numbers_where_the_source_has_them(kind, text, type_):
    codec = surrogate_codec("id", Column(kind="id"), kind)
    assert (codec.format.text, codec.arrow_type) == (text, type_)
    made = codec.invent(np.arange(2_000), 2**255 - 1)
    assert made.type == type_
    if codec.integer:
        assert {len(str(number)) for number in made.to_pylist()} == {int(re.findall(r"\d+", text)[0])}
        assert len(set(made.to_pylist())) == 2_000


def test_a_declared_format_with_letters_makes_texts_of_whole_numbers():
    declared = Column(kind="id", format="P{8 digits}")
    assert surrogate_codec("id", declared, pa.int64()).arrow_type == pa.string()
    digits = Column(kind="id", format="{8 digits}")
    assert surrogate_codec("id", digits, pa.int64()).arrow_type == pa.int64()
    assert surrogate_codec("id", digits, pa.string()).arrow_type == pa.string()


def test_columns_of_one_format_share_its_identifiers_out():
    table = TableCodec((SurrogateCodec("a"), surrogates("{2 digits}"), SurrogateCodec("b")))
    frame = SyntheticRows(table, [DecodedRows({}, 60), DecodedRows({}, 30)], key=9**80).typed_frame()
    assert pd.concat([frame["a"], frame["b"]]).is_unique
    assert frame["id"].is_unique
    assert table.room == 100


def test_rows_of_one_synthetic_unit_can_share_an_identifier():
    table = TableCodec((SurrogateCodec("person"), SurrogateCodec("stay")))
    units = Decoded(np.array([0, 0, 1, 2, 2]), np.zeros(5, dtype=bool))
    frame = SyntheticRows(table, [DecodedRows({"person": units}, 5)]).typed_frame()
    assert frame["person"].tolist() == frame["person"].iloc[[0, 0, 2, 3, 3]].tolist()
    assert frame["person"].nunique() == 3
    assert not set(frame["person"]) & set(frame["stay"])


@pytest.mark.parametrize(
    ("one", "other"), [("{8 digits}", "{8 hex}"), ("A{2 hex}", "{1 letter}{2 digits}")]
)  # fmt: skip
def test_a_model_whose_identifiers_could_meet_is_malformed(one, other):
    codecs = [codec_to_json(surrogates(one)), {**codec_to_json(surrogates(other)), "name": "more"}]
    with pytest.raises(Malformed, match="could hold the same one"):
        TableCodec.from_json(codecs)


@pytest.mark.parametrize(
    "wrong",
    [
        {"type": "surrogate", "name": "id", "format": "{8 cats}", "integer": False},
        {"type": "surrogate", "name": "id", "format": "P{8 digits}", "integer": True},
        {"type": "surrogate", "name": "id", "format": "{19 digits}", "integer": True},
        {"type": "surrogate", "name": "id", "format": 7, "integer": False},
        {"type": "personal", "name": "who", "kind": "name", "locale": "../../evil"},
        {"type": "personal", "name": "who", "kind": "name", "locale": ["en_US"]},
        {"type": "personal", "name": "who", "kind": "seed_instance", "locale": "en_US"},
        {"type": "personal", "name": "who", "kind": "name"},
    ],
)
def test_what_no_codec_writes_is_malformed(wrong):
    with pytest.raises(Malformed):
        codec_from_json(wrong)


# Personal values ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("locale", ["en_US", "de_DE", "pl_PL"])
def test_personal_values_are_the_same_in_parts_and_differ_between_draws(kind, locale):
    codec, numbers = PersonalCodec("x", kind, locale), np.arange(3_000)
    whole = codec.invent(numbers, 77).to_pylist()
    assert codec.invent(numbers[1_000:], 77).to_pylist() == whole[1_000:]
    assert codec_from_json(codec_to_json(codec)) == codec
    other = codec.invent(numbers, 78**40).to_pylist()
    assert sum(a == b for a, b in zip(whole, other, strict=True)) < 60
    assert all(isinstance(value, str) and value.isprintable() and value.strip() == value for value in whole)


def test_e_mails_go_nowhere_and_belong_to_the_names_of_their_row():
    columns = [PersonalCodec(kind, kind, "de_DE") for kind in ("name", "first_name", "last_name", "email")]
    frame = SyntheticRows(TableCodec(tuple(columns)), [DecodedRows({}, 2_000)], key=3**90).typed_frame()
    assert (frame["name"] == frame["first_name"] + " " + frame["last_name"]).all()
    assert frame["email"].str.fullmatch(r"[a-z]+(\.[a-z]+)+\.[0-9]+@example\.org").all()
    assert frame["email"].is_unique
    plain = frame[frame["name"].str.fullmatch(r"[A-Za-z]+ [A-Za-z]+")]
    assert len(plain) > 500
    first = plain["email"].str.split(".").str[0]
    assert (first == plain["first_name"].str.lower()).all()


def test_phones_are_in_the_range_that_is_kept_for_fiction():
    made = PersonalCodec("x", "phone").invent(np.arange(5_000), 1).to_pylist()
    assert all(re.fullmatch(r"\+1 [2-9][0-9]{2}-555-01[0-9]{2}", phone) for phone in made)
    assert len(set(made)) > 4_000


def test_without_faker_a_plain_error_says_what_to_install(monkeypatch):
    import sys

    from privsynth.codecs.invented import personal_pool
    from privsynth.errors import MissingPackageError

    monkeypatch.setitem(sys.modules, "faker", None)
    personal_pool.people.cache_clear()
    with pytest.raises(MissingPackageError, match=r"privsynth\[personal\]"):
        PersonalCodec("x", "name", "sv_SE").invent(np.arange(3), 1)
    PersonalCodec("x", "phone").invent(np.arange(3), 1)  # needs none
