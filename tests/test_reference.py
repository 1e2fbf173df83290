"""`make docs`: the reference has the public names, and its pages ask the network for nothing."""

from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path

import pytest

import privsynth

ROOT = Path(__file__).parent.parent
LOADS = {"src", "srcset", "data", "poster", "background", "action", "xlink:href"}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("pdoc") is None, reason="pdoc is of the extra dev"),
]


class Loads(HTMLParser):
    """What a page loads by its tags, and the text of its scripts and styles."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.code: list[str] = []
        self._inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside = tag
        for name, value in attrs:
            if name in LOADS or (name == "href" and tag != "a"):
                self.found.append(value or "")
            if name == "style":
                self.code.append(value or "")
        if tag == "meta" and ("http-equiv", "refresh") in attrs:
            self.found += [(value or "").partition("url=")[2] for name, value in attrs if name == "content"]

    def handle_data(self, data: str) -> None:
        if self._inside in ("script", "style"):
            self.code.append(data)


def outside(text: str) -> list[str]:
    """Return the addresses that a script or style would load from elsewhere."""
    found = re.findall(r"""url\(\s*["']?([^"')]+)|@import\s+["']?([^"';]+)""", text)
    found += re.findall(r"""()(?:fetch|importScripts|import|open)\(\s*["'`](https?:|//)""", text)
    return [a or b for a, b in found if not (a or b).startswith("data:")]


def beside(page: Path, address: str) -> bool:
    """Return whether an address is that of another file of the reference."""
    return ":" not in address and not address.startswith("//") and (page.parent / address).is_file()


def test_the_check_sees_what_would_be_loaded():
    page = Loads()
    page.feed('<link href="//a/b.css"><a href="https://c"></a><style>@import "https://d"; e{f:url(g.png)}</style>')
    assert page.found == ["//a/b.css"]
    assert outside("".join(page.code)) == ["https://d", "g.png"]
    assert outside("fetch('https://h')") == ["https:"]


@pytest.fixture(scope="module")
def pages(tmp_path_factory) -> Path:
    """Build the first pages with the options of the Makefile; all rooms together would take a minute."""
    folder = tmp_path_factory.mktemp("reference")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    (options,) = re.findall(r"/pdoc (.*) --output-directory \$\(REFERENCE\) privsynth ", makefile)
    command = [sys.executable, "-m", "pdoc", *options.split(), "--output-directory", str(folder)]
    subprocess.run([*command, "privsynth", "privsynth.signing"], cwd=ROOT, check=True, capture_output=True)
    return folder


def test_the_first_page_has_every_public_name(pages):
    page = (pages / "privsynth.html").read_text(encoding="utf-8")
    assert [name for name in privsynth.__all__ if f'id="{name}"' not in page and name != "__version__"] == []


def test_no_page_loads_anything_from_outside(pages):
    files = [*pages.rglob("*.html"), *pages.rglob("*.js")]
    assert len(files) > 10
    for path in files:
        text, page = path.read_text(encoding="utf-8"), Loads()
        if path.suffix == ".js":
            page.code = [text]
        else:
            page.feed(text)
        elsewhere = [address for address in page.found if not (address.startswith("data:") or beside(path, address))]
        assert elsewhere == [], path.name
        assert outside("\n".join(page.code)) == [], path.name
