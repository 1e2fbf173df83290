"""A run whose key is in a device: tried before anything is spent, and taken out in the middle of it."""

from __future__ import annotations

import shutil

import pytest
from pipeline.admissions import FAST, RELEASED, admissions, run, schema, spent, write
from softhsm import PIN, Token

from privsynth.ledger.ledger import Ledger
from privsynth.pipeline import synthesize as synthesize_module
from privsynth.signing.devices.device_key import DeviceKey


@pytest.fixture
def token(tmp_path, monkeypatch):
    """A token with one key, which is registered as `office`."""
    made = Token(tmp_path / "softhsm")
    monkeypatch.setenv("SOFTHSM2_CONF", str(made.settings))
    monkeypatch.setenv("PRIVSYNTH_PASSPHRASE", PIN)
    made.initialize()
    made.generate(1)
    done = run("keys", "init", "--name", "office", "--holder", "Data office", "--device", made.uri(1))
    assert done.exit_code == 0, done.output
    return made


@pytest.fixture
def job(tmp_path):
    """Run a small release into `out`, signed in the token."""
    table, declared = write(tmp_path, "admissions.csv", admissions()), write(tmp_path, "schema.yaml", schema())
    more = ("--schema", declared, "--epsilon", 1, "--out", tmp_path / "out", "--key", "office", *FAST)
    return lambda: run("synthesize", table, *more)


@pytest.fixture
def taken_out(token, monkeypatch):
    """Have the token taken out when a run has spent, and is about to write."""
    stage = synthesize_module.stage

    def stage_without(*args):
        token.take_out()
        return stage(*args)

    with monkeypatch.context() as patch:
        patch.setattr(synthesize_module, "stage", stage_without)
        yield
    token.put_back()


def test_a_token_that_is_not_there_costs_nothing(token, job, tmp_path, privsynth_home):
    token.take_out()
    refused = job()
    assert refused.exit_code == 2, refused.output
    assert "the token 'Office HSM' is not there" in refused.stderr
    assert not (tmp_path / "out").exists()
    assert Ledger(privsynth_home).accounts() == []


def test_a_wrong_pin_costs_nothing(token, job, monkeypatch, privsynth_home):
    monkeypatch.setenv("PRIVSYNTH_PASSPHRASE", "9999")
    refused = job()
    assert refused.exit_code == 2
    assert "wrong PIN" in refused.stderr
    assert Ledger(privsynth_home).accounts() == []


def test_a_release_whose_token_was_taken_out_is_kept_and_signed_later(token, job, taken_out, tmp_path, privsynth_home):
    assert run("log", "init").exit_code == 0
    failed = job()
    assert failed.exit_code == 2, failed.output
    assert "the token 'Office HSM' is not there" in failed.stderr
    assert "The release is complete and its cost is spent, so it was kept" in failed.stderr
    assert PIN not in failed.output
    assert spent() == {"admissions": 1.0}
    assert Ledger(privsynth_home).history("admissions")[-1].kind == "completed"
    (kept,) = (privsynth_home / "kept").iterdir()
    assert f"privsynth sign {kept} --as NAME" in failed.stderr
    assert "UNSIGNED" in run("verify", kept / "public").stderr

    assert run("sign", kept, "--as", "office").exit_code == 2  # it is still out
    token.put_back()
    signed = run("sign", kept, "--as", "office")
    assert signed.exit_code == 0, signed.output
    assert "1 entries" in signed.output
    verified = run("verify", kept)
    assert verified.exit_code == 0, verified.output
    assert "Signed by   Data office" in verified.output
    assert run("sign", kept, "--as", "office").exit_code == 0  # where it was cut short, it is done again
    assert run("verify", kept).exit_code == 0


def test_a_device_that_does_not_answer_is_stopped_and_the_release_kept(
    token, job, tmp_path, privsynth_home, monkeypatch
):
    def hangs(self, data):
        raise KeyboardInterrupt

    stage = synthesize_module.stage

    def stage_hanging(*args):
        with monkeypatch.context() as patch:
            patch.setattr(DeviceKey, "sign", hangs)
            return stage(*args)

    monkeypatch.setattr(synthesize_module, "stage", stage_hanging)
    stopped = job()
    assert "the signing was stopped. The release is complete" in stopped.stderr
    (kept,) = (privsynth_home / "kept").iterdir()
    assert run("sign", kept, "--as", "office").exit_code == 0
    assert run("verify", kept).exit_code == 0


def test_what_was_changed_meanwhile_is_not_signed(token, job, taken_out, tmp_path, privsynth_home):
    job()
    token.put_back()
    (kept,) = (privsynth_home / "kept").iterdir()
    changes = {
        "schema.yaml": lambda copy: (copy / "public" / "schema.yaml").write_text("columns: {}\n"),
        "more.txt": lambda copy: (copy / "public" / "more.txt").write_text("added"),
        "report.json": lambda copy: (copy / "officer" / "report.json").unlink(),
        "another release": lambda copy: (
            shutil.rmtree(copy / "officer"),
            shutil.copytree(copy / "public", copy / "officer"),
        ),
    }
    for says, change in changes.items():
        copy = tmp_path / "copies" / says
        shutil.copytree(kept, copy)
        change(copy)
        refused = run("sign", copy, "--as", "office")
        assert refused.exit_code == 5, refused.output
        assert says in refused.stderr
        assert run("verify", copy / "public").exit_code == 5

    assert run("keys", "init", "--name", "other", "--no-passphrase").exit_code == 0
    refused = run("sign", kept, "--as", "other")
    assert refused.exit_code == 2
    assert "names another signer" in refused.stderr


def test_a_release_that_was_to_be_unsigned_stays_unsigned(token, tmp_path):
    table, declared = write(tmp_path, "admissions.csv", admissions()), write(tmp_path, "schema.yaml", schema())
    made = run("synthesize", table, "--schema", declared, "--epsilon", 1, "--out", tmp_path / "out", *FAST)
    assert made.exit_code in RELEASED
    assert "names another signer" in run("sign", tmp_path / "out", "--as", "office").stderr
