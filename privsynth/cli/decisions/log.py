"""`privsynth log`: an append-only log of releases and decisions, and proofs from it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from privsynth.cli.decisions.options import ask_log_pin, chosen_log, log_option
from privsynth.cli.terminal.files import new_file
from privsynth.cli.trust.devices import chosen_device, device_options
from privsynth.cli.trust.keyrings import keyring_option, keyrings_of
from privsynth.errors import ConfigError, LogUnavailable, VerificationError

if TYPE_CHECKING:
    from privsynth.transparency.checkpoint import LogCheckpoint
    from privsynth.transparency.entry import LogEntry
    from privsynth.transparency.log import TransparencyLog
    from privsynth.transparency.note import VerifierKey

release_argument = click.argument("release", type=click.Path(exists=True, file_okay=False, path_type=Path))


@click.group()
def log() -> None:
    """Keep a log of releases and decisions that nobody can rewrite unseen.

    Once it is made, synthesize, approve and revoke enter in it what they do. An entry has digests, kinds and
    times only. The files under public/ in its folder may be shown to everybody; they are those of C2SP tlog-tiles.

    Example: privsynth log init
    """


@log.command()
@click.option("--origin", metavar="NAME", help="Name of the log, one word, such as st-mary.example/releases.")
@device_options
@log_option
def init(origin: str | None, uri: str | None, public_file: Path | None, folder: Path | None) -> None:
    """Make the log, with a key of its own that signs its checkpoints.

    With --device that key, of Ed25519, stays in a device. Its PIN comes from PRIVSYNTH_LOG_PIN, or you are asked for it
    by every command that enters something.

    Give its key to those who will check proofs, as you give them your keyring.

    Example: privsynth log init --origin st-mary.example/releases
    """
    from privsynth.transparency.log import TransparencyLog, log_folder
    from privsynth.transparency.seen import SeenLogs
    from privsynth.workspace import privsynth_home

    home = privsynth_home()
    device = chosen_device(uri, public_file, no_passphrase=False)
    place, seen = folder or log_folder(home), SeenLogs(home)
    made = TransparencyLog.create(place, seen, origin, device=device, pin=ask_log_pin())
    click.echo(f"Log         {made.folder}")
    click.echo(f"Key         {made.key}")
    click.echo("Releases and decisions are entered from now on. Hand out the key, and now and then a checkpoint.")


@log.command()
@release_argument
@keyring_option
@log_option
def append(release: Path, keyring_files: tuple[Path, ...], folder: Path | None) -> None:
    """Enter a release and the decisions beside it that are not in the log yet.

    RELEASE is the folder of a run, or a public folder alone. For releases that are older than the log, and for the
    decisions of people on other computers. The release has to verify by your keyrings, and only decisions by keys that
    are in them are entered.

    Example: privsynth log append out
    """
    now = datetime.now(UTC)
    facts = _facts(release, keyring_files, now)
    kept = _log(folder)
    before = kept.read().checkpoint.size
    state = kept.append(facts, now)
    click.echo(f"Entered {state.checkpoint.size - before} of {len(facts)}; the others were in the log already.")


@log.command()
@click.argument("release", required=False, type=click.Path(exists=True, file_okay=False, path_type=Path))
@keyring_option
@log_option
@click.option("--json", "as_json", is_flag=True, help="Print the entries as JSON.")
def show(release: Path | None, keyring_files: tuple[Path, ...], folder: Path | None, as_json: bool) -> None:
    """Show all entries, or those about one RELEASE.

    Example: privsynth log show out
    """
    state = _log(folder).verify()
    digest = None if release is None else _manifest(release)
    chosen = enumerate(state.entries) if digest is None else state.about(digest)
    holders = {entry.keyid: entry.holder for keyring in keyrings_of(keyring_files) for entry in keyring.keys}
    told = [{"index": index, **json.loads(entry.to_bytes())} for index, entry in chosen]
    if as_json:
        click.echo(json.dumps({"origin": state.checkpoint.origin, "entries": told}, indent=2))
        return
    for one in told:
        other = f" -> {one['other'][:16]}" if one["other"] else ""
        who = holders.get(one["by"], f"key {one['by'][:8]}") if one["by"] else "nobody"
        click.echo(f"{one['index']:>5}  {one['logged_at']}  {one['kind']:<10}  {one['release'][:16]}{other}  by {who}")
    if not told:
        click.echo("There are no entries.")


@log.command()
@click.argument("release", required=False, type=click.Path(exists=True, file_okay=False, path_type=Path))
@log_option
@click.option("--key", "key_text", metavar="KEY", help="The key that you were given. [default: the one first seen]")
@click.option("--checkpoint", "earlier", multiple=True, type=click.Path(path_type=Path), help="One that you kept.")
@click.option("--proof", "proof_file", type=click.Path(path_type=Path), help="Check this proof; no log is needed.")
@click.option("--update", "update_file", type=click.Path(path_type=Path), help="Check this update of a checkpoint.")
def verify(
    release: Path | None,
    folder: Path | None,
    key_text: str | None,
    earlier: tuple[Path, ...],
    proof_file: Path | None,
    update_file: Path | None,
) -> None:
    """Check that the log only ever added entries, or check a proof from it, offline.

    Without --proof and --update the whole log is read: every entry, every hash, the signature of the checkpoint, that
    it adds to what you saw before and to every --checkpoint that you kept. With --proof and RELEASE, that the entry is
    about that release. The exit code is 5 if something does not fit, 7 if the log cannot be read.

    Example: privsynth log verify --checkpoint kept-in-march.txt

    Example: privsynth log verify out/public --proof release.tlog-proof --key st-mary.example/releases+1f2e3d4c+AT…
    """
    from privsynth.transparency.note import VerifierKey

    key = None if key_text is None else VerifierKey.parse(key_text)
    if proof_file is not None:
        click.echo(_proved(proof_file, release, key or _log(folder).key))
    elif update_file is not None:
        click.echo(_updated(update_file, earlier, key or _log(folder).key))
    else:
        kept = _log(folder, key)
        state = kept.verify()
        for path in earlier:
            state.require_adds_to(_kept(path, kept.key))
        since = "since the checkpoints that you kept" if earlier else "since you last saw it"
        many = "1 entry" if len(state.raw) == 1 else f"{len(state.raw):,} entries"
        click.echo(f"{kept.key.name} holds: {many}, none changed and none taken away {since}.")


@log.command()
@click.argument("what", metavar="RELEASE|INDEX")
@log_option
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="New file. [default: print it]")
def prove(what: str, folder: Path | None, out: Path | None) -> None:
    """Write the proof that a release, or the entry of an index, is in the log (C2SP tlog-proof).

    It can be checked offline with the log's key: privsynth log verify --proof. It is about a digest, and needs no
    keyring: whether RELEASE is what its maker signed, privsynth verify says.

    Example: privsynth log prove out --out release.tlog-proof
    """
    state = _log(folder).verify()
    if what.isdecimal() and not Path(what).exists():
        index = int(what)
    else:
        digest = _manifest(Path(what))
        made = [index for index, entry in state.about(digest) if entry.release == digest and not _about_others(entry)]
        if not made:
            raise ConfigError(f"{what} is not in the log; enter it with: privsynth log append {what}")
        index = made[0]
    if index >= len(state.raw):
        raise ConfigError(f"the log has {len(state.raw)} entries, and none of the index {index}")
    _give(state.proof(index).to_text(), out)


@log.command()
@log_option
@click.option(
    "--since", type=click.Path(path_type=Path), help="An earlier checkpoint: add the proof that this adds to it."
)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="New file. [default: print it]")
def checkpoint(folder: Path | None, since: Path | None, out: Path | None) -> None:
    """Write the signed checkpoint: hand it to people outside, who can then tell if the log is rewritten.

    Print it, mail it, have it stamped. Whoever keeps one can check later that nothing before it was changed.

    Example: privsynth log checkpoint --out 2026-11.txt
    """
    kept = _log(folder)
    state = kept.verify()
    _give(state.note.decode() if since is None else state.update_since(_kept(since, kept.key)).to_text(), out)


def _about_others(entry: LogEntry) -> bool:
    return entry.kind not in ("release", "published")


def _log(folder: Path | None, key: VerifierKey | None = None) -> TransparencyLog:
    from privsynth.transparency.log import TransparencyLog
    from privsynth.transparency.seen import SeenLogs
    from privsynth.workspace import privsynth_home

    found = chosen_log(folder)
    if found is None:
        raise LogUnavailable("there is no log yet; make one with: privsynth log init")
    return found if key is None else TransparencyLog(found.folder, SeenLogs(privsynth_home()), key)


def _facts(release: Path, keyring_files: tuple[Path, ...], now: datetime) -> list[LogEntry]:
    from privsynth.approvals.decisions import decision_facts
    from privsynth.signing.verification import verify_folder, verify_run
    from privsynth.transparency.facts import release_fact

    keyrings = keyrings_of(keyring_files)
    if (release / "public" / "manifest.json").exists():
        public, officer = verify_run(release, keyrings, now)
        return [
            release_fact(release / "public"),
            *decision_facts(release, (public.manifest, officer.manifest), keyrings),
        ]
    verify_folder(release, keyrings, now)
    return [release_fact(release)]


def _manifest(release: Path) -> str:
    """Return the digest by which the log knows a release; of a run, that of its public part."""
    from privsynth.signing._files import digest_file

    public = release / "public" if (release / "public" / "manifest.json").exists() else release
    try:
        return digest_file(public / "manifest.json").sha256
    except OSError:
        raise ConfigError(f"{release} is no release: there is no manifest.json in it") from None


def _read(path: Path) -> bytes:
    from privsynth.signing._files import read_limited
    from privsynth.transparency.checkpoint import MAX_PROOF_BYTES

    try:
        return read_limited(path, MAX_PROOF_BYTES)
    except OSError as problem:
        raise ConfigError(f"{path} cannot be read: {problem.strerror}") from None


def _kept(path: Path, key: VerifierKey) -> LogCheckpoint:
    from privsynth.transparency.checkpoint import LogCheckpoint

    return LogCheckpoint.opened(_read(path), key)


def _proved(path: Path, release: Path | None, key: VerifierKey) -> str:
    from privsynth.transparency.checkpoint import LogProof
    from privsynth.transparency.entry import LogEntry

    proof = LogProof.parse(_read(path))
    size, entry = proof.check(key).size, LogEntry.from_bytes(proof.entry)
    if release is not None and entry.release != _manifest(release):
        raise VerificationError(f"{path} is about another release than {release}")
    told: dict[str, Any] = json.loads(proof.entry)
    about = "" if release is None else f", of {release}"
    return (
        f"{path} holds: entry {proof.index} of {size} in {key.name} is '{entry.kind}'{about}.\n"
        f"Release     {entry.release}\nSigned at   {told['signed_at']}\nEntered at  {told['logged_at']}"
    )


def _updated(path: Path, earlier: tuple[Path, ...], key: VerifierKey) -> str:
    from privsynth.transparency.checkpoint import LogUpdate

    if len(earlier) != 1:
        raise ConfigError("an update is checked against the one checkpoint that you kept: give it with --checkpoint")
    before = _kept(earlier[0], key)
    later = LogUpdate.parse(_read(path)).check(before, key)
    return f"{path} holds: {key.name} grew from {before.size} to {later.size} entries, and nothing before was changed."


def _give(text: str, out: Path | None) -> None:
    if out is None:
        click.echo(text, nl=False)
        return
    new_file(out)(text.encode("utf-8"))
    click.echo(f"Written     {out}")
