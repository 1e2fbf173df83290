"""Synthetic rows as delimited text, as the source's files are written."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from privsynth.schema.source_format import SourceFormat


def write_texts(frames: Iterable[pd.DataFrame], path: Path, source_format: SourceFormat) -> None:
    """Write frames of texts one after the other into a file, below one header.

    Raises:
      OSError: the disk is full or failing.
    """
    dialect: dict[str, Any] = {
        "sep": source_format.delimiter,
        "quoting": csv.QUOTE_ALL if source_format.quote_all else csv.QUOTE_MINIMAL,
    }
    with path.open("w", encoding="utf-8", newline="") as file:
        for number, frame in enumerate(frames):
            frame.to_csv(file, index=False, header=number == 0, lineterminator="\n", **dialect)
