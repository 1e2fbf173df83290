"""Rooms say what may be seen there: imports run one way, and this table is the architecture diagram.

A row names a room (a folder), or a file of it that stands below the rest of its room, and what it may import besides
itself. What no row allows is forbidden. Three promises rest on it:

* `audit` looks at exact rows and can never buy a public figure: it imports no mechanism.
* `public_figures` and `generators` see encoded rows and mechanisms, never a table.
* `report` and `policy` see findings; no chain of imports leads from them to a table.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "privsynth"
BASE = {"errors", "_validate", "randomness", "parallel", "progress", "notebook", "extensions"}
AUDIT = BASE | {"schema", "stats", "findings"}  # exact rows, and nothing that draws noise or spends
GENERATE = BASE | {"codecs", "privacy", "privacy.accounting"}
RECIPIENT = BASE | {"workspace", "strict", "signing", "schema", "sources", "table", "codecs", "sampling"}
MAY_IMPORT = {
    # what everybody may use
    "errors": set(),
    "progress": set(),
    "parallel": set(),
    "notebook": set(),
    "interrupts": set(),
    "pages.templates": set(),
    "extras": {"errors"},
    "extensions": {"errors"},
    "_validate": {"errors"},
    "randomness": {"errors", "_validate"},
    "strict": {"errors"},
    "workspace": {"errors", "_validate"},
    "logins": set(),
    # descriptions without a row
    "hierarchies": set(),
    "schema": BASE | {"strict", "hierarchies"},
    "signing": BASE | {"extras", "workspace", "strict"},
    "transparency": BASE | {"strict", "signing", "workspace"},
    "approvals": BASE | {"strict", "signing", "transparency", "workspace"},
    "pdf": BASE | {"extras", "pages.templates", "signing"},
    "pages": BASE | {"pages.templates", "signing"},
    "ledger": BASE | {"extras", "logins", "workspace"},
    # the only places where noise is drawn; numbers and bytes, never tables
    "privacy.accounting": BASE,
    "privacy": BASE | {"privacy.accounting"},
    # whole numbers, counted in parts of a table: here, or by workers
    "partitions": BASE | {"extras"},
    # private rows come in
    "table": BASE | {"schema"},
    "sources": BASE | {"extras", "logins", "strict", "schema", "table", "workspace", "partitions"},
    # row by row, nothing learned
    "codecs": BASE | {"extras", "schema", "table", "hierarchies", "partitions"},
    # learned with budget
    "domain": GENERATE | {"schema", "table", "hierarchies", "partitions"},
    "generators": GENERATE,
    "generators.marginal": GENERATE | {"generators"},
    "generators.dpsgd": GENERATE | {"generators", "generators.marginal"},
    "generators.arn": GENERATE | {"generators", "generators.marginal", "generators.dpsgd"},
    "generators.tvae": GENERATE | {"generators", "generators.marginal", "generators.dpsgd"},
    "generators.ctgan": GENERATE | {"generators", "generators.marginal", "generators.dpsgd"},
    "testing": GENERATE | {"generators"},  # the contract that ships
    "public_figures": GENERATE | {"findings", "stats"},
    # a released model, and rows drawn from it
    "sampling": BASE | {"schema", "table", "codecs", "generators"},
    "release": RECIPIENT | {"extras"},
    # exact rows, for the officer
    "stats": BASE | {"privacy.accounting"},
    "wording": {"errors", "strict", "pages.templates"},
    "findings": BASE | {"stats", "wording"},
    "audit.common": AUDIT | {"sampling"},
    "audit.fidelity": AUDIT | {"audit.common"},
    "audit.coverage": AUDIT | {"audit.common"},
    "audit.utility": AUDIT | {"audit.common"},
    "audit.disclosure": AUDIT | {"audit.common"},
    "audit.membership": AUDIT | {"audit.common", "privacy.accounting"},
    "audit.fairness": AUDIT | {"audit.common", "audit.fidelity"},
    "audit.linked": AUDIT
    | {"audit.common", "audit.fidelity", "audit.disclosure", "audit.membership"},
    "audit": AUDIT
    | {"sampling", "audit.common", "audit.fidelity", "audit.coverage", "audit.utility", "audit.disclosure"}
    | {"audit.membership", "audit.fairness", "audit.linked"},
    # findings only: neither a verdict nor a page can come from a row
    "policy": BASE | {"findings", "strict"},
    "report.format_numbers": set(),
    "report.explain_epsilon": {"report.format_numbers"},
    "report.charts": {"report.format_numbers", "report.explain_epsilon"},
    "report": BASE | {"strict"}
    | {"wording", "findings", "policy", "pages.templates"}
    | {"report.charts", "report.format_numbers", "report.explain_epsilon"},
    # of the public report, and what the schema declares for a catalogue
    "exports": BASE
    | {"schema", "wording", "findings", "pages.templates", "report", "report.charts", "report.format_numbers"},
    # of a signed public report and signed decisions alone
    "editions": BASE | {"strict", "wording", "signing", "approvals", "report"},
    # how one comes to stand where recipients find it: copied, signed and entered in the log
    "editions.publishing": BASE | {"signing", "transparency", "workspace", "approvals", "editions"}
    | {"pipeline", "release"},
    # where the rooms meet
    "pipeline": RECIPIENT
    | {"hierarchies", "wording", "partitions"}
    | {"interrupts", "ledger", "privacy", "privacy.accounting", "domain", "generators", "testing"}
    | {"public_figures", "transparency"}
    | {"audit", "audit.common", "audit.disclosure", "audit.linked", "findings", "policy", "report", "release"}
    | {"exports"},
    "benchmark": RECIPIENT
    | {"partitions", "privacy", "generators", "stats", "audit.common", "audit.fidelity", "audit.linked"}
    | {"pipeline", "release"}
    | {"pages.templates", "report", "report.charts", "report.format_numbers"},
    # an institution's acts; then HTTP around them, which sees neither a table nor a mechanism
    "service": RECIPIENT
    | {"logins", "extras", "interrupts", "ledger", "generators", "findings", "policy", "pipeline", "release"}
    | {"hierarchies"}
    | {"approvals", "editions", "editions.publishing", "pages", "transparency"}
    | {"report.explain_epsilon", "report.format_numbers"},
    "service.web": BASE | {"service", "approvals", "pages", "pages.templates"},
    # of public releases, and plans: no ledger, no mechanism, no pipeline but its plan
    "assistants": RECIPIENT | {"extras", "pipeline", "release"},
    "remote": {"errors"},  # a service elsewhere, asked over HTTP
    "cli": RECIPIENT
    | {"remote"}
    | {"assistants", "service", "service.web"}
    | {"extras", "interrupts", "ledger", "generators", "findings", "policy", "pipeline", "release", "benchmark"}
    | {"approvals", "editions.publishing", "pages", "pdf", "transparency"},
    "api": RECIPIENT | {"extras", "ledger", "findings", "policy", "report", "pipeline", "release"},
}  # fmt: skip
FRONT = {"__init__", "__main__"}  # the front door opens every room
MOST_FILES = 12


def room_of(name: str) -> str | None:
    """Return the row of the table that a dotted name below the package belongs to: the longest that fits."""
    parts = name.split(".")
    prefixes = (".".join(parts[:n]) for n in range(len(parts), 0, -1))
    return next((prefix for prefix in prefixes if prefix in MAY_IMPORT), None)


def dotted(path: Path) -> str:
    """Return the name of a file below the package."""
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")


def imports(path: Path) -> set[str]:
    """Return the rooms of privsynth that a file imports, also inside functions."""
    found = (room_of(name) for name in imported_names(path))
    return {room for room in found if room is not None}


def imported_names(path: Path) -> Iterator[str]:
    """Yield what a file imports of the package, below it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: import from privsynth, not from dots"
            names: Iterable[str] = (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            names = (alias.name for alias in node.names)
        else:
            continue
        yield from (name.removeprefix("privsynth.") for name in names if name.startswith("privsynth."))


def parts() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


@cache
def reached_from(room: str) -> frozenset[str]:
    """Return every room that the files of a room lead to, by any chain of imports."""
    seen: set[str] = set()
    todo = [room]
    while todo:
        here = todo.pop()
        if here not in seen:
            seen.add(here)
            todo += {other for path in parts() if room_of(dotted(path)) == here for other in imports(path)}
    return frozenset(seen)


def test_the_table_has_no_cycle():
    TopologicalSorter(MAY_IMPORT).prepare()


def test_the_table_names_rooms_that_exist():
    rooms = {room_of(dotted(path)) for path in parts()}
    assert MAY_IMPORT.keys() <= rooms
    assert set().union(*MAY_IMPORT.values()) <= MAY_IMPORT.keys()


def test_every_part_has_a_row():
    found = {dotted(path) for path in parts() if room_of(dotted(path)) is None}
    assert found <= FRONT | {dotted(PACKAGE / "__init__.py")}, "give the new part a row in the table"


@pytest.mark.parametrize("path", parts(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_run_one_way(path):
    here = room_of(dotted(path))
    if here is not None:
        assert imports(path) - {here} <= MAY_IMPORT[here]


@pytest.mark.parametrize(
    "room", ["report", "report.charts", "exports", "policy", "findings", "stats", "privacy", "ledger"]
)
def test_no_chain_of_imports_leads_to_a_row(room):
    assert not reached_from(room) & {"table", "sources", "codecs", "sampling"}


@pytest.mark.parametrize("room", [room for room in MAY_IMPORT if room.startswith("audit")])
def test_an_audit_buys_nothing(room):
    assert not MAY_IMPORT[room] & {"privacy", "domain", "public_figures", "ledger", "pipeline"}


@pytest.mark.parametrize("room", [room for room in MAY_IMPORT if room.startswith(("generators", "public_figures"))])
def test_what_learns_from_codes_sees_no_table(room):
    assert not MAY_IMPORT[room] & {"table", "sources", "workspace", "schema", "audit.common"}


def test_no_room_is_full():
    counts: dict[Path, int] = {}
    for path in parts():
        if path.name != "__init__.py":
            counts[path.parent] = counts.get(path.parent, 0) + 1
    assert {folder.name: n for folder, n in counts.items() if n > MOST_FILES} == {}


HEAVY = ("torch", "pandas", "sklearn", "opacus", "pyarrow", "sdv")


@pytest.mark.parametrize("module", ["privsynth", "privsynth.cli", "privsynth.signing", "privsynth.schema"])
def test_light_parts_do_not_load_heavy_ones(module):
    """In a fresh interpreter: what a reader of `--help` or a checker of signatures has to wait for."""
    code = f"import sys, {module}; print(*(m for m in {HEAVY!r} if m in sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PACKAGE.parent, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.split() == []
