"""Connections to addresses that were checked: a second look-up of the host's name could tell another one.

Certificates are checked as before: against the name in the URL, where the driver checks them at all.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping, Sequence
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from privsynth.errors import SourceError

if TYPE_CHECKING:
    from sqlalchemy import Dialect, Engine

CONNECT_TIMEOUT_S = 10  # for each address: what PyMySQL itself waits
_POSTGRESQL_PORT = 5432  # where a URL gives none (IANA)


def pin(engine: Engine, addresses: Sequence[str], label: str) -> None:
    """Let an engine connect to these addresses alone, one after the other.

    Raises:
      SourceError: its driver would look the host's name up itself.
    """
    from sqlalchemy import event

    connect = _PINNED.get(engine.dialect.driver)
    if connect is None:
        if _is_address(engine.url.host):
            return  # there is no name to look up
        raise SourceError(
            f"the driver {engine.dialect.driver} would look up the host of {label} again after its address was checked;"
            " give the address instead of the name, or use the driver psycopg, pg8000 or pymysql"
        )

    @event.listens_for(engine, "do_connect")
    def _connect(dialect: Dialect, _record: Any, given: Sequence[Any], named: dict[str, Any]) -> Any:
        return connect(dialect.loaded_dbapi, addresses, given, named)


def _is_address(host: str | None) -> bool:
    try:
        ip_address(host or "")
    except ValueError:
        return False
    return True


def _libpq(driver: Any, addresses: Sequence[str], given: Sequence[Any], named: Mapping[str, Any]) -> Any:
    """Connect by libpq, which checks the certificate of `host` at each `hostaddr`."""
    hosts = ",".join([named.get("host") or ""] * len(addresses))
    return driver.connect(*given, **{**named, "host": hosts, "hostaddr": ",".join(addresses)})


def _pg8000(driver: Any, addresses: Sequence[str], given: Sequence[Any], named: Mapping[str, Any]) -> Any:
    """Connect by pg8000, to which `host` is then the name of the certificate alone."""
    opened = _socket(addresses, named.get("port") or _POSTGRESQL_PORT)
    try:
        return driver.Connection(*given, **named, sock=opened)  # its `connect` knows no `sock`
    except BaseException:
        opened.close()
        raise


def _pymysql(driver: Any, addresses: Sequence[str], given: Sequence[Any], named: Mapping[str, Any]) -> Any:
    """Connect by PyMySQL in the same way; it closes the socket itself where that fails."""
    waiting = driver.connect(*given, **named, defer_connect=True)
    waiting.connect(_socket(addresses, waiting.port))
    return waiting


def _socket(addresses: Sequence[str], port: int) -> socket.socket:
    """Open a connection as these drivers do.

    Raises:
      OSError: nothing answers at any of the addresses.
    """
    for number, address in enumerate(addresses, start=1):
        try:
            opened = socket.create_connection((address, port), CONNECT_TIMEOUT_S)
            break
        except OSError:
            if number == len(addresses):
                raise
    opened.settimeout(None)  # a query may take long
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return opened


_PINNED: Mapping[str, Callable[[Any, Sequence[str], Sequence[Any], Mapping[str, Any]], Any]] = {
    "psycopg": _libpq,
    "psycopg2": _libpq,
    "pg8000": _pg8000,
    "pymysql": _pymysql,
}
