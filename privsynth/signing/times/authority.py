"""Ask an authority for a time token. This is the one place in `privsynth.signing` that goes to the network."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Sequence
from datetime import datetime
from http.client import HTTPException
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from privsynth.errors import ConfigError, OutputError, VerificationError
from privsynth.extras import needs
from privsynth.signing.times.token import EXTRA, MAX_TOKEN_BYTES, checked_time, digest_of, looks_like_a_token

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

TIMEOUT = 30  # seconds (own): authorities answer within one


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """An authority is asked where it was named, and nowhere else."""

    def redirect_request(self, *_args: object, **_more: object) -> None:
        return None


def check_address(url: str) -> str:
    """Return the address of an authority.

    Raises:
      ConfigError: it is none, or holds a password, which would be in the list of processes.
    """
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        good = False
    if not good or not url.isprintable():
        raise ConfigError("the address of a time authority begins with http:// or https://")
    if "@" in parts.netloc:
        raise ConfigError("leave name and password out of the address: everybody on this machine could read them")
    return url


def ask(url: str, data: bytes, roots: Sequence[Certificate], *, signed_at: datetime, now: datetime) -> bytes:
    """Return a token of an authority over bytes. It is sent their SHA-256 and a random number, and nothing else.

    Args:
      roots: if there are any, the token has to be by one of them.
    Raises:
      ConfigError: the address is none.
      OutputError: the authority does not answer, refuses, or answers with something else.
      MissingPackageError: the extra is not installed.
    """
    with needs(EXTRA):
        from rfc3161_client import HashAlgorithm, TimestampRequestBuilder, decode_timestamp_response
    request = TimestampRequestBuilder().data(data).hash_algorithm(HashAlgorithm.SHA256).build()
    token = _posted(check_address(url), request.as_bytes())
    no_token = OutputError(f"the authority at {url} gave no time token, or none in strict DER")
    if not looks_like_a_token(token):
        raise no_token
    try:
        response = decode_timestamp_response(token)
        if response.status != 0:
            raise OutputError(f"the authority at {url} refuses, with status {response.status}")
        fits = response.tst_info.nonce == request.nonce
        fits = fits and response.tst_info.message_imprint.message == bytes.fromhex(digest_of(data))
    except ValueError:
        raise no_token from None
    if not fits:
        raise OutputError(f"the authority at {url} answered a question that was not asked")
    if roots:
        try:
            checked_time(token, digest_of(data), roots, signed_at=signed_at, now=now)
        except VerificationError as problem:
            raise OutputError(f"the authority at {url} gave a token that is of no use: {problem}") from None
    return token


def _posted(url: str, body: bytes) -> bytes:
    headers = {"Content-Type": "application/timestamp-query", "Accept": "application/timestamp-reply"}
    opener = urllib.request.build_opener(_NoRedirects)
    try:
        with opener.open(urllib.request.Request(url, body, headers, method="POST"), timeout=TIMEOUT) as answer:
            found: bytes = answer.read(MAX_TOKEN_BYTES + 1)
    except urllib.error.HTTPError as problem:
        raise OutputError(f"the authority at {url} answers {problem.code}") from None
    except (OSError, HTTPException, ValueError) as problem:
        reason = getattr(problem, "reason", None) or problem
        text = reason.strerror if isinstance(reason, OSError) and reason.strerror else type(reason).__name__
        raise OutputError(f"the authority at {url} cannot be reached: {text}") from None
    return found
