"""Both parts of a run: the officer's report says which release it is about, and another one is refused."""

import hashlib
import shutil

import pytest
from signed import FILES, NOW
from signing.making import released, resigned

from privsynth.errors import VerificationError
from privsynth.signing.keyring import KeyEntry
from privsynth.signing.release import sign_folder
from privsynth.signing.verification import verify_folder, verify_run


@pytest.fixture
def run(tmp_path, key, make_release):
    """Return a folder with both parts of a run, bound to each other."""

    def make(folder, extra=b"1"):
        make_release(folder / "public", key, extra={"data.csv": extra})
        make_release(folder / "officer", key)
        release = hashlib.sha256((folder / "public" / "manifest.json").read_bytes()).hexdigest()
        predicate = {"kind": "officer", "dataset": "admissions", "release": release}
        (folder / "officer" / "report.html").write_bytes(FILES["report.html"])
        sign_folder(folder / "officer", predicate=predicate, signer=key, holder="Data office", signed_at=NOW)
        return folder

    return make


def test_both_parts_of_a_run_belong_together_or_are_refused(run, tmp_path, keyring, now):
    one, other = run(tmp_path / "one"), run(tmp_path / "other", b"2")
    public, officer = verify_run(one, [keyring], now)
    assert (public.kind, officer.kind, public.release) == ("public", "officer", None)
    assert officer.release == hashlib.sha256((one / "public" / "manifest.json").read_bytes()).hexdigest()
    shutil.rmtree(one / "officer")
    shutil.copytree(other / "officer", one / "officer")
    assert verify_folder(one / "officer", [keyring], now)
    with pytest.raises(VerificationError, match="about another release"):
        verify_run(one, [keyring], now)


def test_an_officers_folder_of_an_earlier_version_is_bound_to_nothing(run, tmp_path, key, keyring, now):
    folder = run(tmp_path / "run")
    (folder / "officer" / "report.html").write_bytes(FILES["report.html"])
    predicate = {"kind": "officer", "dataset": "admissions"}
    sign_folder(folder / "officer", predicate=predicate, signer=key, holder="Data office", signed_at=now)
    with pytest.raises(VerificationError, match="does not say which release"):
        verify_run(folder, [keyring], now)


@pytest.mark.parametrize("other", ["signer", "dataset"])
def test_an_officers_folder_by_another_signer_or_of_another_dataset_is_refused(
    run, tmp_path, key, other_key, keyring, now, other
):
    folder = run(tmp_path / "run")
    release = hashlib.sha256((folder / "public" / "manifest.json").read_bytes()).hexdigest()
    predicate = {"kind": "officer", "dataset": "x" if other == "dataset" else "admissions", "release": release}
    (folder / "officer" / "report.html").write_bytes(FILES["report.html"])
    signer = other_key if other == "signer" else key
    sign_folder(folder / "officer", predicate=predicate, signer=signer, holder="Bob", signed_at=NOW)
    both = keyring.add(KeyEntry.for_key(other_key.public, holder="Bob", not_before=now))
    with pytest.raises(VerificationError, match="another signer or dataset"):
        verify_run(folder, [both], now)


def test_two_public_folders_are_no_run(run, tmp_path, keyring, now):
    folder = run(tmp_path / "run")
    shutil.rmtree(folder / "officer")
    shutil.copytree(folder / "public", folder / "officer")
    with pytest.raises(VerificationError, match="and officer was asked for"):
        verify_run(folder, [keyring], now)


@pytest.mark.parametrize("release", ["x", 7, "A" * 64, ["0" * 64]])
def test_a_release_that_is_no_digest_is_refused(release, tmp_path, keyring, now):
    for name, data in resigned(released(), lambda document: document["predicate"].update(release=release)).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    with pytest.raises(VerificationError, match="lacks a part"):
        verify_folder(tmp_path, [keyring], now)
