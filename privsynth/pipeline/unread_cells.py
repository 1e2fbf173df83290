"""What the officer and the operator must know of texts that did not decode: that they are missing, and what to try."""

from __future__ import annotations

from privsynth.findings.finding import Finding

# Of files that are not UTF-8 most are of Windows; where Latin-1 and its cousins differ from cp1252, they have controls.
PROPOSED = "cp1252 (western Europe), cp1250 (central Europe), cp1251 (Cyrillic), shift_jis or gb18030"


def undecodable(count: int, n_cells: int, *, encoding: str | None, is_text_file: bool) -> list[Finding]:
    """Return a finding for the officer if cells did not decode, else none. Exact: it is never public.

    Args:
      count: cells whose bytes the encoding does not know; they are missing.
      n_cells: of the table.
      encoding: the one that was asked for; None took a byte order mark or UTF-8.
      is_text_file: an encoding can be chosen for the source.
    """
    if not count:
        return []
    what = f"{count:,} cells hold bytes that are not {encoding or 'UTF-8'}, and are missing from all that was learned."
    advice = f"If the file was written in another encoding, say so with the option encoding: {PROPOSED}."
    return [
        Finding(
            family="alarms",
            name="undecodable_cells",
            value=count / max(n_cells, count),
            n=n_cells,
            visibility="officer",
            better="lower",
            verdict="review",
            threshold="any cell that does not decode: the release was made as if it were missing (own)",
            meaning=f"{what} {advice}" if is_text_file else f"{what} Correct them at their source.",
            detail={"count": count},
        )
    ]
