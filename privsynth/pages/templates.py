"""Where the sources of HTML pages are."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]


def templates_dir() -> Path:
    """Return the folder of HTML templates: inside an installed package, or beside it in a checkout.

    Raises:
      FileNotFoundError: the installation lacks them.
    """
    installed = _PACKAGE / "templates"
    if installed.is_dir():
        return installed
    checkout = _PACKAGE.parent
    if (checkout / "pyproject.toml").is_file() and (checkout / "templates").is_dir():
        return checkout / "templates"
    raise FileNotFoundError("privsynth was installed without its HTML templates")
