"""A model of linked tables on disk: `linked.json`, and the numbers of each table in a file of its own."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from privsynth.codecs.columns import SurrogateCodec, codec_from_json, codec_to_json
from privsynth.codecs.encoded_table import RowsPerUnit
from privsynth.codecs.loaded import MAX_NAME, Malformed, items, number, only, require, text, whole
from privsynth.codecs.table import MAX_ROWS, TableCodec
from privsynth.errors import ConfigError, SourceError
from privsynth.generators.registry import FittedGenerator, restore_generator
from privsynth.sampling.linked.by_place import FirstRows, FittedByPlace
from privsynth.sampling.linked.draw import draw_linked
from privsynth.sampling.linked.kept_shares import MOST_WEIGHT
from privsynth.sampling.linked.model import (
    LinkedModel,
    TableModel,
    first_rows,
    given_attributes,
    reference_column,
)
from privsynth.sampling.origin import Origin
from privsynth.sampling.synthetic_model import MAX_JSON_BYTES, MAX_TENSOR_BYTES
from privsynth.schema.definition import MAX_COLUMNS, MAX_RULES
from privsynth.schema.linked import LinkedSchema
from privsynth.schema.linked.definition import MAX_TABLES
from privsynth.schema.linked.keys import MAX_PARTS
from privsynth.schema.source_format import SourceFormat

FORMAT = 2  # of linked.json; a change that older versions would misread takes the next number
LINKED_JSON = "linked.json"
_ROWS = {"classes", "shares", "most_used"}  # the fields of the numbers of rows: all classes are told apart
_MOST_DEMANDS = 16 * MAX_RULES  # of a table's rules (own): a rule of more conditions is hard to read
_TRIED_PERSONS = 8  # drawn when a model is loaded, to see that it works (own)


def save_linked(model: LinkedModel, folder: Path) -> list[str]:
    """Write a model into an existing folder and return the names of its files.

    Raises:
      OSError: the disk is full or failing.
    """
    from safetensors.numpy import save

    for name, table in model.models.items():
        arrays = {key: np.ascontiguousarray(array) for key, array in table.fitted.tensors().items()}
        (folder / f"{name}.safetensors").write_bytes(save(arrays))
    data = {
        "format": FORMAT,
        "dataset": model.dataset,
        "n_persons": model.n_persons,
        **({} if model.origin is None else {"origin": model.origin.to_json()}),
        "schema": model.schema.model_dump(mode="json", exclude_defaults=True),
        "tables": {name: _table_to_json(table) for name, table in model.models.items()},
    }
    written = json.dumps(data, ensure_ascii=False, allow_nan=False, indent=1)
    (folder / LINKED_JSON).write_text(written + "\n", encoding="utf-8")
    return [LINKED_JSON, *(f"{name}.safetensors" for name in model.models)]


def _table_to_json(table: TableModel) -> dict[str, Any]:
    per_unit, fitted = table.rows_per_unit, table.fitted
    return {
        "generator": fitted.later.name if isinstance(fitted, FittedByPlace) else fitted.name,
        "settings": fitted.settings(),
        "codec": table.codec.to_json(),
        "columns": list(table.columns),
        "keys": [codec_to_json(codec) for codec in table.keys.values()],
        "source_format": table.source_format.model_dump(mode="json", exclude_defaults=True),
        **({} if per_unit is None else {"rows_of_person": per_unit.to_json()}),
        **({"weights": list(table.weights)} if table.weights else {}),
    }


def is_linked(folder: Path) -> bool:
    """Return whether a folder holds a model of linked tables."""
    return (folder / LINKED_JSON).is_file()


def linked_digest(folder: Path) -> str:
    """Return the SHA-256 of a saved model, in hex: of each table's numbers by name, then of linked.json.

    Raises:
      OSError: a file cannot be read.
    """
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.safetensors")):
        digest.update(path.read_bytes())
    digest.update((folder / LINKED_JSON).read_bytes())
    return digest.hexdigest()


def load_linked(folder: Path) -> LinkedModel:
    """Return the model that `save_linked` wrote, from a folder that may come from anybody.

    Its content is checked, and a few persons are drawn, so that a model that cannot be sampled is found here.

    Raises:
      SourceError: the folder holds no such model, one of another format, or one that is malformed or too big.
    """
    try:
        model = _read(folder)
        draw_linked(model, _TRIED_PERSONS, seed=0)
        return model
    except SourceError:
        raise
    except Malformed as error:
        raise SourceError(f"{folder} holds a model that is malformed: {error}; ask for a fresh copy") from error
    except ConfigError as error:  # its sentences quote nothing of the file
        raise SourceError(f"{folder} holds a model that cannot be restored here: {error}") from error
    except Exception as error:  # whatever a hostile file makes a library raise: one sentence, without a quotation
        raise SourceError(
            f"{folder} holds a model that cannot be read ({type(error).__name__}); ask for a fresh copy"
        ) from error


def _read(folder: Path) -> LinkedModel:
    from safetensors.numpy import load_file

    data = json.loads(_limited(folder / LINKED_JSON, MAX_JSON_BYTES).read_text(encoding="utf-8"))
    require(isinstance(data, dict), f"{LINKED_JSON} is no object")
    if data.get("format") != FORMAT:
        raise SourceError(f"{folder} holds a model of another format; this version reads format {FORMAT}")
    try:
        schema = LinkedSchema.model_validate(data["schema"])
    except ValidationError:
        raise Malformed("its schema is none") from None
    tables = data["tables"]
    require(isinstance(tables, dict) and len(tables) <= MAX_TABLES, "its tables are none")
    require(set(tables) == set(schema.modelled), "its tables are not those of its schema")
    models: dict[str, TableModel] = {}
    for name in schema.modelled:
        tensors = load_file(_limited(folder / f"{name}.safetensors", MAX_TENSOR_BYTES))
        models[name] = _table(schema, name, tables[name], tensors, models)
    return LinkedModel(
        schema,
        models,
        whole(data["n_persons"], 1, MAX_ROWS, "the number of persons"),
        text(data["dataset"], "the name of the dataset", at_most=MAX_NAME),
        Origin.from_json(data["origin"]) if "origin" in data else None,
    )


def _table(
    schema: LinkedSchema, name: str, data: Any, tensors: Mapping[str, np.ndarray], above: Mapping[str, TableModel]
) -> TableModel:
    fields = {"generator", "settings", "codec", "columns", "keys", "source_format", "rows_of_person", "weights"}
    found = only(data, fields, "a table", optional=frozenset({"rows_of_person", "weights"}))
    codec = TableCodec.from_json(found["codec"])
    several = schema.tables[name].parent is not None and schema.tables[name].max_children > 1
    require(several == ("rows_of_person" in found), "a table lacks the numbers of rows")
    per_unit = RowsPerUnit.from_json(only(found["rows_of_person"], _ROWS, "the numbers of rows")) if several else None
    codecs = {**{n: model.codec for n, model in above.items()}, name: codec}
    given = given_attributes(schema, name, codecs)
    sizes = [a.size for a in codec.attributes] + [g.attribute.size for g in given]
    sizes += [] if per_unit is None else [len(per_unit.classes) + 1]
    require(found["settings"]["sizes"] == sizes, "the generator and the columns have different numbers of codes")
    keys = [codec_from_json(item) for item in items(found["keys"], "the keys", at_most=MAX_PARTS)]
    columns = [text(c, "a column", at_most=MAX_NAME) for c in items(found["columns"], "columns", at_most=MAX_COLUMNS)]
    of_keys = {key.name: key for key in keys if isinstance(key, SurrogateCodec)}
    require(set(columns) <= {*codec.by_name, *schema.links(name)}, "a column is not there")
    missing = {reference_column(schema, name, one) for one in schema.tables[name].refers_to} - set(codec.by_name)
    require(not missing, "a table lacks what its references are told by")
    require(set(of_keys) == set(schema.surrogates(name)), "a key is no column of identifiers")
    return TableModel(
        codec,
        _fitted(found, tensors, first_rows(schema, name, codec, given, sizes) if several else None),
        per_unit,
        tuple(columns),
        of_keys,
        SourceFormat.model_validate(found["source_format"]),
        tuple(
            number(w, 0.0, MOST_WEIGHT, "a weight")
            for w in items(found.get("weights", []), "the weights", at_most=_MOST_DEMANDS)
        ),
    )


def _fitted(found: Mapping[str, Any], tensors: Mapping[str, np.ndarray], rows: FirstRows | None) -> FittedGenerator:
    """Return the model of all rows; or those of first and of later rows.

    Args:
      rows: what first rows have, where there may be later ones.
    """
    if rows is None or "first" not in found["settings"]:
        return restore_generator(found["generator"], tensors, found["settings"], package="")
    settings, both = only(found["settings"], {"sizes", "share", "first", "later"}, "the settings of two models"), []
    for which, sizes in (("first", [rows.sizes[a] for a in rows.kept]), ("later", list(rows.sizes))):
        require(settings[which]["sizes"] == sizes, "the generator and the columns have different numbers of codes")
        own = {key.removeprefix(f"{which}."): a for key, a in tensors.items() if key.startswith(f"{which}.")}
        both.append(restore_generator(found["generator"], own, settings[which], package=""))
    return FittedByPlace(both[0], both[1], rows, number(settings["share"], 0.0, 1.0, "the share of first rows"))


def _limited(path: Path, limit: int) -> Path:
    if not path.is_file():  # a pipe would never end
        raise SourceError(f"{path.parent} holds no whole model of linked tables: it lacks {path.name}")
    if path.stat().st_size > limit:
        raise SourceError(f"{path.parent} holds a {path.name} beyond {limit >> 20:,} MiB, more than any model takes")
    return path
