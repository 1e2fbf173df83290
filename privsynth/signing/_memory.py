"""Files that keep what a reader has seen, so that an older copy of it is noticed when it comes again."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from privsynth.errors import KeyFileError, PrivsynthWarning
from privsynth.signing._files import atomic_write
from privsynth.strict.json import dumps, loads

_Seen = TypeVar("_Seen")


def load_seen(path: Path, kind: TypeAdapter[_Seen], *, what: str, max_bytes: int) -> _Seen | None:
    """Return what was seen; None if there is no file yet.

    Args:
      what: the kind of thing that was seen, in the plural.
    Raises:
      KeyFileError: it is damaged, or cannot be read.
    """
    damaged = f"{path}, which keeps what {what} were seen, is damaged; put back a copy, or delete it to start anew"
    try:
        document = loads(path.read_bytes(), what=str(path), max_bytes=max_bytes, error=KeyFileError)
        if not isinstance(document, dict):
            raise KeyFileError(damaged)
        return kind.validate_python(document.get("seen"))
    except FileNotFoundError:
        return None
    except OSError as problem:
        raise KeyFileError(f"{path} cannot be read: {problem.strerror}") from None
    except ValidationError:
        raise KeyFileError(damaged) from None


def save_seen(path: Path, seen: Any, *, one: str) -> None:
    """Write what was seen, JSON-able. Warns where that cannot be done.

    Args:
      one: the kind of thing that was seen, in the singular.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        atomic_write(path, dumps({"seen": seen}, indent=2) + b"\n", mode=0o600)
    except OSError as problem:
        warnings.warn(
            f"{path} cannot be written ({problem.strerror}): an older {one} would not be noticed next time",
            PrivsynthWarning,
            stacklevel=3,
        )
