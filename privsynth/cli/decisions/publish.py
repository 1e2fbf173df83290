"""`privsynth publish`: make the approved edition of a release, for its recipients."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import click

from privsynth.cli.decisions.options import chosen_log, log_option
from privsynth.cli.decisions.status import text_of
from privsynth.cli.terminal.passphrases import ask_passphrase
from privsynth.cli.trust.keyrings import keyring_option, keyrings_of
from privsynth.cli.trust.times import require_askable, stamp_or_say, timestamp_option
from privsynth.errors import CheckFailed


@click.command()
@click.argument("run", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--policy", "policy_name", required=True, help="Policy that says how many people have to approve.")
@click.option("--as", "name", default="default", show_default=True, help="Name of your key, of a maker.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="New folder, for recipients.")
@click.option("--with-comments", is_flag=True, help="Show what people wrote, too: every recipient will read it.")
@timestamp_option
@keyring_option
@log_option
def publish(
    run: Path,
    policy_name: str,
    name: str,
    out: Path,
    with_comments: bool,
    authority: str | None,
    keyring_files: tuple[Path, ...],
    folder: Path | None,
) -> None:
    """Make the approved edition of a release: its public part, with who approved it on page one, signed by you.

    RUN is the folder with the public part, the officer's and the decisions. It is refused with 3, as by privsynth
    status, unless as many people approved it as the policy asks for (and the one that the release itself was judged by,
    if that asks for more), nobody rejects it, it is not revoked and, where a
    log is kept, every decision is in it. Data, model, schema, tables and cards are copied byte for byte; the report
    gains names, times and the digest of the draft. The draft stays as it is. Your key needs the role maker, which
    everybody who verifies asks for. If a time authority is named and does not answer, the edition is published, and you
    are told that it carries no time.

    Example: privsynth publish out --policy public --as office --out out-approved
    """
    from privsynth.approvals.revocations import own_list
    from privsynth.approvals.revoking import LIST
    from privsynth.approvals.situation import situation
    from privsynth.editions.publishing import WantedEdition, asked_by
    from privsynth.editions.publishing import publish as make
    from privsynth.policy.files import load_policy
    from privsynth.signing.store import open_key
    from privsynth.workspace import privsynth_home

    require_askable(authority)
    home, now, keyrings = privsynth_home(), datetime.now(UTC).replace(microsecond=0), keyrings_of(keyring_files)
    policy = load_policy(policy_name).policy
    stands = situation(run, keyrings, chosen_log(folder), needed=policy.approvals, now=datetime.now(UTC))
    if (reasons := stands.withheld(own_list(home / LIST, keyrings))) is not None:
        click.echo(text_of(stands), err=True)
        raise CheckFailed(f"{run} may not leave{''.join(f'; {one}' for one in reasons)}. Nothing was published")

    def stamp(envelope: Path) -> None:
        stamp_or_say(envelope, authority, signed_at=now, now=datetime.now(UTC))

    opens = partial(open_key, home, name, ask_passphrase(), now=now)
    asked = asked_by(stands, f"{policy.policy} {policy.version}", policy.approvals)
    made = make(home, stands, WantedEdition(run, out, asked, with_comments, now, stamp), keyrings, opens)
    click.echo(f"Published   {out}, signed by {made.holder}")
    click.echo(f"Edition     approved edition of draft SHA-256 {stands.found.release.manifest}")
    click.echo(f"{'':<12}its own manifest: SHA-256 {made.digest}")
    people = "1 person" if stands.found.needed == 1 else f"{stands.found.needed} people"
    click.echo(f"{'':<12}by the policy {asked}, which asks for {people}")
    click.echo(f"Names       {', '.join(f'{one.name} ({one.meaning})' for one in made.facts.sign_offs)}")
    if stands.log is not None:
        click.echo(f"In the log  {stands.log.key.name}, {made.size} entries")
