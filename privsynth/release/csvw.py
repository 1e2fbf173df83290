"""What delimited files of synthetic rows are, beside them: the W3C's CSV on the Web, with keys and the label.

Source: W3C, *Metadata Vocabulary for Tabular Data* (2015); times as section 6.4.4 of the *Tabular Data Model* has them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import pyarrow as pa

from privsynth.codecs.columns import CategoryCodec, ColumnCodec, TimeCodec
from privsynth.codecs.synthetic_rows import SyntheticRows
from privsynth.codecs.table import TableCodec
from privsynth.codecs.written.rows import has_offset, may_be_null
from privsynth.release.linked import links_of
from privsynth.sampling.linked.drawn import DrawnTable
from privsynth.sampling.linked.model import LinkedModel
from privsynth.sampling.linked.written import written_keys
from privsynth.schema.source_format import SourceFormat

# strptime's directives as CSV on the Web spells them.
_CSVW = {"%d": "dd", "%m": "MM", "%Y": "yyyy", "%H": "HH", "%M": "mm", "%S": "ss"}
COMPANION = "csv-metadata.json"  # of all files of a folder


def companion_name(files: Sequence[str]) -> str:
    """Return the name under which readers of CSV on the Web look for the metadata of files."""
    return f"{files[0]}-metadata.json" if len(files) == 1 else COMPANION


def companion(rows: SyntheticRows, files: Sequence[str], facts: Mapping[str, str]) -> str:
    """Return the metadata of the delimited files of one table.

    Args:
      files: their names; where there are several, the metadata is that of all files of their folder.
      facts: the label, see `privsynth.release.label`.
    """
    table = {
        "tableSchema": {"columns": [_column(codec, rows.codec, rows.source_format) for codec in rows.codec.codecs]}
    }
    urls = [{"url": name} for name in files]
    return _text(
        facts,
        {"dialect": _dialect(rows.source_format), **table, **(urls[0] if len(urls) == 1 else {"tables": urls})},
    )


def linked_companion(
    model: LinkedModel,
    drawn: Mapping[str, DrawnTable],
    facts: Mapping[str, str],
    references: Mapping[str, pa.Schema] | None = None,
) -> str:
    """Return the metadata of a folder of linked tables, each in a file of its own.

    Args:
      drawn: the rows, of which the types of keys are told.
      references: name of each reference table that lies there too -> its header.
    """
    tables: list[dict[str, Any]] = []
    for name, of_table in model.models.items():
        keys = written_keys(model, name, drawn, seed=0)
        codecs = of_table.visible.by_name
        columns = [
            described(pa.field(column, keys[column].type, nullable=keys[column].null_count > 0))
            if column in keys
            else _column(codecs[column], of_table.visible, of_table.source_format)
            for column in of_table.columns
        ]
        schema = {"columns": columns, **_links(model, name)}
        dialect = _dialect(of_table.source_format)
        tables.append({"url": quote(f"{name}.csv"), "dialect": dialect, "tableSchema": schema})
    for name, header in (references or {}).items():
        schema = {"columns": [described(field) for field in header]}
        table = {"url": quote(f"{name}.csv"), "dialect": _dialect(SourceFormat()), "tableSchema": schema}
        tables.append({**table, "notes": [{"label": "REFERENCE"}]})
    return _text(facts, {"tables": tables})


def arrow_companion(tables: Mapping[str, pa.Schema], facts: Mapping[str, str]) -> str:
    """Return the metadata of a folder of tables that are written as Arrow has them.

    Args:
      tables: name of the file -> names, types and nullability.
    """
    described_ = [
        {"url": quote(url), "tableSchema": {"columns": [described(field) for field in schema]}}
        for url, schema in tables.items()
    ]
    return _text(facts, {"dialect": _dialect(SourceFormat()), "tables": described_})


def _text(facts: Mapping[str, str], content: Mapping[str, Any]) -> str:
    found: dict[str, Any] = {
        "@context": "http://www.w3.org/ns/csvw",
        "dc:title": f"{facts['label']} rows of {facts['dataset']}",
        **content,
        "notes": [dict(facts)],
    }
    return json.dumps(found, indent=1, ensure_ascii=False) + "\n"


def _dialect(source_format: SourceFormat) -> dict[str, Any]:
    return {"delimiter": source_format.delimiter, "header": True, "encoding": "utf-8"}


def _links(model: LinkedModel, name: str) -> dict[str, Any]:
    """Return what a schema says of keys; columns are named there by their titles, as they are in a URL."""
    found: dict[str, Any] = {}
    key = model.schema.tables[name].key
    if key and set(key) <= set(model.models[name].columns):
        found["primaryKey"] = [quote(part) for part in key]
    if links := links_of(model, name):
        found["foreignKeys"] = [
            {
                "columnReference": [quote(column) for column in link.columns],
                "reference": {
                    "resource": quote(f"{link.parent}.csv"),
                    "columnReference": [quote(column) for column in link.parent_columns],
                },
            }
            for link in links
        ]
    return found


def _column(codec: ColumnCodec, table: TableCodec, source_format: SourceFormat) -> dict[str, Any]:
    """Return the title, the datatype and the necessity of one column."""
    required = not may_be_null(codec, table.by_name)
    return {"titles": codec.name, "datatype": _datatype(codec, source_format), "required": required}


def _datatype(codec: ColumnCodec, source_format: SourceFormat) -> Any:
    if isinstance(codec, CategoryCodec) and codec.boolean:
        return {"base": "boolean", "format": f"{codec.values[1]}|{codec.values[0]}"}
    if isinstance(codec, TimeCodec):
        written = codec.strptime_format
        if set(re.findall("%.", written)) <= _CSVW.keys():
            pattern = re.sub("%.", lambda found: _CSVW[found[0]], written)
            zone = "XXX" if has_offset(codec, source_format) else ""
            clock = bool(set(re.findall("%.", written)) & {"%H", "%M", "%S"})
            return {"base": "datetime" if clock else "date", "format": pattern + zone}
    if codec.family == "number":
        comma = codec.name in source_format.decimal_commas
        return {"base": "decimal", "format": {"decimalChar": ","}} if comma else "number"
    return "string"


def described(field: pa.Field) -> dict[str, Any]:
    """Return the title, the datatype and the necessity of a column of Arrow, as Arrow writes it."""
    of = pa.types
    plain = (
        (of.is_boolean, "boolean"), (of.is_integer, "integer"), (of.is_floating, "number"), (of.is_decimal, "decimal"),
        (of.is_date, "date"),
    )  # fmt: skip
    kind = next((name for fits, name in plain if fits(field.type)), "string")
    return {"titles": field.name, "datatype": kind, "required": not field.nullable}
