"""The options `--keyring` and `--root`, which mean the same in every command that asks who signed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from privsynth.errors import ConfigError

if TYPE_CHECKING:
    from privsynth.signing.keyring import Keyring
    from privsynth.signing.roots.signed_keyring import SignedKeyring

_ROOT = f"{__name__}.root"  # where the command's context keeps the root, so that each command need not hand it on


def _keep(context: click.Context, _: click.Parameter, value: Path | None) -> None:
    context.meta[_ROOT] = value


def keyring_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add both options to a command, which gets `keyring_files` for `keyrings_of`."""
    root = click.option(
        "--root", type=click.Path(path_type=Path), expose_value=False, callback=_keep,
        help="Public key of a root: only keyrings that it signed count, and not your own.",
    )  # fmt: skip
    keyring = click.option(
        "--keyring", "keyring_files", multiple=True, type=click.Path(path_type=Path),
        help="Keyring with keys that you trust, beside your own keyring; may be given again.",
    )  # fmt: skip
    return keyring(root(command))


def keyrings_of(files: Sequence[Path]) -> list[Keyring]:
    """Return the reader's own keyring and those that were named, or under a root those that it signed.

    A revocation in any of them holds.
    """
    from privsynth.signing.keyring import Keyring
    from privsynth.signing.store import load_keyring
    from privsynth.workspace import privsynth_home

    if _root_file() is not None:
        return [found.keyring for found in signed_keyrings(files)]
    return [load_keyring(privsynth_home()), *map(Keyring.load, files)]


def signed_keyrings(files: Sequence[Path]) -> list[SignedKeyring]:
    """Return keyrings that the root signed, compared with those that were seen before, and remembered; none without."""
    from privsynth.signing.roots.memory import remember
    from privsynth.signing.roots.signed_keyring import opened
    from privsynth.signing.roots.store import load_root, read_signed
    from privsynth.workspace import privsynth_home

    root_file, found = _root_file(), []
    if root_file is None:
        return []
    if not files:
        raise ConfigError("a root vouches for keyrings: give the one that it signed with --keyring")
    root, now = load_root(root_file), datetime.now(UTC)
    for file in files:
        found.append(opened(read_signed(file), root, now, what=str(file)))
        remember(privsynth_home(), found[-1], what=str(file))
    return found


def _root_file() -> Path | None:
    root: Path | None = click.get_current_context().meta.get(_ROOT)
    return root
