"""The service's own key, with which drafts and editions are signed."""

from __future__ import annotations

from functools import partial

from privsynth.approvals.deciding import OpenKey
from privsynth.service.context import Service
from privsynth.service.secret_texts import passphrase_of
from privsynth.signing.store import NewKey, create_key, names, open_key

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


def own_maker_key(service: Service) -> OpenKey:
    """Return what opens the service's own key."""
    settings = service.settings
    passphrase = passphrase_of(settings.key_passphrase_file)
    return partial(open_key, service.home, settings.key, passphrase, now=service.now())
