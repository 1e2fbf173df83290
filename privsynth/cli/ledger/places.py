"""`privsynth budget` on where the ledger is kept: shared, backed up, restored and moved."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from privsynth.cli.terminal.files import new_file
from privsynth.cli.terminal.output import say
from privsynth.errors import ConfigError, InputError

if TYPE_CHECKING:
    from privsynth.ledger.ledger import Ledger

_FILE = click.Path(dir_okay=False, path_type=Path)
_HERE = click.Path(dir_okay=False, exists=True, path_type=Path)


def chosen_ledger() -> Ledger:
    """Return the ledger that this person's environment names."""
    from privsynth.ledger.ledger import Ledger
    from privsynth.workspace import privsynth_home

    return Ledger.chosen(privsynth_home())


@click.command()
def sql() -> None:
    """Print the SQL with which an administrator of PostgreSQL creates a shared ledger.

    It makes a schema of tables that only grow, and the roles privsynth_analyst (may append) and privsynth_auditor (may
    read). It holds no key and no password.

    Example: privsynth budget sql > ledger.sql
    """
    from privsynth.ledger.stores.definition import DEFINITION

    say(DEFINITION.rstrip())


@click.command()
@click.option("--key", "keyfile", type=_HERE, help="Copy of the ledger's key, from `budget copy-key`.")
@click.option("--new-key", is_flag=True, help="Make the key: once, on the first machine, while nothing is spent.")
def join(keyfile: Path | None, new_key: bool) -> None:
    """Make this machine one of those that share the ledger which PRIVSYNTH_LEDGER names.

    Every machine needs the same key, or none would recognise the tables and the history of the others. It never goes
    into the database.

    Example: privsynth budget join --key ledger.key
    """
    from privsynth.ledger.stores.postgresql import PostgresStore

    if (keyfile is None) == (not new_key):
        raise ConfigError("Give either --key FILE, or --new-key on the first machine.")
    store = chosen_ledger().store
    if not isinstance(store, PostgresStore):
        raise ConfigError("Only a shared ledger is joined. Set PRIVSYNTH_LEDGER=postgresql://USER@HOST/DATABASE first.")
    events = store.join(None if keyfile is None else _read(keyfile))
    say(f"This machine shares the ledger in {store.place}; events so far: {events}.")
    if new_key:
        say("Keep a copy of its key where no backup of the database is: `privsynth budget copy-key`.")


@click.command("copy-key")
@click.argument("file", type=_FILE)
def copy_key(file: Path) -> None:
    """Write a copy of the ledger's key into a new FILE, readable by you only.

    Other machines join with it, and a ledger is restored with it. Whoever has it and may write to the ledger can forge
    its history, and can confirm a guess of a whole table. Do not keep it beside a backup.

    Example: privsynth budget copy-key ledger.key
    """
    write = new_file(file, private=True)
    write(chosen_ledger().store.secret())
    say(f"The key is in {file}. Hand it on by a way that you trust, and then delete it there.")


@click.command()
@click.argument("file", type=_FILE)
def backup(file: Path) -> None:
    """Write the whole ledger, without its key, into a new FILE, readable by you only.

    Example: privsynth budget backup ledger-2026-05-01.json
    """
    from privsynth.ledger.backup import backup_of, events_in

    write = new_file(file, private=True)
    data = backup_of(chosen_ledger())
    write(data)
    say(f"{len(events_in(data))} event(s) are in {file}. The key is not: `privsynth budget copy-key`, kept elsewhere.")


@click.command()
@click.argument("file", type=_HERE)
@click.option("--key", "keyfile", type=_HERE, help="Copy of the ledger's key, where this machine has none.")
@click.option("--lost-key", is_flag=True, help="Nobody has the key any more: begin a new one, unchecked.")
def restore(file: Path, keyfile: Path | None, lost_key: bool) -> None:
    """Add to the ledger what a backup in FILE has and it lacks.

    The ledger must be empty, or an older copy of what was backed up. If this machine has seen events that are in
    neither, or the key is lost, the ledger stays stopped until `privsynth budget accept-restored`.

    Example: privsynth budget restore ledger-2026-05-01.json --key ledger.key
    """
    from privsynth.ledger.backup import restore as take_in

    ledger = chosen_ledger()
    added = take_in(ledger, _read(file), key=None if keyfile is None else _read(keyfile), lost=lost_key)
    say(f"{added} event(s) were added to the ledger in {ledger.store.place}. See `privsynth budget show`.")


@click.command()
@click.argument("destination")
def move(destination: str) -> None:
    """Let the ledger go on at DESTINATION, a URL of PostgreSQL or `folder`, and end it where it is.

    Nothing that was spent is lost, and no run is possible at the old place afterwards. A move that was cut off is
    completed by the same command.

    Example: privsynth budget move postgresql://anna@db.example.org/privsynth
    """
    from urllib.parse import urlsplit

    from privsynth.ledger.backup import move as go_on
    from privsynth.ledger.ledger import FOLDER, Ledger
    from privsynth.workspace import privsynth_home

    try:
        secret = urlsplit(destination).password is not None
    except ValueError:
        secret = False  # and no URL: the ledger says so
    if secret:
        raise ConfigError(
            "Leave the password out of the URL, where everybody on the machine can read it: PGPASSWORD or the password "
            "file holds it."
        )
    target = Ledger(privsynth_home(), url=destination)
    events = go_on(chosen_ledger(), target)
    what = "unset PRIVSYNTH_LEDGER" if destination == FOLDER else "set PRIVSYNTH_LEDGER to that URL"
    say(f"The ledger goes on in {target.store.place}, with {events} event(s). On every machine, {what}.")


def _read(file: Path) -> bytes:
    from privsynth.ledger.backup import LARGEST_BACKUP

    try:
        with file.open("rb") as source:
            return source.read(LARGEST_BACKUP + 1)
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror}") from None


COMMANDS = (sql, join, copy_key, backup, restore, move)
