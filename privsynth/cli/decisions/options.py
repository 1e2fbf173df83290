"""What commands about decisions share: which log is meant, and what the reports say of a release."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from privsynth.cli.terminal.passphrases import ask_passphrase

if TYPE_CHECKING:
    from privsynth.approvals.verdict import ReportVerdicts
    from privsynth.transparency.log import TransparencyLog

LOG_PIN_VARIABLE = "PRIVSYNTH_LOG_PIN"  # as of `privsynth.transparency.log`, which is not loaded to print the help
log_option = click.option(
    "--log", "folder", type=click.Path(path_type=Path), help="Folder of the log. [default: PRIVSYNTH_LOG, else yours]"
)

log_key_option = click.option(
    "--log-key", "log_key", metavar="KEY", help="The log's key that you were given. [default: the one first seen]"
)


def ask_log_pin() -> Callable[[], bytes]:
    """Return a function that gives the PIN of the device with the log's key: from its variable, else from a prompt."""
    return ask_passphrase(variable=LOG_PIN_VARIABLE, prompt="PIN of the log's key")


def chosen_log(folder: Path | None) -> TransparencyLog | None:
    """Return the log in a folder, else the person's own; None if there is none."""
    from privsynth.transparency.log import configured_log
    from privsynth.workspace import privsynth_home

    return configured_log(privsynth_home(), ask_log_pin()) if folder is None else log_in(folder)


def log_in(folder: Path, key_text: str | None = None) -> TransparencyLog:
    """Return the log in a folder; with a key only its checkpoints are believed.

    Raises:
      KeyFileError: the key is none.
    """
    from privsynth.transparency.log import TransparencyLog
    from privsynth.transparency.note import VerifierKey
    from privsynth.transparency.seen import SeenLogs
    from privsynth.workspace import privsynth_home

    key = None if key_text is None else VerifierKey.parse(key_text)
    return TransparencyLog(folder, SeenLogs(privsynth_home()), key, pin=ask_log_pin())


def verdict_lines(found: ReportVerdicts | None) -> Iterator[str]:
    """Yield what the policy and the checks of the officer's report say; nothing where there is no report.json."""
    if found is None:
        return
    counts = found.counts
    yield f"Findings    {counts['fail']} failed, {counts['review']} for a person to review; see the officer report"
    if found.policy is None:
        yield "Policy      none was applied: nobody said beforehand what is good enough"
        return
    of = f"Policy      {found.policy.policy}, version {found.policy.version}"
    words = {"fail": "REFUSES it", "review": "asks for a look", "insufficient": "lacks evidence", "pass": "passed"}
    failed = ", ".join(dict.fromkeys(found.failed))  # as policies, report.json and docs/report.md spell them
    which = f": {len(found.failed)} of {found.checks} checks failed ({failed})" if found.failed else ""
    yield f"{of}: {words[found.policy.verdict]}{which}"
    if counts["fail"] and not found.policy.refuses:
        yield "            what failed above failed by its own threshold, and by no check of the policy"
