"""The tools, as plain functions: what goes in is checked as if an attacker had written it, since one may have."""

from __future__ import annotations

import io
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from privsynth.errors import ConfigError, InputError, SchemaError, SourceError, UnknownSigner, VerificationError
from privsynth.notebook import checks_text, promise_text
from privsynth.release.folder import Release
from privsynth.signing.keyring import Keyring
from privsynth.signing.verification import Expected, VerificationResult, verify_folder

if TYPE_CHECKING:
    import pandas as pd

MOST_ROWS = 1_000  # of one answer (own): more belong into a file, which `privsynth sample` writes
MOST_FINDINGS = 20  # of one answer (own), the worst first; report.html has all
MOST_COLUMNS = 2_000  # of a plan (own)
MOST_YAML = 1_000_000  # characters of a schema (own)
_WORST_FIRST = ("fail", "review", "insufficient", "info", "pass")


@dataclass(frozen=True)
class Shelf:
    """The public releases in some folders.

    Attributes:
      folders: nothing outside them is opened, not by a link either.
      keyrings: whose signatures count.
    """

    folders: tuple[Path, ...]
    keyrings: tuple[Keyring, ...] = ()

    def __post_init__(self) -> None:
        for folder in self.folders:
            if not folder.is_dir():
                raise ConfigError(f"{folder} is no folder")

    def releases(self) -> list[str]:
        """Return the public folders of releases, relative to the folder that holds them."""
        found: list[str] = []
        for top in (folder.resolve() for folder in self.folders):
            for report in sorted(top.rglob("report.json")):
                name = str(report.parent.relative_to(top)) or "."
                try:
                    self.open(name)
                except InputError:
                    continue
                found.append(name)
        return list(dict.fromkeys(found))

    def open(self, name: str) -> Release:
        """Return a public release.

        Raises:
          SourceError: there is none of that name in the folders, or it is an officer's.
        """
        for top in (folder.resolve() for folder in self.folders):
            try:
                here = (top / name).resolve()
                if here.is_relative_to(top) and here.is_dir():
                    here = here / "public" if (here / "public").is_dir() else here
                    return _public(here.resolve(), top)
            except (OSError, ValueError):  # a name too long, or with a null byte
                continue
        raise SourceError("there is no such release in the folders that this server was given; ask for the list")


def _public(folder: Path, top: Path) -> Release:
    if not folder.is_relative_to(top):
        raise SourceError("this leads out of the folders that this server was given")
    release = Release.open(folder)
    if release.folder.resolve() != folder or release.report.get("kind") != "public":
        raise SourceError("this is an officer's part, or no release: only public parts are read here")
    return release


def check(shelf: Shelf, name: str) -> dict[str, Any]:
    """Return who signed a release, or why it cannot be relied on."""
    return _checked(shelf, shelf.open(name))


def _checked(shelf: Shelf, release: Release) -> dict[str, Any]:
    try:
        found = verify_folder(release.folder, list(shelf.keyrings), datetime.now(UTC), Expected("public"))
    except UnknownSigner as problem:
        return {"verified": False, "intact": True, "why": str(problem)}
    except VerificationError as problem:
        return {"verified": False, "intact": False, "why": str(problem)}
    return {"verified": True, "intact": True, **_signature(found)}


def _signature(found: VerificationResult) -> dict[str, Any]:
    return {
        "signer": found.holder, "key": found.keyid, "dataset": found.dataset,
        "signed_at": found.signed_at.isoformat(),
    }  # fmt: skip


def explain(shelf: Shelf, name: str) -> dict[str, Any]:
    """Return what a release promises, what was found wrong with its rows, worst first, and what it may be used for.

    Only what the public report says; `signature` tells whether it can be relied on.
    """
    release = shelf.open(name)
    report = release.report
    most = report["guarantee"].get("max_rows_per_unit")
    findings = sorted(release.findings, key=_rank)
    usable = report.get("usability") or {}
    return {
        "dataset": release.dataset,
        "signature": _checked(shelf, release),
        "promise": promise_text(release.epsilon, release.delta, release.unit, most),
        "synthetic_rows": report.get("n_rows_synthetic"),
        "checks": checks_text(release.findings),
        "worst_findings": [_finding(one) for one in findings[:MOST_FINDINGS]],
        "further_findings": max(0, len(findings) - MOST_FINDINGS),
        "usable": {key: usable.get(key) for key in ("resolved", "coarse", "lost", "kept", "missed")},
        "hidden_by_noise": usable.get("hidden_pairs", [])[:MOST_FINDINGS],
        "hazards": [{key: one.get(key) for key in ("name", "status", "residual")} for one in report.get("hazards", [])],
        "left_to_people": "Whether the release may be used for a purpose is for the people named in it to decide.",
    }


def _rank(finding: dict[str, Any]) -> int:
    verdict = finding.get("verdict")
    return _WORST_FIRST.index(verdict) if verdict in _WORST_FIRST else len(_WORST_FIRST)


def _finding(one: dict[str, Any]) -> dict[str, Any]:
    return {key: one.get(key) for key in ("name", "group", "verdict", "value", "low", "high", "meaning", "threshold")}


def draw(shelf: Shelf, name: str, rows: int, given: Sequence[str] = ()) -> dict[str, Any]:
    """Return synthetic rows of a release's model as CSV; it costs no budget, as everybody may draw them.

    Raises:
      ConfigError: more rows than an answer holds, or a condition that cannot be read.
    """
    if not 1 <= rows <= MOST_ROWS:
        raise ConfigError(f"rows must lie between 1 and {MOST_ROWS:,}; `privsynth sample` writes more into a file")
    release = shelf.open(name)
    with redirect_stdout(io.StringIO()):  # the protocol owns this process's stdout
        if release.is_linked:
            tables = release.sample_tables(rows, given=given)
            return {"synthetic": True, "tables": {key: _csv(frame.head(MOST_ROWS)) for key, frame in tables.items()}}
        return {"synthetic": True, "rows": _csv(release.sample(rows, given=given))}


def _csv(frame: pd.DataFrame) -> str:
    return str(frame.to_csv(index=False))


def ask(shelf: Shelf, name: str, question: str) -> dict[str, Any]:
    """Return figures about the real rows from the noisy tables that a release paid for, with their intervals.

    Raises:
      ConfigError: the question cannot be read, or no paid table holds the answer.
    """
    from privsynth.release.noisy.answer import answer

    return answer(shelf.open(name).folder, question).to_json()


def outlook(columns: Sequence[str], schema: str, epsilon: float, expect_rows: int | None = None) -> dict[str, Any]:
    """Return what a release of a table with such columns would cost and resolve; no table is opened.

    Args:
      schema: YAML as in docs/schema.md, with `dataset`, `unit` and, unless each row is a unit, `max_rows_per_unit`.
    Raises:
      InputError: the schema is wrong, or does not fit the columns.
    """
    import pandas as pd

    from privsynth.pipeline.config import SynthesizeConfig
    from privsynth.pipeline.plan import plan
    from privsynth.schema.definition import Schema
    from privsynth.schema.files import validated
    from privsynth.strict.yaml import loads

    if not 1 <= len(columns) <= MOST_COLUMNS or len(schema) > MOST_YAML:
        raise ConfigError(f"give the names of 1 to {MOST_COLUMNS:,} columns, and a schema")
    data = loads(schema.encode(), what="the schema", error=SchemaError).value
    if not isinstance(data, dict) or "tables" in data:
        raise SchemaError("give the schema of one table, with keys such as 'unit' and 'columns'")
    # Not by way of a file: a hierarchy that names one is refused, and nothing on this machine is opened.
    declared = validated(Schema, data, "the schema")
    header = pd.DataFrame({name: pd.Series([], dtype=str) for name in columns})
    config = SynthesizeConfig(
        source=header, out=Path("plan"), epsilon=epsilon, schema=declared, dataset=declared.dataset or "plan",
        expect_rows=expect_rows,
    )  # fmt: skip
    return plan(config).to_json()
