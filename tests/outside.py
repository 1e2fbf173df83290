"""Packages that bring a source, a generator or an audit: as pip would install them, in a folder on the path."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest


def install(
    monkeypatch: pytest.MonkeyPatch,
    folder: Path,
    points: dict[str, dict[str, str]],
    *,
    modules: dict[str, str] | None = None,
    package: str = "toys",
) -> None:
    """Put version 1.2 of a package on the path for one test.

    Args:
      folder: an empty or a new one.
      points: group of entry points -> name -> what it points to, "module:object".
      modules: name -> text of a module.
    """
    info = folder / f"{package.replace('-', '_')}-1.2.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.2\n", encoding="utf-8")
    lines = [
        line
        for group, named in points.items()
        for line in (f"[{group}]", *(f"{name} = {target}" for name, target in named.items()))
    ]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    for name, text in (modules or {}).items():
        (folder / f"{name}.py").write_text(text, encoding="utf-8")
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.syspath_prepend(str(folder))
    importlib.invalidate_caches()
