"""`Audit`: what the registry knows of an audit. A new audit makes one in its own file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from privsynth.audit.common.audit_tables import AuditTables
from privsynth.audit.common.settings import LEVELS, AuditContext, Level
from privsynth.errors import ConfigError
from privsynth.findings.families import FAMILIES
from privsynth.findings.finding import Finding


class Run(Protocol):
    """From the tables, a stream of randomness and the context of the run to findings."""

    def __call__(self, tables: AuditTables, *, rng: np.random.Generator, context: AuditContext) -> list[Finding]: ...


@dataclass(frozen=True, kw_only=True)
class Audit:
    """An audit by name, what it may find, and how much of it runs at which level.

    Attributes:
      name: in the registry, snake_case.
      family: section of the report for a failure of the whole audit.
      run: the audit itself.
      titles: name of a finding -> its title for people; every name that the audit may emit is here.
      levels: the levels at which it runs.
      left_out: level -> what it leaves out there, as a sentence for the report; a level at which it does not run
        must have one.
      whole: whether it is given all rows; others are given at most `MAX_TABLE_ROWS` of each table.
    Raises:
      ConfigError: there is no such family or level, or nothing is said of a level at which the audit does not run.
    """

    name: str
    family: str
    run: Run
    titles: Mapping[str, str]
    levels: tuple[Level, ...] = LEVELS
    left_out: Mapping[Level, str] = field(default_factory=dict)
    whole: bool = False

    def __post_init__(self) -> None:
        if self.family not in FAMILIES:
            raise ConfigError(f"the audit '{self.name}' names no family of findings; choose from {', '.join(FAMILIES)}")
        if not {*self.levels, *self.left_out} <= set(LEVELS):
            raise ConfigError(f"the audit '{self.name}' names a level that does not exist; use {', '.join(LEVELS)}")
        if {*self.levels, *self.left_out} != set(LEVELS):
            raise ConfigError(
                f"the audit '{self.name}' must say in `left_out` what a level lacks at which it is not run"
            )
