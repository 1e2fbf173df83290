"""A copy of what a service keeps in its home, and its way back."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from privsynth.approvals.revocations import own_list
from privsynth.approvals.revoking import LIST
from privsynth.errors import InputError, OutputError
from privsynth.service.context import FOLDER
from privsynth.service.retention.deleting import deleting_alone
from privsynth.service.retention.tombstones import FOLDER as DELETIONS
from privsynth.service.retention.tombstones import delete_again
from privsynth.service.settings import ServiceSettings
from privsynth.service.store.database import FILE, ServiceDatabase
from privsynth.signing.store import load_keyring
from privsynth.transparency.log import configured_log, log_folder
from privsynth.transparency.seen import FILE as SEEN
from privsynth.workspace import folder_error

_BESIDE = ("keys", "keyring.json", DELETIONS, LIST, SEEN)  # what a service needs of the home beside its own folder
_LOG = "log"  # in a backup
_SIDE_FILES = (f"{FILE}-wal", f"{FILE}-shm")  # of SQLite, while the database is open


def migrate(settings: ServiceSettings, home: Path) -> None:
    """Bring the tables to what this version expects.

    Raises:
      ServiceUnavailable: the database does not answer.
    """
    database = ServiceDatabase.at(settings.database, home / FOLDER)
    database.migrate()
    database.close()


def back_up(settings: ServiceSettings, home: Path, target: Path) -> str:
    """Copy the service's folder into a new one, the database as it is at one moment; return what was done, in words.

    Keys, keyring, log and list of revocations of the home come along: keys of people are under their passphrases.

    Raises:
      InputError: there is no service, or the target is there.
      OutputError: the target cannot be written.
    """
    source = home / FOLDER
    if not source.is_dir():
        raise InputError(f"there is no service in {home}: set PRIVSYNTH_HOME to the folder that it serves")
    if target.exists():
        raise InputError(f"{target} is there already: name a new folder")
    old = os.umask(0o077)
    try:
        target.mkdir(mode=0o700, parents=True)
        # The database first: what it names is copied after it, and nothing of a release is changed or, with the lock of
        # deletions, taken away meanwhile.
        with deleting_alone(source, wait=True):
            if not settings.database:
                _copy_database(source / FILE, target / FILE)
            shutil.copytree(
                source, target / FOLDER, ignore=shutil.ignore_patterns(FILE, *_SIDE_FILES, "*.lock", "lock"),
                ignore_dangling_symlinks=True,
            )  # fmt: skip
        for name in _BESIDE:
            if (home / name).is_dir():
                shutil.copytree(home / name, target / name)
            elif (home / name).exists():
                shutil.copy2(home / name, target / name)
        if (log := configured_log(home)) is not None:  # after what was seen of it, to which it may only add
            log.copy_to(target / _LOG)
    except BaseException as problem:
        shutil.rmtree(
            target, ignore_errors=True
        )  # half a copy would be taken for one, and would be in the way of the next
        if isinstance(problem, shutil.Error):  # of copytree: it lists what happened to each file
            problem = problem.args[0][0][2] if isinstance(problem.args[0], list) else problem
            raise OutputError(f"{target} cannot be written: {problem}") from None
        if isinstance(problem, OSError):
            raise folder_error(target, problem) from None
        raise
    finally:
        os.umask(old)
    also = "" if not settings.database else " The database is not in it: copy it with pg_dump."
    return f"{target} holds the service.{also} The ledger is copied by `privsynth budget backup`."


def bring_back(home: Path, source: Path) -> str:
    """Copy back what `back_up` wrote; return what was done, in words.

    What was deleted since the backup is deleted again, as far as the home has the certificates: files now, rows of the
    database when a worker starts. Of the lists of revocations in the home and in the backup, the newer one stays.

    Raises:
      VerificationError, UnknownSigner: a certificate of a deletion, or a list of revocations, was changed; no service
        is brought back then.
      InputError: the folder is no backup, or there is a service already.
      OutputError: the home cannot be written.
    """
    if not (source / FOLDER / "secret").is_file():
        raise InputError(f"{source} is no backup of a service: give a folder that `privsynth service backup` wrote")
    target = home / FOLDER
    if target.exists():
        raise InputError(f"there is a service in {home} already: move its folder {FOLDER} away first")
    partial = home / f".{FOLDER}-partial"
    old = os.umask(0o077)
    try:
        shutil.rmtree(partial, ignore_errors=True)
        shutil.copytree(source / FOLDER, partial)
        if (source / FILE).exists():
            _copy_database(source / FILE, partial / FILE)
        for name in _BESIDE:
            if (source / name).exists() and not (home / name).exists():
                (shutil.copytree if (source / name).is_dir() else shutil.copy2)(source / name, home / name)
        newest = _newest_list(home, source)
        if (source / _LOG).exists() and not log_folder(home).exists():
            shutil.copytree(source / _LOG, log_folder(home))
        again = delete_again(home, partial)
        if newest is not None and newest.parent != home:
            shutil.copy2(newest, home / LIST)
        partial.rename(target)
    except OSError as problem:
        raise folder_error(home, problem) from None
    finally:
        os.umask(old)
    told = (
        f" {again} deletion{'' if again == 1 else 's'} since the backup {'was' if again == 1 else 'were'} done again."
    )
    return (
        f"{home} holds the service again.{told if again else ''} Compare the ledger with the runs: "
        "`privsynth budget show`."
    )


def _newest_list(home: Path, source: Path) -> Path | None:
    """Return the list of revocations of the highest number, of those that the institution signed."""
    keyrings = [load_keyring(home)]
    found = {path: own_list(path, keyrings) for path in (home / LIST, source / LIST)}
    numbers = {path: one.number for path, one in found.items() if one is not None}
    return max(numbers, key=numbers.__getitem__, default=None)


def _copy_database(source: Path, target: Path) -> None:
    try:
        with (
            closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True)) as one,
            closing(sqlite3.connect(target)) as two,
        ):
            one.backup(two)
            if two.execute("PRAGMA integrity_check").fetchone() != ("ok",):
                raise OutputError(f"{source} is damaged: the backup would be as well")
    except sqlite3.Error as problem:
        raise OutputError(f"the database {source} cannot be copied: {problem}") from None
