"""One request to a receiver: its host is resolved once, and the address that was checked is the one connected to.

So a name that an attacker points elsewhere between check and use (DNS rebinding) gains nothing. Redirects are not
followed, proxies of the environment are not asked, and of the answer only the status is read.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_network
from urllib.parse import SplitResult, urlsplit

from privsynth.errors import InputError
from privsynth.service.network.addresses import Address, addresses_of, is_in, is_public
from privsynth.service.settings import ServiceSettings

PATIENCE_S = 15.0  # for a whole request, from the first packet to the status; the specification says 15 to 30
GONE = 410  # with which a receiver says that it wants no more
_PORTS = {"https": 443, "http": 80}  # by RFC 9110


@dataclass(frozen=True)
class ReceiverAnswer:
    """What became of a request: the status, or None and why there is none, as a sentence without its place."""

    status: int | None
    why: str = ""

    @property
    def taken(self) -> bool:
        """Whether the receiver has the message."""
        return self.status is not None and 200 <= self.status < 300

    @property
    def sentence(self) -> str:
        """Why it has not."""
        if self.status is None:
            return self.why
        hint = ", and redirects are not followed" if 300 <= self.status < 400 else ""
        return f"The receiver answered {self.status}{hint}."


def checked_address(settings: ServiceSettings, url: str) -> tuple[SplitResult, list[Address]]:
    """Return the parts of a URL that a webhook may have, and the addresses of its host now.

    Raises:
      InputError: it is none, or leads to an address that is not public and not in `webhook_networks`.
    """
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise InputError("a webhook's address is a URL such as https://example.org/hook") from None
    if parts.scheme not in _PORTS or not parts.hostname or not url.isprintable() or " " in url or parts.fragment:
        raise InputError("a webhook's address is a URL such as https://example.org/hook")
    if parts.username is not None or parts.password is not None:
        raise InputError("leave name and password out of a webhook's address: messages are signed instead")
    networks = [ip_network(one.strip()) for one in settings.webhook_networks.split(",") if one.strip()]
    found = addresses_of(parts.hostname, what="this webhook")
    own = [address for address in found if is_in(address, networks)]
    if len(own) < len(found):
        if not all(is_public(address) for address in found if address not in own):
            raise InputError(
                "this webhook leads to this machine, its link or a private network; whoever runs the service can allow "
                "such a network in webhook_networks"
            )
        if parts.scheme != "https":
            raise InputError("a webhook's address begins with https://")
    return parts, found


def post(settings: ServiceSettings, url: str, headers: Mapping[str, str], body: str) -> ReceiverAnswer:
    """Send a message once, and return what became of it."""
    import httpx

    try:
        parts, addresses = checked_address(settings, url)
    except InputError as problem:
        return ReceiverAnswer(None, f"{str(problem)[:1].upper()}{str(problem)[1:]}.")
    try:
        return ReceiverAnswer(asyncio.run(_within_time(parts, addresses, headers, body)))
    except TimeoutError:
        return ReceiverAnswer(None, f"The receiver did not answer within {PATIENCE_S:g} seconds.")
    except httpx.ConnectError as problem:
        untrusted = isinstance(_root(problem), ssl.SSLError)
        return ReceiverAnswer(None, "Its certificate is not valid." if untrusted else "Nothing answers at its address.")
    except httpx.HTTPError:
        return ReceiverAnswer(None, "The connection broke, or what answered was no HTTP.")


async def _within_time(parts: SplitResult, addresses: list[Address], headers: Mapping[str, str], body: str) -> int:
    import httpx

    async with asyncio.timeout(PATIENCE_S):
        for address in addresses[:-1]:
            try:
                return await _post_to(address, parts, headers, body)
            except httpx.ConnectError:
                continue  # the next address of the same name
        return await _post_to(addresses[-1], parts, headers, body)


async def _post_to(address: Address, parts: SplitResult, headers: Mapping[str, str], body: str) -> int:
    """Send a message to one address; certificate and Host are those of the name."""
    import httpx

    shown = f"[{address}]" if isinstance(address, IPv6Address) else str(address)
    place = f"{parts.scheme}://{shown}:{parts.port or _PORTS[parts.scheme]}{parts.path or '/'}"
    place += f"?{parts.query}" if parts.query else ""
    told = {**headers, "host": parts.netloc, "content-type": "application/json", "user-agent": "privsynth"}
    client = httpx.AsyncClient(
        verify=ssl.create_default_context(), trust_env=False, follow_redirects=False, timeout=PATIENCE_S
    )
    async with (
        client,
        client.stream(
            "POST", place, content=body.encode(), headers=told, extensions={"sni_hostname": parts.hostname}
        ) as answer,
    ):
        return answer.status_code


def _root(problem: BaseException) -> BaseException:
    while (inner := problem.__cause__ or problem.__context__) is not None:
        problem = inner
    return problem
