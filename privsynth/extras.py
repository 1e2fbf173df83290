"""Which extra of the installation brings what is missing, as one sentence.

What verifies a release comes with privsynth itself; `sample` reads releases and draws from their models, `synthesize`
makes them (see pyproject.toml).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from privsynth.errors import MissingPackageError


def missing_package(error: BaseException, extra: str) -> MissingPackageError | None:
    """Return the error that says what to install; None if what went wrong is not that a package is missing.

    Args:
      extra: the extra that what was asked for belongs to; empty for what needs none.
    """
    name = (error.name or "").partition(".")[0] if isinstance(error, ImportError) else ""
    if name in ("", "privsynth"):
        return None
    target = f"privsynth[{extra}]" if extra else "privsynth"
    return MissingPackageError(
        f"this needs the Python package '{name}', which is not installed or cannot be loaded; install {target}: "
        f'python -m pip install "{target}"'
    )


@contextmanager
def needs(extra: str) -> Iterator[None]:
    """Turn a failing import into the sentence that names an extra; also a decorator of functions.

    Raises:
      MissingPackageError: a package of the extra is not there.
    """
    try:
        yield
    except ImportError as error:
        missing = missing_package(error, extra)
        if missing is None:
            raise
        raise missing from error
