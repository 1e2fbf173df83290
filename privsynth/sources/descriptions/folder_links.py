"""Links of the tables of a folder, from the description that lies beside them: one of three kinds, the first found.

* `datapackage.json`: the foreign keys of a data package (Frictionless Table Schema,
  https://specs.frictionlessdata.io/table-schema/#foreign-keys).
* `*.odcs.yaml`: the relationships of a data contract (Open Data Contract Standard 3.1,
  https://bitol-io.github.io/open-data-contract-standard).
* `metadata.json` of SDV. It is mostly detected from rows, so that what it says is a proposal.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from privsynth.errors import SourceError
from privsynth.sources.header_checks import refuse_unreadable
from privsynth.sources.linked import Link
from privsynth.strict.yaml import loads

PACKAGE, SDV, CONTRACTS = "datapackage.json", "metadata.json", ("*.odcs.yaml", "*.odcs.yml")
MAX_BYTES = 4 << 20  # of a description (own): some thousand columns


def folder_links(folder: Path, files: Mapping[str, Path]) -> tuple[list[Link], str]:
    """Return the links between tables by the names of their files, and the name of the file that states them.

    Raises:
      SourceError: a description cannot be read.
    """
    contracts = sorted(path for pattern in CONTRACTS for path in folder.glob(pattern))
    for path, what, read in (
        (folder / PACKAGE, "data package", _of_package),
        *((path, "data contract", _of_contract) for path in contracts),
        (folder / SDV, "metadata of SDV", _of_sdv),
    ):
        if path.exists():
            links = _read(path, what, read, files)
            if links:
                return links, path.name
    return [], ""


def _read(
    path: Path, what: str, read: Callable[[Any, Mapping[str, Path]], Iterator[Link]], files: Mapping[str, Path]
) -> list[Link]:
    refuse_unreadable(path)
    if path.stat().st_size > MAX_BYTES:
        raise SourceError(f"{path} is too large for a description of tables; leave it out")
    none = SourceError(f"{path} is no {what}; correct it, or leave it out")
    try:
        raw = path.read_bytes()
        data = json.loads(raw) if path.suffix == ".json" else loads(raw, what=str(path), error=SourceError).value
        return list(read(data, files))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise none from None


def _of_package(data: Any, files: Mapping[str, Path]) -> Iterator[Link]:
    by_file = {path.name: name for name, path in files.items()}
    resources = data["resources"]
    table = {str(one["name"]): by_file.get(_path(one["path"]), "") for one in resources}
    for resource in resources:
        child, schema = str(resource["name"]), resource.get("schema")
        for key in schema.get("foreignKeys", []) if isinstance(schema, dict) else []:
            parent = str(key["reference"].get("resource") or child)  # "" is the table itself
            if table[child] and table.get(parent):
                there = _columns(key["reference"]["fields"])
                yield Link(table[child], _columns(key["fields"]), table[parent], there)


def _path(path: Any) -> str:
    return str(path[0] if isinstance(path, list) else path).removeprefix("./")


def _columns(fields: Any) -> tuple[str, ...]:
    return (fields,) if isinstance(fields, str) else tuple(str(field) for field in fields)


def _of_sdv(data: Any, files: Mapping[str, Path]) -> Iterator[Link]:
    if not isinstance(data, dict) or "METADATA_SPEC_VERSION" not in data:
        return  # many a file has this name
    for one in data.get("relationships", []):
        child, parent = str(one["child_table_name"]), str(one["parent_table_name"])
        if child in files and parent in files:
            columns, there = _columns(one["child_foreign_key"]), _columns(one["parent_primary_key"])
            yield Link(child, columns, parent, there, proposed=True)


def _of_contract(data: Any, files: Mapping[str, Path]) -> Iterator[Link]:
    """Yield the relationships of a contract, on a property or on the whole object; ends are written `table.column`."""
    table: dict[str, str] = {}
    for one in data["schema"]:
        names = [str(one.get(key)) for key in ("physicalName", "name") if one.get(key)]
        table |= dict.fromkeys(names, next((name for name in names if name in files), ""))
    for one in data["schema"]:
        stated = [(relation["from"], relation["to"]) for relation in one.get("relationships", [])]
        for column in one.get("properties", []):
            own = f"{one['name']}.{column['name']}"
            stated += [(own, relation["to"]) for relation in column.get("relationships", [])]
        for ends in stated:
            (child, columns), (parent, there) = (_end(end) for end in ends)
            if table.get(child) and table.get(parent):
                yield Link(table[child], columns, table[parent], there)


def _end(end: Any) -> tuple[str, tuple[str, ...]]:
    """Return the table and the columns of one end of a relationship; no table for an end that is written otherwise."""
    parts = [column.rpartition(".") for column in _columns(end)]
    tables = {table for table, _, _ in parts}
    return (tables.pop() if len(tables) == 1 else ""), tuple(column for _, _, column in parts)
