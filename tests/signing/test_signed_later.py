"""`privsynth sign`: a release without a signature is signed only if who reads it can verify it."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner
from signed import make_release  # noqa: F401

from privsynth.cli import main
from privsynth.signing._files import digest_file
from privsynth.signing.release import ATTESTATION, MANIFEST, sign_folder
from privsynth.signing.store import NewKey, create_key, open_key


@pytest.mark.parametrize(("days", "code", "says"), [
    (0, 0, "Signed"),
    (-400, 5, "is not valid before"),
    (900, 5, "later than this computer's clock"),
])  # fmt: skip
def test_a_time_that_no_reader_believes_is_not_signed(tmp_path, monkeypatch, make_release, days, code, says):  # noqa: F811
    home, now = tmp_path / "home", datetime.now(UTC)
    monkeypatch.setenv("PRIVSYNTH_HOME", str(home))
    create_key(home, "office", NewKey("Data office"), passphrase=None, now=now)
    key, _ = open_key(home, "office", None, now=now)
    at, kept, release = now + timedelta(days=days), tmp_path / "kept", {}
    for kind in ("public", "officer"):
        folder = make_release(kept / kind, None, signed_at=at)
        (folder / "report.json").write_text(json.dumps({"signer": f"Data office, key {key.public.fingerprint}"}))
        predicate = {"kind": kind, "dataset": "admissions", **release}
        sign_folder(folder, predicate=predicate, signer=None, holder="", signed_at=at)
        release = {"release": digest_file(folder / MANIFEST).sha256}
    before = (kept / "public" / ATTESTATION).read_bytes()
    result = CliRunner().invoke(main, ["sign", str(kept), "--as", "office"])
    assert (result.exit_code, says in result.output + result.stderr) == (code, True)
    assert ((kept / "public" / ATTESTATION).read_bytes() == before) == (code != 0)
    assert CliRunner().invoke(main, ["verify", str(kept)]).exit_code == (0 if code == 0 else 5)
