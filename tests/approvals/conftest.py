"""A run that somebody made, and people who decide on it."""

import hashlib
from datetime import timedelta

import pytest
from signed import FILES, NOW, key, make_release, now, other_key  # noqa: F401

from privsynth.approvals.decisions import record
from privsynth.approvals.statement import PARTS, Approval
from privsynth.signing.keyring import KeyEntry, Keyring
from privsynth.signing.keys import SigningKey
from privsynth.signing.release import sign_folder


def digests(run):
    """Return the digests that a decision names."""
    return tuple(hashlib.sha256((run / part).read_bytes()).hexdigest() for part in PARTS)


class People:
    """Keys by name, and the keyring in which all of them are."""

    def __init__(self, maker):
        self.keys = {"Data office": maker}

    def key(self, holder):
        return self.keys.setdefault(holder, SigningKey.generate())

    def ring(self, *others, roles=("maker", "approver")):
        everyone = {**self.keys, **dict(others)}
        made = (KeyEntry.for_key(k.public, holder=h, not_before=NOW, roles=roles) for h, k in everyone.items())
        return Keyring(keys=tuple(made))

    def decide(self, run, holder, meaning, *, seconds=0, comment="", about=None, by=None, policy=None):
        approval = Approval(meaning, comment, NOW + timedelta(seconds=seconds), about or digests(run), policy)
        return record(run, approval, by or self.key(holder), holder)


@pytest.fixture
def people(key):  # noqa: F811
    return People(key)


@pytest.fixture
def run(tmp_path, key, make_release):  # noqa: F811
    folder = tmp_path / "run"
    make_release(folder / "public", key)
    make_release(folder / "officer", key)
    (folder / "officer" / "report.html").write_bytes(FILES["report.html"])
    release = hashlib.sha256((folder / "public" / "manifest.json").read_bytes()).hexdigest()
    predicate = {"kind": "officer", "dataset": "admissions", "release": release}
    sign_folder(folder / "officer", predicate=predicate, signer=key, holder="Data office", signed_at=NOW)
    return folder
