"""`privsynth publish`: make the approved edition of a release, for its recipients."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from privsynth.cli.decisions.options import chosen_log, log_option
from privsynth.cli.decisions.revoke import LIST
from privsynth.cli.decisions.status import Situation, situation
from privsynth.cli.terminal.passphrases import ask_passphrase
from privsynth.cli.trust.keyrings import keyring_option, keyrings_of
from privsynth.cli.trust.times import require_askable, stamp_or_say, timestamp_option
from privsynth.errors import CheckFailed, OutputError, VerificationError

if TYPE_CHECKING:
    from privsynth.approvals.revocations import RevocationList
    from privsynth.editions.approved import EditionFacts
    from privsynth.pipeline.writing.staging import Seal
    from privsynth.signing.keyring import Keyring


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
    status, unless as many people approved it as the policy asks for, nobody rejects it, it is not revoked and, where a
    log is kept, every decision is in it. Data, model, schema, tables and cards are copied byte for byte; the report
    gains names, times and the digest of the draft. The draft stays as it is. Your key needs the role maker, which
    everybody who verifies asks for. If a time authority is named and does not answer, the edition is published, and you
    are told that it carries no time.

    Example: privsynth publish out --policy public --as office --out out-approved
    """
    from privsynth.approvals.revocations import own_list
    from privsynth.editions.approved import EditionFacts
    from privsynth.pipeline.writing.staging import Seal, set_permissions
    from privsynth.release.out_folder import OutFolder
    from privsynth.signing.release import ATTESTATION
    from privsynth.signing.store import open_key
    from privsynth.transparency.facts import release_fact
    from privsynth.workspace import Workspace, privsynth_home

    require_askable(authority)
    home, now, keyrings = privsynth_home(), datetime.now(UTC).replace(microsecond=0), keyrings_of(keyring_files)
    stands = situation(run, keyrings, chosen_log(folder), policy_name)
    _require_approved(run, stands, own_list(home / LIST, keyrings))
    draft, log = stands.found.release, stands.log
    if log is not None:
        log.require_ready(now)
    with OutFolder(out, home) as place, Workspace(home) as workspace:
        key, entry = open_key(home, name, ask_passphrase(), now=now)
        seal = Seal(draft.dataset, key, entry.holder, now)
        staged = _copied(run / "public", workspace.folder / "edition", draft.manifest, keyrings)
        signer = f"{entry.holder}, key {key.public.fingerprint}"
        facts = EditionFacts.of(stands.found, signer, now, comments=with_comments)
        digest = _signed(staged, seal, facts)
        stamp_or_say(staged / ATTESTATION, authority, signed_at=now, now=datetime.now(UTC))
        set_permissions(staged, now)
        place.bring(staged)
        size = None if log is None else log.append([release_fact(place.whole)], now).checkpoint.size
        place.publish()
    click.echo(f"Published   {out}, signed by {entry.holder}")
    click.echo(f"Edition     approved edition of draft SHA-256 {draft.manifest}")
    click.echo(f"{'':<12}its own manifest: SHA-256 {digest}")
    click.echo(f"Names       {', '.join(f'{one.name} ({one.meaning})' for one in facts.sign_offs)}")
    if log is not None:
        click.echo(f"In the log  {log.key.name}, {size} entries")


def _require_approved(run: Path, stands: Situation, revoked: RevocationList | None) -> None:
    """Return if a release may leave.

    Args:
      revoked: the person's own list, if there is one; without a log it alone knows.
    Raises:
      CheckFailed: it may not; what `privsynth status` says of it was printed.
    """
    found = stands.found
    about = None if revoked is None else revoked.about(found.release.manifest)
    withdrawn = about is not None and not about.successor
    if stands.may_leave and not found.unlogged and not withdrawn:
        return
    click.echo(stands.text, err=True)
    reasons = []
    if withdrawn:
        reasons.append("your list of revocations has it")
    if found.unlogged:
        reasons.append(f"not in the log: {', '.join(found.unlogged)}")
    raise CheckFailed(f"{run} may not leave{''.join(f'; {one}' for one in reasons)}. Nothing was published")


def _copied(public: Path, folder: Path, manifest: str, keyrings: list[Keyring]) -> Path:
    """Return a copy of a draft's public folder; the copy is what is verified, so that no file changes after that."""
    from privsynth.signing._files import list_tree
    from privsynth.signing.verification import Expected, verify_folder

    try:
        for name, path in list_tree(public).files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, folder / name, follow_symlinks=False)
    except OSError as problem:
        raise OutputError(f"{public} cannot be copied: {problem.strerror}") from None
    if verify_folder(folder, keyrings, datetime.now(UTC), Expected("public")).manifest != manifest:
        raise VerificationError(f"{public} was changed while it was copied; nothing was published")
    return folder


def _signed(folder: Path, seal: Seal, facts: EditionFacts) -> str:
    """Make the edition in a copy of the draft, and return the digest of its manifest, verified as recipients will."""
    from privsynth.editions.approved import write_edition
    from privsynth.signing.store import load_keyring
    from privsynth.signing.verification import Expected, verify_folder
    from privsynth.workspace import privsynth_home

    write_edition(folder, facts)
    digest = seal.sign(folder, "public", draft=facts.edition.draft)
    verify_folder(folder, [load_keyring(privsynth_home())], datetime.now(UTC), Expected("public", seal.dataset))
    return digest
