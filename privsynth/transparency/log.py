"""`TransparencyLog`: the log of one office, kept in a folder, appended to by one process at a time.

    <folder>/             0700
      log.pem             the key that signs checkpoints; unencrypted, since whoever appends signs
      log.device, log.pub in its place: where a device holds that key, and its public half
      lock                held (flock) while somebody appends
      public/             what may be shown to everybody (see `tiles`)

An entry is in the log from the moment at which a checkpoint that covers it is on the disk, and never before.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from privsynth.errors import ConfigError, KeyFileError, LogDamaged, LogUnavailable
from privsynth.signing._files import read_limited
from privsynth.signing.checks.trust import CLOCK_SKEW
from privsynth.signing.devices import files
from privsynth.signing.devices.files import InDevice
from privsynth.signing.envelope import Signer
from privsynth.signing.keys import Passphrase, SigningKey
from privsynth.transparency.checkpoint import LogCheckpoint
from privsynth.transparency.entry import START, LogEntry
from privsynth.transparency.merkle import leaf_hash, root
from privsynth.transparency.note import MAX_NOTE_BYTES, VerifierKey, sign_note
from privsynth.transparency.seen import SeenLogs
from privsynth.transparency.state import LogState
from privsynth.transparency.tiles import check_tiles, drop_partial, read_entries, write_durably, write_tiles
from privsynth.workspace import open_locked

KEY_FILE, PUBLIC, NOTE, PUBLIC_KEY = "log.pem", "public", "checkpoint", "key"
VARIABLE, PIN_VARIABLE = "PRIVSYNTH_LOG", "PRIVSYNTH_LOG_PIN"
_DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def log_folder(home: Path) -> Path:
    """Return where the log of this person is: PRIVSYNTH_LOG, else the folder log in privsynth's own."""
    chosen = os.environ.get(VARIABLE)
    return Path(chosen).expanduser() if chosen else home / "log"


def configured_log(home: Path, pin: Passphrase | None = None) -> TransparencyLog | None:
    """Return the log of this person; None if there is none, and none was asked for.

    Args:
      pin: of the device with the log's key, if it is in one; None takes it from PRIVSYNTH_LOG_PIN.
    Raises:
      LogUnavailable: PRIVSYNTH_LOG names a folder without a log.
      LogDamaged: the log that this person keeps is gone, or another lies in its place.
    """
    folder, seen = log_folder(home), SeenLogs(home)
    there = (folder / PUBLIC / NOTE).exists() or files.is_taken(folder / KEY_FILE)
    found = TransparencyLog(folder, seen, pin=pin) if there else None
    if seen.kept and (found is None or found.key.name != seen.kept):
        raise LogDamaged(
            f"the log {seen.kept} that you keep is not in {folder}; put it back, or set {VARIABLE} to where it is. If "
            "it is lost, start a new one with 'privsynth log init': what was taken away before no longer shows then"
        )
    if found is not None:
        return found
    if os.environ.get(VARIABLE):
        raise LogUnavailable(f"there is no log in {folder}, which {VARIABLE} names; make one with 'privsynth log init'")
    return None


class TransparencyLog:
    """The log in a folder.

    Args:
      folder: of the log; or its public folder alone, which can be read and not appended to.
      seen: what the reader has seen of logs.
      key: whose signature is believed; None takes the key that was seen first, or that lies in the folder.
      pin: of the device with the log's key, asked once if it is in one; None takes it from PRIVSYNTH_LOG_PIN.
    """

    def __init__(
        self, folder: Path, seen: SeenLogs, key: VerifierKey | None = None, *, pin: Passphrase | None = None
    ) -> None:
        self.folder = folder
        self._pin = pin or _pin_of_environment
        self._signer: Signer | None = None
        self.public = folder / PUBLIC if (folder / PUBLIC).is_dir() else folder
        self._seen, self._key = seen, key

    @classmethod
    def create(
        cls,
        folder: Path,
        seen: SeenLogs,
        origin: str | None,
        *,
        device: InDevice | None = None,
        pin: Passphrase | None = None,
    ) -> TransparencyLog:
        """Make an empty log with a new key, or with one that is in a device.

        Args:
          origin: its name; None makes one of the key's digest.
          device: where the key is; it has to be Ed25519.
          pin: of that device.
        Raises:
          ConfigError: there is a log already, the name is not one word, or the key is of another algorithm.
          KeyFileError: the device does not sign.
          LogUnavailable: the folder cannot be written.
        """
        if folder.exists() and any(folder.iterdir()):
            raise ConfigError(f"{folder} is not empty; a log is never written over, choose another folder")
        key = SigningKey.generate() if device is None else files.open_new(device, pin or _pin_of_environment)
        verifier = VerifierKey(origin or f"privsynth.log/{key.public.keyid[:16]}", key.public)
        if seen.key_of(verifier.name) is not None:
            raise ConfigError(f"you have seen another log that is called {verifier.name}; choose another name")
        log = cls(folder, seen, verifier)
        with _told(folder):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if isinstance(key, SigningKey):
                key.save(folder / KEY_FILE, None)
            elif device is not None:
                files.keep(folder / KEY_FILE, device)
                write_durably(folder / "log.pub", f"{key.public.to_base64()}\n".encode())
            log.public = folder / PUBLIC
            write_durably(log.public / PUBLIC_KEY, f"{verifier}\n".encode())
            checkpoint = LogCheckpoint(verifier.name, 0, root([]))
            write_durably(log.public / NOTE, sign_note(checkpoint.to_text(), verifier.name, key).encode())
        seen.keep(verifier, log.read(), kept=True)
        return log

    @property
    def key(self) -> VerifierKey:
        """The key that a reader believes.

        Raises:
          LogUnavailable: it cannot be read.
        """
        if self._key is None:
            with _told(self.folder):
                text = read_limited(self.public / PUBLIC_KEY, MAX_NOTE_BYTES).decode("utf-8", "replace")
            self._key = VerifierKey.parse(text.removesuffix("\n"))
        return self._key

    def read(self) -> LogState:
        """Return all that the log says, checked against its signed checkpoint and what was seen before.

        Raises:
          LogDamaged: an entry was changed, is missing, or the log was rolled back or rewritten.
          LogUnavailable: it cannot be read now.
        """
        key = self.key
        with _told(self.folder):
            note = read_limited(self.public / NOTE, MAX_NOTE_BYTES)
        checkpoint = LogCheckpoint.opened(note, key)
        state = LogState.checked(checkpoint, note, read_entries(self.public, checkpoint.size))
        self._seen.check(key, state)
        return state

    def verify(self) -> LogState:
        """As `read`, and check the tiles of hashes too; what was seen is kept for the next time."""
        state = self.read()
        check_tiles(self.public, state.leaves)
        self._seen.keep(self.key, state)
        return state

    def copy_to(self, target: Path) -> None:
        """Copy the log with its key into a new folder, as it is at one moment.

        Raises:
          OSError: either cannot be read or written.
        """
        lock = open_locked(self.folder / "lock", wait=True)
        try:
            shutil.copytree(self.folder, target, ignore=shutil.ignore_patterns("lock", "probe"))
        finally:
            os.close(lock)

    def require_ready(self, now: datetime) -> None:
        """Return if an entry could be appended now: before something is done that has to be entered.

        Raises:
          LogDamaged, LogUnavailable: as `append`.
        """
        with self._appending(now):
            probe = self.folder / "probe"
            write_durably(probe, b"privsynth writes here before it makes a release\n")
            probe.unlink()

    def append(self, facts: Sequence[LogEntry], now: datetime) -> LogState:
        """Enter facts, all or none, and return the log with them; what is in it already is not entered again.

        When this returns they are on the disk. If it raises, the log is as it was, or has them all.

        Raises:
          LogDamaged: the log does not fit what was seen of it, or a file of it was changed: nothing is appended.
          LogUnavailable: its disk is full or failing, this person may not write it, or the clock is behind it.
        """
        with self._appending(now) as (signer, state):
            fresh = [fact for fact in dict.fromkeys(facts) if state.index_of(fact) is None]
            if not fresh:
                return state
            raw, before, time = list(state.raw), state.leaves[-1].hex() if state.leaves else START, now
            for last in state.entries[-1:]:
                time = max(now, last.logged_at or now)
            for fact in fresh:
                raw.append(fact.placed(time, before).to_bytes())
                before = leaf_hash(raw[-1]).hex()
            leaves = [leaf_hash(data) for data in raw]
            checkpoint = LogCheckpoint(self.key.name, len(raw), root(leaves))
            note = sign_note(checkpoint.to_text(), self.key.name, signer).encode()
            write_tiles(self.public, raw, leaves, len(state.raw))
            write_durably(self.public / NOTE, note)
            drop_partial(self.public, len(raw))
            state = LogState.checked(checkpoint, note, raw)
            self._seen.keep(self.key, state)
            return state

    @contextmanager
    def _appending(self, now: datetime) -> Iterator[tuple[Signer, LogState]]:
        """Hold the lock, and yield the log's key and what it says. A device is tried out before anything is done."""
        with _told(self.folder):
            if not files.is_taken(self.folder / KEY_FILE):
                raise LogUnavailable(f"{self.folder} holds no key of a log: only its keeper can append to it")
            signer = self._signer = self._signer or files.load_signer(self.folder / KEY_FILE, self._pin)
            lock = open_locked(self.folder / "lock", wait=True)
            try:
                if signer.public != self.key.public:
                    raise LogDamaged(f"the key in {self.folder} is not the one that this log has")
                state = self.read()
                last = state.entries[-1].logged_at if state.entries else None
                if last is not None and now < last - CLOCK_SKEW:
                    raise LogUnavailable(
                        f"the clock of this computer says {now:%Y-%m-%d %H:%M}, and the last entry of the log is of "
                        f"{last:%Y-%m-%d %H:%M}; set the clock"
                    )
                yield signer, state
            finally:
                os.close(lock)


@contextmanager
def _told(folder: Path) -> Iterator[None]:
    """Turn an error of the disk into a sentence."""
    try:
        yield
    except OSError as problem:
        full = problem.errno in _DISK_FULL
        reason = "its disk is full; free some space" if full else f"{problem.strerror or 'I/O error'}"
        raise LogUnavailable(f"the log in {folder} cannot be read or written: {reason}") from None
    except KeyFileError as problem:
        raise LogUnavailable(f"the key of the log in {folder} cannot sign: ", *problem.parts) from None


def _pin_of_environment() -> bytes:
    given = os.environ.get(PIN_VARIABLE)
    if not given:
        raise KeyFileError(f"it is in a device; set {PIN_VARIABLE} to its PIN")
    return given.encode("utf-8")
