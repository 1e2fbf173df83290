"""Where a release stands now: by its files, by the decisions beside it, and by the log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from privsynth.approvals.decisions import Standing, standing
from privsynth.approvals.proofs import check_proofs
from privsynth.approvals.revocations import RevocationList
from privsynth.signing.keyring import Keyring
from privsynth.transparency.log import TransparencyLog
from privsynth.transparency.state import LogState


@dataclass(frozen=True)
class Situation:
    """Where a release stands now, by its decisions and by the log.

    Attributes:
      found: by the decisions.
      state: of the log; None if there is none.
      log: the same.
    """

    found: Standing
    state: LogState | None
    log: TransparencyLog | None

    @property
    def revoked(self) -> bool:
        """Whether the log has revoked it."""
        entries = [] if self.state is None else [entry for _, entry in self.state.about(self.found.release.manifest)]
        return any(entry.kind == "revoked" and entry.release == self.found.release.manifest for entry in entries)

    @property
    def may_leave(self) -> bool:
        """Whether enough people approved it, nobody rejects it, and the log has not revoked it."""
        return self.found.state == "approved" and not self.revoked

    def withheld(self, revoked: RevocationList | None) -> tuple[str, ...] | None:
        """Return what keeps the release from leaving, beyond where it stands; None if nothing does.

        Args:
          revoked: the office's own list, if there is one; without a log it alone knows.
        """
        about = None if revoked is None else revoked.about(self.found.release.manifest)
        withdrawn = about is not None and not about.successor
        if self.may_leave and not self.found.unlogged and not withdrawn:
            return None
        reasons = ["your list of revocations has it"] if withdrawn else []
        if self.found.unlogged:
            reasons.append(f"not in the log: {', '.join(self.found.unlogged)}")
        return tuple(reasons)


def situation(
    run: Path, keyrings: Sequence[Keyring], log: TransparencyLog | None, *, needed: int, now: datetime
) -> Situation:
    """Return where a release stands: its files, the decisions beside it, and the log are verified.

    Args:
      log: that is to say the same; None if there is none.
      needed: how many people have to approve, unless the policy in the release's own report asks for more.
    Raises:
      VerificationError, UnknownSigner, LogDamaged, LogUnavailable, OutputError: as `standing` and the log raise them.
    """
    state = None if log is None else log.verify()
    found = standing(run, keyrings, now, needed=needed, log=state)
    if log is not None and state is not None:
        check_proofs(run, log.key, state)
    return Situation(found, state, log)
