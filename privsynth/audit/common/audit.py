"""`Audit`: an entry of a registry. Each audit defines its own, in its own file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from privsynth.audit.common.audit_tables import AuditTables
from privsynth.audit.common.settings import LEVELS, AuditContext, AuditSettings, Level
from privsynth.errors import ConfigError
from privsynth.findings.families import FAMILIES
from privsynth.findings.finding import Finding


class AuditFunction(Protocol):
    """An audit as a function: tables, randomness and the context of the run in, findings out."""

    def __call__(self, tables: AuditTables, *, rng: np.random.Generator, context: AuditContext) -> list[Finding]: ...


@dataclass(frozen=True, kw_only=True)
class AuditEntry:
    """What a registry knows of an audit: its name, the findings it may return, and what it leaves out at each level.

    Attributes:
      name: in the registry, snake_case.
      family: section of the report for a failure of the whole audit.
      titles: finding name -> title in the report; lists every name that the audit may emit.
      levels: those at which it runs.
      left_out: level -> what it leaves out there, as a sentence for the report; required for levels at which it does
        not run.
    Raises:
      ConfigError: unknown family or level, or no `left_out` for a level at which the audit does not run.
    """

    name: str
    family: str
    titles: Mapping[str, str]
    levels: tuple[Level, ...] = LEVELS
    left_out: Mapping[Level, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.family not in FAMILIES:
            raise ConfigError(f"the audit '{self.name}' names no family of findings; choose from {', '.join(FAMILIES)}")
        if not {*self.levels, *self.left_out} <= set(LEVELS):
            raise ConfigError(f"the audit '{self.name}' names a level that does not exist; use {', '.join(LEVELS)}")
        if {*self.levels, *self.left_out} != set(LEVELS):
            raise ConfigError(
                f"the audit '{self.name}' must say in `left_out` what a level lacks at which it is not run"
            )


@dataclass(frozen=True, kw_only=True)
class Audit(AuditEntry):
    """An audit of one table.

    Attributes:
      run: the audit itself.
      whole: pass it all rows; other audits get at most `MAX_TABLE_ROWS` of each table.
      lacks: what it leaves out for want of something in the settings of a run, whatever the level; "" for nothing.
    """

    run: AuditFunction
    whole: bool = False
    lacks: Callable[[AuditSettings], str] = lambda settings: ""

    def omissions(self, settings: AuditSettings) -> str:
        """Return what it leaves out in a run, as sentences for the report; "" for nothing."""
        return " ".join(text for text in (self.left_out.get(settings.level, ""), self.lacks(settings)) if text)
