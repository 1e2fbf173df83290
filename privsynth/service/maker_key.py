"""The service's own key, with which drafts and editions are signed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from privsynth.errors import ConfigError
from privsynth.service.context import Service
from privsynth.signing.store import NewKey, create_key, names

HOLDER = "privsynth service"


def ensure_maker_key(service: Service) -> None:
    """Make the key that the settings name, if its home has none of that name.

    Raises:
      KeyFileError: the keyring is damaged, or the key cannot be written.
      ConfigError: the file of its passphrase cannot be read.
    """
    settings = service.settings
    if settings.key in names(service.home).values():
        return
    passphrase = passphrase_of(settings.key_passphrase_file) if settings.key_passphrase_file else None
    create_key(service.home, settings.key, NewKey(HOLDER), passphrase=passphrase, now=service.now())


def passphrase_of(file: str) -> Callable[[], bytes]:
    """Return a function that reads the passphrase of the service's key from its file."""

    def read() -> bytes:
        if not file:
            raise ConfigError("the service's signing key has a passphrase: name its file in key_passphrase_file")
        try:
            return Path(file).read_bytes().rstrip(b"\r\n")
        except OSError as problem:
            raise ConfigError(f"the file of key_passphrase_file cannot be read: {problem.strerror}") from None

    return read
