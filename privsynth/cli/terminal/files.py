"""Files that a command writes: new ones, in the place of none."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from privsynth.errors import OutputError


def new_file(path: Path, *, private: bool = False) -> Callable[[bytes], None]:
    """Return what writes a file that must not be there yet; refuse at once if it is.

    Args:
      private: the file is readable by its owner only.
    """
    taken = f"{path} is there already; choose another name, or move it away"
    if path.exists():
        raise OutputError(taken)

    def write(data: bytes) -> None:
        try:
            with open(path, "xb", opener=lambda name, flags: os.open(name, flags, 0o600 if private else 0o666)) as file:
                file.write(data)
        except FileExistsError:
            raise OutputError(taken) from None
        except OSError as problem:
            raise OutputError(f"{path} cannot be written: {problem.strerror}") from None

    return write
