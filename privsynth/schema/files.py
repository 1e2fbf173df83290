"""Schema files: our YAML, and SDV's metadata JSON, which can be given instead."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError

from privsynth.errors import SchemaError, meant
from privsynth.hierarchies import Hierarchy, read_csv, written
from privsynth.schema.definition import Schema
from privsynth.strict.complaints import in_plain_words
from privsynth.strict.yaml import loads as read_yaml

SchemaOfAnyKind = TypeVar("SchemaOfAnyKind", bound=BaseModel)
EXACT = 2**53  # below it a double is a whole number exactly
MAX_BYTES = 32 << 20  # of a schema file (own): 2,000 columns with categories take a few MiB

# SDV's sdtypes -> our kinds. Everything that SDV counts as personal (email, phone_number, …) is an identifier here.
_SDTYPES = {
    "categorical": "categorical",
    "boolean": "boolean",
    "numerical": "numeric",
    "datetime": "datetime",
    "id": "id",
    "text": "text",
}


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object, in which a key may stand only once: which of two is meant, nobody can know."""
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise SchemaError(f"the schema holds the key '{twice}' twice; take one away")
    return found


def _json(raw: bytes, path: Path) -> Any:
    try:
        return json.loads(raw.decode("utf-8-sig"), object_pairs_hook=_unique)
    except UnicodeDecodeError:
        raise SchemaError(f"the schema {path} is not UTF-8 text") from None
    except json.JSONDecodeError as error:
        raise SchemaError(f"{path} is not valid JSON (line {error.lineno})") from None
    except (RecursionError, ValueError):  # ValueError: of an integer of thousands of digits
        raise SchemaError(f"{path} is not valid JSON") from None


def load_schema(path: Path, *, sdv_is_declared: bool = False) -> Schema:
    """Return the schema of a YAML file, or of an SDV metadata JSON file.

    Args:
      path: of the file.
      sdv_is_declared: SDV metadata came from a code book. Otherwise its columns are marked `observed`: SDV's usual way
        to make it is to detect it from the rows, and one row can flip what it says.

    Raises:
      SchemaError: the file is missing, is no schema, or says something that cannot be; with the place.
    """
    data = read_schema_file(path)
    if isinstance(data, dict) and ("METADATA_SPEC_VERSION" in data or "tables" in data):
        data = from_sdv(data, declared=sdv_is_declared)
    return schema_from(data, str(path), folder=path.parent)


def read_schema_file(path: Path) -> Any:
    """Return what a YAML or JSON file of a schema holds, parsed and not yet checked.

    Raises:
      SchemaError: it cannot be read, is too large, or is no YAML or JSON.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise SchemaError(f"{path} is too large for a schema")
        raw = path.read_bytes()
    except OSError as error:
        raise SchemaError(f"the schema {path} cannot be read: {error.strerror}") from None
    return _json(raw, path) if path.suffix == ".json" else read_yaml(raw, what=str(path), error=SchemaError).value


def schema_from(data: Any, where: str, *, folder: Path = Path()) -> Schema:
    """Return a validated schema from parsed data.

    Args:
      folder: where the files of hierarchies are looked for.

    Raises:
      SchemaError: with the place and the reason, each on a line of its own.
    """
    if not isinstance(data, dict):
        raise SchemaError(f"{where} is no schema: it must hold keys such as 'unit' and 'columns'")
    data = with_books(data, where, folder)
    return validated(Schema, data, where)


def validated(kind: type[SchemaOfAnyKind], data: dict[str, Any], where: str) -> SchemaOfAnyKind:
    """Return a schema of a kind from parsed data.

    Raises:
      SchemaError: with the place and the reason.
    """
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        reasons = [_reason(item, kind) for item in error.errors(include_url=False)[:5]]
        raise SchemaError(f"{where} is not a valid schema: " + "; ".join(reasons)) from None
    except ValueError as error:
        raise SchemaError(f"{where} is not a valid schema: {error}") from None


def with_books(data: dict[str, Any], where: str, folder: Path) -> dict[str, Any]:
    """Return the data with hierarchies read from the files that it names, so that the schema holds all it says."""
    columns = data.get("columns")
    if not isinstance(columns, dict):
        return data
    read = dict(columns)
    for name, column in columns.items():
        book = column.get("hierarchy") if isinstance(column, dict) else None
        if isinstance(book, dict) and book.keys() == {"file"} and isinstance(book["file"], str):
            try:
                read[name] = {**column, "hierarchy": _read_book(folder / book["file"])}
            except ValueError as error:
                raise SchemaError(f"{where} is not a valid schema: columns → {name} → hierarchy: {error}") from None
    return {**data, "columns": read}


def _read_book(path: Path) -> Hierarchy:
    """Return the hierarchy of a file.

    Raises:
      ValueError: it cannot be read.
    """
    try:
        raw = path.read_bytes() if path.stat().st_size <= MAX_BYTES else None
    except (OSError, ValueError) as error:  # ValueError: of a name that no file can have
        raise ValueError(f"the file {path} cannot be read: {getattr(error, 'strerror', 'no file name')}") from None
    if raw is None:
        raise ValueError(f"the file {path} is too large for a code book")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(f"the file {path} is not UTF-8 text") from None
    return written("the hierarchy", *read_csv(text))


def _reason(item: Any, kind: type[BaseModel]) -> str:
    """Return what is wrong with a schema of a kind, and where, as a sentence; from an error of its validation."""
    place = " → ".join(str(part) for part in item["loc"])
    if item["type"] == "extra_forbidden":
        return (
            f"'{place}' is not a key that a schema knows{meant(str(item['loc'][-1]), _keys_beside(kind, item['loc']))}"
        )
    if item["type"] == "missing":
        return f"'{place}' is missing"
    if item["type"] == "literal_error":
        return f"{place} is not one that a schema knows; {in_plain_words(item)}"
    return f"{place}: {in_plain_words(item)}" if place else in_plain_words(item)


def _keys_beside(kind: type[BaseModel], place: Sequence[str | int]) -> list[str]:
    """Return the keys that a part of a schema can have, by the place of one that it cannot have."""
    found: type[BaseModel] | None = kind
    for part in place[:-1]:
        field = None if found is None else found.model_fields.get(str(part))
        if field is not None:
            found = next(_models_in(field.annotation), found)
    return [] if found is None else list(found.model_fields)


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yield the models that an annotation names, such as that of the values of a mapping."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models_in(inner)


def from_sdv(data: dict[str, Any], *, declared: bool = False) -> dict[str, Any]:
    """Return schema data from SDV metadata (V1 of SDV 1 and 2, one table). Needs no SDV.

    Args:
      data: the metadata, parsed.
      declared: it came from a code book; otherwise every column is marked `observed`.

    Raises:
      SchemaError: it describes several tables, or none.
    """
    if "tables" in data:
        if not isinstance(data["tables"], dict) or len(data["tables"]) != 1:
            raise SchemaError("the SDV metadata must describe exactly one table")
        ((name, table),) = data["tables"].items()
    else:
        name, table = None, data
    columns: dict[str, Any] = {}
    if not isinstance(table, dict) or not isinstance(table.get("columns"), dict):
        raise SchemaError("the SDV metadata has no columns")
    for column, facts in table["columns"].items():
        sdtype = facts.get("sdtype") if isinstance(facts, dict) else None
        kind = _SDTYPES.get(str(sdtype), "id")
        found: dict[str, Any] = {"kind": None if sdtype == "unknown" else kind}
        if kind == "datetime" and facts.get("datetime_format"):
            found["format"] = facts["datetime_format"]
        if kind == "numeric" and str(facts.get("computer_representation", "")).startswith(("Int", "UInt")):
            found["kind"] = "integer"
        if kind == "id":
            found["roles"] = ["identifier"]
        # That a kind is unknown was seen in the rows as well; but it is bought, and nothing is said.
        columns[column] = found if declared or sdtype == "unknown" else found | {"observed": True}
    return {"columns": columns} | ({"dataset": name} if name else {})


def dump_schema(schema: Schema, *, comment: str = "", notes: Mapping[str, str] | None = None) -> str:
    """Return canonical YAML of a schema: defaults left out, order kept, times as ISO text.

    Args:
      comment: lines that stand above it.
      notes: column -> a line that stands as a comment above the column.
    """
    data = with_whole_numbers(schema.model_dump(mode="json", exclude_defaults=True))
    if schema.columns:
        data["columns"] = {
            name: with_whole_numbers(column.model_dump(mode="json", exclude_defaults=True))
            for name, column in schema.columns.items()
        }
    head = "".join(f"# {line}\n" if line else "#\n" for line in comment.splitlines())
    text = yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=110)
    return head + (with_notes(text, list(schema.columns), notes) if notes else text)


def with_whole_numbers(data: Any) -> Any:
    """Return parsed data with whole numbers written as such: a bound is 0 and not 0.0."""
    if isinstance(data, dict):
        return {key: with_whole_numbers(value) for key, value in data.items()}
    if isinstance(data, list):
        return [with_whole_numbers(value) for value in data]
    return int(data) if isinstance(data, float) and data.is_integer() and abs(data) < EXACT else data


def with_notes(text: str, names: Sequence[str], notes: Mapping[str, str]) -> str:
    """Return the YAML of a schema of one table with a comment above some of its columns, which are all named."""
    lines = text.splitlines(keepends=True)
    at = lines.index("columns:\n") + 1
    found = lines[:at]
    left = iter(names)
    for i, line in enumerate(lines[at:], start=at):
        if not line.startswith("  "):
            return "".join([*found, *lines[i:]])
        is_column = not line.startswith(("   ", "  - ", "  : "))
        note = notes.get(next(left, "")) if is_column else None
        found += [f"  # {note}\n"] if note else []
        found.append(line)
    return "".join(found)
