"""A small release, what is in it, and other envelopes for it, as a forger would put them there."""

import re

from privsynth.signing.envelope import Envelope, sign
from privsynth.signing.release import EMPTY_ELEMENT
from privsynth.signing.statement import PAYLOAD_TYPE, Statement

PREDICATE = {"kind": "public", "dataset": "admissions"}
ALL_FILES = [
    "attestation.dsse.json",
    "data.csv",
    "manifest.json",
    "model/model.json",
    "model/weights.bin",
    "report.html",
    "report.json",
    "schema.yaml",
]


def put_envelope(folder, envelope):
    """Put another envelope into both places, as a forger would."""
    text = envelope.to_json()
    html = (folder / "report.html").read_bytes()
    start, end = EMPTY_ELEMENT.encode().split(b"></")
    pattern = re.compile(re.escape(start) + b">.*?</" + re.escape(end), re.DOTALL)
    (folder / "report.html").write_bytes(pattern.sub(lambda _: start + b">" + text + b"</" + end, html))
    (folder / "attestation.dsse.json").write_bytes(text)


def read_envelope(folder):
    return Envelope.from_json((folder / "attestation.dsse.json").read_bytes())


def resign(folder, key, statement):
    put_envelope(folder, sign(statement.to_bytes(), PAYLOAD_TYPE, key))


def read_statement(folder):
    return Statement.from_bytes(read_envelope(folder).payload, payload_type=PAYLOAD_TYPE)
