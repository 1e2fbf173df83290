"""`privsynth --server URL` against a service that is served: a day of a release, from the command line."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from click.testing import CliRunner
from service.deciders import PASSPHRASE, RUN
from service.releases import desk, worker_of
from service.serving import served

from privsynth.cli import main
from privsynth.remote import following
from privsynth.service.maker_key import ensure_maker_key
from privsynth.service.roles import Act, Role
from privsynth.service.states import RunState
from privsynth.service.store.runs import RunRow
from privsynth.service.tokens import new_token


class Terminal:
    """A terminal at which somebody asks a service."""

    def __init__(self, url: str, institution, folder, caller) -> None:
        scopes = frozenset(act for act in Act if caller.may(act))
        self.file = folder / f"{caller.name}.token"
        self.file.write_text(new_token(institution.service, caller, "terminal", scopes, 1) + "\n")
        self.file.chmod(0o600)
        self.url = url

    def __call__(self, *words: object, code: int = 0, **more):
        typed = ["--server", self.url, "--token-file", str(self.file), *map(str, words)]
        done = CliRunner().invoke(main, typed, **more)
        assert done.exit_code == code, done.output
        return done

    def json(self, *words: object, code: int = 0):
        return json.loads(self(*words, "--json", code=code).stdout)


@pytest.fixture
def at(institution, tmp_path):
    """A served service with a source, and terminals of who keeps it and who asks for releases."""
    here = desk(institution, tmp_path, webhook_networks="127.0.0.0/8")
    with served(here.service) as url:
        boss, sam = (Terminal(url, institution, tmp_path, who) for who in (here.admin, here.submitter))
        yield SimpleNamespace(desk=here, url=url, boss=boss, sam=sam, service=here.service, institution=institution)


SMALL = ("--epsilon", 1, "--generator", "marginal", "--anyway")
ASK = ("synthesize", "Admissions 2024", *SMALL, "--audit", "none", "--purpose", "a course")


def test_sources_are_registered_declared_and_retired_from_a_terminal(at, tmp_path):
    (tmp_path / "t.csv").write_text("ward,age\nZebra,77\n")
    sent = ("sources", "upload", tmp_path / "t.csv", "--name", "Sent", "--dataset", "sent")
    first, again = at.boss.json(*sent), at.boss.json(*sent)
    assert first == again
    (tmp_path / "s.yaml").write_text("columns: {age: {kind: integer}}\n")
    at.boss("sources", "declare", "Sent", tmp_path / "s.yaml")
    assert "kind: integer" in at.boss("sources", "show", first["id"]).stdout
    at.boss("sources", "retire", "Sent")
    listed = at.boss.json("sources", "list")["found"]
    assert [(one["name"], one["retired_at"] is None) for one in listed] == [("Admissions 2024", True), ("Sent", False)]
    unknown = at.boss("sources", "show", "Sent", code=2)
    assert "has no source 'Sent' in use. It has: 'Admissions 2024'" in unknown.stderr
    assert "needs the role" in at.sam(*sent, code=10).stderr


def test_a_plan_spends_nothing_and_says_when_little_can_be_learned(at):
    planned = at.sam("plan", "Admissions 2024", *SMALL)
    assert "resolved" in planned.stdout
    plans = at.sam.json("plan", "Admissions 2024", *SMALL)["plans"]
    assert [one["epsilon"] for one in plans] == [0.25, 0.5, 1, 2, 4]
    few = ("plan", "Admissions 2024", "--epsilon", 0.01, "--expect-rows", 20)
    assert "little" in at.sam(*few, code=8).stderr
    assert at.sam.json("budget", "show")["found"][0]["spent_epsilon"] == 0
    assert "the ledger would refuse" in at.sam(*ASK, "--epsilon", 11, code=4).stderr


def test_a_run_is_asked_for_once_followed_and_ends_with_its_exit_code(at, monkeypatch):
    monkeypatch.setattr(following, "LOOK_S", 0.0)
    run = at.sam.json(*ASK, "--once", "monday", "--no-wait")
    assert (run["state"], at.sam.json(*ASK, "--once", "monday", "--no-wait")["id"]) == ("queued", run["id"])
    assert worker_of(at.service).once()
    followed = at.sam("runs", "follow", run["id"])
    assert "to_decide" in followed.stdout
    assert at.sam.json("runs", "show", run["id"])["exit_code"] == 0
    assert "admissions" in at.sam("budget", "show", "admissions").stdout
    assert "not published" in at.sam("download", run["id"], "--out", "x", code=3).stderr


def test_little_to_learn_and_a_cancelled_run_have_the_codes_of_the_command_line(at, monkeypatch):
    monkeypatch.setattr(following, "LOOK_S", 0.0)
    strict = [word for word in ASK if word != "--anyway"]
    little = at.sam.json(*strict, "--expect-rows", 20, "--epsilon", 0.01, "--no-wait")
    assert worker_of(at.service).once()
    assert "Nothing was spent" in at.sam("runs", "follow", little["id"], code=8).stdout
    run = at.sam.json(*ASK, "--no-wait")
    assert at.sam.json("runs", "cancel", run["id"])["state"] == "cancelled"
    at.sam("runs", "follow", run["id"], code=130)


def test_a_run_that_is_being_cancelled_is_said_to_be(at):
    run = at.sam.json(*ASK, "--no-wait")
    with at.service.database.writing() as session:
        session.get_one(RunRow, run["id"]).state = RunState.RUNNING
    assert "It is being cancelled" in at.sam("runs", "cancel", run["id"]).stderr


def test_ctrl_c_leaves_the_run_going_and_says_how_to_end_it(at, monkeypatch):
    def stopped(*_args):
        raise KeyboardInterrupt

    monkeypatch.setattr(following, "Pacing", lambda: SimpleNamespace(pause=stopped, clock=lambda: 0.0))
    done = at.sam(*ASK, code=130)
    (run,) = at.sam.json("runs", "list", "--state", "queued")["found"]
    assert f"Stopped looking: {run['id']} goes on." in done.stderr
    assert f"to end it: privsynth --server {at.url} runs cancel {run['id']}" in done.stderr


def test_what_goes_wrong_with_a_token_or_a_server_is_one_sentence(at, clock, tmp_path):
    wrong = tmp_path / "wrong"
    wrong.write_text("psy_wrong")
    wrong.chmod(0o644)

    def said(*words: str, server: str = at.url, file=wrong, code: int, env=None) -> str:
        token = () if file is None else ("--token-file", str(file))
        done = CliRunner().invoke(main, ["--server", server, *token, *words], env=env)
        assert done.exit_code == code, done.output
        assert "Traceback" not in done.output
        return done.stderr

    told = said("me", code=10)
    assert "others on this machine may read" in told
    assert "send a valid token" in told
    assert "cannot be read" in said("me", file=tmp_path / "none", code=2)
    assert "name a file with --token-file" in said("me", file=None, code=2)
    assert "this is no token" in said("me", file=None, env={"PRIVSYNTH_TOKEN": "hunter2"}, code=2)
    assert "does not answer: nobody listens there" in said("me", server="http://127.0.0.1:9", code=7)
    assert "works on this machine alone" in said("sample", "x", code=2)
    assert "a run has a name" in said("runs", "show", "../people", code=2)
    env = {"PRIVSYNTH_SERVER": at.url, "PRIVSYNTH_TOKEN": at.sam.file.read_text()}
    done = CliRunner().invoke(main, ["me", "--json"], env=env)
    assert json.loads(done.stdout)["name"] == "sam"
    clock.move(days=2)
    assert "send a valid token" in at.sam("me", code=10).stderr
    failed = CliRunner().invoke(main, ["--server", at.url, "--token-file", str(at.sam.file), "me", "--json"])
    assert json.loads(failed.stdout)["exit_code"] == 10


@pytest.fixture
def office(deciders, tmp_path):
    """A served service with a release to decide on, and a terminal for each who may."""
    with served(deciders.service) as url:
        people = {name: Terminal(url, deciders.institution, tmp_path, deciders.again(name))
                  for name in ("sue", "rita", "ann", "bob", "kim")}  # fmt: skip
        yield SimpleNamespace(deciders=deciders, url=url, **people)


def test_a_release_is_decided_on_published_offered_downloaded_and_revoked_from_terminals(office, tmp_path, monkeypatch):
    monkeypatch.setenv("PRIVSYNTH_PASSPHRASE", PASSPHRASE)
    ann, bob, sue = office.ann, office.bob, office.sue
    assert "to_decide" in office.rita("status", RUN, code=3).stdout
    office.rita("approve", RUN, "--meaning", "changes", "--comment", "say which year")
    assert ann.json("approve", RUN, "--meaning", "approved")["approvals"] == 1
    assert bob.json("approve", RUN, "--meaning", "approved")["state"] == "approved"
    assert ann.json("publish", RUN)["state"] == "published"
    ann("status", RUN)
    terms = tmp_path / "terms.txt"
    terms.write_text("No linking.")
    offer = ann.json("offers", "make", RUN, "--recipient", "Prof. Koch", "--terms", terms, "--once", "koch")
    assert offer["link"].startswith(f"{office.url}/download/")
    assert ann.json("offers", "make", RUN, "--recipient", "Prof. Koch", "--terms", terms, "--once", "koch") == offer
    assert "Prof. Koch" in sue("offers", "list", RUN).stdout
    assert ann.json("offers", "withdraw", offer["id"])["withdrawn_at"]
    out = tmp_path / "got"
    sue("download", RUN, "--out", out)
    checked = CliRunner().invoke(main, ["verify", str(out)])
    assert checked.exit_code == 0, checked.output
    ann("revoke", RUN, "--reason", "wrong ward")
    assert "was revoked" in sue("download", RUN, "--out", tmp_path / "again", code=9).stderr


def test_a_passphrase_that_is_wrong_decides_nothing(office, monkeypatch):
    monkeypatch.setenv("PRIVSYNTH_PASSPHRASE", "wrong wrong wrong")
    refused = office.ann("approve", RUN, "--meaning", "approved", code=2)
    assert "passphrase" in refused.stderr
    assert office.deciders.rows() == []


def test_people_keys_and_the_record_are_kept_from_a_terminal(institution, tmp_path):
    boss = institution.person("boss", Role.ADMINISTRATOR, Role.AUDITOR)
    kim = institution.person("kim", Role.KEY_ADMIN)
    with served(institution.service) as url:
        ask, keeper = (Terminal(url, institution, tmp_path, who) for who in (boss, kim))
        added = ask.json("people", "add", "ben", "--display", "Ben", "--role", "reviewer", "--once", "x")
        assert added["link"].startswith(f"{url}/welcome/")
        assert "ben was invited" in ask("overview").stdout
        assert ask.json("people", "roles", added["id"], "--role", "auditor")["roles"] == ["auditor"]
        assert ask.json("people", "invite", added["id"])["link"] != added["link"]
        assert "role" in ask("people", "roles", added["id"], "--role", "king", code=2).stderr
        assert ask.json("people", "deactivate", added["id"])["active"] is False
        assert "Ben" in ask("people", "list").stdout
        assert "has no key yet" in keeper("keys", "enter", boss.person_id, "01234567", code=2).stderr
        assert keeper.json("keys", "list") == {"found": []}
        assert "deactivate_person" in ask("record", "list", "--about", "person", "--most", 1).stdout
        assert ask.json("record", "check")["damaged"] is None


def test_releases_are_scheduled_within_a_yearly_budget_from_a_terminal(at, institution, tmp_path):
    ann = Terminal(at.url, institution, tmp_path, institution.person("ann", Role.APPROVER))
    monthly = (*SMALL, "--every", "month", "--first", "2026-01-31", "--at", "06:00")
    wanted = ("Admissions 2024", *monthly)
    assert "nobody has set a yearly budget" in at.sam("schedules", "plan", *wanted, code=4).stderr
    assert "nobody has set a yearly budget" in at.sam("schedules", "make", *wanted, "--purpose", "p", code=4).stderr
    budget = ("schedules", "set-budget", "admissions", "--epsilon", 10, "--delta", 1e-5)
    assert "needs the role" in at.sam(*budget, code=10).stderr
    assert ann.json(*budget)["budget"]["epsilon"] == 10
    assert "more than its yearly budget" in at.sam("schedules", "make", *wanted, "--purpose", "p", code=4).stderr
    yearly = ("Admissions 2024", *SMALL, "--every", "year", "--first", "2026-12-31")
    plan = at.sam("schedules", "plan", *yearly).stdout
    assert "2026-12-31 06:00" in plan
    assert "ε 1 " in plan
    make = ("schedules", "make", *yearly, "--purpose", "the registry", "--once", "x")
    made = at.sam.json(*make)
    assert at.sam.json(*make) == made
    assert "Admissions 2024" in at.sam("schedules", "list").stdout
    assert "paused" in ann("schedules", "pause", made["id"]).stdout
    assert f"schedule {made['id']} (admissions) is paused: Paused by Ann." in at.sam("overview").stdout
    assert at.sam.json("schedules", "resume", made["id"])["next_at"].startswith("2026-12-31T06:00")
    assert "year" in at.sam("schedules", "show", made["id"]).stdout
    assert "ε 1 " in ann("schedules", "budgets").stdout
    assert at.sam.json("schedules", "end", made["id"])["state"] == "ended"


def test_webhooks_and_tokens_are_kept_from_a_terminal(at):
    hook = at.boss.json("webhooks", "register", "board", "http://127.0.0.1:9/hook", "--event", "run.failed")
    assert hook["secret"].startswith("whsec_")
    assert at.boss.json("webhooks", "secret", hook["id"])["secret"] != hook["secret"]
    sent = at.boss.json("webhooks", "test", hook["id"])
    assert "127.0.0.1:9" in at.boss("webhooks", "list").stdout
    assert [one["id"] for one in at.boss.json("webhooks", "show", hook["id"])["messages"]] == [sent["id"]]
    assert "test" in at.boss("webhooks", "show", hook["id"]).stdout
    assert "given up" in at.boss("webhooks", "again", sent["id"], code=2).stderr
    for what, state in (("disable", "disabled"), ("enable", "active"), ("remove", "removed")):
        assert at.boss.json("webhooks", "switch", hook["id"], what)["state"] == state
        assert ("(board) is disabled: " in at.boss("overview").stdout) == (what == "disable")
    (token,) = at.sam.json("tokens", "list")["found"]
    assert "terminal" in at.sam("tokens", "list").stdout
    at.sam("tokens", "revoke", token["id"])
    assert "send a valid token" in at.sam("me", code=10).stderr


def test_data_is_held_deleted_and_certified_and_erasure_is_answered_from_a_terminal(institution, tmp_path):
    ensure_maker_key(institution.service)
    with served(institution.service) as url:
        boss = Terminal(url, institution, tmp_path, institution.person("boss", Role.ADMINISTRATOR))
        (tmp_path / "t.csv").write_text("ward,age\nZebra,77\n")
        boss.json("sources", "upload", tmp_path / "t.csv", "--name", "Sent", "--dataset", "sent")
        (item,) = boss.json("retention", "list")["kept"]
        assert "uploaded" in boss("retention", "list").stdout
        held = boss.json("retention", "hold", item["item"], "--reason", "a court asks for it")
        assert "held back" in boss("retention", "delete", item["item"], "--reason", "by mistake", code=2).stderr
        assert "court" in boss("retention", "holds").stdout
        boss("retention", "lift", held["id"], "--reason", "the case is closed")
        done = boss.json("retention", "delete", item["item"], "--reason", "by mistake")
        assert "mistake" in boss("retention", "deletions").stdout
        answer = boss.json("erasure", "answer", "2026-117", "--dataset", "sent")
        assert answer["said"]["case"] == "2026-117"
        assert "2026-117" in boss("erasure", "list").stdout
        for group, what, number in (("retention", "certificate", done["id"]), ("erasure", "statement", answer["id"])):
            out = tmp_path / f"{what}.dsse.json"
            boss(group, what, number, out)
            checked = CliRunner().invoke(main, ["verify", str(out)])
            assert checked.exit_code == 0, checked.output
            assert "File exists" in boss(group, what, number, out, code=2).stderr


def test_reports_are_fetched_and_a_decision_is_signed_elsewhere_from_a_terminal(office, tmp_path):
    assert RUN in office.ann("overview").stdout
    assert office.ann.json("keys", "mine")["entry"]["roles"] == ["approver"]
    public, officer = tmp_path / "public.html", tmp_path / "officer.html"
    office.sue("report", RUN, public)
    assert "needs one of the roles" in office.sue("report", RUN, officer, "--officer", code=10).stderr
    office.ann("report", RUN, officer, "--officer")
    assert 0 < public.stat().st_size != officer.stat().st_size > 0
    wanted = tmp_path / "decision.json"
    office.ann("decisions", "request", RUN, wanted, "--meaning", "approved", "--comment", "fine")
    assert json.loads(wanted.read_text())["comment"] == "fine"
    assert "envelope" in office.ann("decisions", "enter", RUN, wanted, code=5).stderr  # nobody signed it
    assert office.deciders.rows() == []
