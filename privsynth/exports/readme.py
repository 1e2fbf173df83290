"""README.txt: what a stranger reads first."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

from privsynth.exports.facts import DataFile, ReleaseFacts
from privsynth.exports.sentences import GOOD_FOR, NOT_FOR, SYNTHETIC, ZEROS, how_to_verify, promise, size
from privsynth.report.charts.svg import clean

WIDTH = 80  # characters a line (own): fits a terminal and a mail
NO_RECORD = (
    "There is no record for catalogues that take DCAT-AP or HealthDCAT-AP: who makes a release gets one by declaring "
    "'catalogue' in the schema."
)
SHOWN = 8  # names in an example (own): a line


def readme(facts: ReleaseFacts, files: Iterable[tuple[str, str]]) -> str:
    """Return the text.

    Args:
      files: path -> what it is, in the order in which they are listed.
    """
    title = f"{facts.report.dataset}: a synthetic copy"
    parts = [
        f"{clean(title)}\n{'=' * len(clean(title))}",
        _wrapped(SYNTHETIC),
        _wrapped(f"{size(facts)}. Made by privsynth {facts.report.tool_version} at {facts.report.created}."),
        _wrapped(f"Signed by: {facts.signer}."),
        _heading("The promise"),
        _wrapped(promise(facts)),
        _heading("How to open it"),
        _opening(facts),
        _heading("What it is good for"),
        _bullets(GOOD_FOR),
        _heading("What it is not for"),
        _bullets(NOT_FOR),
        _heading("How to check that nothing was changed"),
        _wrapped(how_to_verify()),
        _heading("What is in this folder"),
        _files(files),
    ]
    if facts.steward is None:
        parts.append(_wrapped(NO_RECORD))
    return "\n\n".join(parts) + "\n"


def _opening(facts: ReleaseFacts) -> str:
    parts, first = [], facts.data[0]
    texts = [entry.name for entry in facts.entries if entry.record.digits and entry.table == first.table]
    parts.append("In Python:\n\n    import pandas as pd\n" + "\n".join(_reading(f, facts) for f in facts.data))
    parts.append(_wrapped("In R, for Parquet: arrow::read_parquet(). In DuckDB: SELECT * FROM 'FILE'."))
    parts.append(_wrapped(ZEROS + (f" Here: {', '.join(texts[:SHOWN])}." if texts else "")))
    if any(not file.is_text for file in facts.data):
        parts.append(_wrapped("Parquet files keep the types. They matter when you save them as CSV, or open that."))
    return "\n\n".join(parts)


def _reading(file: DataFile, facts: ReleaseFacts) -> str:
    name = file.table or "rows"
    variable = name if name.isidentifier() else "rows"
    if not file.is_text:
        return f"    {variable} = pd.read_parquet({file.path!r})"
    digits = [entry.name for entry in facts.entries if entry.record.digits and entry.table == file.table]
    more = "" if file.delimiter == "," else f", sep={file.delimiter!r}"
    if digits:
        more += f", dtype={dict.fromkeys(digits[:SHOWN], 'string')!r}"
    return clean(f"    {variable} = pd.read_csv({file.path!r}{more})")


def _files(files: Iterable[tuple[str, str]]) -> str:
    return "\n".join(
        f"{clean(path)}\n{textwrap.fill(what, WIDTH, initial_indent='    ', subsequent_indent='    ')}"
        for path, what in files
    )


def _heading(text: str) -> str:
    return f"{text}\n{'-' * len(text)}"


def _wrapped(text: str) -> str:
    return textwrap.fill(clean(text), WIDTH, break_long_words=False, break_on_hyphens=False)


def _bullets(items: Iterable[str]) -> str:
    return "\n".join(textwrap.fill(item, WIDTH, initial_indent="- ", subsequent_indent="  ") for item in items)
