"""The settings of a benchmark, `BenchmarkConfig`, and its runs, `Case`s."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from privsynth._validate import inside, positive
from privsynth.errors import ConfigError, Option
from privsynth.generators.registry import GENERATORS, generator_info, names_outside
from privsynth.privacy.budget import DEFAULT_DELTA, Budget

DEFAULT_EPSILONS = (0.5, 1.0, 3.0, 10.0)  # from strict to weak, in factors of about three (own)
DEFAULT_HOLDOUT = 0.2  # a fifth of the units, a usual split
MAX_SEEDS = 1_000  # more is taken for a typing error (own)
FLAT = "flat:"  # before the name of a generator of one table, for which linked tables are joined into one


def is_private(generator: str) -> bool:
    """Return whether a generator of a benchmark has a guarantee."""
    return generator_info(generator.removeprefix(FLAT)).private


@dataclass(frozen=True, kw_only=True)
class Case:
    """One run: a generator, an epsilon and a seed.

    Attributes:
      generator: a name of the registry, or `flat:` and one.
      epsilon: None for a reference without privacy.
      seed: of the rows and all published randomness; noise is fresh in each run and has no seed.
    """

    generator: str
    epsilon: float | None
    seed: int

    @property
    def key(self) -> str:
        """Name of the run's file, unique in a benchmark and safe on any file system."""
        budget = "no-privacy" if self.epsilon is None else f"eps{self.epsilon:g}"
        return f"{re.sub(r'[^A-Za-z0-9_-]+', '-', self.generator)}_{budget}_seed{self.seed}"


@dataclass(frozen=True, kw_only=True)
class BenchmarkConfig:
    """A benchmark of generators on one table, or on linked ones, of which `schema` says how they are linked.

    Attributes:
      table: the rows to learn from: a path or a database URL; of linked tables a folder or a database.
      out: folder of the results; a benchmark there with the same settings is continued.
      generators: names of the registry, for linked tables also `flat:` and a name; may be empty if only other programs'
        runs are evaluated (`compare`).
      epsilons, delta: budgets of private generators.
      seeds: each case is run with the seeds 1 … seeds.
      holdout: rows of the same population that no generator sees; None: split off the table.
      holdout_fraction: share of the units to split off; None takes 0.2 if there is no `holdout`.
      schema: path of a schema; None declares nothing.
      unit, max_rows_per_unit: as in `SynthesizeConfig`.
      targets: columns to predict, of linked tables those of the persons; empty takes the schema's.
      source_options: how to read the table and the holdout (see `SourceOptions`).
      judge_rows: most rows of a table that train an evaluation model.
      timeout_s: a run that takes longer is stopped and fails.
      reference_epochs: of references that are trained; None: their default.
      keep_rows: keep the synthetic rows of each run in `out/rows`.
      retry_failed: run again what failed before.
      compare: files with runs of other programs, to show beside ours (see `results.load_runs`).
    """

    table: str
    out: Path
    generators: tuple[str, ...]
    epsilons: tuple[float, ...] = DEFAULT_EPSILONS
    delta: float = DEFAULT_DELTA
    seeds: int = 5
    holdout: str | None = None
    holdout_fraction: float | None = None
    schema: Path | None = None
    unit: str | None = None
    max_rows_per_unit: int | None = None
    targets: tuple[str, ...] = ()
    source_options: dict[str, Any] = field(default_factory=dict)
    judge_rows: int = 50_000
    timeout_s: float = 3_600.0
    reference_epochs: int | None = None
    keep_rows: bool = False
    retry_failed: bool = False
    compare: tuple[Path, ...] = ()

    def __post_init__(self) -> None:
        if not self.generators and not self.compare:
            raise ConfigError("name at least one generator with ", Option("generators"))
        for name in self.generators:
            known = (*GENERATORS, *names_outside())
            if name.removeprefix(FLAT) not in known:
                raise ConfigError(f"there is no generator '{name}'; choose from {', '.join(known)}")
        for label, values in (("generators", self.generators), ("epsilons", self.epsilons)):
            if len(set(values)) != len(values):
                raise ConfigError(f"{label} holds a value twice; name each one once")
        if not self.epsilons and any(map(is_private, self.generators)):
            raise ConfigError("name at least one epsilon with ", Option("epsilons"))
        for epsilon in self.epsilons:
            Budget(epsilon=epsilon, delta=self.delta)
        if not 1 <= self.seeds <= MAX_SEEDS:
            raise ConfigError(f"seeds must lie between 1 and {MAX_SEEDS}, not {self.seeds}")
        if self.holdout is not None and self.holdout_fraction is not None:
            raise ConfigError("give either ", Option("holdout"), " or ", Option("holdout_fraction"), ", not both")
        if self.holdout_fraction is not None:
            inside(0.0, 1.0, holdout_fraction=self.holdout_fraction)
        positive(judge_rows=self.judge_rows, timeout_s=self.timeout_s)
        if self.reference_epochs is not None:
            positive(reference_epochs=self.reference_epochs)

    @property
    def split(self) -> float | None:
        """Share of the units to split off as the holdout, or None if the holdout is a table."""
        if self.holdout is not None:
            return None
        return DEFAULT_HOLDOUT if self.holdout_fraction is None else self.holdout_fraction

    def cases(self) -> list[Case]:
        """Return all runs, seed by seed."""
        found = []
        for seed in range(1, self.seeds + 1):
            for name in self.generators:
                budgets: tuple[float | None, ...] = self.epsilons if is_private(name) else (None,)
                found += [Case(generator=name, epsilon=epsilon, seed=seed) for epsilon in budgets]
        return found

    def check_generators(self, *, linked: bool) -> None:
        """Raise `ConfigError` if a generator does not make such tables."""
        for name in self.generators:
            info = generator_info(name.removeprefix(FLAT))
            if not linked and (name.startswith(FLAT) or not info.one_table):
                raise ConfigError(f"'{name}' is for linked tables, and the schema is of one table; leave it out")
            if linked and name.startswith(FLAT) and not (info.private and info.one_table):
                raise ConfigError(f"'{name}' needs a private generator of one table, such as {FLAT}marginal")
            if linked and not name.startswith(FLAT) and not info.linked:
                found = [known for known, one in GENERATORS.items() if one.linked]
                raise ConfigError(
                    f"'{name}' makes one table; for linked ones choose from {', '.join([*found, f'{FLAT}marginal'])}"
                )
