"""A release beside the last one of its dataset: what was spent, promised, made, judged and measured."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from privsynth.errors import VerificationError
from privsynth.findings.families import families
from privsynth.service.context import Service
from privsynth.service.decisions.release import draft_of
from privsynth.service.store.runs import RunRow
from privsynth.signing._files import MAX_MANIFEST_BYTES, digest_file, parse_manifest, read_limited
from privsynth.signing.checks.promise import read_report

UNKNOWN = "not known"


class ComparedRow(NamedTuple):
    """One fact of both releases, as texts."""

    what: str
    now: str
    before: str


def compared(service: Service, run: RunRow, earlier: RunRow) -> list[ComparedRow]:
    """Return what can be compared of two releases, from reports whose bytes are those that their runs made.

    The figures are those of the officer's reports: for who may read these.
    """
    mine, other = ([_report(service, one, part) for part in ("public", "officer")] for one in (run, earlier))
    rows = [ComparedRow(what, *(_text(side[0], *path) for side in (mine, other))) for what, path in _FACTS]
    rows += [
        ComparedRow(f"Findings: {verdict}", *(_count(side[1], verdict) for side in (mine, other)))
        for verdict in ("fail", "review", "insufficient")
    ]
    linked = any(report is not None and report.get("tables") for report in (mine[1], other[1]))
    for family in families(linked=linked).values():
        for name in family.telling:
            row = ComparedRow(
                f"{family.title}: {name.replace('_', ' ')}", *(_figure(side[1], name) for side in (mine, other))
            )
            if (row.now, row.before) != (UNKNOWN, UNKNOWN):
                rows.append(row)
    return rows


_FACTS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Epsilon", ("guarantee", "epsilon")),
    ("Delta", ("guarantee", "delta")),
    ("Unit", ("guarantee", "unit")),
    ("Rows used of a unit, at most", ("guarantee", "max_rows_per_unit")),
    ("Rows of the table, with noise", ("guarantee", "n_rows_noisy")),
    ("Synthetic rows", ("n_rows_synthetic",)),
    ("Generator", ("generator", "name")),
)


def report_of(folder: Path, manifest: str | None) -> Mapping[str, Any] | None:
    """Return the report in a part of a release, if its bytes are those that the manifest of this digest lists."""
    try:
        if manifest is None or digest_file(folder / "manifest.json").sha256 != manifest:
            return None
        listed = parse_manifest(read_limited(folder / "manifest.json", MAX_MANIFEST_BYTES))
        found = read_report(folder / "report.json", listed["report.json"].sha256)
    except (OSError, KeyError, VerificationError):
        return None
    return found if isinstance(found, Mapping) else None


def _report(service: Service, run: RunRow, part: str) -> Mapping[str, Any] | None:
    return report_of(draft_of(service, run.id) / part, run.manifest if part == "public" else run.officer_manifest)


def _text(report: Mapping[str, Any] | None, *path: str) -> str:
    found: Any = report
    for name in path:
        found = found.get(name) if isinstance(found, Mapping) else None
    return UNKNOWN if found is None else _number(found)


def _count(report: Mapping[str, Any] | None, verdict: str) -> str:
    findings = None if report is None else report.get("findings")
    if not isinstance(findings, list):
        return UNKNOWN
    return str(sum(isinstance(one, Mapping) and one.get("verdict") == verdict for one in findings))


def _figure(report: Mapping[str, Any] | None, name: str) -> str:
    """Return the figure of a metric about the whole release, which its officer's finding has; else the public one's."""
    findings = None if report is None else report.get("findings")
    if not isinstance(findings, list):
        return UNKNOWN
    told = [one for one in findings if isinstance(one, Mapping) and one.get("name") == name and not one.get("group")]
    told.sort(key=lambda one: one.get("visibility") != "officer")
    value = next((one.get("value") for one in told if one.get("value") is not None), None)
    return UNKNOWN if value is None else _number(value)


def _number(value: Any) -> str:
    return f"{value:,.4g}" if isinstance(value, float) else f"{value:,}" if type(value) is int else str(value)
