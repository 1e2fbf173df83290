"""What is due is deleted and certified once, whatever is killed; what is held stays; a backup brings nothing back."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import replace
from datetime import date, time

import pytest
import yaml
from pipeline.admissions import admissions, run, schema
from service.deciders import RUN
from service.people import PASSWORD
from service.prepared import each_database
from service.releases import SMALL
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from privsynth.approvals.notices import Notice
from privsynth.errors import InputError, KeyFileError, VerificationError
from privsynth.service.maker_key import ensure_maker_key
from privsynth.service.oversight.acts import check_chain
from privsynth.service.oversight.backup import back_up, bring_back
from privsynth.service.retention import deleting
from privsynth.service.retention.holds import lift_hold, place_hold, retention_page
from privsynth.service.retention.sweep import sweep
from privsynth.service.retention.tombstones import remove_files
from privsynth.service.roles import Act, Role
from privsynth.service.schedules.acts import make_schedule, pause_schedule, resume_schedule
from privsynth.service.schedules.rhythm import Rhythm
from privsynth.service.schedules.yearly import set_yearly_budget
from privsynth.service.settings import ServiceSettings
from privsynth.service.sign_in import sign_in
from privsynth.service.sources.registry import NewSource, declare_schema, retire_source
from privsynth.service.sources.uploads import Upload, wipe_lost_uploads
from privsynth.service.store.database import ServiceDatabase
from privsynth.service.store.people import SignInAttempt
from privsynth.service.store.retention import DeletionRow, HoldRow
from privsynth.service.store.runs import Offer, SourceRow
from privsynth.service.tokens import new_token

ELSEWHERE = ServiceSettings(database="postgresql://elsewhere/x")  # a copy leaves the database out


class Kept:
    """A service with an uploaded file, and an administrator."""

    def __init__(self, institution) -> None:
        self.institution, self.service = institution, institution.service
        ensure_maker_key(self.service)
        self.admin = institution.person("ada", Role.ADMINISTRATOR)
        self.auditor = institution.person("aud", Role.AUDITOR)
        with Upload(self.service, self.admin, "a.csv") as sent:
            sent.write(admissions().encode())
            self.source = sent.keep(NewSource(name="Sent", dataset="admissions", kind="upload", place=""))

    def files(self) -> list:
        return sorted((self.service.folder / "uploads").iterdir())

    def deletions(self) -> list[DeletionRow]:
        return retention_page(self.service, self.auditor).deletions

    def settings(self, **told: int) -> None:
        told = self.service.settings.model_copy(update=told)
        self.service = self.institution.app.state.service = replace(self.service, settings=told)


@pytest.fixture
def kept(institution) -> Kept:
    return Kept(institution)


def test_the_file_of_a_retired_source_goes_and_its_certificate_verifies_offline(kept, tmp_path):
    assert sweep(kept.service) == 0
    (file,) = kept.files()
    retire_source(kept.service, kept.admin, kept.source.id)
    wipe_lost_uploads(kept.service)
    assert file.exists()  # until its deletion is written down
    assert sweep(kept.service) == 1
    assert kept.files() == []
    assert sweep(kept.service) == 0
    (done,) = kept.deletions()
    page = kept.institution.browser("aud").get("/retention")
    assert "uploaded file of the source Sent" in page.text
    assert "Hold or delete" not in page.text
    sent = kept.institution.browser("aud").get(f"/retention/certificates/{done.id}")
    assert sent.content == done.certificate
    saved = tmp_path / "deletion.dsse.json"
    saved.write_bytes(sent.content)
    told = run("verify", saved, "--json")
    assert told.exit_code == 0, told.output
    said = json.loads(told.output)
    assert said["subjects"][0]["name"] == f"uploads/{file.name}"
    assert "not overwritten" in said["said"]["how"]
    assert said["holder"] == "privsynth service"
    assert "Backups" in run("verify", saved).output
    saved.write_bytes(sent.content.replace(b'"payload": "', b'"payload": "A') if b'"payload": "' in sent.content
                      else sent.content.replace(b'"payload":"', b'"payload":"A'))  # fmt: skip
    assert run("verify", saved).exit_code == 5
    (kept.service.home / "keyring.json").unlink()
    saved.write_bytes(sent.content)
    assert run("verify", saved).exit_code == 6
    assert "keyrings alone" in run("verify", saved, "--kind", "public").output
    assert check_chain(kept.service, kept.auditor).damaged is None


def test_an_upload_goes_after_its_last_use_and_its_source_with_it(kept, clock):
    kept.settings(keep_uploads_days=30)
    clock.move(days=29)
    assert sweep(kept.service) == 0
    (due,) = retention_page(kept.service, kept.admin).items
    assert "30 days after its last run" in due.rule
    clock.move(days=2)
    assert sweep(kept.service) == 1
    with kept.service.database.reading() as session:
        assert session.get_one(SourceRow, kept.source.id).retired_at == clock()


@pytest.fixture
def scheduled(kept):
    """An upload that a yearly schedule reads; files of uploads are kept 30 days."""
    kept.settings(keep_uploads_days=30)
    ann = kept.institution.person("ann", Role.APPROVER)
    kept.sam = kept.institution.person("sam", Role.SUBMITTER)
    set_yearly_budget(kept.service, ann, "admissions", epsilon=3, delta=1e-6)
    declare_schema(kept.service, kept.admin, kept.source.id, yaml.safe_dump(schema()))
    yearly = Rhythm(every="year", first=date(2026, 11, 30), at=time(6))
    kept.schedule = make_schedule(kept.service, kept.sam, kept.source.id, SMALL, yearly, purpose="the registry")
    return kept


@each_database
def test_an_upload_stays_while_an_active_schedule_reads_it_and_the_days_begin_when_it_pauses(scheduled, clock):
    kept = scheduled
    assert "when it is not in use any more" in kept.institution.browser("aud").get("/retention").text
    clock.move(days=300)
    assert sweep(kept.service) == 0
    (item,) = retention_page(kept.service, kept.admin).items
    assert (item.due_at, item.busy) == (None, True)
    with pytest.raises(InputError, match="in use"):
        deleting.delete_early(kept.service, kept.admin, item.name, "a wish")
    pause_schedule(kept.service, kept.sam, kept.schedule.id)
    clock.move(days=29)
    assert sweep(kept.service) == 0
    clock.move(days=2)
    assert sweep(kept.service) == 1
    with pytest.raises(InputError, match="is retired"):
        resume_schedule(kept.service, kept.sam, kept.schedule.id)


def test_a_source_that_somebody_retires_goes_although_a_schedule_reads_it(scheduled):
    retire_source(scheduled.service, scheduled.admin, scheduled.source.id)
    assert sweep(scheduled.service) == 1
    assert scheduled.files() == []


def test_a_schedule_that_is_resumed_meanwhile_keeps_the_upload(scheduled, clock, monkeypatch):
    kept = scheduled
    pause_schedule(kept.service, kept.sam, kept.schedule.id)
    clock.move(days=31)
    real = deleting.files_of

    def resumed(service, item):
        resume_schedule(kept.service, kept.sam, kept.schedule.id)
        return real(service, item)

    monkeypatch.setattr(deleting, "files_of", resumed)
    assert sweep(kept.service) == 0
    assert len(kept.files()) == 1
    assert kept.deletions() == []


def test_what_is_held_meanwhile_stays_and_everything_else_that_is_due_goes_with_the_same_look(kept, monkeypatch):
    with Upload(kept.service, kept.admin, "b.csv") as sent:
        sent.write(b"a,b\n1,2\n")
        other = sent.keep(NewSource(name="Other", dataset="other", kind="upload", place=""))
    for source in (kept.source, other):
        retire_source(kept.service, kept.admin, source.id)
    real, held = deleting.files_of, []

    def holding(service, item):
        if not held:  # the first one
            held.append(item.name)
            place_hold(kept.service, kept.admin, item.name, "a court asks for it")
        return real(service, item)

    monkeypatch.setattr(deleting, "files_of", holding)
    assert sweep(kept.service) == 1
    assert [path.name.partition(".")[0] for path in kept.files()] == [held[0].partition("-")[2]]
    assert held[0] not in [one.item for one in kept.deletions()]
    assert sweep(kept.service) == 0


def test_what_is_held_stays_until_the_hold_is_lifted(kept):
    (item,) = retention_page(kept.service, kept.admin).items
    answer = kept.institution.browser("ada")
    form = {"form_token": kept.admin.form_token, "item": item.name, "reason": "a court asks for it"}
    assert answer.post("/retention/holds", data=form).status_code == 303
    assert answer.post("/retention/holds", data=form).status_code == 422
    retire_source(kept.service, kept.admin, kept.source.id)
    assert sweep(kept.service) == 0
    assert len(kept.files()) == 1
    refused = answer.post("/retention/deletions", data=form)
    assert "held back" in refused.text
    assert "a court asks for it" in refused.text
    with pytest.raises(InputError, match="in one line"):
        lift_hold(kept.service, kept.admin, 1, "")
    lift_hold(kept.service, kept.admin, 1, "the case is closed")
    assert sweep(kept.service) == 1
    assert kept.files() == []
    with pytest.raises(InputError, match="deleted already"):
        place_hold(kept.service, kept.admin, item.name, "too late")


@each_database
def test_the_database_itself_refuses(service, institution):
    person = institution.person("eve", Role.ADMINISTRATOR)
    with service.database.writing() as session:
        session.add(HoldRow(item="upload-1", reason="r", placed_by=person.person_id, placed_at=service.now()))

    def add(item: str) -> None:
        with service.database.writing() as session:
            session.add(DeletionRow(item=item, what="w", dataset="d", rule="r", begun_at=service.now(), files="{}"))

    with pytest.raises(DBAPIError, match="held back"):
        add("upload-1")
    add("upload-2")
    with pytest.raises(DBAPIError, match="deleted already"), service.database.writing() as session:
        session.add(HoldRow(item="upload-2", reason="r", placed_by=person.person_id, placed_at=service.now()))
    done = "UPDATE deletions SET done_at = begun_at, certificate = 'x'"
    with service.database.writing() as session:
        session.execute(text(done.replace("'x'", "x'00'") if "sqlite" in str(service.database.engine.url) else done))
    for statement in ("UPDATE deletions SET rule = 'x'", "DELETE FROM deletions"):
        with pytest.raises(DBAPIError, match=r"completed|stay on record"), service.database.writing() as session:
            session.execute(text(statement))


@pytest.mark.parametrize("at", ["remove_files", "certificate_of", "atomic_write", "_forget"])
def test_a_deletion_that_is_killed_is_completed_and_certified_once(kept, tmp_path, at):
    retire_source(kept.service, kept.admin, kept.source.id)
    (file,) = kept.files()
    kept.service.database.close()
    child = os.fork()
    if child == 0:
        try:
            real = getattr(deleting, at)

            def killed(*told, **more):
                if at == "atomic_write":
                    real(*told, **more)  # the certificate is there, and the database does not know it
                os.kill(os.getpid(), signal.SIGKILL)

            setattr(deleting, at, killed)
            sweep(replace(kept.service, database=ServiceDatabase.at("", tmp_path)))
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    page = kept.institution.browser("aud").get("/retention").text
    assert "not completed yet" in page
    assert file.exists() == (at == "remove_files")
    kept_already = list((kept.service.home / "deletions").glob("*.json"))
    written = kept_already[0].read_bytes() if kept_already else None
    assert sweep(kept.service) == 1
    assert kept.files() == []
    (done,) = kept.deletions()
    assert done.certificate is not None
    assert written in (None, done.certificate)
    assert sweep(kept.service) == 0


def test_nothing_is_deleted_without_a_key_that_certifies_it(kept):
    retire_source(kept.service, kept.admin, kept.source.id)
    (kept.service.home / "keys" / "service.pem").unlink()
    with pytest.raises(KeyFileError):
        sweep(kept.service)
    assert len(kept.files()) == 1
    assert kept.deletions() == []


def test_the_officers_part_goes_after_the_decision_and_the_edition_stays(deciders, clock):
    admin = deciders.institution.person("ada", Role.ADMINISTRATOR)
    for name in ("ann", "bob"):
        deciders.decide(name, "approved")
    clock.move(minutes=1)
    assert deciders.post("ann", f"/runs/{RUN}/publish").status_code == 303
    told = deciders.service.settings.model_copy(update={"keep_officer_days": 365, "keep_offers_days": 10})
    service = deciders.institution.app.state.service = replace(deciders.service, settings=told)
    form = {"recipient": "Dr. Roe", "terms": "t", "days": "5"}
    link = deciders.post("ann", f"/runs/{RUN}/offers", **form)
    assert "Dr. Roe" in link.text
    clock.move(days=16)
    assert sweep(service) == 1  # the offer, ten days after its end
    with service.database.reading() as session:
        assert session.query(Offer).count() == 0
    clock.move(days=350)
    assert deciders.institution.browser("ann").get(f"/runs/{RUN}/decide").status_code == 303  # idle: signed out
    assert sweep(service) == 1
    assert not (deciders.draft / "officer").exists()
    assert (deciders.draft / "public").exists()
    assert (service.release_folder(RUN) / "edition" / "report.html").exists()
    page = retention_page(service, admin)
    assert {one.item.partition("-")[0] for one in page.deletions} == {"offer", "officer"}
    said = Notice.opened(page.deletions[0].certificate)[0].said
    assert any("public part" in one for one in said["remains"])


def test_who_decides_is_told_that_a_rejected_release_is_gone(deciders, clock):
    deciders.decide("ann", "rejected")
    told = deciders.service.settings.model_copy(update={"keep_rejected_days": 1, "idle_minutes": 720})
    service = deciders.institution.app.state.service = replace(deciders.service, settings=told)
    clock.move(hours=11)
    deciders.institution.browser("ann").get("/")
    clock.move(days=1)
    assert sweep(service) == 1
    assert not (deciders.draft / "public").exists()
    assert deciders.files() != []
    for name in ("ann", "sue"):
        deciders.institution.secrets[name] = sign_in(service, name, PASSWORD, "10.0.0.1")
    page = deciders.institution.browser("ann").get(f"/runs/{RUN}/decide")
    assert "both parts of this release were deleted" in page.text.lower()
    assert "does not verify" not in page.text
    assert "both parts" in deciders.decide("ann", "approved").text.lower()
    assert deciders.run().state == "rejected"
    assert deciders.institution.browser("ann").get(f"/runs/{RUN}/officer/report.html").status_code == 422
    assert deciders.institution.browser("sue").get(f"/runs/{RUN}/public/report.html").status_code == 422
    assert "Both parts of the rejected release" in deciders.institution.browser("sue").get(f"/runs/{RUN}").text


def test_a_backup_that_is_older_than_a_deletion_does_not_bring_it_back(kept, tmp_path):
    service = kept.service
    (kept.service.folder / "secret").write_bytes(b"x")
    back_up(ELSEWHERE, service.home, tmp_path / "copy")
    (file,) = kept.files()
    retire_source(service, kept.admin, kept.source.id)
    assert sweep(service) == 1
    service.folder.rename(tmp_path / "away")
    assert "1 deletion since" in bring_back(service.home, tmp_path / "copy")
    assert not file.exists()
    # The database of the backup knows nothing of it: a worker enters it.
    older = ServiceDatabase.at("", tmp_path / "older")
    older.migrate()
    again = replace(service, database=older)
    assert sweep(again) == 1
    with older.reading() as session:
        (row,) = session.query(DeletionRow).all()
    assert row.certificate == next((service.home / "deletions").iterdir()).read_bytes()
    assert sweep(again) == 0
    older.close()


def test_a_changed_certificate_stops_the_way_back(kept, tmp_path):
    retire_source(kept.service, kept.admin, kept.source.id)
    (kept.service.folder / "secret").write_bytes(b"x")
    back_up(ELSEWHERE, kept.service.home, tmp_path / "copy")
    sweep(kept.service)
    (path,) = (kept.service.home / "deletions").iterdir()
    path.rename(path.with_name("upload-0.dsse.json"))
    kept.service.folder.rename(tmp_path / "away")
    with pytest.raises(VerificationError, match="something else"):
        bring_back(kept.service.home, tmp_path / "copy")
    assert not kept.service.folder.exists()


def test_who_signed_in_long_ago_is_forgotten(kept, clock):
    with kept.service.database.writing() as session:
        session.add(SignInAttempt(name="0" * 64, address="10.0.0.1", at=clock(), succeeded=False))
    clock.move(days=91)
    sweep(kept.service)
    with kept.service.database.reading() as session:
        assert session.query(SignInAttempt).count() == 0
    assert kept.institution.browser("ada").get("/").headers["location"] == "/sign-in"


def test_programs_read_it_and_hold_and_delete(kept):
    secret = new_token(kept.service, kept.admin, "t", frozenset({Act.SEE_RETENTION, Act.MANAGE_RETENTION}), 1)
    api = kept.institution.browser()
    api.headers["authorization"] = f"Bearer {secret}"
    (one,) = api.get("/api/v1/retention").json()["kept"]
    hold = api.post("/api/v1/retention/holds", json={"item": one["item"], "reason": "r"}).json()
    assert api.get("/api/v1/retention").json()["kept"][0]["hold"] == hold["id"]
    assert api.post(f"/api/v1/retention/holds/{hold['id']}/lift", json={"reason": "r"}).json()["lifted_at"]
    done = api.post("/api/v1/retention/deletions", json={"item": one["item"], "reason": "asked for"}).json()
    assert done["asked_by"] == "Ada"
    assert kept.files() == []
    sent = api.get(f"/api/v1/retention/certificates/{done['id']}")
    assert Notice.opened(sent.content)[0].said["asked_by"] == "Ada"


def test_no_certificate_leads_out_of_the_folder(kept):
    outside = kept.service.home / "keyring.json"
    for name in ("../keyring.json", str(outside)):
        with pytest.raises(VerificationError, match="outside"):
            remove_files(kept.service.folder, [name])
    assert outside.exists()
