"""The public functions: the commands of the same names, called from Python (`audit_table` is `privsynth audit`).

Each takes a path, a database URL or a pandas DataFrame wherever it takes a table, and raises `PrivsynthError` alone:
one sentence that says what is wrong and what to do. The modules that do the work are imported by the call.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from privsynth import _validate
from privsynth.errors import ConfigError, Option
from privsynth.extras import needs

if TYPE_CHECKING:
    import pandas as pd

    from privsynth.pipeline.audits.outside_audit import AuditResult
    from privsynth.pipeline.result import SynthesisResult
    from privsynth.pipeline.usability.planned import Plan
    from privsynth.release.folder import Release
    from privsynth.release.impute import ImputationResult
    from privsynth.release.sample import SampleResult
    from privsynth.schema.definition import Schema
    from privsynth.schema.linked import LinkedSchema
    from privsynth.signing.keyring import Keyring
    from privsynth.signing.verification import VerificationResult
    from privsynth.sources.protocol import SourceOptions


@needs("synthesize")
def synthesize(
    source: str | Path | pd.DataFrame,
    *,
    epsilon: float,
    out: str | Path,
    unit: str | None = None,
    max_rows_per_unit: int | None = None,
    delta: float = 1e-6,
    schema: str | Path | Schema | Mapping[str, Any] | None = None,
    dataset: str | None = None,
    generator: str = "auto",
    holdout_fraction: float = 0.1,
    rows: int | None = None,
    format: Literal["parquet", "csv"] = "parquet",
    key: str | None = None,
    passphrase: Callable[[], bytes] | None = None,
    seed: int | None = None,
    audit: Literal["quick", "standard", "deep", "none"] = "standard",
    policy: str | Path | None = None,
    language: Literal["en", "de"] = "en",
    source_options: SourceOptions | Mapping[str, Any] | None = None,
    header_is_public: bool = False,
    sdv_is_declared: bool = False,
    keep_units: bool | None = None,
    expect_rows: int | None = None,
    anyway: bool = False,
    prior: str | Path | pd.DataFrame | Release | None = None,
    executor: str = "processes",
    scratch: str | Path | None = None,
) -> SynthesisResult:
    """Make a release of a sensitive table: synthetic rows, the model that made them, and two signed reports.

    Guarantee: the folder `out/public` costs at most (epsilon, delta) for each unit, whatever it holds; the ledger
      reserves both before any row is read. The result itself is the officer's: its findings hold exact
      figures. `result.release` is the public part.
    Args:
      source: a path, a database URL or a DataFrame.
      epsilon, delta: the total budget of the release, everything included.
      out: a new folder.
      unit: the column that names the person or account to protect, or "row" if each row is a different person; None
        takes the schema's.
      max_rows_per_unit: at most so many rows of a unit are used, drawn at random; None takes the schema's.
      schema: what is publicly known of the columns: a path, a `Schema`, or its keys as a mapping.
      dataset: name in the ledger; None takes the schema's, else the file's stem. A DataFrame needs one.
      generator: "auto", or one of those that `privsynth generators` lists.
      holdout_fraction: share of the units kept from training for the audit, 0 to 0.5; 0 switches that off.
      rows: how many synthetic rows; None takes the noisy number of rows.
      format: of the synthetic table.
      key: name of the signing key (see `privsynth keys init`); None leaves the release unsigned.
      passphrase: called for the passphrase of an encrypted key; None takes it from PRIVSYNTH_PASSPHRASE.
      seed: of the synthetic rows; None draws one. It is printed in the report and has no part in the noise.
      audit: how much the officer's audit does; "none" leaves the public figures alone.
      policy: "internal", "trusted-partner", "public", or the path of a policy file.
      language: of page one of the reports and of their annex on laws; the rest is in English.
      source_options: how to read the source, such as `SourceOptions(delimiter=";")`.
      header_is_public: take names of columns that look like values; without it they are refused.
      sdv_is_declared: the schema is SDV metadata that came from a code book; without it all of it counts as observed in
        the rows, and is refused.
      keep_units: the rows of a synthetic unit are drawn together and share a surrogate in the unit column; None where
        the schema names that column, and columns that are constant within a unit.
      expect_rows: your guess of the number of rows, by which the run is judged before anything is spent.
      anyway: make the release even if little can be learned from the table.
      prior: what is PUBLIC already, to start from: the folder of an earlier release, a `Release`, or a public table
        with columns of the same names. Nothing protects it: whatever it holds may show in the release.
      executor: what counts the rows of a table that is too large for one part: "inline", "processes:4", "ray" or
        "spark:MASTER". The release is the same.
      scratch: a private folder for such parts, which all workers reach; None takes privsynth's own.
    Raises:
      LittleToLearn: at this budget little can be learned; the message says what would help. Nothing is spent if the
        number of rows is declared or expected, else what counting the rows costs.
      InputError: what was given cannot be used; nothing is spent.
      BudgetError: the cap of the dataset would be passed, or the ledger cannot be used; nothing is spent.
    """
    from privsynth.pipeline.config import SynthesizeConfig
    from privsynth.pipeline.environment import environment
    from privsynth.pipeline.synthesize import synthesize as run

    config = SynthesizeConfig(
        source=source,
        epsilon=epsilon,
        out=_path("out", out),
        unit=unit,
        max_rows_per_unit=max_rows_per_unit,
        delta=delta,
        schema=schema,
        dataset=dataset,
        generator=generator,
        holdout_fraction=holdout_fraction,
        rows=rows,
        format=format,
        key=key,
        seed=seed,
        audit=audit,
        policy=policy,
        language=language,
        source_options=source_options,
        header_is_public=header_is_public,
        sdv_is_declared=sdv_is_declared,
        keep_units=keep_units,
        expect_rows=expect_rows,
        anyway=anyway,
        prior=prior,
        executor=executor,
        scratch=None if scratch is None else _path("scratch", scratch),
    )
    return run(config, environment(passphrase=_passphrase(passphrase)))


@needs("synthesize")
def plan(
    source: str | Path | pd.DataFrame | Mapping[str, str | Path | pd.DataFrame],
    *,
    epsilon: float,
    unit: str | None = None,
    max_rows_per_unit: int | None = None,
    delta: float = 1e-6,
    schema: str | Path | Schema | Mapping[str, Any] | None = None,
    dataset: str | None = None,
    generator: str = "auto",
    expect_rows: int | None = None,
    source_options: SourceOptions | Mapping[str, Any] | None = None,
    header_is_public: bool = False,
    sdv_is_declared: bool = False,
    anyway: bool = False,
    prior: str | Path | pd.DataFrame | Release | None = None,
    executor: str = "processes",
    rate: float | None = None,
) -> Plan:
    """Return what a release would cost and reach. Reads the header only, and the prior; spends nothing.

    Args:
      expect_rows: your guess of the number of rows, or of the persons of linked tables; None shows three sizes.
      source, epsilon, unit, max_rows_per_unit, delta, schema, dataset, generator, source_options,
        header_is_public, sdv_is_declared, anyway, prior: as for `synthesize`, which would end with the plan's
        `refused`.
      executor: what would count the rows; after a colon how many workers, for example "spark:16".
      rate: money for an hour of one processor.
    Raises:
      InputError: the same as `synthesize`, for what public facts can tell.
    """
    from privsynth.pipeline.config import SynthesizeConfig
    from privsynth.pipeline.plan import plan as run

    config = SynthesizeConfig(
        source=source,
        epsilon=epsilon,
        out=Path("plan"),
        unit=unit,
        max_rows_per_unit=max_rows_per_unit,
        delta=delta,
        schema=schema,
        dataset=dataset,
        generator=generator,
        source_options=source_options,
        header_is_public=header_is_public,
        sdv_is_declared=sdv_is_declared,
        expect_rows=expect_rows,
        anyway=anyway,
        prior=prior,
    )
    return run(config, executor=executor, rate=rate)


@needs("synthesize")
def audit_table(
    *,
    real: str | Path | pd.DataFrame | Mapping[str, str | Path | pd.DataFrame],
    synthetic: str | Path | pd.DataFrame | Mapping[str, str | Path | pd.DataFrame],
    out: str | Path,
    holdout: str | Path | pd.DataFrame | Mapping[str, str | Path | pd.DataFrame] | None = None,
    schema: str | Path | Schema | LinkedSchema | Mapping[str, Any] | None = None,
    dataset: str | None = None,
    claimed: tuple[float, float] | None = None,
    model: str | Path | None = None,
    level: Literal["quick", "standard", "deep"] = "standard",
    policy: str | Path | None = None,
    language: Literal["en", "de"] = "en",
    key: str | None = None,
    passphrase: Callable[[], bytes] | None = None,
    source_options: SourceOptions | Mapping[str, Any] | None = None,
) -> AuditResult:
    """Audit any synthetic table, or linked tables, also from another tool, against the real ones, for the officer.

    Guarantee: none. Folder and result hold exact figures about real people.
    Args:
      real: the rows that the generator saw.
      synthetic: its rows.
      out: a new folder for the officer's report.
      holdout: rows of the same population that the generator did not see; without them several audits can say nothing.
      schema: kinds, roles (target, protected), unit and rules: a path, a `Schema`, or its keys as a mapping. With a
        schema of linked tables, the three are folders, databases, or mappings of names to DataFrames.
      dataset: name in the report; None takes the schema's, else the stem of the real file.
      claimed: the (epsilon, delta) that the synthetic table claims; None takes those of the release of `model`.
      model: the release that the rows are from, or its folder `model`.
      level: how much is done; the report says what each level leaves out.
      policy: "internal", "trusted-partner", "public", or the path of a policy file.
      language: of page one of the reports and of their annex on laws; the rest is in English.
      key, passphrase: as for `synthesize`.
      source_options: how to read `real` and `holdout`.
    Raises:
      InputError: what was given cannot be used.
    """
    from privsynth.pipeline.audits.outside_audit import AuditConfig
    from privsynth.pipeline.audits.outside_audit import audit as run
    from privsynth.pipeline.environment import environment

    config = AuditConfig(
        real=real,
        synthetic=synthetic,
        out=_path("out", out),
        holdout=holdout,
        schema=schema,
        dataset=dataset,
        claimed=claimed,
        model=None if model is None else _path("model", model),
        level=level,
        policy=policy,
        language=language,
        key=key,
        source_options=source_options,
    )
    return run(config, environment(passphrase=_passphrase(passphrase)))


@needs("")
def verify(
    path: str | Path,
    *keyrings: Keyring | str | Path,
    kind: Literal["public", "officer"] | None = None,
    dataset: str | None = None,
) -> VerificationResult:
    """Return who signed a release folder, or a report.html that came alone. Works offline.

    Args:
      path: the folder `public` of a release, or the page; of the folder that holds both parts of a run, both are
        checked, and that they belong together.
      *keyrings: with keys that the reader trusts, or paths of them, beside the reader's own keyring on this machine.
      kind: what it has to be; None takes either.
      dataset: the dataset that it has to be of; None takes any.
    Raises:
      VerificationError: a byte was changed, added or removed, or it is not what was asked for.
      UnknownSigner: intact, but no keyring knows the signer.
    """
    from datetime import UTC, datetime

    from privsynth.signing.keyring import Keyring
    from privsynth.signing.statement import KINDS
    from privsynth.signing.store import load_keyring
    from privsynth.signing.verification import Expected, verify_folder, verify_report, verify_run
    from privsynth.workspace import privsynth_home

    _validate.texts(kind=kind, dataset=dataset)
    where = _path("path", path)
    known = [ring if isinstance(ring, Keyring) else Keyring.load(_path("keyrings", ring)) for ring in keyrings]
    told = ([load_keyring(privsynth_home()), *known], datetime.now(UTC), Expected(kind, dataset))
    if kind is None and all((where / part / "manifest.json").exists() for part in KINDS):
        return verify_run(where, *told)[0]
    return (verify_folder if where.is_dir() else verify_report)(where, *told)


@needs("sample")
def sample(
    model: str | Path,
    *,
    out: str | Path | None = None,
    to: str | Path | None = None,
    to_schema: str | None = None,
    rows: int | None = None,
    seed: int | None = None,
    format: Literal["parquet", "csv", "ndjson", "ndjson.gz"] | None = None,
    layout: Literal["fhir", "omop"] | None = None,
    given: str | Sequence[str] = (),
    balance: str | None = None,
    workers: int | None = None,
    rows_per_file: int | None = None,
    partition_by: str | None = None,
    resume: bool = False,
) -> SampleResult:
    """Write rows of a released model into a new folder, or into a database. It costs no budget, however many they are.

    `Release.sample` returns a DataFrame instead, and `Release.sample_tables` those of linked tables.

    Args:
      model: a release, its public folder, or the folder `model` in it.
      out: a new folder, or its address in an object store, such as "s3://bucket/folder"; or give `to`.
      to: the URL of a database of PostgreSQL, in which a schema is made; that of a new database of MySQL or MariaDB; or
        the path of a new file of SQLite. All of the rows appear there, or nothing.
      to_schema: of PostgreSQL, the name of the new schema; None for "synthetic".
      rows: None takes the released number of rows. Of linked tables, the number of persons, who come with all rows.
      seed: None draws one; the result tells it.
      format: of the files; None for "parquet", of resources for "ndjson".
      layout: "fhir" for a release of FHIR's tables as resources, "omop" for one of OMOP's tables with all columns of
        the Common Data Model 5.4; None leaves the tables as they are.
      given: conditions that every row meets, such as "age >= 60" or "ward in (ICU, ER)"; of linked tables, that every
        person meets: on the person's own columns, or, as in "stays: ward = ICU", on at least one row of a table.
      balance: base rates to alter on purpose, such as "fraud=0.3", "sex" or "ethnicity=A:0.5,B:0.5".
      workers: files made at once, None for the number of cores. The bytes do not depend on it.
      rows_per_file: a multiple of 200,000, which None takes.
      partition_by: a column of categories by whose values the rows are put into folders, `ward=ICU/part-00000.parquet`.
      resume: go on with a run that was stopped, and keep what it finished if its digests fit; seed and options are to
        be the same, and None takes its seed. Leaves what is finished if this run is stopped, too.
    Raises:
      SourceError: there is no model.
      OutputError: the folder, schema or file exists already, or cannot be written.
      ConfigError: a condition cannot be read, (nearly) no row of the model meets it, or the run to be resumed had other
        options.
    """
    from privsynth.release.database.write import Target
    from privsynth.release.folder import as_conditions
    from privsynth.release.parts.writing import Writing
    from privsynth.release.sample import sample as run
    from privsynth.release.sample import sample_as, sample_to, suffix_of
    from privsynth.release.tables import Wanted

    if format is not None:
        _validate.one_of(("parquet", "csv", "ndjson", "ndjson.gz"), format=format)
    if layout is not None:
        _validate.one_of(("fhir", "omop"), layout=layout)
    _validate.texts(to_schema=to_schema)
    if (out is None) == (to is None):
        raise ConfigError("give either ", Option("out"), ", a new folder, or ", Option("to"), ", a database")
    where = _path("model", model)
    wanted = Wanted(rows=rows, seed=seed, given=as_conditions(given), balance=balance)
    suffix = suffix_of(format, layout)
    writing = Writing(
        suffix=suffix, workers=workers, rows_per_file=rows_per_file, partition_by=partition_by, resume=resume
    )
    if out is None:
        writing.refuse_files("a database")
        return sample_to(where, Target(to or "", to_schema), wanted, layout)
    _validate.paths(out=out)
    if layout is not None:
        writing.refuse_files(f"the layout {layout}")
        return sample_as(where, out, wanted, layout, suffix=suffix)
    return run(where, out, wanted, writing)


@needs("synthesize")
def impute(
    model: str | Path,
    source: str | Path | pd.DataFrame,
    *,
    out: str | Path,
    seed: int | None = None,
    draws: int = 1,
    mark: bool = False,
    source_options: SourceOptions | Mapping[str, Any] | None = None,
) -> ImputationResult:
    """Fill the gaps of your own table from a released model, which is only sampled and costs no budget.

    Guarantee: none. The output holds the real rows of `source`: it is as sensitive as that.
    Args:
      model: a release, its public folder, or the folder `model` in it.
      source: the table with gaps: a path, a database URL or a DataFrame.
      out: a new .csv or .parquet file; with several draws, "-1", "-2" … is put before the suffix.
      seed: of the values that are drawn; None draws one, and the result tells it.
      draws: how many times the gaps are filled, independently.
      mark: add a column that names, row by row, the columns that were filled.
      source_options: how to read the source.
    Raises:
      SourceError: there is no model, or no table.
      OutputError: the file exists already, or cannot be written.
      ConfigError: model and table have no column in common, or an option is absurd.
    """
    from privsynth.release.impute import impute as run

    _validate.flags(mark=mark)
    where, place = _path("model", model), _path("out", out)
    return run(where, source, place, seed=seed, draws=draws, mark=mark, source_options=source_options)


def _passphrase(passphrase: Callable[[], bytes] | None) -> Callable[[], bytes] | None:
    """Return what gives the passphrase: the caller's function, else one that reads the environment if it is there."""
    from privsynth.signing.keys import PASSPHRASE_VARIABLE

    if passphrase is not None and not callable(passphrase):
        raise ConfigError("passphrase must be a function that returns the passphrase as bytes")
    given = os.environ.get(PASSPHRASE_VARIABLE)
    return passphrase if passphrase is not None or not given else given.encode


def _path(name: str, value: str | Path) -> Path:
    """Return a path; a `ConfigError` says which argument is none."""
    if value is None:
        raise ConfigError(f"{name} must be a path, not None")
    _validate.paths(**{name: value})
    return Path(value)
