"""The data dictionary: what each column means, can hold, and how that is known."""

from __future__ import annotations

import csv
import io

from privsynth.exports.facts import Entry, ReleaseFacts

HEADER = (
    "table",
    "column",
    "description",
    "type",
    "unit",
    "values",
    "known_how",
    "missing_allowed",
    "roles",
    "hierarchy",
    "treatment",
    "in_files",
)
# Where the domain of a column comes from, in words.
KNOWN_HOW = {
    "declared": "declared by a person",
    "bought": "bought with the privacy budget",
    "fixed": "stated by the source's types, or a default",
    "prior": "known from public data before",
}


def dictionary_csv(facts: ReleaseFacts) -> str:
    """Return the data dictionary as CSV (RFC 4180), one row a column of a table."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(HEADER)
    writer.writerows(dictionary_row(entry) for entry in facts.entries)
    return text.getvalue()


def dictionary_row(entry: Entry) -> tuple[str, ...]:
    """Return what the dictionary says of one column, in the order of `HEADER`."""
    record = entry.record
    return (
        entry.table,
        entry.name,
        record.note,
        record.kind,
        record.unit,
        values_of(entry),
        KNOWN_HOW[record.provenance],
        "yes" if record.nullable else "no",
        ", ".join(record.roles).replace("_", " "),
        record.hierarchy,
        record.treatment,
        "yes" if entry.written else "no",
    )


def values_of(entry: Entry) -> str:
    """Return what a column can hold, in words."""
    record = entry.record
    listed = "; ".join(record.values)
    text = f"{record.domain}: {listed}" if listed and record.kind != "boolean" else record.domain
    return f"{text} (texts of digits: read them as text)" if record.digits else text
