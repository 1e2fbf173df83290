"""Webhooks: what is told, to whom, signed, at least once; and where they may lead."""

from __future__ import annotations

import ast
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from threading import Event

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from service.people import form_token
from service.receiver import Receiver, receiving
from service.releases import SMALL, desk
from sqlalchemy import select, text
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

import privsynth.service
from privsynth.errors import InputError
from privsynth.service.network.addresses import is_public
from privsynth.service.oversight.overview import overview
from privsynth.service.roles import Act, Role
from privsynth.service.runs.submit import cancel_run, submit_release
from privsynth.service.runs.transitions import to_state
from privsynth.service.settings import ServiceSettings
from privsynth.service.states import RunState
from privsynth.service.store.runs import RunRow
from privsynth.service.store.webhooks import DeliveryRow, WebhookRow, WebhookState
from privsynth.service.tokens import new_token
from privsynth.service.webhooks import posting
from privsynth.service.webhooks.acts import (
    one_webhook,
    register_webhook,
    replace_secret,
    send_again,
    switch_webhook,
    try_out,
    webhooks,
)
from privsynth.service.webhooks.delivering import LEASE, LONG_FAILURE, WAITS, BusyReceivers, deliver_due
from privsynth.service.webhooks.events import EVENTS
from privsynth.service.webhooks.posting import ReceiverAnswer, checked_address
from privsynth.service.worker import worker
from privsynth.service.worker.errands import errands_once

HERE = Path(__file__).parent
LOOPBACK = {"webhook_networks": "127.0.0.0/8"}


@pytest.fixture(scope="module")
def receivers():
    with receiving() as found:
        yield found


@pytest.fixture
def receiver(receivers) -> Receiver:
    receivers.let_go.set()
    receivers.let_go.clear()
    receivers.got.clear()
    receivers.answers.clear()
    return receivers


@pytest.fixture
def near(service, clock):
    """The service, which may reach this machine, at the time of verifying libraries."""
    clock.time = datetime.now(UTC)
    return replace(service, settings=service.settings.model_copy(update=LOOPBACK))


@pytest.fixture
def ada(institution, clock):
    clock.time = datetime.now(UTC)
    return institution.person("ada", Role.ADMINISTRATOR)


@pytest.fixture
def hook(near, ada, receiver):
    """A webhook for everything, and its secret."""
    return register_webhook(near, ada, label="Registry", url=receiver.url, events=list(EVENTS))


def messages(service, ada, row) -> list[DeliveryRow]:
    return one_webhook(service, ada, row.id)[1]


def test_what_happens_to_a_run_is_told_signed_and_with_nothing_else(institution, tmp_path, clock, receiver):
    clock.time = datetime.now(UTC)
    at = desk(institution, tmp_path, **LOOPBACK)
    row, secret = register_webhook(
        at.service, at.admin, label="Registry", url=receiver.url, events=["run.queued", "run.cancelled"]
    )
    run = submit_release(at.service, at.submitter, at.source.id, SMALL, purpose="a course")
    clock.move(seconds=2)
    cancel_run(at.service, at.submitter, run.id)
    assert receiver.got == []
    errands_once(at.service, Event())
    assert len(receiver.got) == 2
    for (headers, body), state, late in zip(receiver.got, ("queued", "cancelled"), (2, 0), strict=True):
        told = Webhook(secret).verify(body, headers)
        moment = clock.time - timedelta(seconds=late)
        assert told == {
            "type": f"run.{state}",
            "timestamp": moment.isoformat(),
            "data": {"run": run.id, "state": state},
        }
        assert headers[":path"] == "/hook?token=a-secret"
        assert headers["host"] == f"127.0.0.1:{receiver.port}"
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(receiver.got[0][1].replace(b"queued", b"failed"), receiver.got[0][0])
    errands_once(at.service, Event())
    assert len(receiver.got) == 2
    assert all(one.delivered_at == clock.time for one in messages(at.service, at.admin, row))


def test_only_chosen_events_of_active_webhooks_are_written_down(institution, tmp_path, clock, receiver):
    at = desk(institution, tmp_path, **LOOPBACK)
    told = {"url": receiver.url, "events": ["run.failed"]}
    other, _ = register_webhook(at.service, at.admin, label="other", **told)
    off, _ = register_webhook(at.service, at.admin, label="off", **told | {"events": ["run.queued"]})
    switch_webhook(at.service, at.admin, off.id, WebhookState.DISABLED)
    submit_release(at.service, at.submitter, at.source.id, SMALL, purpose="a course")
    assert messages(at.service, at.admin, other) == messages(at.service, at.admin, off) == []


def test_a_state_changes_in_one_place_alone():
    """Else somebody would not be told of it."""
    folder, found = Path(privsynth.service.__file__).parent, []
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            targets = node.targets if isinstance(node, ast.Assign) else []
            inner = [one for target in targets for one in ast.walk(target)]
            if any(isinstance(one, ast.Attribute) and ast.unparse(one) == "run.state" for one in inner):
                found.append(path.relative_to(folder).as_posix())
    assert found == ["runs/transitions.py"]


def test_what_fails_is_tried_again_later_and_then_given_up_and_sent_again(near, ada, hook, clock, receiver):
    row, secret = hook
    try_out(near, ada, row.id)
    receiver.answers[:] = [500] * (len(WAITS) + 1)
    waited = []
    for wait in WAITS:
        deliver_due(near)
        (one,) = messages(near, ada, row)
        waited.append(one.next_at - clock.time)
        clock.move(seconds=wait.total_seconds() - 1)
        deliver_due(near)
        assert len(receiver.got) == len(waited)  # not before its time
        clock.move(seconds=1)
    assert waited == list(WAITS)
    deliver_due(near)
    (one,) = messages(near, ada, row)
    assert (one.tries, one.next_at, one.delivered_at) == (len(WAITS) + 1, None, None)
    assert one.reason == "The receiver answered 500."
    assert len(set(receiver.ids())) == 1  # under one name
    clock.time = datetime.now(UTC)
    send_again(near, ada, one.id)
    deliver_due(near)
    assert Webhook(secret).verify(receiver.got[-1][1], receiver.got[-1][0])["type"] == "webhook.test"
    (one,) = messages(near, ada, row)
    assert (one.delivered_at, one.reason) == (clock.time, "")
    with pytest.raises(InputError, match="given up"):
        send_again(near, ada, one.id)


def test_a_long_failure_disables_and_tells_administrators(near, ada, hook, clock, receiver):
    row, _ = hook
    receiver.answers[:] = [503, 503]
    try_out(near, ada, row.id)
    deliver_due(near)
    clock.move(seconds=LONG_FAILURE.total_seconds())
    deliver_due(near)
    (told,) = overview(near, ada).disabled
    assert re.fullmatch(r"Disabled: no message was taken since \S+\. The receiver answered 503\.", told.sentence)
    (one,) = messages(near, ada, row)
    assert one.next_at is None
    with pytest.raises(InputError, match="enable it first"):
        send_again(near, ada, one.id)
    switch_webhook(near, ada, row.id, WebhookState.ACTIVE)
    send_again(near, ada, one.id)
    deliver_due(near)
    assert messages(near, ada, row)[0].delivered_at is not None


def test_a_receiver_that_is_gone_is_told_nothing_more(near, ada, hook, receiver):
    row, _ = hook
    receiver.answers[:] = [410]
    try_out(near, ada, row.id)
    try_out(near, ada, row.id)
    deliver_due(near)
    assert len(receiver.got) == 1
    assert one_webhook(near, ada, row.id)[0].sentence.endswith("wants no more messages (410).")


def test_redirects_are_not_followed_and_answers_are_not_read(near, ada, hook, receiver):
    row, _ = hook
    receiver.answers[:] = [302]
    try_out(near, ada, row.id)
    deliver_due(near)
    assert len(receiver.got) == 1
    assert messages(near, ada, row)[0].reason == "The receiver answered 302, and redirects are not followed."


def test_a_receiver_that_does_not_answer_is_left_in_time(near, ada, hook, receiver, monkeypatch):
    monkeypatch.setattr(posting, "PATIENCE_S", 0.2)
    row, _ = hook
    receiver.answers[:] = [None]
    try_out(near, ada, row.id)
    deliver_due(near)
    assert messages(near, ada, row)[0].reason == "The receiver did not answer within 0.2 seconds."


def test_a_receiver_that_does_not_answer_holds_up_no_stop(near, ada, hook, receiver, monkeypatch):
    monkeypatch.setattr(posting, "PATIENCE_S", 60)
    monkeypatch.setattr(worker, "ERRANDS_STOP_S", 0.01)
    row, _ = hook
    receiver.answers[:] = [None]
    while receiver.came.acquire(blocking=False):  # of other tests
        pass
    try_out(near, ada, row.id)
    with worker.Workers(near, 1):
        assert receiver.came.acquire(timeout=60)
    (one,) = messages(near, ada, row)
    assert (one.tries, one.delivered_at, one.next_at is not None) == (1, None, True)
    receiver.let_go.set()
    for thread in threading.enumerate():
        if thread.name in ("schedules", "webhooks"):
            thread.join()  # before its database goes


def test_a_receiver_that_does_not_answer_keeps_nobody_else_waiting(near, ada, hook, receiver):
    slow, _ = hook
    quick, _ = register_webhook(near, ada, label="Quick", url=receiver.url, events=list(EVENTS))
    waiting, done, busy = Event(), Event(), BusyReceivers()

    def send(settings, url, headers, body):
        if not waiting.is_set():
            waiting.set()
            assert done.wait(60)
        return ReceiverAnswer(204)

    for row in (slow, slow, quick):
        try_out(near, ada, row.id)
    first = threading.Thread(target=deliver_due, args=(near, send), kwargs={"busy": busy})
    first.start()
    assert waiting.wait(60)
    deliver_due(near, send, busy=busy)  # by another thread of the same process
    assert [one.tries for one in messages(near, ada, quick)] == [1]
    assert sorted(one.tries for one in messages(near, ada, slow)) == [0, 1]  # one at a time
    done.set()
    first.join()
    assert [one.delivered_at is not None for one in messages(near, ada, slow)] == [True, True]


def test_nobody_there_is_a_sentence_without_the_address(near, ada, clock):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/s3cret"
        row, _ = register_webhook(near, ada, label="x", url=url, events=["run.failed"])
        try_out(near, ada, row.id)
        deliver_due(near)
    assert messages(near, ada, row)[0].reason == "Nothing answers at its address."


def test_a_replaced_secret_signs_beside_the_new_one_for_a_day(near, ada, hook, clock, receiver):
    row, old = hook
    _, new = replace_secret(near, ada, row.id)
    try_out(near, ada, row.id)
    deliver_due(near)
    headers, body = receiver.got[-1]
    assert [Webhook(one).verify(body, headers)["type"] for one in (old, new)] == ["webhook.test"] * 2
    clock.move(hours=24)
    try_out(near, ada, row.id)
    deliver_due(near)
    assert len(receiver.got[-1][0]["webhook-signature"].split()) == 1


def test_secrets_and_addresses_are_sealed_and_a_removed_webhook_has_none(near, ada, hook):
    row, secret = hook
    with near.database.engine.connect() as connection:
        stored = str(connection.execute(text("SELECT * FROM webhooks")).all())
        acts = str(connection.execute(text("SELECT detail FROM acts")).all())
    assert not any(one in stored + acts for one in (secret, secret[6:], "a-secret"))
    try_out(near, ada, row.id)
    switch_webhook(near, ada, row.id, WebhookState.REMOVED)
    deliver_due(near)
    assert webhooks(near, ada) == []
    with near.database.reading() as session:
        left = session.scalars(select(WebhookRow)).one()
    assert (left.place, left.secret, left.old_secret) == (b"", b"", None)


def test_a_kill_between_the_change_and_its_telling_loses_nothing(near, ada, hook, clock, receiver, tmp_path):
    row, _ = hook
    try_out(near, ada, row.id)
    receiver.answers[:] = [None]
    told = [near.settings.model_dump_json(), near.home, near.database.engine.url, tmp_path / "secret"]
    line = [sys.executable, str(HERE / "lost_errands.py"), *map(str, [*told, clock.time.isoformat()])]
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE.parents[1]), str(HERE.parent)])}
    while receiver.came.acquire(blocking=False):  # of other tests
        pass
    process = subprocess.Popen(line, env=environ)
    assert receiver.came.acquire(timeout=60)
    process.send_signal(signal.SIGKILL)
    process.wait()
    deliver_due(near)
    assert len(receiver.got) == 1  # perhaps it lives
    clock.move(seconds=LEASE.total_seconds())
    deliver_due(near)
    assert len(receiver.got) == 2
    assert len(set(receiver.ids())) == 1
    assert messages(near, ada, row)[0].delivered_at is not None


def test_an_answer_that_comes_after_the_next_attempt_began_changes_nothing(near, ada, hook, clock):
    row, _ = hook
    try_out(near, ada, row.id)

    def slow(*_: object) -> ReceiverAnswer:
        clock.move(seconds=LEASE.total_seconds())
        deliver_due(near, lambda *_: ReceiverAnswer(200))
        return ReceiverAnswer(500)

    deliver_due(near, slow)
    (one,) = messages(near, ada, row)
    assert (one.tries, one.reason, one.delivered_at is not None) == (2, "", True)


def test_a_message_is_written_on_each_database_with_the_change_or_not_at_all(each_service, institution, tmp_path):
    institution.service = each_service
    at = desk(institution, tmp_path, **LOOPBACK)
    row, _ = register_webhook(at.service, at.admin, label="x", url="http://127.0.0.1:9/", events=["run.cancelled"])
    run = submit_release(at.service, at.submitter, at.source.id, SMALL, purpose="a course")
    with suppress(RuntimeError), at.service.database.writing() as session:
        to_state(session, session.get_one(RunRow, run.id), RunState.CANCELLED, at.service.now())
        session.flush()
        assert len(session.scalars(select(DeliveryRow)).all()) == 1
        raise RuntimeError
    assert messages(at.service, at.admin, row) == []
    cancel_run(at.service, at.submitter, run.id)
    assert [one.event for one in messages(at.service, at.admin, row)] == ["run.cancelled"]
    deliver_due(at.service, lambda *_: ReceiverAnswer(204))
    assert [one.tries for one in messages(at.service, at.admin, row)] == [1]


REFUSED = ["127.0.0.1", "10.1.2.3", "192.168.0.1", "169.254.169.254", "0.0.0.0", "100.64.0.1", "::1", "fe80::1",
           "fd00:ec2::254", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a01:203", "2002:7f00:1::", "224.0.0.1",
           "255.255.255.255", "::"]  # fmt: skip


@pytest.mark.parametrize("address", REFUSED)
def test_addresses_that_are_not_public_are_refused_however_they_are_written(address, monkeypatch):
    assert not is_public(ip_address(address))
    entry = [(socket.AF_INET, socket.SOCK_STREAM, 0, "", ("8.8.8.8", 0)), (0, 0, 0, "", (address, 0))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: entry)
    with pytest.raises(InputError, match="private network"):
        checked_address(ServiceSettings(), "https://example.org/")


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://8.8.8.8/", "begins with https"), ("ftp://8.8.8.8/", "is a URL"), ("https://u:p@8.8.8.8/", "password"),
        ("https://8.8.8.8:x/", "is a URL"), ("https:///x", "is a URL"), ("https://8.8.8.8/#x", "is a URL"),
        ("https://8.8.8.8/a b", "is a URL"), ("https://[::1", "is a URL"), ("https://x.invalid/", "not known"),
    ],
)  # fmt: skip
def test_what_is_no_address_of_a_webhook(url, why):
    with pytest.raises(InputError, match=why):
        checked_address(ServiceSettings(), url)


def test_a_name_that_changes_after_the_check_is_not_connected_to(near, ada, hook, receiver, monkeypatch):
    """As somebody who answers for a name once with a public address and then with this machine's."""
    strict = replace(near, settings=near.settings.model_copy(update={"webhook_networks": ""}))
    asked = []

    def resolver(host, *more, **named):
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1" if len(asked) > 1 else "192.0.2.1", 0))]

    connected = []

    async def elsewhere(address, parts, headers, body):
        connected.append(str(address))
        return 200

    monkeypatch.setattr(posting, "is_public", lambda address: str(address) == "192.0.2.1")
    monkeypatch.setattr(posting, "_post_to", elsewhere)
    monkeypatch.setattr(socket, "getaddrinfo", resolver)
    answer = posting.post(strict.settings, "https://rebound.example/", {}, "{}")
    assert (answer.status, asked, connected) == (200, ["rebound.example"], ["192.0.2.1"])
    refused = posting.post(strict.settings, "https://rebound.example/", {}, "{}")  # the name leads elsewhere by now
    assert (refused.status, refused.why[:49]) == (None, "This webhook leads to this machine, its link or a")
    assert connected == ["192.0.2.1"]


def certificate(folder: Path, name: str) -> tuple[ssl.SSLContext, Path]:
    """Return what a server of that name serves with, and the file of who trusts it."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    who = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    made = (
        x509.CertificateBuilder().subject_name(who).issuer_name(who).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    file = folder / "server.pem"
    told = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )  # fmt: skip
    file.write_bytes(told + made.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context, file


def test_over_tls_the_checked_address_is_connected_to_under_the_hosts_name(near, ada, tmp_path, monkeypatch):
    context, trusted = certificate(tmp_path, "registry.example")
    names, asked, real = [], [], socket.getaddrinfo
    context.sni_callback = lambda _socket, name, _context: names.append(name)

    def resolver(host, *more, **named):
        asked.append(str(host))
        return real("127.0.0.1" if str(host).endswith(".example") else host, *more, **named)

    monkeypatch.setattr(socket, "getaddrinfo", resolver)
    with receiving(context) as receiver:
        url = f"https://registry.example:{receiver.port}/hook"
        row, secret = register_webhook(near, ada, label="x", url=url, events=["run.failed"])
        try_out(near, ada, row.id)
        deliver_due(near)
        assert messages(near, ada, row)[0].reason == "Its certificate is not valid."
        monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
        assert posting.post(near.settings, url.replace("registry", "other"), {}, "{}").why.startswith("Its certificate")
        near.now.move(seconds=WAITS[0].total_seconds())
        asked.clear()
        deliver_due(near)
        assert asked.count("registry.example") == 1  # and then its address
        ((headers, body),) = receiver.got
    assert Webhook(secret).verify(body, headers)["data"] == {}
    assert headers["host"] == f"registry.example:{receiver.port}"
    assert names[-1] == "registry.example"


def test_a_webhook_by_pages(institution, near, ada, receiver):
    institution.app.state.service = near
    browser = institution.browser("ada")
    token = form_token(browser.get("/webhooks").text)
    form = {"form_token": token, "label": "<b>", "url": receiver.url, "events": ["run.failed", "run.published"]}
    wrong = browser.post("/webhooks", data={**form, "url": "https://x.invalid/"})
    assert (wrong.status_code, "is not known" in wrong.text, "&lt;b&gt;" in wrong.text) == (422, True, True)
    made = browser.post("/webhooks", data=form)
    secret = made.text.partition("<code>")[2].partition("</code>")[0]
    assert secret.startswith("whsec_")
    page = browser.get("/webhooks/1").text
    assert secret not in page
    assert "a-secret" not in made.text + page
    assert "already a webhook" in browser.post("/webhooks", data=form).text
    assert "whsec_" in browser.post("/webhooks/1/secret", data={"form_token": token}).text
    receiver.answers[:] = [404]
    assert browser.post("/webhooks/1/test", data={"form_token": token}).status_code == 303
    deliver_due(near)
    assert "The receiver answered 404." in browser.get("/webhooks/1").text
    for state in ("disabled", "active"):
        browser.post("/webhooks/1/state", data={"form_token": token, "state": state})
    assert ">Send again" in browser.get("/webhooks/1").text
    assert browser.post("/deliveries/1/again", data={"form_token": token}).status_code == 303
    deliver_due(near)
    assert "delivered" in browser.get("/webhooks/1").text
    assert browser.post("/webhooks/1/state", data={"form_token": token, "state": "removed"}).status_code == 303
    assert "tells nobody" in browser.get("/webhooks").text


def test_a_program_does_what_the_pages_do(institution, near, ada, receiver):
    institution.app.state.service = near
    bearer = {"authorization": f"Bearer {new_token(near, ada, 'x', frozenset({Act.MANAGE_WEBHOOKS}), 1)}"}
    program = institution.browser()
    sent = {"label": "x", "url": receiver.url, "events": ["run.failed"]}
    made = program.post("/api/v1/webhooks", headers=bearer, json=sent).json()
    assert made["secret"].startswith("whsec_")
    (listed,) = program.get("/api/v1/webhooks", headers=bearer).json()
    assert listed == {name: value for name, value in made.items() if name != "secret"}
    path = f"/api/v1/webhooks/{made['id']}"
    assert program.post(f"{path}/secret", headers=bearer).json()["secret"] != made["secret"]
    message = program.post(f"{path}/test", headers=bearer).json()
    program.put(f"{path}/state", headers=bearer, json={"state": "disabled"})
    program.put(f"{path}/state", headers=bearer, json={"state": "active"})
    again = program.post(f"/api/v1/deliveries/{message['id']}/again", headers=bearer).json()
    deliver_due(near)
    (found,) = program.get(path, headers=bearer).json()["messages"]
    assert found["message"] == message["message"] == again["message"] == receiver.ids()[-1]
    assert found["delivered_at"] is not None
