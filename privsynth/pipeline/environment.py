"""What a run takes from its surroundings."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from privsynth.privacy.budget import Bill
from privsynth.privacy.mechanisms import GaussianMechanisms, Mechanisms
from privsynth.progress import Progress, no_progress
from privsynth.randomness import KeyedFunction
from privsynth.signing.keys import Passphrase
from privsynth.transparency.log import TransparencyLog, configured_log
from privsynth.workspace import privsynth_home


@dataclass(frozen=True, kw_only=True)
class Environment:
    """What a run takes from its surroundings; tests replace it.

    Attributes:
      home: where ledger, keys and the private workspace are.
      now: the time that the release carries.
      report_id: name of the run, in the ledger and in both reports.
      mechanisms: from a bill to mechanisms.
      keyed: the keyed function of units.
      passphrase: asked if the key is encrypted.
      progress: told what is going on.
      tell: told in a sentence what a person should know before anything is spent.
      log: where releases are entered before they appear; None where nobody made a log.
    """

    home: Path
    now: datetime
    report_id: str
    mechanisms: Callable[[Bill], Mechanisms] = GaussianMechanisms
    keyed: Callable[[], KeyedFunction] = KeyedFunction
    passphrase: Passphrase | None = None
    progress: Progress = no_progress
    tell: Callable[[str], None] = lambda sentence: None
    log: TransparencyLog | None = None


def environment(
    *,
    passphrase: Passphrase | None = None,
    progress: Progress = no_progress,
    tell: Callable[[str], None] = lambda sentence: None,
    log_pin: Passphrase | None = None,
) -> Environment:
    """Return the real environment."""
    home = privsynth_home()
    return Environment(
        home=home,
        now=datetime.now(UTC).replace(microsecond=0),
        report_id=f"run-{secrets.token_hex(8)}",
        passphrase=passphrase,
        progress=progress,
        tell=tell,
        log=configured_log(home, log_pin),
    )
