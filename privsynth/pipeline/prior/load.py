"""Reading a prior: the folder of a release, a file, or a data frame. It is public by declaration, and untrusted."""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from privsynth.codecs.column_facts import ColumnFacts
from privsynth.codecs.columns import CategoryCodec, ColumnCodec, NumberCodec, TiedCodec, TimeCodec
from privsynth.codecs.columns.elapsed import DAY
from privsynth.codecs.decoded_rows import DecodedRows
from privsynth.codecs.parse import Categories, Grid
from privsynth.codecs.parsed_table import ParsedTable, parse_table
from privsynth.domain.bounding import everyone
from privsynth.domain.column_kinds import FactsRequest, learn_facts
from privsynth.errors import ConfigError, Option, SourceError
from privsynth.ledger.ledger import Ledger
from privsynth.pipeline.config import SynthesizeConfig
from privsynth.pipeline.prior.known import NO_NOISE, KnownTable, Prior
from privsynth.privacy.public_rows import PublicRows
from privsynth.privacy.unit_weights import Weighting, weight_of_row
from privsynth.randomness import sampling_rng
from privsynth.release.folder import Release
from privsynth.release.label import model_digest
from privsynth.sampling.linked.saved import is_linked
from privsynth.sampling.origin import PriorOrigin
from privsynth.sampling.synthetic_model import SyntheticModel
from privsynth.schema.definition import UNMODELLED_KINDS, Schema
from privsynth.sources.fingerprint import content_fingerprint
from privsynth.sources.protocol import stated_types_of
from privsynth.sources.registry import Source, SourceOptions, open_source, read_table
from privsynth.table import Table
from privsynth.workspace import Workspace

if TYPE_CHECKING:
    import pandas as pd

MOST_ROWS = 200_000  # of a prior that are used, drawn at random (own): shares to a thousandth, in bounded time
DRAWN_ROWS = 50_000  # of a release's model (own): their sampling noise lies below the release's own at any usual ε
SEED = 20_261_130  # of every draw from a prior: fixed, so that nothing depends on it
DIGEST_KEY = b"privsynth prior digest"  # of a data frame's rows: public, since the rows are
CHUNK = 1 << 20  # bytes of a file hashed at once
ITSELF = "the prior is the sensitive table itself, which is not public; give an earlier release, or a public table"


def open_prior(
    config: SynthesizeConfig, schema: Schema, source: Source, unit: str, home: Path
) -> tuple[KnownTable | None, Table | None]:
    """Return what the prior of a run tells of its columns, and the prior's rows where it is a table; None without one.

    Raises:
      ConfigError: the prior is the sensitive table itself, or has none of its columns.
      SourceError: it cannot be read.
    """
    if config.prior is None:
        return None, None
    if not (isinstance(config.prior, str | Path | Release) or type(config.prior).__name__ == "DataFrame"):
        raise ConfigError("prior must be a path, a database URL, a pandas DataFrame or a Release")
    if _same_place(config.prior, config.source):
        raise ConfigError(ITSELF)
    prior, table = load_prior(config.prior, schema, unit=unit, home=home)
    known = KnownTable.of(prior, schema, source.names, unit)
    if not any(name in prior.rows.columns for name in source.names):
        raise ConfigError("the prior has no column of the table; give one with columns of the same names")
    return known, table


def refuse_for_linked(config: SynthesizeConfig) -> None:
    """Raise `ConfigError` if a release of several linked tables is to start from a prior."""
    if config.prior is not None:
        raise ConfigError("a release of linked tables cannot start from a prior; leave out ", Option("prior"))


def refuse_protected(public_rows: Table | None, ledger: Ledger) -> None:
    """Raise if the ledger protects the rows of a prior.

    Raises:
      ConfigError: a release was made of them, so that they are sensitive.
    """
    owner = None
    if public_rows is not None:
        owner = ledger.owner(content_fingerprint(public_rows, ledger.fingerprint_key()))
    if owner is not None:
        raise ConfigError(
            f"the prior is the table of the dataset '{owner}', whose budget the ledger keeps, and not public; give a "
            "release of it instead"
        )


def refuse_same_rows(public_rows: Table | None, fingerprint: bytes, key: bytes) -> None:
    """Raise if the rows of a prior are those of the sensitive table, in whatever file and order they are.

    Guarantee: none; like the ledger, which knows a table under another name, it tells that two tables are equal.
    Raises:
      ConfigError: they are.
    """
    if public_rows is not None and hmac.compare_digest(content_fingerprint(public_rows, key), fingerprint):
        raise ConfigError(ITSELF)


def _same_place(one: object, other: object) -> bool:
    """Return whether two sources are the same object, URL or file."""
    if one is other:
        return True
    if not (isinstance(one, str | Path) and isinstance(other, str | Path)):
        return False
    if "://" in f"{one}{other}":
        return str(one) == str(other)
    return Path(one).resolve() == Path(other).resolve() or (
        Path(one).exists() and Path(other).exists() and Path(one).samefile(other)
    )


def load_prior(
    source: str | Path | Release | pd.DataFrame, schema: Schema, *, unit: str, home: Path
) -> tuple[Prior, Table | None]:
    """Return a prior, and its rows as a table where it is one.

    A release is read by its model, whose content is checked and holds no code; a table like any source.

    Args:
      schema: of the private table; it says how a table's columns are read.
      unit: of the private table.
      home: where a table's rows are kept for a while.
    Raises:
      SourceError, ConfigError: it cannot be read.
    """
    if isinstance(source, Release):
        return _of_release(_model_folder(source.folder)), None
    if isinstance(source, str | Path) and "://" not in str(source) and Path(source).is_dir():
        return _of_release(_model_folder(Path(source))), None
    with Workspace(home) as workspace:
        return _of_table(source, schema, unit, workspace)


def _model_folder(folder: Path) -> Path:
    for found in (folder / "public" / "model", folder / "model", folder):
        if (found / "model.json").is_file():
            return found
        if is_linked(found):
            raise SourceError(
                f"{folder} holds a release of linked tables, and one table cannot start from that; give one of its "
                "tables as the prior, for example public/data/TABLE.parquet"
            )
    raise SourceError(f"{folder} holds no model; give the folder of a release, or a table, as the prior")


def _of_release(folder: Path) -> Prior:
    """Return the prior that a model is: rows that it draws, which hold the release's figures and no more."""
    model = SyntheticModel.load(folder)
    rng = sampling_rng(SEED, 0)
    if model.units is None:
        rows, _ = model.draw(model.order(min(DRAWN_ROWS, model.codec.room)), seed=SEED)
        rows_of_unit: np.ndarray | None = None
    else:
        # As the model has them, since the rows of units with many were weighed less when it was learned.
        codes = model.fitted.sample_codes(DRAWN_ROWS, rng)
        rows = model.codec.draw(codes[: len(model.codec.attributes)], rng)
        rows_of_unit = _rows_of_unit(codes, model)
    decimal_commas = set(model.source_format.decimal_commas)
    columns, facts = {}, {}
    for codec in model.codec.codecs:
        fact = _fact_of(codec, "," if codec.name in decimal_commas else ".")
        if fact is not None and codec.name in rows.columns:
            columns[codec.name], facts[codec.name] = _parsed(codec, rows), fact
    made = model.origin
    origin = PriorOrigin(
        kind="release",
        name=model.dataset,
        digest=model_digest(folder),
        epsilon=None if made is None else made.epsilon,
        unit="" if made is None else made.unit,
    )
    return Prior(rows=ParsedTable(columns, rows.n_rows), facts=facts, origin=origin, rows_of_unit=rows_of_unit)


def _rows_of_unit(codes: np.ndarray, model: SyntheticModel) -> np.ndarray | None:
    """Return (n,) about how many rows the unit of each row has; None where the model does not tell that."""
    assert model.units is not None
    if len(codes) == len(model.codec.attributes):
        return None
    per_unit = model.units.rows_per_unit
    fewest = np.array([first for first, _ in per_unit.classes])
    classes = np.searchsorted(per_unit.codes, np.minimum(codes[-1].astype(np.int64), per_unit.n_codes - 1))
    found: np.ndarray = fewest[classes]
    return found


def _parsed(codec: ColumnCodec, rows: DecodedRows) -> Categories | Grid:
    return codec.parsed(rows.columns[codec.name])


def _fact_of(codec: ColumnCodec, decimal: str) -> ColumnFacts | None:
    """Return what a column of a model is; None for one that is invented or computed."""
    if isinstance(codec, CategoryCodec):
        return ColumnFacts(kind="boolean" if codec.boolean else "categorical", provenance="prior")
    if isinstance(codec, NumberCodec | TiedCodec):
        kind = "integer" if codec.integer else "numeric"
        return ColumnFacts(kind=kind, precision=codec.precision, decimal=decimal, provenance="prior")  # type: ignore[arg-type]
    if isinstance(codec, TimeCodec):
        kind = "date" if codec.precision == DAY else "datetime"
        return ColumnFacts(kind=kind, precision=float(codec.precision), format=codec.format, provenance="prior")  # type: ignore[arg-type]
    return None


def _of_table(
    source: str | Path | pd.DataFrame, schema: Schema, unit: str, workspace: Workspace
) -> tuple[Prior, Table]:
    """Return the prior that the rows of a public table are, and the table."""
    opened = open_source(source, SourceOptions())
    whole, _ = read_table(opened, workspace)
    table = Table(whole.data.combine_chunks())  # the spill file goes with the workspace
    digest = content_fingerprint(table, DIGEST_KEY).hex()
    if isinstance(source, str | Path) and Path(source).is_file():
        digest = _file_digest(Path(source))
    complete, _ = stated_types_of(opened).complete(_columns_of(schema, table.names), table.names)
    names = [n for n in table.names if n != unit and complete.column(n).kind not in UNMODELLED_KINDS]
    if not names:
        raise ConfigError("the prior has no column that could be learned from; give another with ", Option("prior"))
    kept, rows_of_unit = _rows_used(table, unit)
    rows = table.take(kept)
    request = FactsRequest(schema=complete, names=names, mu_squared=NO_NOISE, families=stated_types_of(opened).families)
    facts = learn_facts(everyone(rows), request, Weighting(1), PublicRows())
    parsed = parse_table(rows, complete, facts, names)
    name = Path(source).name if isinstance(source, str | Path) else "a data frame"
    origin = PriorOrigin(kind="table", name=name, digest=digest)
    return Prior(rows=parsed, facts=facts, origin=origin, rows_of_unit=rows_of_unit), table


def _columns_of(schema: Schema, names: list[str]) -> Schema:
    """Return the schema of the columns that a prior has; without rules, which may be over others."""
    columns = {name: column for name, column in schema.columns.items() if name in names}
    return schema.model_copy(update={"columns": columns, "rules": ()})


def _rows_used(table: Table, unit: str) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the indices of the rows that are used, and how many rows the unit of each has.

    Those of units with many are taken less often, as a generator weighs them.
    """
    rng, n_rows = np.random.default_rng(SEED), table.n_rows
    kept, of_unit = np.arange(n_rows), None
    if unit != "row" and unit in table.names:
        codes = table.column(unit).combine_chunks().dictionary_encode().indices
        place = np.asarray(pa.compute.fill_null(codes, -1)) + 1
        rows = np.bincount(place)[place]
        kept = np.flatnonzero((place > 0) & (rng.random(n_rows) < weight_of_row(rows)))
        of_unit = rows
    if len(kept) > MOST_ROWS:
        kept = np.sort(rng.choice(kept, MOST_ROWS, replace=False))
    return kept, None if of_unit is None else of_unit[kept]


def _file_digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
