"""The noise has no seed, the rows have one; and nothing calls out."""

from __future__ import annotations

import json
import os
import random
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from doubles import SeededBits
from leaks.proof import (
    NOW,
    FixedKey,
    Recording,
    Replaying,
    assert_same,
    config,
    files_below,
    plan_of,
    release,
    small_generators,
)
from leaks.world import DECLARED, csv_bytes, ordinary_rows, write_csv

from privsynth.cli import main
from privsynth.generators.registry import GENERATORS
from privsynth.ledger.ledger import Ledger
from privsynth.pipeline.environment import Environment
from privsynth.pipeline.synthesize import synthesize
from privsynth.privacy.budget import Bill
from privsynth.privacy.mechanisms import GaussianMechanisms
from privsynth.schema import Schema

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    small_generators(monkeypatch)


def seeded_run(folder: Path, number: int, mechanisms=GaussianMechanisms, **changes) -> dict[str, bytes]:
    """Run for real with every seed that there is fixed; return the public files."""
    random.seed(1)
    np.random.seed(1)
    torch.manual_seed(1)
    source = write_csv(folder / "table.csv", ordinary_rows())
    env = Environment(
        home=folder / f"home{number}", now=NOW, report_id="run-00000000000000cc", mechanisms=mechanisms, keyed=FixedKey
    )
    synthesize(config(source, folder / f"out{number}", epsilon=4.0, schema=DECLARED, rows=200, **changes), env)
    return files_below(folder / f"out{number}" / "public")


def assert_noise_has_no_seed(one: dict[str, bytes], other: dict[str, bytes]) -> None:
    """Fail if two runs with the same seeds made the same model."""
    for name in ("model/model.safetensors", "model/model.json", "data.parquet", "report.json"):
        assert one[name] != other[name], f"{name} is the same in two runs: the noise can be repeated"
    seeds = {int(json.loads(files["report.json"])["sampling_seed"]) for files in (one, other)}
    assert seeds == {7}


@pytest.mark.parametrize("generator", ["marginal", *(pytest.param(n, marks=pytest.mark.slow)
                                                     for n, info in GENERATORS.items()
                                                     if info.private and n != "marginal")])  # fmt: skip
def test_two_runs_differ_though_every_seed_is_the_same(tmp_path, generator):
    assert_noise_has_no_seed(seeded_run(tmp_path, 1, generator=generator), seeded_run(tmp_path, 2, generator=generator))


def test_the_check_sees_noise_that_has_a_seed(tmp_path):
    runs = [seeded_run(tmp_path, n, lambda bill: GaussianMechanisms(bill, SeededBits(3))) for n in (1, 2)]
    with pytest.raises(AssertionError, match="can be repeated"):
        assert_noise_has_no_seed(*runs)


def test_the_same_answers_and_the_same_seed_give_the_same_bytes_and_another_seed_other_rows(tmp_path):
    source = write_csv(tmp_path / "table.csv", ordinary_rows())
    for number in range(3):
        Ledger(tmp_path / f"home{number}").set_cap("admissions", epsilon=1000, delta=1e-3)
    record = Recording(2)
    first = release(record, config(source, tmp_path / "out0", schema=DECLARED), tmp_path / "home0")
    again = release(Replaying(record), config(source, tmp_path / "out1", schema=DECLARED), tmp_path / "home1")
    assert_same(first, again)
    # The same noise up to the rows; after them, the report asks about the ties that these rows show.
    other = release(Recording(2), config(source, tmp_path / "out2", schema=DECLARED, seed=8), tmp_path / "home2")
    assert other.files["data.parquet"] != first.files["data.parquet"]


SEEDED = """
import random, sys
random.seed(1)
import numpy, torch
numpy.random.seed(1); torch.manual_seed(1)
from pytest import MonkeyPatch
from leaks.proof import small_generators
small_generators(MonkeyPatch(), arn=False)
from privsynth.cli import main
main(sys.argv[1:], prog_name="privsynth")
"""


@pytest.mark.slow
def test_a_fixed_hash_seed_does_not_fix_the_noise(tmp_path):
    source = tmp_path / "table.csv"
    source.write_bytes(csv_bytes(ordinary_rows()))
    models = []
    for number in (1, 2):
        env = {**os.environ, "PRIVSYNTH_HOME": str(tmp_path / f"home{number}"), "PYTHONHASHSEED": "0",
               "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")]), "OMP_NUM_THREADS": "1"}  # fmt: skip
        line = ["synthesize", source, "--unit", "patient", "--max-rows-per-unit", "3", "--epsilon", "4", "--seed", "7",
                "--anyway",
                "--out", tmp_path / f"out{number}", "--audit", "none", "--generator", "marginal"]  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-c", SEEDED, *map(str, line)], env=env, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr.decode()
        models.append((tmp_path / f"out{number}" / "public" / "model" / "model.safetensors").read_bytes())
    assert models[0] != models[1]


@pytest.mark.slow
def test_a_table_keeps_its_answers_whatever_the_order_of_hashing(tmp_path):
    # Sets and dictionaries of texts have another order under another hash seed: none of it may reach what is public.
    script = (
        "import hashlib\n"
        "from pytest import MonkeyPatch\n"
        "from leaks.compare import public_text\n"
        "from leaks.proof import Recording, small_generators\n"
        "small_generators(MonkeyPatch(), arn=False)\n"
        "print(hashlib.sha256(public_text(Recording(4)).text.encode()).hexdigest())\n"
    )
    digests = set()
    for seed in ("1", "2"):
        env = {**os.environ, "PYTHONHASHSEED": seed, "OMP_NUM_THREADS": "1",
               "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}  # fmt: skip
        done = subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
        digests.add(done.stdout)
    assert len(digests) == 1


class Called(BaseException):
    """Something tried to reach the network."""


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*_arguments, **_more):
        raise Called

    for name in ("connect", "connect_ex", "sendto", "bind"):
        monkeypatch.setattr(socket.socket, name, refuse)
    for name in (
        "create_connection",
        "getaddrinfo",
        "gethostbyname",
        "gethostbyname_ex",
        "gethostbyaddr",
        "getnameinfo",
    ):
        monkeypatch.setattr(socket, name, refuse)


def run(*arguments: object) -> str:
    """Run the command line in this process."""
    done = CliRunner().invoke(main, [str(a) for a in arguments])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code in (0, 3), done.output
    return done.output


@pytest.mark.parametrize("generator", ["marginal", *(pytest.param(n, marks=pytest.mark.slow)
                                                     for n, info in GENERATORS.items()
                                                     if info.private and n != "marginal")])  # fmt: skip
def test_the_main_job_and_what_recipients_do_call_nobody(tmp_path, no_network, generator):
    source = write_csv(tmp_path / "table.csv", ordinary_rows())
    run("keys", "init", "--name", "office", "--no-passphrase")
    run("synthesize", source, "--unit", "patient", "--max-rows-per-unit", 3, "--epsilon", 4, "--out", tmp_path / "out",
        "--anyway", "--key", "office", "--generator", generator, "--audit", "standard")  # fmt: skip
    public = tmp_path / "out" / "public"
    run("verify", public)
    run("verify", public / "report.html")
    run("sample", public / "model", "--rows", 50, "--out", tmp_path / "more")
    run("budget", "show")


def test_the_block_is_felt(no_network):
    with pytest.raises(Called):
        socket.create_connection(("127.0.0.1", 9))
    with pytest.raises(Called):
        socket.socket().connect(("127.0.0.1", 9))
    with pytest.raises(Called):
        __import__("urllib.request").request.urlopen("http://127.0.0.1:9/")


def test_a_bill_that_nobody_charged_costs_nothing():
    request = plan_of(
        Schema.model_validate(DECLARED), {}, generator="marginal", unit="patient", k=3, holdout_fraction=0.0
    )  # fmt: skip
    assert Bill(request.plan).epsilon_spent() == 0.0
