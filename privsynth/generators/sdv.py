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
from collections.abc import Iterator, Mapping
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


def _synthesizer(name: str, kinds: Mapping[str, str], epochs: int | None) -> Any:
    """Return SDV's synthesizer with metadata from the kinds alone."""
    try:
        from sdv import single_table
        from sdv.metadata import Metadata
    except ImportError:
        raise ConfigError(
            f"'{name}' needs SDV, which is not installed; install privsynth[sdv], after reading what its licence allows"
        ) from None
    columns = {column: {"sdtype": _SDTYPES[kind]} for column, kind in kinds.items()}
    metadata = Metadata.load_from_dict(
        {"METADATA_SPEC_VERSION": "V1", "tables": {_TABLE: {"columns": columns}}, "relationships": []}
    )
    options: dict[str, Any] = {}
    if name != "sdv:gaussian_copula":
        options = {"enable_gpu": False} | ({} if epochs is None else {"epochs": epochs})
    return getattr(single_table, _CLASSES[name])(metadata, **options)


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
            columns[name] = pd.to_datetime(frame[name], errors="coerce")
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
