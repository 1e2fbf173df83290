"""Statements: one spelling out, one shape in."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privsynth.errors import VerificationError
from privsynth.signing.statement import PAYLOAD_TYPE, PREDICATE_TYPE, STATEMENT_TYPE, Statement, Subject

DIGEST = "ab" * 32
STATEMENT = Statement((Subject("b.csv", DIGEST), Subject("a/é.csv", "0" * 64)), {"z": 1, "a": [0.5, None]})


def test_bytes_as_a_literal():
    assert STATEMENT.to_bytes() == (
        b'{"_type":"https://in-toto.io/Statement/v1","predicate":{"a":[0.5,null],"z":1},'
        b'"predicateType":"https://privsynth.org/attestation/release/v1","subject":['
        b'{"digest":{"sha256":"' + b"ab" * 32 + b'"},"name":"b.csv"},'
        b'{"digest":{"sha256":"' + b"0" * 64 + b'"},"name":"a/\\u00e9.csv"}]}'
    )
    assert Statement.from_bytes(STATEMENT.to_bytes(), payload_type=PAYLOAD_TYPE) == STATEMENT


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.text(), json_values, max_size=5))
def test_round_trip_and_order_of_names(predicate):
    statement = Statement((Subject("x", DIGEST),), predicate)
    data = statement.to_bytes()
    assert Statement.from_bytes(data, payload_type=PAYLOAD_TYPE) == statement
    backwards = dict(reversed(list(predicate.items())))
    assert Statement((Subject("x", DIGEST),), backwards).to_bytes() == data


@pytest.mark.parametrize("value", [float("nan"), float("inf"), b"bytes", {1, 2}])
def test_what_has_no_json_form_is_not_signed(value):
    with pytest.raises((TypeError, ValueError)):
        Statement((Subject("x", DIGEST),), {"v": value}).to_bytes()


@pytest.mark.parametrize("kind", ["", "application/json", PAYLOAD_TYPE.upper(), PAYLOAD_TYPE + " "])
def test_other_payload_types_are_refused(kind):
    with pytest.raises(VerificationError, match="something else"):
        Statement.from_bytes(STATEMENT.to_bytes(), payload_type=kind)


def changed(**fields):
    document = {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": "x", "digest": {"sha256": DIGEST}}],
        "predicateType": PREDICATE_TYPE,
        "predicate": {},
    }
    return json.dumps({**document, **fields}).encode()


def test_the_unchanged_document_is_accepted():
    assert Statement.from_bytes(changed(), payload_type=PAYLOAD_TYPE) == Statement((Subject("x", DIGEST),), {})


@pytest.mark.parametrize(
    "data",
    [
        b"{}",
        b"[]",
        changed(_type="https://in-toto.io/Statement/v0.1"),
        changed(predicateType="https://privsynth.org/attestation/release/v2"),
        changed(predicate=[]),
        changed(extra=1),
        changed(subject=[]),
        changed(subject={}),
        changed(subject=[{"name": "x", "digest": {"sha256": DIGEST}}] * 2),
        changed(subject=[{"name": "", "digest": {"sha256": DIGEST}}]),
        changed(subject=[{"name": 1, "digest": {"sha256": DIGEST}}]),
        changed(subject=[{"name": "x", "digest": {"sha256": DIGEST.upper()}}]),
        changed(subject=[{"name": "x", "digest": {"sha256": DIGEST + "\n"}}]),
        changed(subject=[{"name": "x", "digest": {"sha256": DIGEST, "sha1": ""}}]),
        changed(subject=[{"name": "x", "digest": {}}]),
        changed(subject=[{"name": "x", "digest": {"sha256": DIGEST}, "uri": ""}]),
        changed(subject=["x"]),
        changed(predicate={"a": 1}).replace(b'"a": 1', b'"a": 1, "a": 2'),
        changed(predicate={"a": 1}).replace(b'"a": 1', b'"a": 1e999'),
        changed(predicate={"a": 1}).replace(b'"a": 1', b'"a": Infinity'),
    ],
)
def test_parser_refuses(data):
    with pytest.raises(VerificationError):
        Statement.from_bytes(data, payload_type=PAYLOAD_TYPE)
