"""Running audits one after the other, so that neither a failure nor a person who interrupts loses what is finished."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from privsynth.audit.common.audit import AuditEntry
from privsynth.findings.finding import Finding
from privsynth.findings.insufficient import insufficient

_NOT_RUN = "_not_run"

AuditProgress = Callable[[str, int, int], None]  # name of an audit, its number from 1, how many there are


def run_in_order(
    todo: Sequence[tuple[AuditEntry, Callable[[], list[Finding]]]], progress: AuditProgress | None = None
) -> list[Finding]:
    """Return the findings of audits, each run without arguments.

    An audit that fails becomes a finding with the verdict `insufficient` that names it and the type of the error,
    never its message: messages may quote cells. A person who interrupts ends the audits, not the findings: each audit
    that did not finish becomes a finding too (see `not_run`).
    """
    findings: list[Finding] = []
    for number, (audit, run) in enumerate(todo, start=1):
        try:
            if progress is not None:
                progress(audit.name, number, len(todo))
            findings += _isolated(audit, run)
        except KeyboardInterrupt:
            return findings + [_not_run(missing) for missing, _ in todo[number - 1 :]]
    return findings


def not_run(findings: Iterable[Finding]) -> list[str]:
    """Return the names of the audits that a person stopped before they had finished."""
    return [f.name.removesuffix(_NOT_RUN) for f in findings if f.name.endswith(_NOT_RUN)]


def _isolated(audit: AuditEntry, run: Callable[[], list[Finding]]) -> list[Finding]:
    try:
        return run()
    except Exception as error:  # any failure of one audit must not hide the others
        why = f"the audit '{audit.name}' stopped with an error of type {type(error).__name__}."
        return [insufficient(audit.family, f"{audit.name}_failed", why)]


def _not_run(audit: AuditEntry) -> Finding:
    why = f"the run was stopped before the audit '{audit.name}' had finished."
    return insufficient(audit.family, f"{audit.name}{_NOT_RUN}", why)
