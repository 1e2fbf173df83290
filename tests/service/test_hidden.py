"""A password of a source is seen nowhere while its rows are read, and what is typed or sent stays what it is."""

from __future__ import annotations

import os
import re
import signal
import zipfile
from pathlib import Path

import pytest
from service.releases import desk
from service.test_run_faults import World, world  # noqa: F401

from privsynth.errors import PrivsynthError
from privsynth.service.delivery.archive import file_name
from privsynth.service.roles import Act
from privsynth.service.sources.places import seal_place
from privsynth.service.sources.registry import NewSource, register_source
from privsynth.service.store.runs import RunRow, SourceRow
from privsynth.service.tokens import new_token

SENTINEL = "sentinel-of-a-password"


def processes() -> bytes:
    """Return what the system shows of every process: its command line, and its environment where we may read it."""
    shown = []
    for folder in Path("/proc").glob("[0-9]*"):
        for name in ("cmdline", "environ"):
            try:
                shown.append((folder / name).read_bytes())
            except OSError:  # it has ended, or is somebody else's
                continue
    return b"\0".join(shown)


def test_the_password_of_a_source_is_in_no_process_file_log_or_page(world, capfd):  # noqa: F811
    here = world("begun")
    service = here.service
    with service.database.writing() as session:
        source = session.get_one(SourceRow, here.at.source.id)
        source.kind, url = "database", f"postgresql://anna:{SENTINEL}@192.0.2.1/clinic"  # RFC 5737: nobody's address
        source.place = seal_place(service, source.name, url)
    thread = here.start_worker()
    job = here.job()
    shown = processes()
    os.kill(job, signal.SIGKILL)
    thread.join()
    assert SENTINEL.encode() not in shown
    kept = [path for path in service.home.rglob("*") if path.is_file()]
    assert [path for path in kept if SENTINEL.encode() in path.read_bytes()] == []
    assert SENTINEL not in here.run.sentence
    assert SENTINEL not in "".join(capfd.readouterr())


def test_what_is_typed_does_not_become_a_header(institution, tmp_path):
    at = desk(institution, tmp_path)
    browser = institution.browser("ada")
    for path in ("/runs/%0d%0aset-cookie:%20x=1/cancel", "/sources/1%0d%0ax:y/retire"):
        answer = browser.post(path, data={"form_token": "x"})
        assert "set-cookie" not in answer.headers
        assert "x" not in answer.headers
    for dataset in ("a\r\nx: y", "a\nb", "a\0b"):
        new = NewSource(name="Other", dataset=dataset, kind="file", place="admissions.csv")
        with pytest.raises(PrivsynthError):
            register_source(at.service, at.admin, new)
    name = file_name(RunRow(dataset='a"; x="\u202e/../b', edition="0" * 64))
    assert re.fullmatch(r"[\w.-]+", name, flags=re.ASCII), name


def test_a_workbook_that_is_a_bomb_is_refused_and_not_kept(institution, tmp_path):
    at = desk(institution, tmp_path)
    bomb = tmp_path / "bomb.xlsx"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("xl/workbook.xml", "<workbook/>")
        with archive.open("xl/sharedStrings.xml", "w", force_zip64=True) as part:
            for _ in range(400):
                part.write(bytes(1_000_000))
    bearer = {"authorization": f"Bearer {new_token(at.service, at.admin, 'x', frozenset({Act.REGISTER_SOURCE}), 1)}"}
    query = {"name": "Bomb", "dataset": "bomb", "file_name": "../../bomb.xlsx"}
    sent = institution.browser().post("/api/v1/sources/upload", params=query, content=bomb.read_bytes(), headers=bearer)
    assert (sent.status_code, "unfolds to far more" in sent.text) == (422, True), sent.text
    assert list((at.service.folder / "uploads").iterdir()) == []
