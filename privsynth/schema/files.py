"""Schema files: our YAML, and SDV's metadata JSON, which can be given instead."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from privsynth.errors import SchemaError
from privsynth.schema.definition import Schema

MAX_BYTES = 32 << 20

# SDV's sdtypes -> our kinds. Everything that SDV counts as personal (email, phone_number, …) is an identifier here.
_SDTYPES = {
    "categorical": "categorical",
    "boolean": "boolean",
    "numerical": "numeric",
    "datetime": "datetime",
    "id": "id",
    "text": "text",
}


class _UniqueKeys(yaml.SafeLoader):
    """Safe YAML in which a key may stand only once, and yes, no, on and off are texts, as in YAML 1.2: a code book is
    full of them."""

    yaml_implicit_resolvers = {  # noqa: RUF012
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


_UniqueKeys.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)


def _mapping(loader: _UniqueKeys, node: yaml.MappingNode) -> dict[Any, Any]:
    seen = set()
    for key_node, _ in node.value:
        key = loader.construct_object(key_node)
        if key in seen:
            raise SchemaError(f"the schema holds the key '{key}' twice (line {key_node.start_mark.line + 1})")
        seen.add(key)
    return dict(yaml.SafeLoader.construct_mapping(loader, node, deep=True))


_UniqueKeys.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object, in which a key may stand only once: which of two is meant, nobody can know."""
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise SchemaError(f"the schema holds the key '{twice}' twice; take one away")
    return found


def load_schema(path: Path, *, sdv_is_declared: bool = False) -> Schema:
    """Return the schema of a YAML file, or of an SDV metadata JSON file.

    Args:
      path: of the file.
      sdv_is_declared: SDV metadata came from a code book. Otherwise its columns are marked `observed`: SDV's usual way
        to make it is to detect it from the rows, and one row can flip what it says.

    Raises:
      SchemaError: the file is missing, is no schema, or says something that cannot be; with the place.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise SchemaError(f"{path} is too large for a schema")
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise SchemaError(f"the schema {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SchemaError(f"the schema {path} is not UTF-8 text") from None
    try:
        data = (
            json.loads(text, object_pairs_hook=_unique)
            if path.suffix == ".json"
            else yaml.load(text, Loader=_UniqueKeys)
        )
    except json.JSONDecodeError as error:
        raise SchemaError(f"{path} is not valid JSON (line {error.lineno})") from None
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f" (line {mark.line + 1})" if mark is not None else ""
        raise SchemaError(f"{path} is not valid YAML{place}") from None
    except ValueError:  # of a date that YAML recognises by its shape
        raise SchemaError(
            f"{path} holds a date or a number that does not exist, such as 2024-13-01; correct it"
        ) from None
    if isinstance(data, dict) and ("METADATA_SPEC_VERSION" in data or "tables" in data):
        data = from_sdv(data, declared=sdv_is_declared)
    return schema_from(data, str(path))


def schema_from(data: Any, where: str) -> Schema:
    """Return a validated schema from parsed data.

    Raises:
      SchemaError: with the place and the reason, each on a line of its own.
    """
    if not isinstance(data, dict):
        raise SchemaError(f"{where} is no schema: it must hold keys such as 'unit' and 'columns'")
    try:
        return Schema.model_validate(data)
    except ValidationError as error:
        reasons = [_reason(item) for item in error.errors(include_url=False, include_input=False)[:5]]
        raise SchemaError(f"{where} is not a valid schema: " + "; ".join(reasons)) from None
    except ValueError as error:
        raise SchemaError(f"{where} is not a valid schema: {error}") from None


def _reason(item: Any) -> str:
    place = " → ".join(str(part) for part in item["loc"])
    message = str(item["msg"]).removeprefix("Value error, ")
    if item["type"] == "extra_forbidden":
        return f"'{place}' is not a key that a schema knows"
    return f"{place}: {message}" if place else message


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


def dump_schema(schema: Schema, *, comment: str = "") -> str:
    """Return canonical YAML of a schema: defaults left out, order kept, times as ISO text."""
    data = schema.model_dump(mode="json", exclude_defaults=True)
    if schema.columns:
        data["columns"] = {
            name: column.model_dump(mode="json", exclude_defaults=True) for name, column in schema.columns.items()
        }
    head = "".join(f"# {line}\n" if line else "#\n" for line in comment.splitlines())
    return head + yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=110)
