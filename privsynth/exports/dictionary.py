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
    "fixed": "stated by the types of the source",
    "prior": "known from public data before",
}
# A cell that begins with one of these is a formula in spreadsheets.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def dictionary_csv(facts: ReleaseFacts) -> str:
    """Return the data dictionary as CSV (RFC 4180), one row a column of a table; no cell is a formula."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(HEADER)
    writer.writerows([_plain(cell) for cell in dictionary_row(entry)] for entry in facts.entries)
    return text.getvalue()


def _plain(cell: str) -> str:
    """Return a cell that spreadsheets show as it is: an apostrophe stands before what they would compute."""
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


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
