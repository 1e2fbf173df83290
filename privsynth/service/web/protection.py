"""What every answer carries, and what no request may do: headers, other sites' forms, and other hosts' names."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from privsynth import __version__
from privsynth.service.settings import ServiceSettings

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
# Pages have one style sheet and no script; frames show reports, which have a policy of their own.
POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; frame-src 'self'; "
    "frame-ancestors 'none'; base-uri 'none'"
)
_HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "cache-control": "no-store",
}


class Protection:
    """ASGI middleware around the whole application."""

    def __init__(self, app: ASGIApp, settings: ServiceSettings) -> None:
        self._app, self._settings = app, settings
        host = urlsplit(settings.public_url).hostname if settings.public_url else None
        self._hosts = {host} if host else {"localhost", "127.0.0.1", "::1", settings.host}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)

        async def send_protected(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer = MutableHeaders(scope=message)
                self._protect(answer)
                if scope["path"].startswith("/api/"):
                    answer["privsynth-version"] = __version__  # a client of another one says so
            await send(message)

        if (refusal := self._refusal(scope["method"], headers)) is not None:
            await PlainTextResponse(refusal, 403)(scope, receive, send_protected)
            return
        await self._app(scope, receive, send_protected)

    def _protect(self, headers: MutableHeaders) -> None:
        told: dict[str, Any] = dict(_HEADERS)
        if self._settings.over_tls:
            told["strict-transport-security"] = "max-age=31536000"
        for name, value in told.items():
            headers.setdefault(name, value)  # a report's page has said what it is

    def _refusal(self, method: str, headers: Headers) -> str | None:
        host = urlsplit(f"//{headers.get('host', '')}").hostname
        if host not in self._hosts:  # a name that an attacker points here (DNS rebinding)
            return "this service is not known under that name; set public_url to the address that people use\n"
        if method in SAFE or headers.get("authorization"):
            return None  # a browser does not add a token by itself
        site = headers.get("sec-fetch-site")
        origin = headers.get("origin")
        same = site in ("same-origin", "none") if site else origin is None or urlsplit(origin).hostname == host
        return None if same else "this request was sent by another site; open the service's own page\n"
