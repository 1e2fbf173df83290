"""What an installation gets: a wheel, built from the source distribution, with its templates and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import privsynth

ROOT = Path(__file__).parent.parent

pytestmark = pytest.mark.slow


def build(target: str, source: Path, folder: Path) -> Path:
    """Build a distribution of `source` without a network and return its file."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(folder)]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (made,) = [path for path in folder.iterdir() if path.suffix == {"sdist": ".gz", "wheel": ".whl"}[target]]
    return made


@pytest.fixture(scope="module")
def sdist(tmp_path_factory) -> Path:
    """Return the source distribution, unpacked."""
    packed = build("sdist", ROOT, tmp_path_factory.mktemp("sdist"))
    folder = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(packed) as archive:
        archive.extractall(folder, filter="data")
    (top,) = folder.iterdir()
    return top


@pytest.fixture(scope="module")
def wheel(sdist, tmp_path_factory) -> zipfile.ZipFile:
    """Return the wheel that is built from the source distribution."""
    return zipfile.ZipFile(build("wheel", sdist, tmp_path_factory.mktemp("wheel")))


def test_the_wheel_holds_the_package_and_nothing_beside_it(wheel):
    tops = {name.split("/")[0] for name in wheel.namelist()}
    assert tops == {"privsynth", f"privsynth-{privsynth.__version__}.dist-info"}


def test_the_wheel_holds_every_module_of_the_checkout(wheel):
    names = set(wheel.namelist())
    for path in (ROOT / "privsynth").rglob("*.py"):
        assert path.relative_to(ROOT).as_posix() in names
    assert not [name for name in names if name.endswith((".pyc", ".arrow")) or "__pycache__" in name]


def test_the_wheel_holds_templates_and_the_schema_of_the_report(wheel):
    names = set(wheel.namelist())
    templates = {f"privsynth/templates/{path.relative_to(ROOT / 'templates').as_posix()}"
                 for path in (ROOT / "templates").rglob("*") if path.is_file()}  # fmt: skip
    assert "privsynth/templates/report.html" in templates
    assert templates <= names
    assert "privsynth/report/report.schema.json" in names


def test_the_metadata_names_licence_command_and_what_each_extra_needs(wheel):
    info = f"privsynth-{privsynth.__version__}.dist-info"
    metadata = message_from_bytes(wheel.read(f"{info}/METADATA"))
    assert metadata["License-Expression"] == "Apache-2.0"
    assert f"{info}/licenses/LICENSE" in wheel.namelist()
    assert "privsynth = privsynth.cli:main" in wheel.read(f"{info}/entry_points.txt").decode()
    needed = [Requirement(line) for line in metadata.get_all("Requires-Dist") or []]
    assert {r.name for r in needed if r.marker is None} == {"click", "cryptography", "pydantic"}
    of_extra = {
        extra: {r.name for r in needed if r.marker is not None and r.marker.evaluate({"extra": extra})}
        - {r.name for r in needed if r.marker is None}
        for extra in ("sample", "synthesize", "sdv")
    }
    assert of_extra["sample"] == {"numpy", "pandas", "pyarrow", "pyyaml", "safetensors", "threadpoolctl"}
    assert of_extra["sample"] | {"torch", "opacus"} < of_extra["synthesize"]
    assert of_extra["sdv"] == of_extra["synthesize"] | {"sdv"}


def test_the_source_distribution_holds_what_make_needs(sdist):
    for name in ("Makefile", "requirements/dev.txt", "requirements/sample.txt", "README.md", "CONTRIBUTING.md",
                 "SECURITY.md", "LICENSE", "CHANGELOG.md", "docs/cli.md", "tests/conftest.py",
                 "sample_data/hospital.csv", "sample_data/hospital.schema.yaml", "templates/report.html"):  # fmt: skip
        assert (sdist / name).is_file(), name


def test_the_unpacked_wheel_runs_from_anywhere(wheel, tmp_path):
    site = tmp_path / "site"
    wheel.extractall(site)
    environment = {**os.environ, "PYTHONPATH": str(site)}
    code = "import privsynth; from privsynth.pages.templates import templates_dir; print(privsynth.__file__); " \
           "print(templates_dir())"  # fmt: skip
    for command in (["-c", code], ["-m", "privsynth", "--version"]):
        done = subprocess.run([sys.executable, *command], cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        if command[0] == "-c":
            assert [Path(line).is_relative_to(site) for line in done.stdout.split()] == [True, True]
        else:
            assert done.stdout == f"privsynth {privsynth.__version__}\n"
