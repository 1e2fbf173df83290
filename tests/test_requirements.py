"""The files of tested versions fit what the package asks for, and say nothing of the machine that wrote them."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
FILES = sorted((ROOT / "requirements").glob("*.txt"))
EXTRAS = {
    "verify": [],
    "sample": ["sample"],
    "synthesize": ["synthesize"],
    "service": ["service"],
    "dev": ["dev", "sdv"],
}


def asked(extras: list[str]) -> list[Requirement]:
    """Return what privsynth with these extras asks for, torch left out: it has a file of its own."""
    found = [Requirement(line) for line in PROJECT["dependencies"]]
    for extra in extras:
        for needed in map(Requirement, PROJECT["optional-dependencies"][extra]):
            found += asked(list(needed.extras)) if needed.name == "privsynth" else [needed]
    return [needed for needed in found if needed.name != "torch"]


def pinned(path: Path) -> dict[str, str]:
    """Return name -> version of every package of a file, each of which must have hashes."""
    text = path.read_text(encoding="utf-8").replace("\\\n", " ")
    versions = {}
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        found = re.fullmatch(r"([a-z0-9-]+)==(\S+)(?: +;[^#]*?)?((?: +--hash=sha256:[0-9a-f]{64})+)", line)
        assert found, line[:80]
        versions[found.group(1)] = found.group(2)
    return versions


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_package_has_one_version_with_hashes_and_no_address(path):
    assert pinned(path)
    assert not re.search(r"https?:|file:|--index|--find-links|@|(?<!\w)/\w", path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", EXTRAS)
def test_the_tested_versions_are_those_that_an_extra_may_have(name):
    versions = pinned(ROOT / "requirements" / f"{name}.txt")
    for needed in asked(EXTRAS[name]):
        assert needed.specifier.contains(versions[canonical(needed.name)]), needed


def test_the_files_agree_with_each_other():
    every = pinned(ROOT / "requirements" / "dev.txt")
    for name in ("verify", "sample", "synthesize", "service"):
        assert pinned(ROOT / "requirements" / f"{name}.txt").items() <= every.items()


def test_torch_is_the_one_that_make_and_the_readme_install():
    version = pinned(ROOT / "requirements" / "torch.txt")["torch"]
    assert f"TORCH = torch=={version}\n" in (ROOT / "Makefile").read_text(encoding="utf-8")
    assert f"pip install torch=={version}\n" in (ROOT / "README.md").read_text(encoding="utf-8")
