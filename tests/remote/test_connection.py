"""What a client believes of a service: nothing that is too large, elsewhere, or not in its own words."""

from __future__ import annotations

import io
import subprocess
import sys
import zipfile

import httpx
import pytest

from privsynth import __version__
from privsynth.errors import (
    STOPPED,
    BudgetError,
    CheckFailed,
    ConfigError,
    NotAllowed,
    OutputError,
    ServiceUnavailable,
    TooManyRequests,
    VerificationError,
)
from privsynth.remote import connection as room
from privsynth.remote.connection import Connection, ServerAddress
from privsynth.remote.editions import download_edition
from privsynth.remote.following import LOOK_S, SILENT_S, Pacing, exit_code_of, follow

HERE = "https://privsynth.example.org"


def asking(answer, told: list[str] | None = None) -> Connection:
    """Return a connection to a service that answers so."""
    said = told if told is not None else []
    return Connection(ServerAddress(HERE), lambda: "psy_x", said.append, transport=httpx.MockTransport(answer))


def refused(status: int, code: int, **headers: str) -> Connection:
    return asking(lambda _: httpx.Response(status, json={"error": "no", "exit_code": code}, headers=headers))


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://privsynth.example.org", "without TLS"),
        ("https://anna:hunter22@privsynth.example.org", "no password"),
        ("privsynth.example.org", "an address such as"),
        ("https://privsynth.example.org/api", "without a path"),
        ("https://privsynth.example.org:x", "an address such as"),
        ("file:///etc/passwd", "an address such as"),
    ],
)
def test_addresses_to_which_no_token_is_sent(url, why):
    with pytest.raises(ConfigError, match=why) as found:
        ServerAddress(url)
    assert "hunter22" not in str(found.value)


def test_a_refusal_is_the_error_of_its_exit_code():
    for code, error in ((3, CheckFailed), (4, BudgetError), (10, NotAllowed), (7, ServiceUnavailable)):
        with pytest.raises(error, match=r"^no$"):
            refused(409, code).get("/me")
    with pytest.raises(TooManyRequests) as found:
        refused(429, 7, **{"retry-after": "20"}).get("/me")
    assert found.value.retry_after_s == 20


def test_the_token_goes_to_no_other_address():
    asked = []

    def answer(request):
        asked.append(str(request.url))
        return httpx.Response(307, headers={"location": "https://evil.example/api/v1/me"})

    with pytest.raises(ConfigError, match="sends to another address"):
        asking(answer).get("/me")
    assert asked == [f"{HERE}/api/v1/me"]


def test_what_is_no_service_of_privsynth_says_so():
    for answer in (
        httpx.Response(200, text="<html>"), httpx.Response(502, text="Bad gateway"), httpx.Response(403, json=["x"]),
        httpx.Response(500, json={"error": "x", "exit_code": "y"}),
    ):  # fmt: skip
        with pytest.raises(ServiceUnavailable, match="not as a service of privsynth does"):
            asking(lambda _, answer=answer: answer).get("/me")


def test_an_answer_has_a_bound(monkeypatch, tmp_path):
    monkeypatch.setattr(room, "MOST_BYTES", 1_000_000)
    with pytest.raises(OutputError, match="more than 1 MB"):
        asking(lambda _: httpx.Response(200, content=b"[" * 1_000_001)).get("/runs")
    with pytest.raises(OutputError, match="more than 1 MB"):
        asking(lambda _: httpx.Response(400, content=b"[" * 1_000_001)).get("/runs")
    with pytest.raises(OutputError, match="more than 2 MB"):
        download_edition(asking(lambda _: httpx.Response(200, content=b"x" * 2_000_001)), "run-1", tmp_path / "out", 2)
    assert list(tmp_path.iterdir()) == []


def archive(*names: str, data: bytes = b"x") -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as opened:
        for name in names:
            opened.writestr(name, data)
    return made.getvalue()


@pytest.mark.parametrize("names", [("../x",), ("/x",), ("a/../../x",), ("a\\..\\x",), ("folder/",)])
def test_an_archive_that_reaches_outside_is_refused(tmp_path, names):
    with pytest.raises(VerificationError, match="no archive of an edition"):
        download_edition(
            asking(lambda _: httpx.Response(200, content=archive(*names))), "r", tmp_path / "in" / "out", 2
        )
    assert list((tmp_path / "in").iterdir()) == []
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_an_archive_that_unpacks_to_more_than_is_taken_is_refused(tmp_path):
    bomb = archive("a", data=bytes(3_000_000))
    assert len(bomb) < 100_000
    with pytest.raises(OutputError, match="larger than 2 MB"):
        download_edition(asking(lambda _: httpx.Response(200, content=bomb)), "r", tmp_path / "out", 2)
    with pytest.raises(VerificationError):
        download_edition(asking(lambda _: httpx.Response(200, content=b"no archive")), "r", tmp_path / "out", 2)
    download_edition(asking(lambda _: httpx.Response(200, content=archive("a", "b/c"))), "r", tmp_path / "out", 2)
    assert (tmp_path / "out" / "b" / "c").read_bytes() == b"x"
    with pytest.raises(OutputError, match="is there already"):
        download_edition(asking(lambda _: httpx.Response(200)), "r", tmp_path / "out", 2)


def test_the_token_is_asked_for_once():
    asked = []
    answer = httpx.MockTransport(lambda _: httpx.Response(200, json={}))
    connection = Connection(ServerAddress(HERE), lambda: asked.append(1) or "psy_x", lambda _: None, transport=answer)
    connection.get("/me")
    connection.get("/me")
    assert asked == [1]


def test_another_version_is_told_of_once():
    told: list[str] = []
    asked = asking(lambda _: httpx.Response(200, json={}, headers={"privsynth-version": "9.9"}), told)
    asked.get("/me")
    asked.get("/me")
    assert len(told) == 1
    assert "the service is privsynth 9.9, and this is" in told[0]
    same: list[str] = []
    asking(lambda _: httpx.Response(200, json={}, headers={"privsynth-version": __version__}), same).get("/me")
    assert same == []


class Time:
    """A clock that moves with each pause."""

    def __init__(self) -> None:
        self.now, self.pauses = 0.0, []

    def pause(self, seconds: float) -> None:
        self.now += seconds
        self.pauses.append(seconds)

    def pacing(self) -> Pacing:
        return Pacing(self.pause, lambda: self.now)


def run(state: str, **more) -> httpx.Response:
    return httpx.Response(200, json={"id": "r", "state": state, "stage": "", "share": 0.5, **more})


def test_a_run_is_followed_past_what_goes_wrong_on_the_way():
    answers = iter([
        run("queued"), httpx.ConnectError("x"), httpx.Response(502, text="x"), run("running"),
        httpx.Response(429, json={"error": "no", "exit_code": 7}, headers={"retry-after": "9"}),
        run("to_decide", exit_code=3),
    ])  # fmt: skip

    def answer(_):
        found = next(answers)
        if isinstance(found, Exception):
            raise found
        return found

    time, seen = Time(), []
    found = follow(asking(answer), "r", lambda stage, share: seen.append(stage), time.pacing())
    assert (found["state"], exit_code_of(found)) == ("to_decide", 3)
    assert seen == ["waits for a worker"] * 2
    assert time.pauses == [LOOK_S, LOOK_S, LOOK_S, LOOK_S, 9]


def test_a_service_that_stays_silent_is_given_up():
    def answer(_):
        raise httpx.ConnectError("x")

    time = Time()
    with pytest.raises(ServiceUnavailable, match="does not answer"):
        follow(asking(answer), "r", lambda *_: None, time.pacing())
    assert SILENT_S < time.now < SILENT_S + 3 * LOOK_S


def test_exit_codes_of_runs_are_those_of_the_command_line():
    cases = (({"state": "to_decide", "exit_code": 0}, 0), ({"state": "failed", "exit_code": 8}, 8),
             ({"state": "failed", "exit_code": None}, 2), ({"state": "interrupted"}, STOPPED))  # fmt: skip
    assert [exit_code_of(told) for told, _ in cases] == [code for _, code in cases]


def test_the_client_loads_nothing_of_the_service_and_nothing_heavy():
    code = "import sys, privsynth.remote.editions, privsynth.remote.following, privsynth.cli.remote.synthesize\n"
    code += "print(*(m for m in sys.modules if m.startswith(('privsynth.service', 'privsynth.pipeline', 'numpy', "
    code += "'pandas', 'torch', 'fastapi', 'sqlalchemy'))))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == []
