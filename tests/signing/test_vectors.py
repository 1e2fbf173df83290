"""The published vectors: this verifier's verdict on each is the one that is published."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from signed import NOW
from signing.making import REFUSED, REVOKED, UNKNOWN, VERIFIED, Vector
from signing.vectors import document, vectors

from privsynth.cli import main

PUBLISHED = Path(__file__).parents[2] / "docs" / "verify-vectors.json"
EVERY = list(vectors())
VERDICTS = {0: VERIFIED, 2: REFUSED, 5: REFUSED, 6: UNKNOWN, 9: REVOKED}  # 2: a keyring that is none


def laid_out(vector: Vector, folder: Path) -> Path:
    """Write a vector's files and return the folder, or the one file."""
    for name, data in vector.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder / "report.html" if vector.alone else folder


@pytest.fixture
def reader(tmp_path, monkeypatch) -> Callable[[Vector], Result]:
    """Return a function that runs `privsynth verify` on a vector, as somebody who has nothing but what it says."""
    monkeypatch.setenv("PRIVSYNTH_HOME", str(tmp_path / "home"))

    def verify(vector: Vector) -> Result:
        class Clock(datetime):
            @classmethod
            def now(cls, tz=None):
                return NOW + timedelta(seconds=vector.at)

        for module in ("privsynth.cli.verify", "privsynth.cli.trust.keyrings"):
            monkeypatch.setattr(f"{module}.datetime", Clock)
        words = [laid_out(vector, tmp_path / "release"), "--keyring", given(tmp_path, "ring.json", vector.keyring)]
        if vector.root is not None:
            words += ["--root", given(tmp_path, "root.pub", f"{vector.root.to_base64()}\n".encode())]
        if vector.revocations is not None:
            words += ["--revocations", given(tmp_path, "revocations.json", vector.revocations)]
        return CliRunner().invoke(main, ["verify", *map(str, words)])

    return verify


def given(folder: Path, name: str, data: bytes) -> Path:
    (folder / name).write_bytes(data)
    return folder / name


@pytest.mark.parametrize("vector", EVERY, ids=lambda vector: vector.name)
def test_the_command_lines_verdict_is_the_published_one(reader, vector):
    done = reader(vector)
    assert VERDICTS[done.exit_code] == vector.verdict
    assert (vector.superseded_by[:16] in done.output) == ("Superseded" in done.output or not vector.superseded_by)
    if vector.revocations is not None or "edition" in vector.name:
        assert vector.says in done.output  # the page says the same


def test_the_published_file_holds_these_vectors():
    assert PUBLISHED.read_bytes() == document(), "write it again: see signing/vectors.py"
    assert len({vector.name for vector in EVERY}) == len(EVERY)
