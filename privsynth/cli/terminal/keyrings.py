"""The option `--keyring`, which means the same in every command that asks who signed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from privsynth.signing.keyring import Keyring

keyring_option = click.option(
    "--keyring", "keyring_files", multiple=True, type=click.Path(path_type=Path),
    help="Keyring with keys that you trust, beside your own keyring; may be given again.",
)  # fmt: skip


def keyrings_of(files: Sequence[Path]) -> list[Keyring]:
    """Return the reader's own keyring, and those that were named beside it: a revocation in any of them holds."""
    from privsynth.signing.keyring import Keyring
    from privsynth.signing.store import load_keyring
    from privsynth.workspace import privsynth_home

    return [load_keyring(privsynth_home()), *map(Keyring.load, files)]
