"""What a reader is told of a release, and of what is none."""

import json
import os
import shutil

import pytest

from privsynth.errors import ConfigError, InputError, UnknownSigner, VerificationError
from privsynth.signing.release import EMPTY_ELEMENT
from privsynth.signing.verification import Expected, verify_folder, verify_report


def test_a_lone_report(release, keyring, now, tmp_path):
    lone = tmp_path / "from mail.html"
    shutil.copy(release / "report.html", lone)
    verified = verify_report(lone, [keyring], now)
    assert (verified.files, verified.unchecked, verified.holder) == (1, 6, "Data office")
    with pytest.raises(UnknownSigner):
        verify_report(lone, [], now)
    lone.write_bytes(lone.read_bytes().replace(b"end", b"END"))
    for keyrings in ([keyring], []):
        with pytest.raises(VerificationError, match=r"changed: report\.html") as caught:
            verify_report(lone, keyrings, now)
        assert not isinstance(caught.value, UnknownSigner)


def test_a_reader_may_say_what_is_expected(release, keyring, now):
    for expected in (Expected("public"), Expected(dataset="admissions"), Expected("public", "admissions")):
        assert verify_folder(release, [keyring], now, expected).kind == "public"
        assert verify_report(release / "report.html", [keyring], now, expected).dataset == "admissions"
    for expected, sentence in ((Expected("officer"), "of the kind public"), (Expected(dataset="x"), "'admissions'")):
        for check, path in ((verify_folder, release), (verify_report, release / "report.html")):
            for keyrings in ([keyring], []):
                with pytest.raises(VerificationError, match=sentence) as caught:
                    check(path, keyrings, now, expected)
                assert caught.value.exit_code == 5
    with pytest.raises(ConfigError, match="public or officer"):
        Expected("private")


GUARANTEE = {"epsilon": 1.5, "delta": 1e-6, "unit": "patient_id", "max_rows_per_unit": 3}


def test_the_promise_is_read_from_the_signed_report(tmp_path, key, keyring, make_release, now):
    report = json.dumps({"guarantee": GUARANTEE}).encode()
    release = make_release(tmp_path / "r", key, extra={"report.json": report})
    assert verify_folder(release, [keyring], now).to_json()["promise"] == GUARANTEE
    assert verify_report(release / "report.html", [keyring], now).promise is None


@pytest.mark.parametrize(
    "report",
    [
        b"{}",
        b"[]",
        b"\xff",
        b'{"guarantee": null}',
        b'{"guarantee": {"epsilon": 1e999}}',
        *(
            json.dumps({"guarantee": {**GUARANTEE, **wrong}}).encode()
            for wrong in (
                {"epsilon": "1"}, {"epsilon": True}, {"epsilon": 0}, {"delta": 1}, {"delta": -1}, {"delta": None},
                {"unit": 1}, {"unit": ""}, {"max_rows_per_unit": 0}, {"max_rows_per_unit": 1.5},
            )
        ),
    ],
)  # fmt: skip
def test_a_promise_that_cannot_be_read_is_none_and_the_files_verify(tmp_path, key, keyring, make_release, now, report):
    release = make_release(tmp_path / "r", key, extra={"report.json": report})
    assert verify_folder(release, [keyring], now).promise is None


def test_files_that_systems_leave_are_named_as_such_and_still_refused(release, keyring, now):
    (release / "model" / ".DS_Store").write_bytes(b"x")
    (release / "Thumbs.db").write_bytes(b"x")
    with pytest.raises(VerificationError, match=r"added: Thumbs\.db, model/\.DS_Store") as caught:
        verify_folder(release, [keyring], now)
    assert "Delete them, then verify again" in str(caught.value)
    assert "Do not rely on it" not in str(caught.value)
    (release / "data.csv").write_bytes(b"")
    with pytest.raises(VerificationError, match="Do not rely on it"):
        verify_folder(release, [keyring], now)


def test_folders_nested_deeply_are_an_addition(release, keyring, now, monkeypatch):
    monkeypatch.chdir(release)  # one step at a time: the whole path is longer than a system takes
    for _ in range(1_500):
        os.mkdir("d")
        os.chdir("d")
    try:
        with pytest.raises(VerificationError, match="a folder that lies too deep"):
            verify_folder(release, [keyring], now)
    finally:  # by hand: shutil.rmtree recurses
        for _ in range(1_500):
            os.chdir("..")
            os.rmdir("d")


def test_too_many_files_are_not_listed(release, keyring, now, monkeypatch):
    monkeypatch.setattr("privsynth.signing._files.MAX_ENTRIES", 9)  # eight files and a folder
    verify_folder(release, [keyring], now)
    (release / "more").write_bytes(b"")
    with pytest.raises(InputError, match="more than 9"):
        verify_folder(release, [keyring], now)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"PK\x03\x04" + bytes(100), "unpack it"),
        (b"\x1f\x8b" + bytes(100), "unpack it"),
        (b"PAR1" + bytes(70_000_000), "verify the folder"),
        (b"a,b\n1,2\n", "give the folder"),
        (b"", "give the folder"),
    ],
    ids=["zip", "gz", "parquet", "csv", "empty"],
)
def test_a_file_that_is_no_report_gets_a_sentence_that_helps(tmp_path, keyring, now, data, sentence):
    (tmp_path / "file").write_bytes(data)
    with pytest.raises(InputError, match=sentence):
        verify_report(tmp_path / "file", [keyring], now)


def test_a_lone_report_that_was_never_signed(tmp_path, keyring, make_release, now):
    release = make_release(tmp_path / "r", None)
    with pytest.raises(VerificationError, match="UNSIGNED"):
        verify_report(release / "report.html", [keyring], now)
    (release / "report.html").write_text(EMPTY_ELEMENT)
    with pytest.raises(VerificationError, match="envelope"):
        verify_report(release / "report.html", [keyring], now)


def test_nothing_there(tmp_path, keyring, now):
    with pytest.raises(InputError, match="no release"):
        verify_folder(tmp_path / "none", [keyring], now)
    with pytest.raises(InputError, match="no report"):
        verify_report(tmp_path / "none.html", [keyring], now)
    with pytest.raises(VerificationError, match=r"missing: attestation\.dsse\.json"):
        verify_folder(tmp_path, [keyring], now)
