"""`sdv:…`: SDV's synthesizers as references without any privacy, and the only module that imports SDV.

They show what privacy costs, and what the lack of it leaks. Their rows are functions of exact rows: for the officer
alone, in `privsynth benchmark` and `privsynth audit`, never in a release. SDV and its parts are under the Business
Source License 1.1: an extra that a person installs on purpose, and nothing else in privsynth may import them.
"""

from __future__ import annotations

import contextlib
import io
import logging
import random
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from privsynth._validate import in_range
from privsynth.errors import ConfigError

_TABLE = "table"
_CLASSES = {
    "sdv:gaussian_copula": "GaussianCopulaSynthesizer",
    "sdv:ctgan": "CTGANSynthesizer",
    "sdv:tvae": "TVAESynthesizer",
}
HMA, PAR = "sdv:hma", "sdv:par"
# Columns of keys, named as no column of a table is.
_KEY, _ABOVE = "privsynth: own key", "privsynth: key of the row above"
_SDTYPES = {
    "numeric": "numerical",
    "integer": "numerical",
    "datetime": "datetime",
    "date": "datetime",
    "boolean": "categorical",
    "categorical": "categorical",
}


def reference_rows(
    name: str,
    frame: pd.DataFrame,
    kinds: Mapping[str, str],
    *,
    n_rows: int,
    seed: int,
    epochs: int | None = None,
) -> pd.DataFrame:
    """Return rows of an SDV synthesizer that was fitted to a frame.

    Guarantee: NONE. The rows may hold exact values of real people; bounds, categories and rounding are read off them.
    Args:
      name: "sdv:gaussian_copula", "sdv:ctgan" or "sdv:tvae".
      frame: real rows. Numbers and times typed as such; a frame without rows gives one without rows.
      kinds: column -> kind of the schema. Columns of kind "id" and "text", and those that are not named, are left out.
      n_rows: rows to return.
      seed: of fit and sampling. The state of the global random generators is put back afterwards.
      epochs: of training; None takes SDV's own default. The copula has none.
    Returns:
      The columns that were kept, in the frame's order.
    Raises:
      ConfigError: an unknown name, no column to model, or SDV is not installed.
    """
    if name not in _CLASSES:
        raise ConfigError(f"there is no reference '{name}'; choose from {', '.join(_CLASSES)}")
    in_range(0, 10**9, n_rows=n_rows)
    kept = [column for column in frame.columns if kinds.get(column) in _SDTYPES]
    if not kept:
        raise ConfigError("there is no column that a reference could model; declare at least one")
    # A column without any value has no distribution to fit; it comes back as it was.
    full = [column for column in kept if frame[column].notna().any()]
    if n_rows == 0 or not full:
        return frame[kept].iloc[:0].reindex(range(n_rows))
    with _quiet(), _seeded(seed):
        synthesizer = _synthesizer(name, {column: kinds[column] for column in full}, epochs)
        synthesizer.fit({_TABLE: _prepared(frame[full], kinds)})
        synthesizer._set_random_state(seed)  # else each fit gives the rows of one seed that SDV chose
        sampled = synthesizer.sample(n_rows)
    rows = sampled[_TABLE] if isinstance(sampled, dict) else sampled
    return rows.reindex(columns=kept).reset_index(drop=True)


@dataclass(frozen=True, repr=False, eq=False)
class LinkedFrames:
    """Linked tables, parents first, the one of persons before all. Rows are known by their number and have no keys.

    Attributes:
      frames: table -> values; those of one parent in their order.
      parent: table -> (n,) for each row the number of its row in the table above; not of the persons.
      above: table -> the table above; not of the persons.
    """

    frames: Mapping[str, pd.DataFrame]
    parent: Mapping[str, np.ndarray]
    above: Mapping[str, str]

    @property
    def root(self) -> str:
        """The table of persons."""
        return next(iter(self.frames))


def reference_tables(
    name: str,
    real: LinkedFrames,
    kinds: Mapping[str, Mapping[str, str]],
    *,
    orders: Mapping[str, str],
    seed: int,
    epochs: int | None = None,
) -> LinkedFrames:
    """Return as many persons, with all their rows, of an SDV synthesizer that was fitted to linked tables.

    Guarantee: NONE, as of `reference_rows`. It may take hours: give the process a limit of time.
    Args:
      name: "sdv:hma", or "sdv:par", which makes the sequences of one table, each with the columns of its person as the
        context, and no person without rows.
      real: with at least one person.
      kinds: table -> as in `reference_rows`.
      orders: table -> the column that orders the rows of one parent.
      seed, epochs: as in `reference_rows`. HMA has no epochs.
    Raises:
      ConfigError: an unknown name; for PAR not one table below that of the persons; or SDV is not installed.
    """
    if name not in (HMA, PAR):
        raise ConfigError(f"there is no reference '{name}' for linked tables; choose from {HMA}, {PAR}")
    if name == PAR and len(real.above) != 1:
        raise ConfigError(f"'{PAR}' makes the rows of one table; the schema has {len(real.above)} below the persons")
    full = {
        table: frame[[c for c in frame.columns if kinds[table].get(c) in _SDTYPES and frame[c].notna().any()]]
        for table, frame in real.frames.items()
    }
    with _quiet(), _seeded(seed):
        prepared = LinkedFrames({t: _prepared(f, kinds[t]) for t, f in full.items()}, real.parent, real.above)
        made = _hma(prepared, kinds, seed) if name == HMA else _par(prepared, kinds, orders, epochs)
    frames = {table: frame.reindex(columns=real.frames[table].columns) for table, frame in made.frames.items()}
    return LinkedFrames(frames, made.parent, made.above)


def _hma(real: LinkedFrames, kinds: Mapping[str, Mapping[str, str]], seed: int) -> LinkedFrames:
    tables, described = {}, {}
    for table, frame in real.frames.items():
        keys = {_KEY: np.arange(len(frame))} | ({_ABOVE: real.parent[table]} if table in real.parent else {})
        tables[table] = frame.assign(**keys)
        columns = _described({c: kinds[table][c] for c in frame.columns}) | {key: {"sdtype": "id"} for key in keys}
        described[table] = {"columns": columns, "primary_key": _KEY}
    links = [
        {
            "parent_table_name": above,
            "parent_primary_key": _KEY,
            "child_table_name": table,
            "child_foreign_key": _ABOVE,
        }
        for table, above in real.above.items()
    ]
    sdv = _sdv(HMA)
    synthesizer = sdv.multi_table.HMASynthesizer(_metadata(sdv, described, links), verbose=False)
    synthesizer.fit(tables)
    # Else each fit gives the persons of one seed that SDV chose. The rows below them it draws from that seed anyway.
    synthesizer._numpy_seed = seed % 2**32
    synthesizer._table_synthesizers[real.root]._set_random_state(seed)
    made = synthesizer.sample(len(real.frames[real.root]), main_table_name=real.root)
    at = {table: pd.Index(made[table][_KEY]) for table in real.frames}
    parent = {table: at[above].get_indexer(made[table][_ABOVE]) for table, above in real.above.items()}
    return LinkedFrames(
        {table: made[table].drop(columns=[_KEY, _ABOVE], errors="ignore") for table in at}, parent, real.above
    )


def _par(
    real: LinkedFrames, kinds: Mapping[str, Mapping[str, str]], orders: Mapping[str, str], epochs: int | None
) -> LinkedFrames:
    ((table, root),) = real.above.items()
    own = list(real.frames[table].columns)
    context = real.frames[root].rename(columns=lambda name: f"{root}: {name}")  # two tables may share a name
    of_rows = context.iloc[real.parent[table]].reset_index(drop=True)
    rows = pd.concat([real.frames[table], of_rows], axis=1).assign(**{_ABOVE: real.parent[table]})
    columns = {name: kinds[table][name] for name in own} | dict(
        zip(context.columns, (kinds[root][name] for name in real.frames[root].columns), strict=True)
    )
    described: dict[str, Any] = {"columns": _described(columns) | {_ABOVE: {"sdtype": "id"}}, "sequence_key": _ABOVE}
    if orders.get(table) in own:
        described["sequence_index"] = orders[table]
    sdv = _sdv(PAR)
    synthesizer = sdv.sequential.PARSynthesizer(
        _metadata(sdv, {_TABLE: described}),
        context_columns=list(context.columns),
        **{"cuda": False} | ({} if epochs is None else {"epochs": epochs}),
    )
    synthesizer.fit({_TABLE: rows})
    made = synthesizer.sample_sequences(num_sequences=len(context))[_TABLE]
    parent, keys = pd.factorize(made[_ABOVE])
    persons = (
        made.groupby(parent)[list(context.columns)].first()
        if len(context.columns)
        else pd.DataFrame(index=range(len(keys)))
    )
    persons.columns = real.frames[root].columns
    return LinkedFrames({root: persons, table: made[own]}, {table: parent}, real.above)


def _synthesizer(name: str, kinds: Mapping[str, str], epochs: int | None) -> Any:
    """Return SDV's synthesizer with metadata from the kinds alone."""
    sdv = _sdv(name)
    options: dict[str, Any] = {}
    if name != "sdv:gaussian_copula":
        options = {"enable_gpu": False} | ({} if epochs is None else {"epochs": epochs})
    metadata = _metadata(sdv, {_TABLE: {"columns": _described(kinds)}})
    return getattr(sdv.single_table, _CLASSES[name])(metadata, **options)


def _sdv(name: str) -> Any:
    """Return the package, with the parts that are used here."""
    try:
        import sdv.metadata
        import sdv.multi_table
        import sdv.sequential
        import sdv.single_table
    except ImportError:
        raise ConfigError(
            f"'{name}' needs SDV, which is not installed; install privsynth[sdv], after reading what its licence allows"
        ) from None
    return sdv


def _described(kinds: Mapping[str, str]) -> dict[str, dict[str, str]]:
    return {column: {"sdtype": _SDTYPES[kind]} for column, kind in kinds.items()}


def _metadata(sdv: Any, tables: Mapping[str, Any], links: Sequence[Mapping[str, str]] = ()) -> Any:
    described = {"METADATA_SPEC_VERSION": "V1", "tables": dict(tables), "relationships": list(links)}
    return sdv.metadata.Metadata.load_from_dict(described)


def _prepared(frame: pd.DataFrame, kinds: Mapping[str, str]) -> pd.DataFrame:
    """Return the frame with one dtype a kind, so that nullable and Arrow dtypes make no difference."""
    columns: dict[str, Any] = {}
    for name in frame.columns:
        sdtype = _SDTYPES[kinds[name]]
        if sdtype == "numerical":
            numbers = pd.to_numeric(frame[name], errors="coerce").astype("float64")
            whole = kinds[name] == "integer" and np.isfinite(numbers).all()
            columns[name] = numbers.astype("int64") if whole else numbers.where(np.isfinite(numbers))
        elif sdtype == "datetime":
            times = pd.to_datetime(frame[name], errors="coerce")
            told = times.between(pd.Timestamp.min, pd.Timestamp.max)
            columns[name] = times.where(told).astype("datetime64[ns]")  # SDV takes any number for nanoseconds
        else:
            values = frame[name].astype(object)
            columns[name] = values.where(values.notna(), None)
    return pd.DataFrame(columns, index=frame.index).reset_index(drop=True)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep what SDV prints, logs and warns of off the terminal: it may quote a cell."""
    level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            with contextlib.redirect_stderr(io.StringIO()):
                yield
    finally:
        logging.disable(level)


@contextlib.contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed the global generators, which SDV draws from, and put them back afterwards."""
    import torch

    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    try:
        random.seed(seed)
        np.random.seed(seed % 2**32)
        torch.manual_seed(seed % 2**63)
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])
