"""How many requests a person's programs and an address may send: what is more is refused for a while, with 429.

Each process of the service counts for itself: with n processes, up to n times as many are served. Wrong passwords are
counted in the database, for all of them together (`privsynth.service.sign_in`).
"""

from __future__ import annotations

from collections import OrderedDict
from ipaddress import IPv6Address, ip_address, ip_network
from math import ceil
from threading import Lock

from fastapi import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from privsynth.errors import TooManyRequests
from privsynth.service.settings import ServiceSettings
from privsynth.service.web.pages import error_page, is_api

WINDOW_S = 60.0  # of the settings: requests in a minute
MOST_KEYS = 50_000  # that are remembered (own): some megabytes; whoever was heard of longest ago is forgotten first
COUNTED = ("/api/", "/sign-in", "/welcome/", "/download/")  # what programs ask, and where secrets could be guessed


class RateLimit:
    """So many requests a minute for each key, all at once or spread out (GCRA, ITU-T I.371).

    A library would not do: the storage in memory of `limits` has no bound on its keys.
    """

    def __init__(self, per_minute: int, most_keys: int = MOST_KEYS) -> None:
        self._step = WINDOW_S / per_minute if per_minute else 0.0
        self._most_keys, self._lock = most_keys, Lock()
        self._used_until: OrderedDict[object, float] = OrderedDict()  # a key that is not here has used nothing

    def require(self, key: object, now: float) -> None:
        """Count a request.

        Args:
          now: in seconds; a clock that is set back does not keep anybody waiting for longer than a minute.
        Raises:
          TooManyRequests: there were too many; this one is not counted.
        """
        if not self._step:
            return
        with self._lock:
            used = min(max(self._used_until.get(key, now), now), now + WINDOW_S) + self._step
            if used <= now + WINDOW_S + 1e-6:  # of rounding
                self._used_until[key] = used
                self._used_until.move_to_end(key)
                if len(self._used_until) > self._most_keys:
                    self._used_until.popitem(last=False)
                return
        wait = max(1, ceil(used - now - WINDOW_S))
        raise TooManyRequests(
            f"there were too many requests: try again in {wait} second{'' if wait == 1 else 's'}", retry_after_s=wait
        )

    def __len__(self) -> int:
        return len(self._used_until)


class AddressLimit:
    """ASGI middleware: how often an address may ask the API, and open the pages that lead into the service."""

    def __init__(self, app: ASGIApp, settings: ServiceSettings) -> None:
        self._app, self._limit = app, RateLimit(settings.address_requests_per_minute)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] == "http" and scope["path"].startswith(COUNTED):
            now = scope["app"].state.service.now().timestamp()
            try:
                self._limit.require(_network(scope["client"]), now)
            except TooManyRequests as problem:
                await _refusal(Request(scope), problem)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _network(client: tuple[str, int] | None) -> str:
    """Return an address; of IPv6 its first 64 bits, all of which one machine may have."""
    try:
        address = ip_address(client[0] if client else "")
    except ValueError:
        return "unknown"
    if isinstance(address, IPv6Address) and address.ipv4_mapped is None:
        return str(ip_network((address, 64), strict=False))
    return str(address)


def _refusal(request: Request, problem: TooManyRequests) -> ASGIApp:
    status = 429  # RFC 6585, section 4
    response = (
        JSONResponse({"error": str(problem), "exit_code": problem.exit_code}, status)
        if is_api(request) else error_page(request, status, str(problem))
    )  # fmt: skip
    response.headers["retry-after"] = str(problem.retry_after_s)
    return response
