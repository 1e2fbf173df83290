"""Options for a key that is in a device already: a token, a smart card, or the key service of a cloud."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from privsynth.cli.terminal.passphrases import PASSPHRASE_VARIABLE, ask_passphrase
from privsynth.errors import ConfigError

if TYPE_CHECKING:
    from privsynth.signing.devices.files import InDevice


def device_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --device and --public-key to a command that makes a key."""
    public = click.option(
        "--public-key", "public_file", type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="The device's public key in PEM. [default: ask the device, which has to speak PKCS#11]",
    )  # fmt: skip
    uri = click.option(
        "--device", "uri", metavar="URI",
        help="Register the key that is in this device, in place of making one. Needs the extra hardware.",
    )  # fmt: skip
    return uri(public(command))


def chosen_device(uri: str | None, public_file: Path | None, *, no_passphrase: bool) -> InDevice | None:
    """Return the device that was named, or None.

    Raises:
      ConfigError: options that contradict each other.
    """
    from privsynth.signing.devices.files import InDevice

    if uri is None:
        if public_file is not None:
            raise ConfigError("--public-key is that of a device: name it with --device")
        return None
    if no_passphrase:
        raise ConfigError("--no-passphrase is for keys in files; a device has its own PIN")
    return InDevice(uri, public_file)


def ask_for_new(
    device: InDevice | None, *, no_passphrase: bool, variable: str = PASSPHRASE_VARIABLE, prompt: str = "Passphrase"
) -> Callable[[], bytes] | None:
    """Return what asks for the passphrase of a new file, twice, or for the PIN of a device; None asks for nothing."""
    if device is not None:
        return ask_passphrase(variable=variable, prompt="PIN of the device")
    return None if no_passphrase else ask_passphrase(confirm=True, variable=variable, prompt=prompt)
