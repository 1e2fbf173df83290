"""The published vectors: this verifier's verdict on each is the one that is published."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from signed import NOW
from signing.making import Vector
from signing.vectors import document, vectors

from privsynth.errors import KeyFileError, UnknownSigner, VerificationError
from privsynth.signing.keyring import Keyring
from privsynth.signing.roots.signed_keyring import opened
from privsynth.signing.verification import verify_folder, verify_report

PUBLISHED = Path(__file__).parents[2] / "docs" / "verify-vectors.json"
EVERY = list(vectors())


def laid_out(vector: Vector, folder: Path) -> Path:
    """Write a vector's files and return the folder, or the one file."""
    for name, data in vector.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder / "report.html" if vector.alone else folder


@pytest.mark.parametrize("vector", EVERY, ids=lambda vector: vector.name)
def test_the_command_lines_verdict_is_the_published_one(vector, tmp_path):
    what = laid_out(vector, tmp_path / "release")
    check = verify_report if vector.alone else verify_folder
    now = NOW + timedelta(seconds=vector.at)
    try:
        if vector.root is None:
            keyring = Keyring.from_json(vector.keyring)
        else:
            keyring = opened(vector.keyring, vector.root, now).keyring
        check(what, [keyring], now)
        verdict = "verified"
    except UnknownSigner:
        verdict = "unknown signer"
    except (VerificationError, KeyFileError):
        verdict = "refused"
    assert verdict == vector.verdict


def test_the_published_file_holds_these_vectors():
    assert PUBLISHED.read_bytes() == document(), "write it again: see signing/vectors.py"
    assert len({vector.name for vector in EVERY}) == len(EVERY)
