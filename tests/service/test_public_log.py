"""Everybody reads the public files of the log over HTTP, and nothing else; a recipient holds a release against it."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from pipeline.admissions import run as command
from service.deciders import RUN
from service.serving import served

from privsynth.errors import InputError
from privsynth.service.delivery.public import log_file
from privsynth.service.oversight.own_log import ensure_log
from privsynth.transparency.log import TransparencyLog, configured_log
from privsynth.transparency.seen import SeenLogs

NO_FILES = (
    "", "entries", "entries/", "entries/001", "entries/000", "0/000", "0/000.p/0", "0/000.p/256", "0/000.p/5", "0/0",
    "1/000.p/1", "entries/x000/000", "entries/000.p/01", "00/000.p/1", "../../log.pem", "entries/../../key",
    "entries/000.p/1/../2", "entries/000.p/1\0", "/etc/passwd", "entries/٠٠٠.p/1", "0/x000",
)  # fmt: skip


@pytest.fixture
def published(deciders):
    """A published release, and its log of four entries."""
    ensure_log(deciders.service)
    for name in ("ann", "bob"):
        assert deciders.decide(name, "approved").status_code == 303
    assert deciders.post("ann", f"/runs/{RUN}/publish").status_code == 303
    return deciders


def test_what_is_public_of_the_log_is_sent_and_what_cannot_change_may_be_kept(published):
    browser, log = published.institution.browser(), configured_log(published.service.home)
    for name, kept in (("checkpoint", False), ("key", False), ("tile/0/000.p/4", True), ("tile/entries/000.p/4", True)):
        answer = browser.get(f"/log/{name}")
        assert (answer.status_code, answer.content) == (200, (log.public / name).read_bytes()), name
        assert ("immutable" in answer.headers["cache-control"]) == kept
        assert browser.head(f"/log/{name}").content == b""
    assert '/log/checkpoint">' in browser.get("/verify.html").text


def test_nothing_else_is_sent_by_whatever_name(published):
    log = configured_log(published.service.home)
    (log.public / "tile" / "entries" / "000.p" / "5").write_bytes(b"of a writer that died")
    (log.public / "tile" / "0" / "x000").mkdir()
    (log.public / "tile" / "0" / "000.p" / "2").unlink()
    (log.public / "tile" / "0" / "000.p" / "2").symlink_to(log.folder / "log.pem")
    browser = published.institution.browser()
    for name in (*NO_FILES, "entries/000.p/5", "0/000.p/2"):
        with pytest.raises(InputError, match="no such file"):
            log_file(published.service, f"tile/{name}")
        answer = browser.get(f"/log/tile/{quote(name, safe='')}")
        assert (answer.status_code, b"PRIVATE" in answer.content) == (404, False), name
    assert [browser.get(path).status_code for path in ("/log", "/log/", "/log/log.pem")] == [404, 404, 404]


def test_a_service_without_a_log_says_so(deciders):
    assert deciders.institution.browser().get("/log/checkpoint").status_code == 404


def test_a_recipient_holds_a_release_against_the_log_at_its_address(published, tmp_path, monkeypatch):
    edition = published.service.release_folder(RUN) / "edition"
    log = configured_log(published.service.home)
    with served(published.service) as address:
        ring = tmp_path / "ring.json"
        ring.write_bytes(published.institution.browser().get("/keyring.json").content)
        monkeypatch.setenv("PRIVSYNTH_HOME", str(tmp_path / "recipient"))
        words = ("verify", edition, "--keyring", ring, "--log", f"{address}/log", "--log-key", str(log.key))
        done = command(*words)
        assert (done.exit_code, f"Log         {log.key.name}, entry" in done.output) == (0, True), done.output
        assert command(*words, "--record").exit_code == 2
        assert command(*words[:-4], "--log", f"{address}/none").exit_code == 7
        other = TransparencyLog.create(tmp_path / "other", SeenLogs(tmp_path), "other.example/log")
        assert command(*words[:-1], str(other.key)).exit_code == 5
        (log.public / "tile" / "entries" / "000.p" / "4").write_bytes(b"\0\1x" * 4)
        assert command(*words).exit_code == 5
    assert command(*words).exit_code == 7
