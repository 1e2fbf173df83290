"""Settings of an audit run, and what its audits share."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd

from privsynth.errors import ConfigError
from privsynth.sampling.synthetic_model import SyntheticModel

Level = Literal["quick", "standard", "deep"]
LEVELS: tuple[Level, ...] = get_args(Level)


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class AuditSettings:
    """Settings of an audit run; nothing here is private.

    Attributes:
      names: audits to run, in the order of the registry; None: all of them.
      level: how much work; each audit says what it leaves out at a level.
      claimed: the (epsilon, delta) that the release promises; None for tables without a promise.
      max_rows: most rows of a table that train a model or are searched for neighbours.
      max_targets: about the most members, and the most non-members, that are attacked.
      rules: (sentence, (n_synthetic,) booleans: the row satisfies the rule).
      model: the model that the synthetic rows were drawn from, if known.
      refit: `refit(frame, *, seed) -> synthetic frame` trains the same generator on other rows (columns and types
        of `AuditTables.train`) and returns as many synthetic rows as `frame` has, in the types of
        `AuditTables.synthetic`; in memory, outside the ledger, for the officer alone. None if the generator is not
        available.
      seed: of all randomness of the audit, so that it can be repeated; None: a fresh one.
    Raises:
      ConfigError: unknown level, or no valid (epsilon, delta).
    """

    names: tuple[str, ...] | None = None
    level: Level = "standard"
    claimed: tuple[float, float] | None = None
    max_rows: int = 40_000
    max_targets: int = 3_000
    rules: tuple[tuple[str, np.ndarray], ...] = ()
    model: SyntheticModel | None = None
    refit: Callable[..., pd.DataFrame] | None = None
    seed: int | None = None

    def __post_init__(self) -> None:
        if self.level not in LEVELS:
            raise ConfigError(f"there is no level '{self.level}' of the audit; choose from {', '.join(LEVELS)}")
        if self.claimed is not None and not (self.claimed[0] >= 0 and 0 <= self.claimed[1] < 1):
            raise ConfigError("the claimed epsilon must be at least 0 and delta must lie in [0, 1)")


class AuditContext:
    """The settings of one run, and results that several of its audits share (attack scores, trained models).

    Made by `run_audits` for one run, and never kept.
    """

    def __init__(self, settings: AuditSettings) -> None:
        self.settings = settings
        self._results: dict[Hashable, Any] = {}

    def once(self, key: Hashable, compute: Callable[[], Any]) -> Any:
        """Return the result under `key`, computed on first use."""
        if key not in self._results:
            self._results[key] = compute()
        return self._results[key]

    def __repr__(self) -> str:
        return "AuditContext()"
