"""The Chromium that is installed, for tests of pages; PRIVSYNTH_REQUIRE_CHROMIUM makes its absence a failure."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
if CHROMIUM is None and os.environ.get("PRIVSYNTH_REQUIRE_CHROMIUM"):
    raise RuntimeError("Chromium is not installed, and PRIVSYNTH_REQUIRE_CHROMIUM asks for it")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        found = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


def axe_script() -> str:
    """Return axe-core as a script."""
    import axe_playwright_python

    return (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
