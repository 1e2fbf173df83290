"""What every table of synthetic rows says of itself: in the metadata of Parquet, or in a companion of its CSV file."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from privsynth.codecs.columns import CategoryCodec, ColumnCodec, TimeCodec
from privsynth.codecs.synthetic_rows import SyntheticRows
from privsynth.codecs.written.rows import has_offset, may_be_null
from privsynth.sampling.synthetic_model import SyntheticModel

SYNTHETIC = "SYNTHETIC"
ALTERED = "base rates were altered on purpose: shares in this table are not those of the dataset"
# strptime's directives as CSV on the Web spells them (W3C, Tabular Data Model, section 6.4.4).
_CSVW = {"%d": "dd", "%m": "MM", "%Y": "yyyy", "%H": "HH", "%M": "mm", "%S": "ss"}


@dataclass(frozen=True, kw_only=True)
class Label:
    """The label of synthetic rows.

    Attributes:
      facts: name -> text; the same in Parquet and beside CSV.
    """

    facts: dict[str, str]

    @classmethod
    def of(cls, model: SyntheticModel, digest: str, *, seed: int, altered: str = "") -> Label:
        """Return the label of rows that a model drew.

        Args:
          digest: see `model_digest`.
          altered: a warning, where shares are not those of the model.
        """
        facts = {"label": SYNTHETIC, "dataset": model.dataset, "seed": str(seed), "model_sha256": digest}
        if model.origin is not None:
            origin = model.origin
            facts |= {
                "epsilon": f"{origin.epsilon:g}",
                "delta": f"{origin.delta:g}",
                "unit": origin.unit,
                "max_rows_per_unit": str(origin.max_rows_per_unit),
                "signer": origin.signer or "UNSIGNED",
            }
        return cls(facts=facts | ({"base_rates": altered} if altered else {}))

    def parquet(self) -> dict[str, str]:
        """Return the key-value metadata of a Parquet file."""
        return {f"privsynth.{name}": value for name, value in self.facts.items()}

    def companion(self, rows: SyntheticRows, files: Sequence[str]) -> str:
        """Return the metadata of delimited files, in JSON as the W3C's CSV on the Web has it.

        Args:
          files: their names; where there are several, the metadata is that of all files of their folder.
        """
        table = {"tableSchema": {"columns": [_column(codec, rows) for codec in rows.codec.codecs]}}
        dialect = {"delimiter": rows.source_format.delimiter, "header": True, "encoding": "utf-8"}
        urls = [{"url": name} for name in files]
        found: dict[str, Any] = {
            "@context": "http://www.w3.org/ns/csvw",
            "dc:title": f"{SYNTHETIC} rows of {self.facts['dataset']}",
            "dialect": dialect,
            **table,
            **(urls[0] if len(urls) == 1 else {"tables": urls}),
            "notes": [self.facts],
        }
        return json.dumps(found, indent=1, ensure_ascii=False) + "\n"


def model_digest(folder: Path) -> str:
    """Return the SHA-256 of a saved model, in hex: of model.json and model.safetensors, one after the other.

    Raises:
      OSError: a file cannot be read.
    """
    digest = hashlib.sha256()
    for name in ("model.json", "model.safetensors"):
        digest.update((folder / name).read_bytes())
    return digest.hexdigest()


def companion_name(files: Sequence[str]) -> str:
    """Return the name under which readers of CSV on the Web look for the metadata of files."""
    return f"{files[0]}-metadata.json" if len(files) == 1 else "csv-metadata.json"


def _column(codec: ColumnCodec, rows: SyntheticRows) -> dict[str, Any]:
    """Return the title, the datatype and the necessity of one column."""
    required = not may_be_null(codec, rows.codec.by_name)
    return {"titles": codec.name, "datatype": _datatype(codec, rows), "required": required}


def _datatype(codec: ColumnCodec, rows: SyntheticRows) -> Any:
    if isinstance(codec, CategoryCodec) and codec.boolean:
        return {"base": "boolean", "format": f"{codec.values[1]}|{codec.values[0]}"}
    if isinstance(codec, TimeCodec):
        written = codec.strptime_format
        if set(re.findall("%.", written)) <= _CSVW.keys():
            pattern = re.sub("%.", lambda found: _CSVW[found[0]], written)
            zone = "XXX" if has_offset(codec, rows.source_format) else ""
            clock = bool(set(re.findall("%.", written)) & {"%H", "%M", "%S"})
            return {"base": "datetime" if clock else "date", "format": pattern + zone}
    if codec.family == "number":
        comma = codec.name in rows.source_format.decimal_commas
        return {"base": "decimal", "format": {"decimalChar": ","}} if comma else "number"
    return "string"
