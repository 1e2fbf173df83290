"""What an attacker is assumed to know: the known columns, the secrets, and distances on some columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from privsynth.audit.common.audit_tables import AuditTables
from privsynth.audit.common.row_points import Encoder, fit_encoder
from privsynth.audit.common.settings import AuditContext, AuditSettings, Level

# Sensitive columns that are attacked; bounds the time, and each takes its part of alpha (own).
SECRETS: dict[Level, int] = {"quick": 1, "standard": 3, "deep": 6}
# Distances at once, 8 MiB in single precision: what fits a cache is quicker than what fits the memory.
CHUNK_CELLS = 1 << 21
SAME = 2e-5  # squared distances in single precision that differ by less are equal


def with_role(tables: AuditTables, role: str) -> list[str]:
    """Return the columns with a declared role."""
    return [name for name in tables.columns if role in tables.roles.get(name, ())]


def usable(tables: AuditTables) -> list[str]:
    """Return the columns that are not identifiers: an identifier is a name, not knowledge."""
    return [name for name in tables.columns if "identifier" not in tables.roles.get(name, ())]


def auxiliary(tables: AuditTables, secret: str) -> tuple[list[str], str]:
    """Return the columns that the attacker knows of a target, and a sentence on them."""
    declared = [name for name in with_role(tables, "quasi_identifier") if name != secret]
    if declared:
        return declared, f"The attacker knows the {len(declared)} declared quasi-identifiers of the person."
    every = [name for name in usable(tables) if name != secret]
    return every, f"No column is declared a quasi-identifier: the attacker knows all {len(every)} other columns."


def secrets(tables: AuditTables, settings: AuditSettings) -> tuple[list[str], str]:
    """Return the columns to attack, at most as many as the level allows, and a sentence on the choice.

    Declared sensitive columns; without any, the targets and then the columns whose values are hardest to guess, by the
    share of the commonest value among the synthetic rows.
    """
    most = SECRETS[settings.level]
    declared = with_role(tables, "sensitive")
    if declared:
        left = f"; {len(declared) - most} more were left out at this level" if len(declared) > most else ""
        return declared[:most], f"The column is declared sensitive{left}."
    rest = [name for name in usable(tables) if name not in tables.targets]
    rest.sort(key=lambda name: _commonest(tables.synthetic, name))
    chosen = [*tables.targets, *rest][:most]
    return chosen, "No column is declared sensitive: the targets and the columns hardest to guess were taken."


def _commonest(frame: pd.DataFrame, name: str) -> float:
    return float(frame[name].value_counts(normalize=True).max()) if frame[name].notna().any() else 1.0


@dataclass(frozen=True, repr=False, eq=False)
class Space:
    """Rows as points, fitted on the synthetic rows; see `privsynth.audit.common.row_points`.

    Attributes:
      encoder: from rows to points. owners: (width,) the column that each coordinate belongs to.
    """

    encoder: Encoder
    owners: np.ndarray

    def points(self, frame: pd.DataFrame) -> np.ndarray:
        """Return (n, width) single-precision points; rows are at most 1 apart in a column, missing equals missing."""
        return self.encoder.points(frame).astype(np.float32)

    def axes(self, columns: Sequence[str]) -> np.ndarray:
        """Return the coordinates of some columns."""
        return np.flatnonzero(np.isin(self.owners, list(columns)))


def space_of(tables: AuditTables, context: AuditContext) -> Space:
    """Return the encoding of rows as points, shared by the audits of a run."""

    def fit() -> Space:
        encoder = fit_encoder(tables)
        widths = [block.points(tables.synthetic.head(0)).shape[1] for block in encoder.blocks]
        return Space(encoder, np.repeat([block.name for block in encoder.blocks], widths))

    found: Space = context.once("space", fit)
    return found


@dataclass(frozen=True, repr=False, eq=False)
class DistanceChunk:
    """Squared distances of some targets to a base, less a term that is constant over the base.

    Attributes:
      rows: which targets. partial: (len(rows), n_base) squared distances minus `own`. own: (len(rows),) squared norms.
    """

    rows: slice
    partial: np.ndarray
    own: np.ndarray


def distance_chunks(base: np.ndarray, targets: np.ndarray, *, multiple: int = 1) -> Iterator[DistanceChunk]:
    """Yield the distances of the targets to the whole base, in chunks of bounded memory.

    Args:
      base, targets: (n, width) single-precision points.
      multiple: the length of a chunk is a multiple of this.
    """
    norms = np.einsum("ij,ij->i", base, base)
    wide = np.concatenate([-2 * base, norms[:, None]], axis=1).T
    step = max(1, CHUNK_CELLS // max(1, len(base)) // multiple) * multiple
    for start in range(0, len(targets), step):
        some = targets[start : start + step]
        partial = np.concatenate([some, np.ones((len(some), 1), np.float32)], axis=1) @ wide
        yield DistanceChunk(slice(start, start + len(some)), partial, np.einsum("ij,ij->i", some, some))
