"""The audits by name, and the one function that runs them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import pandas as pd

from privsynth.audit.common.audit_tables import LEVELS, AuditSettings, AuditTables, Level
from privsynth.audit.coverage.coverage import coverage
from privsynth.audit.decay import decay
from privsynth.audit.disclosure.attribute_inference import attribute_inference
from privsynth.audit.disclosure.copies import alarms
from privsynth.audit.disclosure.criteria import criteria
from privsynth.audit.disclosure.pii_screen import pii
from privsynth.audit.fairness.bias import bias
from privsynth.audit.fidelity.marginal_distance import fidelity
from privsynth.audit.fidelity.two_sample_test import two_sample
from privsynth.audit.membership.epsilon_lower_bound import epsilon
from privsynth.audit.membership.membership import membership
from privsynth.audit.rules import rules
from privsynth.audit.utility.train_synthetic_test_real import utility
from privsynth.errors import ConfigError
from privsynth.findings.finding import Finding
from privsynth.findings.insufficient import insufficient
from privsynth.sampling.synthetic_model import SyntheticModel

_NOT_RUN = "_not_run"


class Audit(Protocol):
    """An audit: from the tables, a stream of randomness and the settings to findings."""

    def __call__(self, tables: AuditTables, *, rng: np.random.Generator, settings: AuditSettings) -> list[Finding]: ...


@dataclass(frozen=True, kw_only=True)
class Entry:
    """An audit, and how much of it runs at which level.

    Attributes:
      run: the audit.
      family: section of the report for a failure of the whole audit.
      levels: the levels at which it runs.
      left_out: level -> what it leaves out there, as a sentence for the report; a level at which it does not run
        must have one.
      whole: whether it is given all rows; others are given at most `MAX_TABLE_ROWS` of each table.
    """

    run: Audit
    family: str
    levels: tuple[Level, ...] = LEVELS
    left_out: Mapping[Level, str] = field(default_factory=dict)
    whole: bool = False


# Rows of a table that the audits of a level are given; a longer table is thinned, and the report says so.
MAX_TABLE_ROWS: Mapping[Level, int] = {"quick": 50_000, "standard": 200_000, "deep": 500_000}

AUDITS: dict[str, Entry] = {
    "fidelity": Entry(
        run=fidelity, family="fidelity", left_out={"quick": "Fewer triples of columns; no subsample equivalence."}
    ),
    "two_sample": Entry(
        run=two_sample, family="fidelity", left_out={"quick": "At most 3,000 rows a side train the classifier."}
    ),
    "utility": Entry(
        run=utility,
        family="utility",
        left_out={"quick": "Models see at most 10,000 rows, none drawn again; no importance of columns."},
    ),
    "membership": Entry(
        run=membership,
        family="membership",
        left_out={
            "quick": "At most 1,000 targets a side, no Gen-LRA, no classifier, no shadow runs.",
            "standard": "No shadow runs; MAMA-MIA only where the model lists its tables.",
        },
    ),
    "epsilon": Entry(run=epsilon, family="membership"),
    "bias": Entry(run=bias, family="bias", left_out={"quick": "Protected columns are not crossed."}),
    "rules": Entry(run=rules, family="rules"),
    "alarms": Entry(run=alarms, family="alarms", whole=True),
    "criteria": Entry(
        run=criteria, family="disclosure", left_out={"quick": "One secret instead of three; a third of the attacks."}
    ),
    "attribute_inference": Entry(
        run=attribute_inference, family="disclosure", left_out={"quick": "One secret; models see 2,000 rows."}
    ),
    "coverage": Entry(run=coverage, family="coverage", left_out={"quick": "No triples of columns."}),
    "decay": Entry(
        run=decay,
        family="decay",
        levels=("deep",),
        left_out=dict.fromkeys(("quick", "standard"), "Everything: no generator is trained on its own output."),
    ),
    "pii": Entry(run=pii, family="pii"),
}


def thinning(tables: AuditTables, level: Level) -> str:
    """Return the sentence that says how the tables were thinned at a level, "" if they were not."""
    most = MAX_TABLE_ROWS[level]
    if tables.largest <= most:
        return ""
    whole = " and ".join(name for name, entry in AUDITS.items() if entry.whole)
    return f"At most {most:,} rows of each table, whole units drawn at random, were audited; {whole} saw all rows."


def left_out(level: Level) -> dict[str, str]:
    """Return audit -> what it leaves out at a level; audits that run whole are not named."""
    return {name: entry.left_out[level] for name, entry in AUDITS.items() if level in entry.left_out}


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
    level: Level = "standard",
    model: SyntheticModel | None = None,
    refit: Callable[..., pd.DataFrame] | None = None,
) -> list[Finding]:
    """Return the findings of all audits of a level, or of those named, in the order of `AUDITS`.

    An audit that fails becomes a finding with the verdict `insufficient` that names it and the type of the error,
    never its message: messages may quote cells. A person who interrupts ends the audits, not the findings: each audit
    that did not finish becomes a finding too (see `not_run`).

    Guarantee: none; the findings of visibility `officer` are personal data themselves.
    Args:
      tables: the real and the synthetic rows.
      rng: source of randomness; each audit gets a stream of its own.
      claimed: the (epsilon, delta) that the release promises for one unit, or None.
      progress: called before each audit with its name, its number from 1, and how many there are.
      max_rows: rows of a table that train a model or serve as neighbours.
      max_targets: members (and non-members) that are attacked.
      rules: (sentence, (n_synthetic,) booleans: the row satisfies it).
      level, model, refit: see `AuditSettings`.
    Raises:
      ConfigError: a name or a level is in no registry, or the claim is not a pair of numbers that can be promised.
    """
    wanted = list(AUDITS) if names is None else list(names)
    for name in wanted:
        if name not in AUDITS:
            raise ConfigError(f"there is no audit '{name}'; choose from {', '.join(AUDITS)}")
    if level not in LEVELS:
        raise ConfigError(f"there is no level '{level}' of the audit; choose from {', '.join(LEVELS)}")
    if claimed is not None and not (claimed[0] >= 0 and 0 <= claimed[1] < 1):
        raise ConfigError("the claimed epsilon must be at least 0 and delta must lie in [0, 1)")
    settings = AuditSettings(
        claimed=claimed,
        max_rows=max_rows,
        max_targets=max_targets,
        rules=tuple(rules),
        level=level,
        model=model,
        refit=refit,
    )
    streams = dict(zip(AUDITS, rng.spawn(len(AUDITS)), strict=True))
    fewer = tables.thinned(MAX_TABLE_ROWS[level], rng)
    ordered = [name for name in AUDITS if name in wanted and level in AUDITS[name].levels]
    findings: list[Finding] = []
    for number, name in enumerate(ordered, start=1):
        try:
            if progress is not None:
                progress(name, number, len(ordered))
            findings += _isolated(name, tables if AUDITS[name].whole else fewer, streams[name], settings)
        except KeyboardInterrupt:
            return findings + [_not_run(missing) for missing in ordered[number - 1 :]]
    return findings


def not_run(findings: Iterable[Finding]) -> list[str]:
    """Return the names of the audits that a person stopped before they had finished."""
    return [f.name.removesuffix(_NOT_RUN) for f in findings if f.name.endswith(_NOT_RUN)]


def _isolated(name: str, tables: AuditTables, rng: np.random.Generator, settings: AuditSettings) -> list[Finding]:
    try:
        return AUDITS[name].run(tables, rng=rng, settings=settings)
    except Exception as error:  # any failure of one audit must not hide the others
        return [
            insufficient(
                AUDITS[name].family,
                f"{name}_failed",
                f"the audit '{name}' stopped with an error of type {type(error).__name__}.",
            )
        ]


def _not_run(name: str) -> Finding:
    return insufficient(
        AUDITS[name].family, f"{name}{_NOT_RUN}", f"the run was stopped before the audit '{name}' had finished."
    )
