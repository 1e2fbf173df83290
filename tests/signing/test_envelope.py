"""DSSE: the encoding as literals, a golden envelope, and refusal of everything else."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privsynth.errors import VerificationError
from privsynth.signing.envelope import MAX_ENVELOPE_BYTES, Envelope, Signature, pae, sign, verify

GOLDEN = (
    b'{"payload":"aGVsbG8gd29ybGQ=","payloadType":"http://example.com/HelloWorld","signatures":[{"keyid":'
    b'"a050837d85070582ccf7394b0988847cc312cb88259b894899f6f239cf1791a5","sig":"'
    b'FDBuhhGZHrQaLnHA+xYDozNBKtORTT3EFhGJXczChh8PCqB471sDESzy2zguMGQOk8D+Ij2hb/eoUkqxc/qgCg=="}]}\n'
)


@pytest.mark.parametrize(
    ("kind", "payload", "expected"),
    [
        # The vector of the DSSE protocol document.
        (
            "http://example.com/HelloWorld",
            b"hello world",
            b"DSSEv1 29 http://example.com/HelloWorld 11 hello world",
        ),
        ("", b"", b"DSSEv1 0  0 "),
        ("t\u00e9", b"\x00\xff", b"DSSEv1 3 t\xc3\xa9 2 \x00\xff"),
        ("a", b"1 b 2", b"DSSEv1 1 a 5 1 b 2"),
    ],
)
def test_pae_is_the_published_encoding_in_bytes(kind, payload, expected):
    assert pae(kind, payload) == expected


def test_golden_envelope(key):
    envelope = sign(b"hello world", "http://example.com/HelloWorld", key)
    assert envelope.to_json() == GOLDEN
    assert Envelope.from_json(GOLDEN) == envelope
    assert verify(envelope, [key.public]) == (key.public,)


@given(payload=st.binary(), kind=st.text(max_size=50).filter(lambda t: t.isprintable()))
def test_json_round_trip_never_holds_an_angle_bracket(payload, kind, key):
    envelope = sign(payload, f"{kind}</script>", key)
    assert b"<" not in envelope.to_json()
    assert Envelope.from_json(envelope.to_json()) == envelope


@pytest.mark.parametrize(
    "changed",
    [
        lambda e: Envelope(b"NOT DATA", e.payload_type, e.signatures),
        lambda e: Envelope(e.payload, "text/plain", e.signatures),
        lambda e: Envelope(e.payload, e.payload_type),
        lambda e: Envelope(e.payload, e.payload_type, (Signature(e.signatures[0].keyid, bytes(64)),)),
        lambda e: Envelope(e.payload, e.payload_type, (Signature(e.signatures[0].keyid, b""),)),
    ],
    ids=["other bytes", "other type", "removed", "zeros", "empty"],
)
def test_verify_refuses_what_was_not_signed(key, changed):
    envelope = sign(b"data", "application/json", key)
    with pytest.raises(VerificationError, match="no trusted key"):
        verify(changed(envelope), [key.public])


def test_verify_takes_keys_from_the_caller_only(key, other_key):
    envelope = sign(b"data", "application/json", key)
    for trusted in ([], [other_key.public]):
        with pytest.raises(VerificationError):
            verify(envelope, trusted)
    # A key id that lies helps nobody and harms nobody: the ids are not looked at.
    lying = Envelope(
        envelope.payload,
        envelope.payload_type,
        (Signature(other_key.public.keyid, envelope.signatures[0].sig),),
    )
    assert verify(lying, [other_key.public, key.public]) == (key.public,)


def test_verify_counts_a_key_once(key):
    envelope = sign(b"data", "application/json", key)
    twice = Envelope(envelope.payload, envelope.payload_type, envelope.signatures * 2)
    assert verify(twice, [key.public, key.public]) == (key.public,)


def document(**changes):
    fields = {"payload": "aGk=", "payloadType": "t", "signatures": [{"keyid": "k", "sig": "AA=="}]}
    return {**fields, **changes}


def written(fields):
    """Return a document in the one form of bytes that is read."""
    return json.dumps(fields, sort_keys=True, separators=(",", ":")).encode() + b"\n"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        b"[]",
        b"null",
        b"[" * 100_000,
        written(document(extra=1)),
        written({"payload": "aGk=", "signatures": []}),
        written(document(payload="aGk")),
        written(document(payload="aGl=")),  # decodes like aGk=, but is not the standard spelling
        written(document(payload="aG k=")),
        written(document(payload="-_8=")),
        written(document(payload=1)),
        written(document(payloadType=None)),
        written(document(payloadType="t" * 201)),
        written(document(signatures={})),
        written(document(signatures=[1])),
        written(document(signatures=[{"keyid": "k"}])),
        written(document(signatures=[{"keyid": "k", "sig": "AA=="}] * 17)),
        b'{"payload":"aGk=","payload":"aGk=","payloadType":"t","signatures":[]}',
        b'{"payload":"aGk=","payloadType":"t","signatures":[{"keyid":"a","keyid":"a","sig":"AA=="}]}',
        b'{"payload":NaN,"payloadType":"t","signatures":[]}',
        b'{"payload":"aGk=","payloadType":"\\ud800","signatures":[]}',
    ],
)
def test_parser_refuses(data):
    with pytest.raises(VerificationError):
        Envelope.from_json(data)


def test_parser_accepts_the_document_that_the_refusals_change():
    assert Envelope.from_json(written(document())) == Envelope(b"hi", "t", (Signature("k", b"\0"),))


@pytest.mark.parametrize(
    "data",
    [
        json.dumps(document()).encode() + b"\n",  # spaces
        json.dumps(document(), indent=2, sort_keys=True).encode() + b"\n",
        written(document())[:-1],
        written(document()) + b"\n",
        written(document()).replace(b'"t"', b'"\\u0074"'),
        written(dict(reversed(document().items()))).replace(b'"payload"', b'"\\u0070ayload"'),
    ],
)
def test_one_envelope_has_one_form(data):
    assert json.loads(data) == document()
    with pytest.raises(VerificationError, match="not written as privsynth writes one"):
        Envelope.from_json(data)


def test_size_limit_comes_before_parsing():
    payload = base64.b64encode(bytes(MAX_ENVELOPE_BYTES)).decode()
    with pytest.raises(VerificationError, match="10,000,000"):
        Envelope.from_json(written(document(payload=payload)))


@given(st.binary(max_size=200))
def test_noise_is_refused_and_never_crashes(data):
    with pytest.raises(VerificationError):
        Envelope.from_json(data)
