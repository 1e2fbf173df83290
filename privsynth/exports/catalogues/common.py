"""What the descriptions share: how they are written, and how they name a release, its tool and its conditions."""

from __future__ import annotations

import json
import uuid
from typing import Any

from privsynth.exports.facts import DataFile, ReleaseFacts
from privsynth.exports.sentences import NOT_FOR, SYNTHETIC, promise, size

TERMS = "pkg:generic/privsynth#"  # namespace of the facts for which no standard has a name
PARQUET = "application/x-parquet"  # as Croissant's examples name it; IANA has no shorter name
CSV = "text/csv"


def to_text(description: dict[str, Any]) -> str:
    """Return the same text for the same description: keys sorted, two spaces, a newline at the end.

    It is ASCII: a name keeps every character, and none of them moves or hides text on a terminal.
    """
    return json.dumps(description, indent=2, sort_keys=True, allow_nan=False) + "\n"


def release_id(facts: ReleaseFacts) -> uuid.UUID:
    """Return the same identifier for the same release: a name-based UUID (RFC 9562, version 5) of public facts."""
    report = facts.report
    name = [report.dataset, report.report_id, report.created, *(file.sha256 for file in facts.data)]
    return uuid.uuid5(uuid.NAMESPACE_OID, json.dumps(name))


def tool_id(facts: ReleaseFacts) -> str:
    """Return the package URL of the tool, with its version."""
    return f"pkg:generic/privsynth@{facts.report.tool_version}"


def description(facts: ReleaseFacts) -> str:
    """Return what the release is, in a paragraph."""
    return f"{SYNTHETIC} {size(facts)}. {promise(facts)}"


def media_type(file: DataFile) -> str:
    """Return the media type of a file of rows."""
    return CSV if file.is_text else PARQUET


def what_it_is(file: DataFile) -> str:
    """Return what a file of rows is, in a sentence."""
    what = "Reference table, public and passed through unchanged" if file.reference else "Synthetic rows"
    cells = f"; cells are separated by {file.delimiter!r}" if file.is_text and file.delimiter != "," else ""
    return f"{what}: {file.rows:,} rows{cells}."


def conditions(facts: ReleaseFacts) -> str:
    """Return what a recipient may and must not do: what the policy says to each, and what no synthetic copy is for."""
    said = [f"Not {text}" for text in NOT_FOR]
    for terms in facts.report.recipients:
        said += [f"{terms.name} may: {text}." for text in terms.may]
        said += [f"{terms.name} must not: {text}." for text in terms.must_not]
    return " ".join(said)


def privacy_facts(facts: ReleaseFacts) -> dict[str, float | str]:
    """Return the guarantee in figures: epsilon and delta, whom it protects, and at most how many rows of each."""
    g = facts.guarantee
    found: dict[str, float | str] = {
        "epsilon": g.epsilon,
        "delta": g.delta,
        "unit": g.unit,
        "neighbours": g.neighbours,
        "accountant": g.accountant,
    }
    return found | ({} if g.max_rows_per_unit is None else {"maxRowsPerUnit": g.max_rows_per_unit})
