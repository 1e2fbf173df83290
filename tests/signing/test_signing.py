"""Signing a folder: what it refuses, and what it leaves."""

import pytest
from signing.forging import ALL_FILES, PREDICATE, read_envelope, read_statement, resign

from privsynth.errors import ConfigError, OutputError, VerificationError
from privsynth.signing._files import list_tree
from privsynth.signing.release import sign_folder
from privsynth.signing.statement import Statement
from privsynth.signing.verification import verify_folder


@pytest.mark.parametrize(
    "predicate",
    [
        {},
        {"kind": "secret", "dataset": "x"},
        {"kind": "public"},
        {**PREDICATE, "signed_at": "x"},
        {**PREDICATE, "signer": {}},
        {**PREDICATE, "epsilon": float("inf")},
        {**PREDICATE, "raw": b""},
    ],
    ids=str,
)
def test_signing_refuses_a_predicate_and_leaves_the_folder_as_it_was(release, key, now, predicate):
    before = {name: (release / name).read_bytes() for name in ALL_FILES}
    with pytest.raises(ConfigError):
        sign_folder(release, predicate=predicate, signer=key, holder="x", signed_at=now)
    assert {name: (release / name).read_bytes() for name in ALL_FILES} == before


def test_signing_refuses_a_time_without_zone(release, key, now):
    with pytest.raises(ValueError, match="zone"):
        sign_folder(release, predicate=PREDICATE, signer=key, holder="x", signed_at=now.replace(tzinfo=None))


@pytest.mark.parametrize(
    "extra", [{"a\\b": b""}, {"a:b": b""}, {"DATA.CSV": b""}, {"a ": b""}, {"\udcff": b""}], ids=ascii
)
def test_signing_refuses_file_names_that_verifying_would_refuse(tmp_path, key, make_release, extra):
    with pytest.raises(OutputError, match="the path"):
        make_release(tmp_path / "r", key, extra=extra)


def test_signing_keeps_the_mode_of_the_report_and_leaves_no_temporary_files(tmp_path, key, make_release, now):
    release = make_release(tmp_path / "r", key)
    (release / "report.html").chmod(0o640)
    sign_folder(release, predicate=PREDICATE, signer=key, holder="x", signed_at=now)
    assert (release / "report.html").stat().st_mode & 0o777 == 0o640
    assert sorted(str(p.relative_to(release)) for p in release.rglob("*") if p.is_file()) == ALL_FILES


def test_the_private_key_is_nowhere_in_the_release(release):
    secret = bytes(range(32))
    names = [name for name in ALL_FILES if name != "model/weights.bin"]  # which counts from 0 on purpose
    for data in [(release / name).read_bytes() for name in names] + [read_envelope(release).payload]:
        assert secret not in data
        assert secret.hex().encode() not in data


def test_a_link_swapped_in_after_the_listing_is_not_opened(release, keyring, now, tmp_path, monkeypatch):
    listing = list_tree(release)
    (release / "data.csv").rename(tmp_path / "moved.csv")
    (release / "data.csv").symlink_to(tmp_path / "moved.csv")
    monkeypatch.setattr("privsynth.signing.verification.list_tree", lambda _: listing)
    with pytest.raises(VerificationError, match=r"data\.csv cannot be read"):
        verify_folder(release, [keyring], now)


def test_a_signed_hint_with_the_id_of_another_key_is_refused(release, keyring, key, other_key, now):
    statement = read_statement(release)
    signer = {**statement.predicate["signer"], "keyid": other_key.public.keyid}
    resign(release, key, Statement(statement.subjects, {**statement.predicate, "signer": signer}))
    with pytest.raises(VerificationError, match="lacks a part"):
        verify_folder(release, [keyring], now)
