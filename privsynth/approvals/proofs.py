"""Proofs beside decisions: each carries a checkpoint, so that a log that was rewritten since does not fit it."""

from __future__ import annotations

from pathlib import Path

from privsynth.approvals.decisions import FOLDER, MOST
from privsynth.errors import LogDamaged, OutputError, VerificationError
from privsynth.signing._files import read_limited
from privsynth.transparency.checkpoint import MAX_PROOF_BYTES, LogProof
from privsynth.transparency.note import VerifierKey
from privsynth.transparency.state import LogState

SUFFIX = ".tlog-proof"


def check_proofs(run: Path, key: VerifierKey, state: LogState) -> int:
    """Return how many proofs lie beside the decisions of a run; all are of this log, and it only adds to them.

    A proof that is damaged, or of another log, proves nothing and is passed over: what is missing the log itself shows.

    Raises:
      LogDamaged: the log signed a checkpoint to which it does not add any more.
      OutputError: they cannot be read.
    """
    fits = 0
    try:
        for path in sorted((run / FOLDER).glob(f"*{SUFFIX}"))[:MOST]:
            try:
                checkpoint = LogProof.parse(read_limited(path, MAX_PROOF_BYTES)).check(key)
            except VerificationError:
                continue
            state.require_adds_to(checkpoint)
            fits += 1
    except LogDamaged as problem:
        raise LogDamaged(f"{problem}, as {path.name} shows") from None
    except OSError as problem:
        raise OutputError(f"{run / FOLDER} cannot be read: {problem.strerror}") from None
    return fits
