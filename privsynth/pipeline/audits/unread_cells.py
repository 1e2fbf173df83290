"""Cells that were not read as they were meant, and what the operator can do: exact counts, for the officer alone."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import pyarrow as pa

from privsynth.codecs.parse import COMMA, DATE_ISO, is_text, votes
from privsynth.findings.finding import Finding
from privsynth.partitions.marks import cell_fields
from privsynth.partitions.rows import PrivateRows
from privsynth.schema.definition import NUMERIC_KINDS, Schema

TITLES = {
    "undecodable_cells": "Cells whose text could not be decoded",
    "comma_cells": "Numbers with a comma that could not be read",
}

# Of files that are not UTF-8 most are of Windows; where Latin-1 and its cousins differ from cp1252, they have controls.
PROPOSED = "cp1252 (western Europe), cp1250 (central Europe), cp1251 (Cyrillic), shift_jis or gb18030"
_COMMAS = slice(COMMA, DATE_ISO)  # the votes of numbers with a comma


def undecodable(count: int, n_cells: int, *, encoding: str | None, is_text_file: bool) -> list[Finding]:
    """Return a finding if cells did not decode, else none.

    Args:
      count: cells whose bytes the encoding does not know; they are missing.
      n_cells: of the table.
      encoding: the one that was asked for; None took a byte order mark or UTF-8.
      is_text_file: an encoding can be chosen for the source.
    """
    what = f"{count:,} cells hold bytes that are not {encoding or 'UTF-8'}, and are missing from all that was learned."
    advice = f"If the file was written in another encoding, name it with the option 'encoding': {PROPOSED}."
    meaning = f"{what} {advice}" if is_text_file else f"{what} Correct them at their source."
    return _finding("undecodable_cells", count, n_cells, meaning)


def unread_commas(rows: PrivateRows, schema: Schema) -> dict[str, int]:
    """Return column -> cells with a comma, of columns that are declared numbers without a decimal comma.

    Such cells are missing: as nothing of the column was bought, no vote told its decimal sign.
    """
    names = []
    for field in cell_fields(rows.schema):
        column = schema.column(field.name)
        bought = column.kind == "numeric" and column.precision is None  # by votes, the decimal sign with it
        if column.kind in NUMERIC_KINDS and column.decimal is None and not bought and is_text(field):
            names.append(field.name)
    if not names:
        return {}
    counts = rows.add_up(partial(_commas, names), names)
    return {name: n for name, n in zip(names, counts.tolist(), strict=True) if n}


def _commas(names: Sequence[str], part: pa.Table) -> np.ndarray:
    casts = [np.bincount(votes(part.column(name)), minlength=DATE_ISO) for name in names]
    return np.array([cast[_COMMAS].sum() for cast in casts], dtype=np.int64)


def comma_findings(commas: dict[str, int], n_rows: int) -> list[Finding]:
    """Return a finding if numbers with a comma could not be read, else none.

    Args:
      commas: column -> cells; see `unread_commas`.
    """
    names = ", ".join(f"'{name}'" for name in commas)
    meaning = (
        f"{sum(commas.values()):,} cells of {names} hold a comma, and are missing from all that was learned. If it is "
        'the decimal sign, declare decimal: "," for these columns; if it parts thousands, write them without it.'
    )
    return _finding("comma_cells", sum(commas.values()), n_rows * len(commas), meaning)


def _finding(name: str, count: int, n_cells: int, meaning: str) -> list[Finding]:
    if not count:
        return []
    return [
        Finding(
            family="alarms",
            name=name,
            value=count / max(n_cells, count),
            n=n_cells,
            visibility="officer",
            better="lower",
            verdict="review",
            threshold="any cell that is not read: the release was made as if it were missing (own)",
            meaning=meaning,
            detail={"count": count},
        )
    ]
