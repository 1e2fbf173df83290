"""verify.html in a real browser: the same verdicts as the command line, accessible, and without any connection."""

from __future__ import annotations

import base64
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

pytestmark = needs_chromium
# "problem" is a keyring that the page refuses before it looks at a release.
STATES = {
    "verified": {"verified"},
    "refused": {"refused", "problem"},
    "unknown signer": {"unknown"},
    "revoked": {"revoked"},
}
# Vectors in which it matters whether a signature by Ed25519 fits.
SIGNED = [one for one in EVERY if one.root or {"signature", "sign", "key", "keyid"} & set(one.name.split())]
WITHOUT_ED25519 = """
const own = crypto.subtle.importKey.bind(crypto.subtle);
const refused = () => Promise.reject(new DOMException("", "NotSupportedError"));
crypto.subtle.importKey = (...told) => (told[2] === "Ed25519" ? refused() : own(...told));
"""  # as browsers were before 2025


# Somebody starts afresh and gives a root, a keyring, a list and a release, one after the other. The files are made in
# the page: through the browser's file chooser, which other tests use, those of a folder take a third of a second.
GIVE = """
async (told) => {
  [given, root, keyrings, list, dropped] = [[], null, [], null, null];
  for (const id of ["keys", "list"]) byId(id).replaceChildren();
  say("waiting", "Nothing checked yet", []);
  const state = () => byId("verdict").dataset.state;
  const until = async (holds) => {
    while (!holds() && state() !== "problem") await new Promise((done) => setTimeout(done, 1));
  };
  const fileOf = ([path, data]) => {
    const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
    return Object.defineProperty(new File([bytes], path.split("/").at(-1)), "webkitRelativePath", { value: path });
  };
  const give = (id, files) => {
    Object.defineProperty(byId(id), "files", { value: files.map(fileOf), configurable: true });
    byId(id).dispatchEvent(new Event("change"));
  };
  const listed = (id, many) => () => byId(id).childElementCount >= many;
  for (const [i, id] of ["root", "keyring"].filter((one) => told[one] !== null).entries()) {
    give(id, [[id, told[id]]]);
    await until(listed("keys", i + 1));
  }
  if (told.revocations !== null) {
    give("revocations", [["revocations.json", told.revocations]]);
    await until(listed("list", 1));
  }
  if (state() !== "problem") {
    give(told.alone ? "file" : "folder", told.files);
    await until(() => !["waiting", "working"].includes(state()));
  }
  return [state(), byId("verdict").innerText];
}
"""
DROP = """
(files) => {
  const transfer = new DataTransfer();
  const bytes = (data) => Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  for (const data of files) transfer.items.add(new File([bytes(data)], "x"));
  byId("drop").dispatchEvent(new DragEvent("drop", { dataTransfer: transfer }));
}
"""


@pytest.fixture(scope="module")
def opened(browser, tmp_path_factory) -> Iterator[Callable[..., Any]]:  # noqa: F811
    """Return a function that loads the page afresh; whatever asks for a connection, or complains, fails the test."""
    built = tmp_path_factory.mktemp("page") / "verify.html"
    built.write_text(verify_page(), encoding="utf-8")
    complaints: list[str] = []

    def new_page(old_browser: bool = False) -> Any:
        context = browser.new_context(offline=True)
        if old_browser:
            context.add_init_script(WITHOUT_ED25519)
        page = context.new_page()
        page.on("request", lambda asked: complaints.append(asked.url) if asked.url[:5] != "file:" else None)
        page.on("console", lambda told: complaints.append(told.text))
        page.on("pageerror", lambda told: complaints.append(str(told)))
        return page

    shared = new_page()  # a new one takes a quarter of a second

    def open_page(*, own: bool = False, old_browser: bool = False, path: Path = built) -> Any:
        page = new_page(old_browser) if own else shared
        page.clock.set_fixed_time(NOW)
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
    page: Any, what: Path, keyring: bytes | None = RING.to_json(), revocations: bytes | None = None
) -> tuple[str, str]:
    """Choose a keyring, a list and then a release, and return the state and the text of the verdict."""
    for place, data in (("keyring", keyring), ("revocations", revocations)):
        if data is not None:
            page.set_input_files(f"#{place}", {"name": "x.json", "mimeType": "application/json", "buffer": data})
            page.wait_for_selector("#list li" if place == "revocations" else "#keys li")
    page.set_input_files("#folder" if what.is_dir() else "#file", what)
    page.wait_for_selector("#verdict:not([data-state=waiting], [data-state=working])")
    verdict = page.locator("#verdict")
    return verdict.get_attribute("data-state"), verdict.inner_text()


def told(vector: Vector) -> dict[str, Any]:
    """Return a vector for the function `GIVE`."""
    return {
        "root": None if vector.root is None else as_text(vector.root.to_base64().encode()),
        "keyring": as_text(vector.keyring),
        "revocations": None if vector.revocations is None else as_text(vector.revocations),
        "files": [[f"release/{path}", as_text(data)] for path, data in vector.files.items()],
        "alone": vector.alone,
    }


def as_text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


@pytest.fixture(scope="module")
def kept_open(opened) -> Callable[[Vector, bool], tuple[str, str]]:
    """Return a function that gives a vector to a page that stays open from one to the next."""
    pages: dict[bool, Any] = {}

    def verdict(vector: Vector, old_browser: bool) -> tuple[str, str]:
        if old_browser not in pages:
            pages[old_browser] = opened(old_browser=old_browser, own=True)
        pages[old_browser].clock.set_fixed_time(NOW + timedelta(seconds=vector.at))
        state, text = pages[old_browser].evaluate(GIVE, told(vector))
        return state, text

    return verdict


@pytest.fixture
def alone(kept_open) -> Callable[[Path], tuple[str, str]]:
    """Return a function that gives one file to that page."""

    def verdict(path: Path) -> tuple[str, str]:
        one = Vector("", {path.name: path.read_bytes()}, "", "", RING.to_json(), alone=True)
        state, text = kept_open(one, False)
        return state, text

    return verdict


@pytest.mark.parametrize("vector", EVERY, ids=lambda vector: vector.name)
def test_the_pages_verdict_is_the_command_lines(kept_open, vector: Vector):
    state, text = kept_open(vector, False)
    assert state in STATES[vector.verdict]
    assert vector.says in text


@pytest.mark.parametrize("vector", SIGNED, ids=lambda vector: vector.name)
def test_a_browser_without_ed25519_gives_the_same_verdict(kept_open, vector: Vector):
    state, text = kept_open(vector, True)
    assert state in STATES[vector.verdict]
    assert vector.says in text


def test_a_list_is_chosen_or_dropped_with_the_release_in_any_order(opened, tmp_path):
    vector = next(one for one in EVERY if one.name == "a release that was revoked")
    release = laid_out(vector, tmp_path / "release")
    page = opened()
    assert give(page, release)[0] == "verified"
    assert "not asked" in page.locator("#verdict").inner_text()
    state, text = give(opened(), release, revocations=vector.revocations)
    assert (state, "ward 7 was coded wrongly" in text) == ("revoked", True)
    archive = zipped(tmp_path / "release.zip", vector.files).read_bytes()
    for order in (1, -1):
        page = opened()
        page.set_input_files("#keyring", {"name": "k.json", "mimeType": "application/json", "buffer": vector.keyring})
        page.evaluate(DROP, [as_text(data) for data in (archive, vector.revocations)][::order])
        page.wait_for_selector("#verdict[data-state=revoked]")


def zipped(path: Path, files: dict[str, bytes], how: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", how) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


@pytest.mark.parametrize("how", [zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED])
@pytest.mark.parametrize("root", ["", "public/", "release/public/"])
def test_an_archive_is_read_as_its_folder_would_be(alone, tmp_path, root, how):
    files = released()
    good = zipped(tmp_path / "good.zip", {f"{root}{name}": data for name, data in files.items()}, how)
    assert alone(good)[0] == "verified"
    bad = zipped(tmp_path / "bad.zip", {f"{root}{name}": data for name, data in {**files, "data.csv": b"x"}.items()})
    assert "changed: data.csv" in alone(bad)[1]


def test_tricks_of_archives_are_refused(alone, tmp_path):
    files = released()
    above = alone(zipped(tmp_path / "a.zip", {**files, "../data.csv": b"x"}))
    assert above[0] == "refused"
    assert "added: ../data.csv" in above[1]
    archive = zipfile.ZipFile(zipped(tmp_path / "b.zip", files), "a")
    with pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("data.csv", b"x")
    archive.close()
    assert "holds data.csv twice" in alone(tmp_path / "b.zip")[1]
    link = zipfile.ZipInfo("data.csv")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "c.zip", "w") as archive:
        archive.writestr(link, b"/etc/passwd")
    assert "a link or a device" in alone(tmp_path / "c.zip")[1]
    whole = zipped(tmp_path / "d.zip", files).read_bytes()
    (tmp_path / "e.zip").write_bytes(whole[: len(whole) // 2])
    assert "no whole ZIP archive" in alone(tmp_path / "e.zip")[1]
    for name, data in _read_in_two_ways(files).items():
        (tmp_path / name).write_bytes(data)
        assert "do not follow each other" in alone(tmp_path / name)[1], name
    damaged = bytearray(whole)
    damaged[whole.index(b"data.csv") + 12] ^= 0xFF
    (tmp_path / "f.zip").write_bytes(damaged)
    state, text = alone(tmp_path / "f.zip")
    assert state == "refused"
    assert "data.csv" in text
    larger = bytearray(whole)  # it unfolds to more than its directory says
    at = whole.index(b"PK\x01\x02", whole.rindex(b"data.csv") - 46)
    larger[at + 24 : at + 28] = (1).to_bytes(4, "little")
    (tmp_path / "lies.zip").write_bytes(larger)
    assert "do not follow each other" in alone(tmp_path / "lies.zip")[1]
    own = whole.index(b"data.csv") - 30
    larger[own + 22 : own + 26] = (1).to_bytes(4, "little")
    (tmp_path / "g.zip").write_bytes(larger)
    assert "is damaged" in alone(tmp_path / "g.zip")[1]


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


def test_what_is_no_release_is_told_from_one(opened, alone, tmp_path):
    released_run = {f"out/public/{name}": data for name, data in released().items()}
    run = zipped(tmp_path / "run.zip", {**released_run, "out/officer/report.html": b"x"})
    assert "give its folder 'public'" in alone(run)[1]
    for name, data, says in (
        ("t.parquet", b"PAR1....", "is a table, which bears no signature"),
        ("t.tar.gz", b"\x1f\x8b..", "unpack it"),
        ("page.html", b"<p>", "exactly one attestation element"),
    ):
        (tmp_path / name).write_bytes(data)
        assert says in alone(tmp_path / name)[1]
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


def test_what_the_page_trusts_is_labelled_and_signed_keyrings_can_be_chosen(opened, tmp_path):
    page = opened()
    assert page.locator("#trusted").inner_text() == "Keys that you trust: none yet"
    assert page.locator("#keyring").get_attribute("accept").split(",") == [".json", ".keyring"]
    give(page, laid_out(EVERY[0], tmp_path / "release"))
    assert page.locator("#trusted").inner_text() == "Keys that you trust, of x.json"
    path = tmp_path / "verify.html"
    path.write_text(verify_page(RING), encoding="utf-8")
    built = opened(path=path)
    built.wait_for_selector("#keys li")
    assert built.locator("#trusted").inner_text() == "Keys that you trust, of the keyring that came with this page"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_and_a_phone_needs_no_sideways_scroll(opened, browser, axe, scheme, tmp_path):  # noqa: F811
    page = opened(own=True)
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
