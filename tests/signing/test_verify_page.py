"""verify.html in a real browser: the same verdicts as the command line, accessible, and without any connection."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from chromium import axe_script, browser, needs_chromium  # noqa: F401
from signed import NOW
from signing.making import RING, Vector, released
from signing.test_vectors import EVERY, laid_out

from privsynth.errors import OutputError
from privsynth.pages.verification import verify_page
from privsynth.signing.keyring import KeyEntry, Keyring
from privsynth.signing.keys import PublicKey

pytestmark = needs_chromium
# "problem" is a keyring that the page refuses before it looks at a release.
STATES = {"verified": ["verified"], "refused": ["refused", "problem"], "unknown signer": ["unknown"]}
WITHOUT_ED25519 = """
const own = crypto.subtle.importKey.bind(crypto.subtle);
const refused = () => Promise.reject(new DOMException("", "NotSupportedError"));
crypto.subtle.importKey = (...told) => (told[2] === "Ed25519" ? refused() : own(...told));
"""  # as browsers were before 2025


@pytest.fixture(scope="module")
def opened(browser, tmp_path_factory) -> Iterator[Callable[..., Any]]:  # noqa: F811
    """Return a function that opens the page afresh; whatever asks for a connection, or complains, fails the test."""
    path = tmp_path_factory.mktemp("page") / "verify.html"
    path.write_text(verify_page(), encoding="utf-8")
    complaints: list[str] = []
    contexts: dict[bool, Any] = {}

    def open_page(*, at: int = 0, old_browser: bool = False, path: Path = path) -> Any:
        if old_browser not in contexts:
            contexts[old_browser] = browser.new_context(offline=True)
            if old_browser:
                contexts[old_browser].add_init_script(WITHOUT_ED25519)
        page = contexts[old_browser].new_page()
        page.on("request", lambda asked: complaints.append(asked.url) if not asked.url.startswith("file:") else None)
        page.on("console", lambda told: complaints.append(told.text))
        page.on("pageerror", lambda told: complaints.append(str(told)))
        page.clock.set_fixed_time(NOW + timedelta(seconds=at))
        page.goto(path.as_uri())
        return page

    yield open_page
    assert not complaints


@pytest.fixture(scope="module")
def axe() -> Callable[[Any], dict[str, Any]]:
    """Return a function that runs axe-core on a page."""
    script = axe_script()

    def run(page: Any) -> dict[str, Any]:
        page.evaluate(script)
        return page.evaluate("axe.run()")

    return run


def give(
    page: Any, what: Path, keyring: bytes | None = RING.to_json(), root: PublicKey | None = None
) -> tuple[str, str]:
    """Give a page a root, a keyring and then a release, and return the state and the text of its verdict."""
    if root is not None:
        told = f"{root.to_base64()}\n".encode()
        page.set_input_files("#root", {"name": "root.pub", "mimeType": "text/plain", "buffer": told})
        page.wait_for_selector("#keys li")
    if keyring is not None:
        page.set_input_files("#keyring", {"name": "keyring.json", "mimeType": "application/json", "buffer": keyring})
        page.wait_for_selector(f"#keys li:nth-child({1 if root is None else 2}), #verdict[data-state=problem]")
        if page.locator("#verdict[data-state=problem]").count():
            return "problem", page.locator("#verdict").inner_text()
    page.set_input_files("#folder" if what.is_dir() else "#file", what)
    page.wait_for_selector("#verdict:not([data-state=waiting], [data-state=working])")
    verdict = page.locator("#verdict")
    return verdict.get_attribute("data-state"), verdict.inner_text()


@pytest.mark.parametrize(
    "old_browser",
    [pytest.param(False, id="browser's Ed25519"), pytest.param(True, id="own Ed25519", marks=pytest.mark.slow)],
)
@pytest.mark.parametrize("vector", EVERY, ids=lambda vector: vector.name)
def test_the_pages_verdict_is_the_command_lines(opened, vector: Vector, old_browser, tmp_path):
    page = opened(at=vector.at, old_browser=old_browser)
    state, text = give(page, laid_out(vector, tmp_path / "release"), vector.keyring, vector.root)
    page.close()
    assert state in STATES[vector.verdict]
    assert vector.says in text


def zipped(path: Path, files: dict[str, bytes], how: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", how) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


@pytest.mark.parametrize("how", [zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED])
@pytest.mark.parametrize("root", ["", "public/", "release/public/"])
def test_an_archive_is_read_as_its_folder_would_be(opened, tmp_path, root, how):
    files = released()
    good = zipped(tmp_path / "good.zip", {f"{root}{name}": data for name, data in files.items()}, how)
    assert give(opened(), good)[0] == "verified"
    bad = zipped(tmp_path / "bad.zip", {f"{root}{name}": data for name, data in {**files, "data.csv": b"x"}.items()})
    assert "changed: data.csv" in give(opened(), bad)[1]


def test_tricks_of_archives_are_refused(opened, tmp_path):
    files = released()
    above = give(opened(), zipped(tmp_path / "a.zip", {**files, "../data.csv": b"x"}))
    assert above[0] == "refused"
    assert "added: ../data.csv" in above[1]
    archive = zipfile.ZipFile(zipped(tmp_path / "b.zip", files), "a")
    with pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("data.csv", b"x")
    archive.close()
    assert "holds data.csv twice" in give(opened(), tmp_path / "b.zip")[1]
    link = zipfile.ZipInfo("data.csv")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "c.zip", "w") as archive:
        archive.writestr(link, b"/etc/passwd")
    assert "a link or a device" in give(opened(), tmp_path / "c.zip")[1]
    whole = zipped(tmp_path / "d.zip", files).read_bytes()
    (tmp_path / "e.zip").write_bytes(whole[: len(whole) // 2])
    assert "no whole ZIP archive" in give(opened(), tmp_path / "e.zip")[1]
    for name, data in _read_in_two_ways(files).items():
        (tmp_path / name).write_bytes(data)
        assert "do not follow each other" in give(opened(), tmp_path / name)[1], name
    damaged = bytearray(whole)
    damaged[whole.index(b"data.csv") + 12] ^= 0xFF
    (tmp_path / "f.zip").write_bytes(damaged)
    state, text = give(opened(), tmp_path / "f.zip")
    assert state == "refused"
    assert "data.csv" in text
    larger = bytearray(whole)  # it unfolds to more than its directory says
    at = whole.index(b"PK\x01\x02", whole.rindex(b"data.csv") - 46)
    larger[at + 24 : at + 28] = (1).to_bytes(4, "little")
    (tmp_path / "lies.zip").write_bytes(larger)
    assert "do not follow each other" in give(opened(), tmp_path / "lies.zip")[1]
    own = whole.index(b"data.csv") - 30
    larger[own + 22 : own + 26] = (1).to_bytes(4, "little")
    (tmp_path / "g.zip").write_bytes(larger)
    assert "is damaged" in give(opened(), tmp_path / "g.zip")[1]


def _read_in_two_ways(files: dict[str, bytes]) -> dict[str, bytes]:
    """Return archives in which this page and other programs could find different files."""

    def parts(data: dict[str, bytes]) -> tuple[bytes, bytes, bytes]:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for name, content in data.items():
                archive.writestr(name, content)
        whole = buffer.getvalue()
        start, end = whole.index(b"PK\x01\x02"), whole.index(b"PK\x05\x06")
        return whole[:start], whole[start:end], whole[end:]

    local, central, end = parts(files)
    forged, theirs, _ = parts({**files, "data.csv": b"a,b\n9,9\n"})
    at = central.index(b"data.csv")
    renamed = local.replace(b"data.csv", b"data.cs0", 1)
    return {
        "two directories.zip": local + central + forged + theirs + end,
        "bytes before.zip": b"PK??" + local + central + end,
        "bytes after.zip": local + central + end + b"more",
        "another name inside.zip": renamed + central + end,
        "a gap.zip": local + b"gap" + central[: at + 8] + central[at + 8 :] + end[:16]
        + (len(local) + 3).to_bytes(4, "little") + end[20:],
    }  # fmt: skip


def test_a_later_release_is_never_shown_with_the_verdict_of_an_earlier_one(opened, tmp_path):
    good, bad = laid_out(EVERY[0], tmp_path / "good"), tmp_path / "bad"
    laid_out(replace(EVERY[0], files={**EVERY[0].files, "data.csv": b"x"}), bad)
    page = opened()
    page.set_input_files("#keyring", {"name": "k.json", "mimeType": "application/json", "buffer": RING.to_json()})
    for _ in range(5):
        page.set_input_files("#folder", good)
        page.set_input_files("#folder", bad)
        page.wait_for_selector("#verdict[data-state=refused]")
        assert "bad does not verify" in page.locator("#verdict").inner_text()


def test_a_keyring_is_taken_from_its_own_field_alone(opened, tmp_path):
    (tmp_path / "report.html").write_bytes(RING.to_json())
    page = opened()
    page.set_input_files("#file", tmp_path / "report.html")
    page.wait_for_selector("#verdict[data-state=problem]")
    assert page.locator("#keys li").count() == 0


def test_what_is_no_release_is_told_from_one(opened, tmp_path):
    released_run = {f"out/public/{name}": data for name, data in released().items()}
    run = zipped(tmp_path / "run.zip", {**released_run, "out/officer/report.html": b"x"})
    assert "give its folder 'public'" in give(opened(), run)[1]
    for name, data, says in (
        ("t.parquet", b"PAR1....", "is a table, which bears no signature"),
        ("t.tar.gz", b"\x1f\x8b..", "unpack it"),
        ("page.html", b"<p>", "exactly one attestation element"),
    ):
        (tmp_path / name).write_bytes(data)
        assert says in give(opened(), tmp_path / name)[1]
    page = opened()
    page.set_input_files(
        "#keyring", {"name": "keys.json", "mimeType": "application/json", "buffer": b'{"version": 3, "keys": []}'}
    )
    page.wait_for_selector("#verdict[data-state=problem]")
    assert "Ask the signer for a keyring" in page.locator("#verdict").inner_text()


def test_a_keyring_can_be_built_in(opened, tmp_path):
    hostile = KeyEntry.model_validate({**dict(RING.keys[0]), "holder": "</script><b>Data office"})
    path, release = tmp_path / "verify.html", tmp_path / "release"
    path.write_text(verify_page(Keyring(keys=(hostile,))), encoding="utf-8")
    laid_out(EVERY[0], release)
    page = opened(path=path)
    state, text = give(page, release, keyring=None)
    assert state == "verified"
    assert "</script><b>Data office" in text
    assert page.locator("b").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_and_a_phone_needs_no_sideways_scroll(opened, browser, axe, scheme, tmp_path):  # noqa: F811
    page = opened()
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": 360, "height": 740})
    laid_out(EVERY[0], tmp_path / "release")
    for state in ("waiting", "verified"):
        if state == "verified":
            give(page, tmp_path / "release")
        found = axe(page)
        assert not found["violations"]
        assert not found["incomplete"]
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_page_is_small_and_its_policy_lets_nothing_in():
    text = verify_page(RING)
    assert len(text.encode("utf-8")) < 200_000
    assert "default-src 'none'" in text
    assert "{{" not in text
    assert "://" not in text.replace("https://in-toto.io", "").replace("https://privsynth.org", "")


def test_the_command_writes_it_once(tmp_path, monkeypatch):
    from click.testing import CliRunner

    from privsynth.cli.keys import keys

    monkeypatch.setenv("PRIVSYNTH_HOME", str(tmp_path / "home"))
    run = CliRunner().invoke
    assert run(keys, ["init", "--no-passphrase", "--holder", "St Mary"]).exit_code == 0
    first = run(keys, ["page", "default", str(tmp_path / "verify.html")])
    assert "SHA-256" in first.output
    assert json.dumps("St Mary") in (tmp_path / "verify.html").read_text(encoding="utf-8")
    again = run(keys, ["page", "default", str(tmp_path / "verify.html")])
    assert isinstance(again.exception, OutputError)
