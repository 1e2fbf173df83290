"""`privsynth --server URL` has a command for every operation of the API, which asks it as its description says."""

from __future__ import annotations

from contextlib import contextmanager

import jsonschema
import pytest
from click.testing import CliRunner
from service.deciders import PASSPHRASE

from privsynth.cli import main
from privsynth.errors import ServiceUnavailable
from privsynth.remote.connection import Connection

SERVER = ("--server", "http://127.0.0.1:9")
RUN = "run-0123456789abcdef"
SCHEDULED = "--epsilon 0.3 --every month --first 2027-01-31 --at 06:00"
# Name of an operation -> the words of a command that asks for it. FILE and SCHEMA are there, NEW is not.
COMMANDS = {
    "me": "me",
    "overview": "overview",
    "budgets": "budget show",
    "acts": "record list --act publish --before 9",
    "check_acts": "record check",
    "tokens": "tokens list",
    "revoke_token": "tokens revoke 7",
    "people": "people list",
    "add_person": "people add rita --display Rita --role reviewer --once x",
    "change_roles": "people roles 7 --role auditor",
    "invite_person": "people invite 7",
    "deactivate_person": "people deactivate 7",
    "my_key": "keys mine",
    "keys": "keys list",
    "enter_key": "keys enter 7 01234567",
    "revoke_key": f"keys revoke {'0' * 64} --reason lost",
    "sources": "sources list",
    "register_source": "sources register new a.csv --dataset d --columns a,b",
    "declare_schema": "sources declare wards FILE",
    "retire_source": "sources retire 3",
    "source_columns": "sources columns wards",
    "declare_columns": "sources declare-columns wards SCHEMA",
    "upload_source": "sources upload FILE --name n --dataset d --encoding ascii --delimiter ; --sheet s --columns a",
    "plan": "plan wards --epsilon 1 --unit row",
    "submit": "synthesize wards --epsilon 1 --purpose p --rows 9 --from-last-release --anyway",
    "runs": "runs list --state published",
    "run": f"runs show {RUN}",
    "cancel": f"runs cancel {RUN}",
    "answer_changes": f"runs answer {RUN} --comment c",
    "decision": f"status {RUN}",
    "decide": f"approve {RUN} --meaning approved --comment c --against-policy",
    "decision_request": f"decisions request {RUN} NEW --meaning reviewed",
    "enter_signed": f"decisions enter {RUN} FILE",
    "officer_report": f"report {RUN} NEW --officer",
    "public_report": f"report {RUN} NEW",
    "publish": f"publish {RUN} --with-comments",
    "revoke": f"revoke {RUN} --reason r",
    "edition": f"download {RUN} --out NEW",
    "offers": f"offers list {RUN}",
    "offer": f"offers make {RUN} --recipient r --terms FILE",
    "withdraw_offer": "offers withdraw 7",
    "schedules": "schedules list",
    "one_schedule": "schedules show 7",
    "plan_schedule": f"schedules plan wards {SCHEDULED}",
    "schedule": f"schedules make wards --purpose p {SCHEDULED}",
    "pause_schedule": "schedules pause 7",
    "resume_schedule": "schedules resume 7",
    "end_schedule": "schedules end 7",
    "yearly_budgets": "schedules budgets",
    "set_yearly_budget": "schedules set-budget d --epsilon 3 --delta 5e-6",
    "webhooks": "webhooks list",
    "register_webhook": "webhooks register board https://example.org/hook --event run.to_decide",
    "webhook": "webhooks show 7",
    "replace_webhook_secret": "webhooks secret 7",
    "switch_webhook": "webhooks switch 7 remove",
    "try_webhook": "webhooks test 7",
    "send_again": "webhooks again 41",
    "retention": "retention list",
    "place_hold": "retention hold upload-1 --reason r",
    "lift_hold": "retention lift 7 --reason r",
    "delete_early": "retention delete upload-1 --reason r",
    "certificate": "retention certificate 7 NEW",
    "erasures": "erasure list",
    "answer_erasure": "erasure answer 2026-117 --dataset d --entered 2024-02-01",
    "erasure_statement": "erasure statement 7 NEW",
}  # fmt: skip
# Name of an operation -> why no command asks for it.
WITHOUT = {"source": "`sources show` takes it from the list, which has the same, and knows it by its name"}


@pytest.fixture
def operations(institution) -> dict[str, tuple[str, str, dict]]:
    """Name of an operation of the API -> its method, its path, and its description."""
    paths = institution.app.openapi()["paths"]
    return {
        one["operationId"]: (method.upper(), path.removeprefix("/api/v1"), one)
        for path, methods in paths.items()
        for method, one in methods.items()
    }


def test_every_operation_of_the_api_has_a_command_or_a_reason(operations):
    assert not COMMANDS.keys() & WITHOUT.keys()
    assert operations.keys() == COMMANDS.keys() | WITHOUT.keys(), "give the new operation a command, or say why not"


@pytest.fixture
def asked(monkeypatch, tmp_path):
    """Return a function that runs a command and returns method, path and the rest of its request."""
    seen = []

    @contextmanager
    def answer(self, method, path, **more):
        seen.append((method, path, more))
        raise ServiceUnavailable("that was it")
        yield

    def listed(self, method, path, **more):
        if (method, path) == ("GET", "/sources") and len(seen) == 0 and len(words) > 2:
            return [{"id": 3, "name": "wards", "retired_at": None}]
        with answer(self, method, path, **more):
            pass

    words: list[str] = []
    there = tmp_path / "there.csv"
    there.write_text("a: b\n")
    declared = tmp_path / "declared.yaml"
    declared.write_text("unit: row\ncolumns: {admitted: {kind: date, minimum: 2024-01-01}, ward: }\n")

    def ask(line: str):
        words[:] = [
            str({"FILE": there, "SCHEMA": declared, "NEW": tmp_path / "new"}.get(word, word)) for word in line.split()
        ]
        done = CliRunner().invoke(main, [*SERVER, *words], env={"PRIVSYNTH_PASSPHRASE": PASSPHRASE})
        assert "that was it" in done.output, (line, done.output)
        (request,) = seen
        seen.clear()
        return request

    monkeypatch.setattr(Connection, "_answer", answer)
    monkeypatch.setattr(Connection, "_json", listed)
    return ask


def test_every_command_asks_for_its_operation_as_the_api_describes_it(operations, institution, asked):
    components = institution.app.openapi()["components"]
    for name, line in COMMANDS.items():
        method, path, told = operations[name]
        sent_method, sent_path, sent = asked(line)
        parts = zip(path.split("/"), sent_path.split("/"), strict=True)
        assert method == sent_method, line
        assert all(is_ == was or is_.startswith("{") for is_, was in parts), (line, sent_path)
        known = {one["name"] for one in told.get("parameters", []) if one["in"] == "query"}
        needed = {one["name"] for one in told.get("parameters", []) if one["in"] == "query" and one.get("required")}
        query = {key for key, value in sent.get("params", {}).items() if value is not None}
        assert needed <= query <= known, line
        content = told.get("requestBody", {}).get("content", {})
        assert ("json" in sent) == ("application/json" in content), line
        if "json" in sent:
            schema = content["application/json"]["schema"] | {"components": components}
            jsonschema.Draft202012Validator(schema).validate(sent["json"])


def test_a_file_that_breaks_off_is_not_kept(tmp_path, monkeypatch):
    from privsynth.remote import connection

    @contextmanager
    def answer(self, method, path, **more):
        yield None

    def parts(_answer, _most):
        yield b"half"
        raise ServiceUnavailable("the connection broke")

    monkeypatch.setattr(Connection, "_answer", answer)
    monkeypatch.setattr(connection, "_parts", parts)
    out = tmp_path / "certificate.json"
    done = CliRunner().invoke(main, [*SERVER, "retention", "certificate", "7", str(out)])
    assert (done.exit_code, out.exists()) == (7, False)
    out.write_text("mine")
    done = CliRunner().invoke(main, [*SERVER, "retention", "certificate", "7", str(out)])
    assert (done.exit_code, out.read_text()) == (2, "mine")
