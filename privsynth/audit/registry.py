"""The audits by name, and the one function that runs them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from privsynth.audit.alarms import alarms
from privsynth.audit.bias import bias
from privsynth.audit.epsilon import epsilon
from privsynth.audit.fidelity import fidelity
from privsynth.audit.finding import Family, Finding
from privsynth.audit.membership import membership
from privsynth.audit.rules import rules
from privsynth.audit.tables import AuditSettings, AuditTables
from privsynth.audit.utility import utility
from privsynth.errors import ConfigError


class Audit(Protocol):
    """An audit: from the tables, a stream of randomness and the settings to findings."""

    def __call__(self, tables: AuditTables, *, rng: np.random.Generator, settings: AuditSettings) -> list[Finding]: ...


AUDITS: dict[str, Audit] = {
    "fidelity": fidelity,
    "utility": utility,
    "membership": membership,
    "epsilon": epsilon,
    "bias": bias,
    "rules": rules,
    "alarms": alarms,
}

_FAMILIES: dict[str, Family] = {
    "fidelity": "fidelity",
    "utility": "utility",
    "membership": "membership",
    "epsilon": "membership",
    "bias": "bias",
    "rules": "rules",
    "alarms": "alarms",
}


def run_audits(
    tables: AuditTables,
    *,
    rng: np.random.Generator,
    names: Sequence[str] | None = None,
    claimed: tuple[float, float] | None = None,
    progress: Callable[[str, int, int], None] | None = None,
    max_rows: int = 40_000,
    max_targets: int = 3_000,
    rules: Sequence[tuple[str, np.ndarray]] = (),
) -> list[Finding]:
    """Return the findings of all audits, or of those named, in the order of `AUDITS`.

    An audit that fails becomes a finding with the verdict `insufficient` that names it and the type of the
    error,
    never its message: messages may quote cells.

    Guarantee: none; the findings of visibility `officer` are personal data themselves.
    Args:
      tables: the real and the synthetic rows.
      rng: source of randomness; each audit gets a stream of its own.
      claimed: the (epsilon, delta) that the release promises for one unit, or None.
      progress: called before each audit with its name, its number from 1, and how many there are.
      max_rows: rows of a table that train a model or serve as neighbours.
      max_targets: members (and non-members) that are attacked.
      rules: (sentence, (n_synthetic,) booleans: the row satisfies it).
    Raises:
      ConfigError: a name is in no registry, or the claim is not a pair of numbers that can be promised.
    """
    wanted = list(AUDITS) if names is None else list(names)
    for name in wanted:
        if name not in AUDITS:
            raise ConfigError(f"there is no audit '{name}'; choose from {', '.join(AUDITS)}")
    if claimed is not None and not (claimed[0] >= 0 and 0 <= claimed[1] < 1):
        raise ConfigError("the claimed epsilon must be at least 0 and delta must lie in [0, 1)")
    settings = AuditSettings(claimed=claimed, max_rows=max_rows, max_targets=max_targets, rules=tuple(rules))
    streams = dict(zip(AUDITS, rng.spawn(len(AUDITS)), strict=True))
    findings: list[Finding] = []
    ordered = [name for name in AUDITS if name in wanted]
    for number, name in enumerate(ordered, start=1):
        if progress is not None:
            progress(name, number, len(ordered))
        findings += _isolated(name, tables, streams[name], settings)
    return findings


def _isolated(name: str, tables: AuditTables, rng: np.random.Generator, settings: AuditSettings) -> list[Finding]:
    try:
        return AUDITS[name](tables, rng=rng, settings=settings)
    except Exception as error:  # any failure of one audit must not hide the others
        return [
            Finding(
                family=_FAMILIES[name],
                name=f"{name}_failed",
                value=None,
                visibility="officer",
                verdict="insufficient",
                meaning=f"The audit '{name}' stopped with an error of type {type(error).__name__}. Nothing "
                "is known of what it would have shown.",
            )
        ]
