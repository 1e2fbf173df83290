"""`SynthesizeConfig`: what the user asks for, checked before anything is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from privsynth import _validate
from privsynth._validate import in_range
from privsynth.errors import ConfigError, Option, SchemaError, meant
from privsynth.partitions.executors.registry import DEFAULT, executor_of
from privsynth.privacy.budget import DEFAULT_DELTA, Budget
from privsynth.schema.definition import Schema
from privsynth.schema.files import load_schema, schema_from
from privsynth.schema.linked import LinkedSchema, linked_schema
from privsynth.schema.rule_checks import check_rules
from privsynth.sources.protocol import SourceOptions
from privsynth.wording.words import ENGLISH, LANGUAGES

if TYPE_CHECKING:
    import pandas as pd

    from privsynth.release.folder import Release

Format = Literal["parquet", "csv"]
AuditLevel = Literal["quick", "standard", "deep", "none"]

REPORT_SHARE = 0.05  # of a release's μ², for the public figures (own): the model needs the rest


@dataclass(frozen=True, kw_only=True)
class SynthesizeConfig:
    """One run of the main job.

    Attributes:
      source: a path, a database URL or a pandas DataFrame.
      out: the folder that will hold the release; it must not exist.
      unit: the column that names the person or account to protect, or "row"; None takes the schema's.
      epsilon, delta: the total that the release may cost.
      max_rows_per_unit: the most rows of one unit that are used; None takes the schema's.
      schema: a path to a schema file, a `Schema`, a mapping, or None.
      dataset: name in the ledger; None takes the schema's, else the file's stem.
      generator: auto, which is marginal, or the name of a generator.
      holdout_fraction: f, the share of units kept from training for the audit; 0 switches the pool off.
      rows: how many synthetic rows; None takes the released number of rows.
      format: "parquet" or "csv".
      key: name of the signing key; None leaves the release unsigned.
      seed: of the synthetic rows; None draws one. It is printed in the report.
      source_options: how to read the source; None leaves it to the source itself.
      audit: how much the officer's audit does: "quick", "standard", "deep", or "none" for public figures only.
      policy: name of a shipped policy or path of a policy file; None judges by the findings' own thresholds.
      header_is_public: take names of columns that look like values; without it they are refused.
      sdv_is_declared: the SDV metadata came from a code book; without it all of it counts as observed in the rows.
      keep_units: rows of a synthetic unit are drawn together and share a surrogate in the unit column; None where the
        schema names that column, and columns that are constant within a unit.
      expect_rows: a guess of the number of rows, by which a run is judged before anything is spent.
      anyway: make the release even if little can be learned from the table.
      prior: an earlier public release (its folder, or a `Release`), or any public table with columns of the same names:
        a path, a database URL or a DataFrame. It must be public.
      executor: what counts the rows of a table that is too large for one part: "inline", "processes:4", "ray" or
        "spark:MASTER".
      scratch: a private folder for its parts, which all workers reach; None takes that of the home.
    """

    source: str | Path | pd.DataFrame | Mapping[str, str | Path | pd.DataFrame]
    out: Path
    unit: str | None = None
    epsilon: float
    delta: float = DEFAULT_DELTA
    max_rows_per_unit: int | None = None
    schema: str | Path | Schema | LinkedSchema | Mapping[str, Any] | None = None
    dataset: str | None = None
    generator: str = "auto"
    holdout_fraction: float = 0.1
    rows: int | None = None
    format: Format = "parquet"
    key: str | None = None
    seed: int | None = None
    source_options: SourceOptions | Mapping[str, Any] | None = None
    audit: AuditLevel = "standard"
    policy: str | Path | None = None
    language: str = ENGLISH
    header_is_public: bool = False
    sdv_is_declared: bool = False
    keep_units: bool | None = None
    expect_rows: int | None = None
    anyway: bool = False
    prior: str | Path | pd.DataFrame | Release | None = None
    executor: str = DEFAULT
    scratch: Path | None = None

    def __post_init__(self) -> None:
        _validate.paths(out=self.out, policy=self.policy, scratch=self.scratch)
        _validate.texts(
            unit=self.unit, dataset=self.dataset, generator=self.generator, key=self.key, executor=self.executor
        )
        _validate.flags(
            header_is_public=self.header_is_public, sdv_is_declared=self.sdv_is_declared, anyway=self.anyway
        )
        if self.keep_units is not None:
            _validate.flags(keep_units=self.keep_units)
        _validate.whole_numbers(max_rows_per_unit=self.max_rows_per_unit, rows=self.rows, seed=self.seed)
        _validate.whole_numbers(expect_rows=self.expect_rows)
        SourceOptions.of(self.source_options)
        executor_of(self.executor)
        _validate.one_of(get_args(Format), format=self.format)
        _validate.one_of(get_args(AuditLevel), audit=self.audit)
        _validate.one_of(LANGUAGES, language=self.language)
        in_range(0.0, 0.5, holdout_fraction=self.holdout_fraction)
        if self.rows is not None:
            in_range(1, 10**10, rows=self.rows)
        if self.expect_rows is not None:
            in_range(1, 10**12, expect_rows=self.expect_rows)
        if self.seed is not None:
            in_range(0, 2**63 - 1, seed=self.seed)

    @property
    def table(self) -> str | Path | pd.DataFrame:
        """The source, where it is one table."""
        assert not isinstance(self.source, Mapping)
        return self.source

    def read_schema(self) -> Schema:
        """Return the schema of one table that was given, or an empty one."""
        assert not isinstance(self.schema, LinkedSchema)
        return read_schema(self.schema, sdv_is_declared=self.sdv_is_declared)

    def linked_schema(self) -> LinkedSchema | None:
        """Return the schema that was given, if it is one of linked tables.

        Raises:
          ConfigError: several tables were given, and no schema says how they are linked.
        """
        found = linked_schema(self.schema)
        if found is None and isinstance(self.source, Mapping):
            raise ConfigError(
                "several tables need a schema that says how they are linked: give one with the key 'tables' (see "
                "docs/linked-tables.md) with ",
                Option("schema"),
            )
        return found

    def budget(self, schema: Schema) -> Budget:
        """Return the promise: unit and `max_rows_per_unit` from the options or the schema, which must agree.

        Raises:
          ConfigError: one of them is missing, or option and schema differ.
        """
        unit = _agree("unit", self.unit, schema.unit)
        if unit is None:
            raise ConfigError(
                "say whose privacy is protected: ",
                Option("unit", "COLUMN"),
                " names the person or account, ",
                Option("unit", "row"),
                " says that each row is somebody else. Several tables that belong together need a ",
                Option("schema"),
                " with the key 'tables', which says so; `privsynth schema init` writes one",
            )
        most = _agree("max_rows_per_unit", self.max_rows_per_unit, schema.max_rows_per_unit)
        if unit == "row":
            most = 1 if most is None else most
        elif most is None:
            raise ConfigError(
                f"say how many rows of one {unit} may be used: ",
                Option("max_rows_per_unit", "K"),
                ", or max_rows_per_unit in the schema; choose K so that most have no more, without looking at the "
                "largest",
            )
        return Budget(epsilon=self.epsilon, delta=self.delta, unit=unit, max_rows_per_unit=most, rows=schema.rows)

    def dataset_name(self, schema: Schema) -> str:
        """Return the name under which the ledger keeps the budget."""
        name = self.dataset or schema.dataset or stem(self.source)
        if not name:
            raise ConfigError(
                "give the dataset a name with ", Option("dataset"), ", under which the ledger keeps its budget"
            )
        return name


def read_schema(schema: str | Path | Schema | Mapping[str, Any] | None, *, sdv_is_declared: bool = False) -> Schema:
    """Return the schema that was given as itself, as its keys, or as the path of its file; an empty one for None.

    Args:
      sdv_is_declared: SDV metadata came from a code book; else all of it counts as observed in the rows.
    Raises:
      SchemaError: it is none, or not valid.
    """
    if schema is None:
        return Schema()
    if isinstance(schema, Schema):
        return schema
    if isinstance(schema, Mapping):
        return schema_from(dict(schema), "the schema")
    _validate.paths(schema=schema)
    return load_schema(Path(schema), sdv_is_declared=sdv_is_declared)


def stem(source: object) -> str:
    """Return the name of a file without its suffixes; "" for a database, a pattern of files or a table in memory.

    What stands behind a question mark says how a source is read, and names no other dataset.
    """
    if not isinstance(source, str | Path) or "://" in str(source):
        return ""
    name = Path(str(source).partition("?")[0]).name.split(".")[0]
    return "" if set(name) & set("*[") else name


def _agree(name: str, option: Any, declared: Any) -> Any:
    if option is not None and declared is not None and option != declared:
        raise ConfigError(Option(name, option), f" contradicts the schema, where it is {declared}; make them agree")
    return declared if option is None else option


def check_schema_fits(schema: Schema, names: list[str], unit: str) -> None:
    """Raise `SchemaError` if the schema or the unit names a column that the header lacks, or waits for a person."""
    missing = [name for name in schema.columns if name not in names]
    if missing:
        shown = ", ".join(f"'{name}'" for name in missing[:5])
        near = meant(missing[0], [name for name in names if name not in schema.columns])
        raise SchemaError(f"the schema names columns that the table lacks: {shown}{near}")
    if unit != "row" and unit not in names:
        # Only a name like the one that was typed is shown: where a header was forgotten, the names are cells.
        hint = meant(unit, names) or "; check the spelling, and that the table has a header"
        raise SchemaError(f"the unit column '{unit}' is not in the header{hint}")
    if all(schema.column(name).kind == "text" and name != unit for name in names):
        raise SchemaError("every column is free text; declare at least one as something else")
    for name, column in schema.columns.items():
        if column.follows is not None and column.follows.column == unit:
            raise SchemaError(f"'{name}' follows from '{unit}', which is the unit and not in the synthetic table")
    observed = [name for name, column in schema.columns.items() if column.observed]
    if observed:
        more = f" and {len(observed) - 1} more" if len(observed) > 1 else ""
        raise SchemaError(
            f"the schema holds suggestions that were observed in the data ('{observed[0]}'{more}): compare each with a "
            "code book, then remove 'observed: true' to declare it; SDV metadata that came from a code book needs ",
            Option("sdv_is_declared", python="sdv_is_declared=True"),
        )
    check_rules(schema)
