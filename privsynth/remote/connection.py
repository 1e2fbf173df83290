"""`Connection`: requests to the API of a service, with a token, and what it answers as data or as an error.

No answer is believed: its size is bounded, it is never sent on to another address, and what it says is a text. The
token is sent over TLS alone, or to this machine.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from privsynth import __version__
from privsynth.errors import (
    BudgetError,
    CheckFailed,
    ConfigError,
    InputError,
    LittleToLearn,
    NotAllowed,
    OutputError,
    PrivsynthError,
    ReleaseRevoked,
    ServiceUnavailable,
    TooManyRequests,
    VerificationError,
)

MOST_BYTES = 64_000_000  # of an answer in JSON (own): 500 runs have a hundredth of them
# Seconds (own): to connect; between two parts of an answer, since a plan of a wide table takes minutes to make.
CONNECT_S, ANSWER_S = 10.0, 300.0
LONGEST_SENTENCE = 4_000  # characters of an error that are shown (own)
_HERE = frozenset({"localhost", "127.0.0.1", "::1"})
_BY_EXIT_CODE = {
    error.exit_code: error
    for error in (
        InputError, CheckFailed, BudgetError, VerificationError, ServiceUnavailable, LittleToLearn, ReleaseRevoked,
        NotAllowed,
    )
}  # fmt: skip


@dataclass(frozen=True)
class ServerAddress:
    """Where a service is, as `https://privsynth.example.org`."""

    url: str

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(self.url)
            port = parts.port
        except ValueError:
            parts, port = urlsplit(""), None
        del port  # that it is one was asked
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/") or parts.query:
            raise ConfigError("the server is an address such as https://privsynth.example.org, without a path")
        if parts.username or parts.password:
            raise ConfigError("the address of the server holds no name and no password: the token says who you are")
        if parts.scheme == "http" and parts.hostname not in _HERE:
            raise ConfigError("a token is not sent without TLS: give the address of the server with https://")

    @property
    def base(self) -> str:
        """The address without a slash at its end."""
        return self.url.rstrip("/")


class Connection:
    """A service, and who asks it.

    Args:
      token: returns the token; called once, for the first request.
      warn: takes a sentence for the person who waits.
    """

    def __init__(
        self,
        server: ServerAddress,
        token: Callable[[], str],
        warn: Callable[[str], None],
        *,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.server, self._token, self._warn, self._warned = server, cache(token), warn, False
        self._http = httpx.Client(
            base_url=f"{server.base}/api/v1", follow_redirects=False, transport=transport,
            timeout=httpx.Timeout(ANSWER_S, connect=CONNECT_S), headers={"user-agent": f"privsynth/{__version__}"},
        )  # fmt: skip

    def get(self, path: str, **query: Any) -> Any:
        """Return what the service says."""
        asked = {name: value for name, value in query.items() if value is not None}
        return self._json("GET", path, params=asked)

    def send(self, method: str, path: str, body: Any = None, *, once: str = "", **more: Any) -> Any:
        """Send something, and return what the service says.

        Args:
          once: a key by which the service knows a request that is sent again.
        """
        headers = {"idempotency-key": once} if once else {}
        return self._json(method, path, headers=headers, **({} if body is None else {"json": body}), **more)

    def download(self, path: str, file: Path, most_bytes: int) -> None:
        """Write what the service sends into a new file, whole or not at all.

        Raises:
          OutputError: it is there already or cannot be written, or is larger than is allowed.
        """
        with self._answer("GET", path) as answer:
            try:
                with file.open("xb") as out, _removed_unless_whole(file):
                    for part in _parts(answer, most_bytes):
                        out.write(part)
            except OSError as problem:
                raise OutputError(f"{file} cannot be written: {problem.strerror}") from None

    def _json(self, method: str, path: str, **more: Any) -> Any:
        with self._answer(method, path, **more) as answer:
            text = b"".join(_parts(answer, MOST_BYTES))
        if answer.status_code == httpx.codes.NO_CONTENT:
            return None
        try:
            return json.loads(text)
        except ValueError:
            raise ServiceUnavailable(f"{self.server.base} answers, and not as a service of privsynth does") from None

    @contextmanager
    def _answer(self, method: str, path: str, **more: Any) -> Iterator[httpx.Response]:
        """Yield an answer that says yes; its body is not read yet.

        Raises:
          PrivsynthError: the service says no, and why; the error has the exit code that it names.
          ServiceUnavailable: it does not answer.
        """
        headers = {**more.pop("headers", {}), "authorization": f"Bearer {self._token()}"}
        try:
            with self._http.stream(method, path, headers=headers, **more) as answer:
                self._compare(answer.headers.get("privsynth-version", ""))
                if not answer.is_success:
                    raise self._refusal(answer, b"".join(_parts(answer, MOST_BYTES)))
                yield answer
        except httpx.HTTPError as problem:
            raise ServiceUnavailable(f"{self.server.base} does not answer: {_why(problem)}") from None

    def _compare(self, version: str) -> None:
        if version and version != __version__ and not self._warned:
            self._warned = True
            self._warn(
                f"the service is privsynth {version[:20]}, and this is {__version__}: install the same version where "
                "something is refused that should not be"
            )

    def _refusal(self, answer: httpx.Response, text: bytes) -> PrivsynthError:
        if answer.is_redirect:
            return ConfigError(
                f"{self.server.base} sends to another address, where the token is not sent: give the address of the "
                "service itself"
            )
        try:
            told = json.loads(text)
            sentence, code = str(told["error"])[:LONGEST_SENTENCE], int(told["exit_code"])
        except (ValueError, KeyError, TypeError):
            return ServiceUnavailable(
                f"{self.server.base} answers with {answer.status_code}, and not as a service of privsynth does"
            )
        if answer.status_code == httpx.codes.TOO_MANY_REQUESTS:
            return TooManyRequests(sentence, retry_after_s=_seconds(answer.headers.get("retry-after", "")))
        return _BY_EXIT_CODE.get(code, PrivsynthError)(sentence)


def _parts(answer: httpx.Response, most: int) -> Iterator[bytes]:
    """Yield the body of an answer, decoded, as far as is allowed."""
    size = 0
    for part in answer.iter_bytes(1 << 16):
        size += len(part)
        if size > most:
            raise OutputError(f"the service sends more than {most // 1_000_000:,} MB, the most that is taken")
        yield part


@contextmanager
def _removed_unless_whole(file: Path) -> Iterator[None]:
    try:
        yield
    except BaseException:
        file.unlink(missing_ok=True)
        raise


def _seconds(text: str) -> int:
    return min(int(text), 3600) if text.isdecimal() else 60


def _why(problem: httpx.HTTPError) -> str:
    """Return why a request failed, in words; what a library says may name a secret of an address."""
    if isinstance(problem, httpx.TimeoutException):
        return "it took too long"
    if "CERTIFICATE_VERIFY_FAILED" in str(problem):
        return "its certificate cannot be verified; SSL_CERT_FILE names the file of your institution's authorities"
    if isinstance(problem, httpx.ConnectError):
        return "nobody listens there, or there is no way to it"
    return "the connection broke"
