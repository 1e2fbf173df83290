"""`privsynth keys sign`: sign what a service asks for, where the key is."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from privsynth.cli.terminal.passphrases import ask_passphrase
from privsynth.errors import ConfigError


@click.command("sign")
@click.argument("request", type=click.Path(dir_okay=False, path_type=Path))
@click.argument("out", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--as", "name", default="default", show_default=True, help="Name of your key.")
def sign_request(request: Path, out: Path, name: str) -> None:
    """Sign the REQUEST of a service, which its page gives you as a file, into the new file OUT.

    It asks for one of two things: to show that you hold a key, before it is attached to you, or to sign a decision on a
    release that you chose on the page. What you sign is printed first. Give the content of OUT to the page. The key
    stays here: in its file, or in a device. For decisions it needs the role approver, or reviewer for a review.

    Example: privsynth keys sign decision-run-1f2e.json decision-run-1f2e.dsse.json --as mine
    """
    from privsynth.approvals.offline import KeyChallenge, read_request
    from privsynth.approvals.statement import MEANINGS
    from privsynth.signing._files import atomic_write
    from privsynth.signing.keyring import ROLES
    from privsynth.signing.store import open_key
    from privsynth.workspace import privsynth_home

    now = datetime.now(UTC).replace(microsecond=0)
    asked = read_request(request)
    if out.exists():
        raise ConfigError(f"{out} is there already: name a new file")
    if isinstance(asked, KeyChallenge):
        click.echo(f"You show {asked.service or 'the service'} that you, {asked.person}, hold this key.")
        signer, entry = open_key(privsynth_home(), name, ask_passphrase(), now=now, roles=tuple(ROLES))
        envelope = asked.signed(signer)
    else:
        approval = asked.approval(now)
        click.echo(f"You sign   {asked.meaning}: the release of {asked.dataset}")
        click.echo(f"Release    SHA-256 {asked.release[0]}")
        click.echo(f"Officer's  SHA-256 {asked.release[1]}")
        if asked.policy is not None:
            click.echo(f"Policy     {asked.policy.policy} {asked.policy.version}: {asked.policy.verdict}")
        if asked.comment:
            click.echo(f"Comment    {asked.comment}")
        roles = MEANINGS[approval.meaning]
        signer, entry = open_key(privsynth_home(), name, ask_passphrase(), now=now, roles=roles)
        envelope = approval.signed(signer, entry.holder)
    try:
        atomic_write(out, envelope.to_json())
    except OSError as problem:
        raise ConfigError(f"{out} cannot be written: {problem.strerror}") from None
    click.echo(f"Fingerprint {entry.fingerprint}")
    click.echo(f"Written     {out}: give its content to the page")
