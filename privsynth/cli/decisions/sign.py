"""`privsynth sign`: sign a release whose key was out of reach when it was made."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import click

from privsynth.cli.decisions.options import chosen_log, log_option
from privsynth.cli.terminal.passphrases import ask_passphrase
from privsynth.errors import ConfigError, VerificationError

MAX_REPORT_JSON_BYTES = 50_000_000  # (own) the largest take a few MB


@click.command()
@click.argument("run", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--as", "name", default="default", show_default=True, help="Name of the key that the release names.")
@log_option
def sign(run: Path, name: str, folder: Path | None) -> None:
    """Sign a release that was kept without a signature, since the device with its key failed at the end of the run.

    RUN is the folder that the run named. Every file has to be as the run left it, and the key the one that the run
    began with. The signature carries the time of the release, and it is entered in the log, where one is kept.

    Example: privsynth sign ~/.local/share/privsynth/kept/run-1f2e --as office
    """
    from privsynth.pipeline.writing.staging import Seal, set_permissions
    from privsynth.signing.checks.trust import judge
    from privsynth.signing.keyring import MAKER
    from privsynth.signing.store import open_key
    from privsynth.signing.verification import require_signable
    from privsynth.transparency.facts import release_fact
    from privsynth.workspace import privsynth_home

    home, now = privsynth_home(), datetime.now(UTC)
    log = chosen_log(folder)
    if log is not None:
        log.require_ready(now)
    key, entry = open_key(home, name, ask_passphrase(), now=now)
    claims, manifest = require_signable(run / "public", key.public)
    exact, _ = require_signable(run / "officer", key.public)
    if exact.release != manifest:
        raise VerificationError(f"the officer's report in {run} is about another release than the one in 'public'")
    signer = f"{entry.holder}, key {key.public.fingerprint}"
    for kind in ("public", "officer"):
        if _named(run / kind) != signer:
            raise ConfigError(f"{run / kind} names another signer than {signer}; sign with that one's key")
    _, problem = judge((entry,), (MAKER,), claims.signed_at, now)
    if problem:
        raise VerificationError(f"nobody could verify {run / 'public'}, and nothing was signed: {problem}")
    seal = Seal(claims.dataset, key, entry.holder, claims.signed_at)
    if seal.sign(run / "public", "public") != manifest:
        raise VerificationError(f"{run / 'public'} was changed while it was signed")
    seal.sign(run / "officer", "officer", release=manifest)
    set_permissions(run, claims.signed_at)
    click.echo(f"Signed      {run}, by {entry.holder}")
    if log is not None:
        size = log.append([release_fact(run / "public")], now).checkpoint.size
        click.echo(f"In the log  {log.key.name}, {size} entries")


def _named(folder: Path) -> str:
    """Return whom a report names as its signer."""
    from privsynth.signing._files import read_limited

    try:
        document = json.loads(read_limited(folder / "report.json", MAX_REPORT_JSON_BYTES))
    except (OSError, ValueError):
        document = None
    return str(document.get("signer", "")) if isinstance(document, dict) else ""
