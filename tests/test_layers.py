"""Imports run one way; this table is the architecture diagram."""

from __future__ import annotations

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "privsynth"
BASE = {"errors", "_validate", "notebook", "randomness", "threads"}
DATA = BASE | {"schema", "table"}
MAY_IMPORT = {
    "errors": set(),
    "notebook": set(),
    "threads": set(),
    "interrupts": set(),
    "extras": {"errors"},
    "_validate": {"errors"},
    "randomness": {"errors", "_validate"},
    "schema": BASE,
    "table": BASE | {"schema"},
    "workspace": {"errors", "_validate"},
    "privacy": BASE | {"workspace"},  # numbers and bytes, never tables
    "signing": BASE | {"workspace"},
    "ingestion": DATA | {"workspace"},
    "encoding": DATA | {"privacy"},
    "generators": DATA | {"privacy", "encoding"},
    "audit": DATA | {"privacy", "encoding", "generators", "workspace"},
    "policy": BASE | {"audit"},  # findings only: a verdict cannot come from a row
    "report": BASE | {"schema", "privacy", "audit", "policy"},  # no raw row can reach the page by import
    "pipeline": DATA
    | {
        "interrupts",
        "workspace",
        "privacy",
        "signing",
        "ingestion",
        "encoding",
        "generators",
        "audit",
        "policy",
        "report",
    },
    "benchmark": DATA
    | {"workspace", "privacy", "signing", "ingestion", "encoding", "generators", "audit", "report", "pipeline"},
    "api": DATA
    | {
        "extras",
        "workspace",
        "privacy",
        "signing",
        "ingestion",
        "encoding",
        "generators",
        "audit",
        "report",
        "pipeline",
    },
    "service": DATA | {"workspace", "privacy", "signing", "ingestion", "audit", "pipeline"},
    "cli": DATA
    | {
        "extras",
        "interrupts",
        "workspace",
        "privacy",
        "signing",
        "ingestion",
        "generators",
        "audit",
        "policy",
        "report",
        "pipeline",
        "benchmark",
    },
}
FRONT = {"__init__", "__main__"}  # the front door opens every room


def imports(path: Path) -> set[str]:
    """Return the parts of privsynth that a file imports, also inside functions."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: import from privsynth, not from dots"
            names |= {str(node.module)} | {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return {name.split(".")[1] for name in names if name.startswith("privsynth.")} & MAY_IMPORT.keys()


def parts() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def test_the_table_has_no_cycle():
    TopologicalSorter(MAY_IMPORT).prepare()


def test_every_part_has_a_row():
    found = {path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in parts()}
    assert found - FRONT <= MAY_IMPORT.keys(), "give the new part a row in the table"


@pytest.mark.parametrize("path", parts(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_run_one_way(path):
    here = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if here not in FRONT:
        assert imports(path) - {here} <= MAY_IMPORT[here]


def test_a_report_knows_of_findings_only():
    """Of the audit report and policy may import what a finding is, and nothing that computes one from rows."""
    for path in sorted([*(PACKAGE / "report").rglob("*.py"), *(PACKAGE / "policy").rglob("*.py")]):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            for name in names:
                if name.startswith("privsynth.audit"):
                    assert name == "privsynth.audit.finding", path.name


HEAVY = ("torch", "pandas", "sklearn", "opacus", "pyarrow", "sdv")


@pytest.mark.parametrize("module", ["privsynth", "privsynth.cli", "privsynth.signing", "privsynth.schema"])
def test_light_parts_do_not_load_heavy_ones(module):
    """In a fresh interpreter: what a reader of `--help` or a checker of signatures has to wait for."""
    code = f"import sys, {module}; print(*(m for m in {HEAVY!r} if m in sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PACKAGE.parent, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.split() == []
