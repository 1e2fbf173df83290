"""Which files and databases may be a source, and what nobody is told about where they are."""

from __future__ import annotations

import os
import socket
from dataclasses import replace

import pytest
from service.people import form_token
from service.releases import SMALL, desk, worker_of

from privsynth.errors import InputError, SchemaError
from privsynth.service.context import now_utc
from privsynth.service.retention.sweep import sweep
from privsynth.service.roles import Act, Role
from privsynth.service.runs.look_up import one_run
from privsynth.service.runs.submit import submit_release
from privsynth.service.sources.places import NO_FILE, Place, database_place, file_path, unplaced
from privsynth.service.sources.registry import NewSource, declare_schema, register_source, retire_source
from privsynth.service.sources.uploads import Upload, wipe_lost_uploads
from privsynth.service.states import RunState
from privsynth.service.tokens import new_token


@pytest.fixture
def at(institution, tmp_path):
    return desk(institution, tmp_path)


# Places are looped over inside a test: a service with people takes a second to make.
OUTSIDE = ("../secret.csv", "/etc/passwd", ".", "", "link.csv", "inner", "none.csv", "admissions.csv/x", "a\0b")
NEAR = (
    "127.0.0.1", "127.1.2.3", "localhost", "0.0.0.0", "0.1.2.3", "169.254.169.254", "[::1]", "[::]", "[fe80::1]",
    "[::ffff:127.0.0.1]", "[::ffff:169.254.1.1]", "[2002:7f00:1::]", "[64:ff9b::7f00:1]", "[fd00:ec2::254]",
    "2130706433", "0x7f.1",
)  # fmt: skip
FURTHER = (
    "sqlite:////etc/passwd", "sqlite://", "file:///etc/passwd", "http://10.0.0.1/", "postgresql://", "x",
    "postgresql://u:p@10.0.0.1/d?host=/run/postgresql", "postgresql://u:p@10.0.0.1/d?unix_sock=/run/x",
    "mysql://u:p@10.0.0.1/d?read_default_file=/etc/my.cnf", "postgresql:///d",
)  # fmt: skip


def test_only_what_is_below_the_folder_is_a_source_and_all_else_reads_the_same(at, tmp_path):
    (tmp_path / "secret.csv").write_text("a\n1\n")
    (tmp_path / "drop" / "link.csv").symlink_to(tmp_path / "secret.csv")
    (tmp_path / "drop" / "inner").mkdir()
    (tmp_path / "drop" / "inner" / "link.csv").symlink_to(tmp_path / "secret.csv")
    for typed in OUTSIDE:
        with pytest.raises(InputError) as found:
            file_path(at.service, typed)
        assert str(found.value) == NO_FILE, typed


def test_a_file_that_became_a_link_is_not_read(at, tmp_path):
    run = submit_release(at.service, at.submitter, at.source.id, SMALL, purpose="a test")
    file = tmp_path / "drop" / "admissions.csv"
    os.rename(file, tmp_path / "elsewhere.csv")
    file.symlink_to(tmp_path / "elsewhere.csv")
    worker_of(at.service).once()
    found = one_run(at.service, at.submitter, run.id)
    assert (found.state, found.sentence) == (RunState.FAILED, f"T{NO_FILE[1:]}. Nothing was spent.")


def test_databases_of_this_machine_and_its_link_are_refused(at):
    allowed = replace(at.service, settings=at.service.settings.model_copy(update={"allow_private_addresses": True}))
    for host in NEAR:
        url = f"postgresql://u:p@{host}/d"
        with pytest.raises(InputError, match=r"own machine or its link|not known"):
            database_place(at.service, url)
        assert database_place(allowed, url) == Place(url)


def test_a_name_that_points_here_as_well_is_refused_and_others_are_not(at, monkeypatch):
    addresses = [["10.1.2.3"], ["10.1.2.3", "127.0.0.1"]]

    def resolve(host, port, **_):
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, 0)) for one in addresses[host == "both"]]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    assert database_place(at.service, "postgresql://u:p@one/d").addresses == ("10.1.2.3",)
    with pytest.raises(InputError, match="own machine"):
        database_place(at.service, "postgresql://u:p@both/d")


def test_urls_that_reach_further_than_a_host_are_refused(at):
    for url in FURTHER:
        with pytest.raises(InputError) as found:
            database_place(at.service, url)
        assert "/etc" not in str(found.value)


def test_a_sentence_does_not_say_where_a_database_is(tmp_path):
    url = "postgresql://anna:hunter22@db.ward.example:5432/clinic"
    told = unplaced(
        f"t of postgresql://db.ward.example:5432/clinic at {url}: anna, hunter22", "database", url, tmp_path
    )
    assert not [part for part in ("anna", "hunter22", "ward", "clinic", "5432") if part in told]


def test_a_place_is_sealed_and_cannot_be_moved_to_another_source(at):
    assert b"admissions" not in at.source.place
    other = replace(at.service)
    with pytest.raises(Exception, match="sealed"):
        other.vault.open(at.source.place, "source Another")


def test_a_schema_that_is_none_or_names_a_file_is_refused(at):
    for text in ["columns: {a: {hierarchy: {file: /etc/passwd}}}", "unit: [", "colums: {}", "- a"]:
        with pytest.raises(SchemaError):
            declare_schema(at.service, at.admin, at.source.id, text)


def test_a_retired_source_makes_no_release_and_keeps_its_name(at):
    run = submit_release(at.service, at.submitter, at.source.id, SMALL, purpose="a test")
    retire_source(at.service, at.admin, at.source.id)
    worker_of(at.service).once()
    assert one_run(at.service, at.submitter, run.id).state == RunState.FAILED
    with pytest.raises(InputError, match="retired"):
        submit_release(at.service, at.submitter, at.source.id, SMALL, purpose="a test")
    with pytest.raises(InputError, match="already a source"):
        register_source(
            at.service, at.admin,
            NewSource(name="Admissions 2024", dataset="d", kind="file", place="admissions.csv"),
        )  # fmt: skip


def test_the_draft_of_a_schema_holds_names_and_no_cell(at, tmp_path):
    (tmp_path / "drop" / "t.csv").write_text("ward,age\nZebra,77\n")
    new = NewSource(name="t", dataset="t", kind="file", place="t.csv")
    source = register_source(at.service, at.admin, new)
    assert "ward" in source.schema
    assert not [cell for cell in ("Zebra", "77") if cell in source.schema]


def test_only_an_administrator_registers(institution, at):
    with pytest.raises(Exception, match="administrator"):
        register_source(at.service, institution.person("rita", Role.REVIEWER), NewSource(
            name="x", dataset="d", kind="file", place="admissions.csv"))  # fmt: skip


def uploads(at) -> list[str]:
    return [path.read_text() for path in (at.service.folder / "uploads").glob("*")]


def test_a_file_is_sent_by_a_form_or_by_a_program_and_gone_when_its_source_is_retired(institution, at):
    browser = institution.browser("ada")
    form = {"form_token": form_token(browser.get("/sources").text), "name": "Sent", "dataset": "sent"}
    answer = browser.post("/sources/upload", data=form, files={"file": ("../../t.csv", b"ward,age\nZebra,77\n")})
    assert answer.status_code == 303, answer.text
    token = new_token(at.service, at.admin, "a script", frozenset({Act.REGISTER_SOURCE, Act.RETIRE_SOURCE}), 1)
    bearer = {"authorization": f"Bearer {token}"}
    query = "name=Other&dataset=sent&file_name=t.csv"
    sent = browser.post(f"/api/v1/sources/upload?{query}", headers=bearer, content=b"a,b\n1,2\n")
    assert sent.status_code == 201, sent.text
    assert sorted(uploads(at)) == ["a,b\n1,2\n", "ward,age\nZebra,77\n"]
    browser.post(f"/api/v1/sources/{sent.json()['id']}/retire", headers=bearer)
    wipe_lost_uploads(at.service)
    assert sweep(replace(at.service, now=now_utc)) == 1
    assert uploads(at) == ["ward,age\nZebra,77\n"]
    wipe_lost_uploads(at.service)
    assert uploads(at) == ["ward,age\nZebra,77\n"]


def test_nothing_stays_of_a_file_that_was_refused(institution, at, monkeypatch):
    browser = institution.browser("ada")
    form = {"form_token": form_token(browser.get("/sources").text), "name": "Sent", "dataset": "sent"}
    good = {"file": ("t.csv", b"a,b\n1,2\n")}
    monkeypatch.setattr("privsynth.service.sources.uploads.MEGABYTE", 0)
    assert "is larger than" in browser.post("/sources/upload", data=form, files=good).text
    monkeypatch.undo()
    for told, files, why in (
        (form, {"file": ("t", b"a,b\n1,2\n")}, "ends with what it is"),
        (form, {"file": ("t.csv", b"")}, "empty"),
        (form | {"name": "!"}, good, "needs a name"),
        (form | {"form_token": "x"}, good, "earlier session"),
        (form | {"dataset": "d" * 30_000}, good, "too long"),
    ):
        answer = browser.post("/sources/upload", data=told, files=files)
        assert answer.status_code in (403, 422)
        assert why in answer.text
    assert uploads(at) == []


def test_what_a_killed_server_left_of_an_upload_is_wiped_and_what_is_on_its_way_is_not(at):
    with Upload(at.service, at.admin, "t.csv") as upload:
        upload.write(b"on its way")
        (at.service.folder / "uploads" / "left.csv").write_text("left")
        wipe_lost_uploads(at.service)
        assert uploads(at) == ["on its way"]
