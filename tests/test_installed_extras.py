"""What a recipient does needs only the packages of its extra: all others are blocked, in a fresh interpreter."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from saved_models import save_model

from privsynth.cli import COMMANDS
from privsynth.generators.registry import GENERATORS
from privsynth.signing.keyring import KeyEntry, Keyring
from privsynth.signing.keys import SigningKey
from privsynth.signing.release import EMPTY_ELEMENT, sign_folder

ROOT = Path(__file__).parent.parent
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
MODULES = {
    "pyyaml": "yaml", "scikit-learn": "sklearn", "dp-accounting": "dp_accounting", "argon2-cffi": "argon2",
    "python-multipart": "python_multipart",
}  # fmt: skip

BLOCK = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in BLOCKED:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Block())
"""


def modules(extra: str) -> set[str]:
    """Return the top-level modules that an extra brings."""
    names = (re.split(r"[<>=\[]", line)[0] for line in EXTRAS[extra] if not line.startswith("privsynth"))
    return {MODULES.get(name, name) for name in names}


KEY = SigningKey(Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
WITHOUT_SYNTHESIZE = modules("synthesize") | modules("sdv")
WITHOUT_ANY = WITHOUT_SYNTHESIZE | modules("sample") | modules("service")


def python(code: str, blocked: set[str], *args: str) -> subprocess.CompletedProcess[str]:
    """Run code in a fresh interpreter in which some modules cannot be imported."""
    code = f"BLOCKED = {sorted(blocked)!r}\n{BLOCK}\n{code}"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run([sys.executable, "-c", code, *args], env=environment, capture_output=True, text=True)


def command_line(blocked: set[str], *args: str) -> subprocess.CompletedProcess[str]:
    return python("from privsynth.cli import main; main()", blocked, *args)


def test_the_block_blocks():
    assert {"torch", "scipy", "sklearn", "opacus", "sqlalchemy", "dp_accounting"} <= WITHOUT_SYNTHESIZE
    assert {"numpy", "pandas", "pyarrow", "yaml"} <= WITHOUT_ANY
    assert "No module named 'numpy'" in python("import numpy.linalg", {"numpy"}).stderr


@pytest.fixture
def keyring(tmp_path) -> Path:
    """Return a new keyring with the key that `sign` signs with."""
    path = tmp_path / "keyring.json"
    Keyring(keys=(KeyEntry.for_key(KEY.public, holder="Data office", not_before=NOW),)).save(path)
    return path


def sign(folder: Path) -> None:
    (folder / "report.html").write_text(f"<!doctype html><p>{EMPTY_ELEMENT}</p>", encoding="utf-8")
    predicate = {"kind": "public", "dataset": "admissions", "created": "2026-11-22T09:30:00Z"}
    sign_folder(folder, predicate=predicate, signer=KEY, holder="Data office", signed_at=NOW)


def test_verifying_needs_no_extra(tmp_path, keyring):
    folder = tmp_path / "public"
    folder.mkdir()
    sign(folder)
    for path in (folder, folder / "report.html"):
        done = command_line(WITHOUT_ANY, "verify", str(path), "--keyring", str(keyring))
        assert done.returncode == 0, done.stderr
        assert "verifies" in done.stdout
        code = "import sys, privsynth; print(privsynth.verify(*sys.argv[1:]).holder)"
        assert python(code, WITHOUT_ANY, str(path), str(keyring)).stdout == "Data office\n"


TYPED = {
    "synthesize": ["a.csv", "--unit", "row", "--epsilon", "1", "--out", "out"],
    "plan": ["a.csv", "--unit", "row", "--epsilon", "1"],
    "audit": ["--real", "a.csv", "--synthetic", "a.csv", "--out", "out"],
    "sample": ["model", "--out", "out"],
    "impute": ["model", "--input", "a.csv", "--out", "out.csv"],
    "schema": ["init", "a.csv"],
    "generators": [],
    "benchmark": ["a.csv", "--out", "out"],
    "serve": [],
}


@pytest.mark.parametrize("name", TYPED)
def test_a_command_without_its_extra_says_what_to_install(name):
    done = command_line(WITHOUT_ANY, name, *TYPED[name])
    assert done.returncode == 2, done.stderr
    assert f'python -m pip install "privsynth[{COMMANDS[name].extra}]"' in done.stderr
    assert done.stderr.count("\n") == 1


def test_writing_into_a_database_without_its_extra_says_what_to_install():
    call = "privsynth.sample('m', to='x.db')"
    code = f"import privsynth\ntry: {call}\nexcept privsynth.MissingPackageError as error: print(error)"
    done = python(code, WITHOUT_SYNTHESIZE)
    assert 'python -m pip install "privsynth[database]"' in done.stdout, done.stderr


@pytest.mark.parametrize(
    ("call", "extra"),
    [
        ("privsynth.synthesize('a.csv', epsilon=1, unit='row', out='o')", "synthesize"),
        ("privsynth.plan('a.csv', epsilon=1, unit='row')", "synthesize"),
        ("privsynth.audit_table(real='a.csv', synthetic='a.csv', out='o')", "synthesize"),
        ("privsynth.sample('m', out='o')", "sample"),
        ("privsynth.Release.open('r')", "sample"),
        ("privsynth.SyntheticModel", "sample"),
    ],
)
def test_the_library_without_an_extra_says_what_to_install(call, extra):
    code = f"import privsynth\ntry: {call}\nexcept privsynth.MissingPackageError as error: print(error)"
    done = python(code, WITHOUT_ANY)
    assert f'python -m pip install "privsynth[{extra}]"' in done.stdout, done.stderr


OPEN = """
import sys, privsynth
release = privsynth.Release.open(sys.argv[1])
rows = release.sample(300, seed=7, given=["age >= 40"], balance="ward")
assert len(rows) == 300 and rows["age"].min() >= 40, rows
print(release.epsilon, len(release.data()), release.schema().dataset, release.verify(sys.argv[2]).holder)
"""


@pytest.mark.parametrize("name", [name for name, info in GENERATORS.items() if info.private])
def test_reading_and_sampling_a_release_needs_the_extra_sample_only(name, tmp_path, keyring):
    public = tmp_path / "public"
    (public / "model").mkdir(parents=True)
    save_model(name, public / "model")
    promise = {"epsilon": 1.5, "delta": 1e-6, "unit": "row"}
    report = json.dumps({"dataset": "admissions", "guarantee": promise, "findings": []})
    (public / "report.json").write_text(report, encoding="utf-8")
    (public / "schema.yaml").write_text("dataset: admissions\ncolumns: {age: {kind: integer}}\n", encoding="utf-8")
    options = ["--rows", "250", "--seed", "3", "--out", str(public / "data")]
    drawn = command_line(WITHOUT_SYNTHESIZE, "sample", str(public / "model"), *options)
    assert drawn.returncode == 0, drawn.stderr
    sign(public)
    read = python(OPEN, WITHOUT_SYNTHESIZE, str(public), str(keyring))
    assert read.stdout == "1.5 250 admissions Data office\n", read.stderr
