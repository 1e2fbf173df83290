"""`Address`: where the PostgreSQL database of a shared ledger is, and how safely it is reached."""

from __future__ import annotations

import platform
import ssl
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from privsynth.errors import ConfigError
from privsynth.logins.password_file import login_defaults

_PORT = 5432  # of PostgreSQL, where a URL gives none (IANA)
_HERE = ("localhost", "127.0.0.1", "::1")
_MODES = ("disable", "require", "verify-ca", "verify-full")
_SETTINGS = ("host", "sslmode", "sslrootcert", "sslcert", "sslkey")


@dataclass(frozen=True, kw_only=True)
class Address:
    """A database of PostgreSQL; `repr` shows neither user nor password.

    Attributes:
      host: name, number, or the folder of a Unix socket.
      settings: of the URL's query: sslmode, sslrootcert, sslcert, sslkey.
    """

    host: str
    port: int
    database: str
    user: str = field(repr=False)
    password: str = field(repr=False)
    settings: dict[str, str] = field(default_factory=dict, repr=False)

    @property
    def place(self) -> str:
        """Where it is, for messages."""
        port = "" if self.port == _PORT else f":{self.port}"
        own = f" of {platform.node()}" if self.host in _HERE or self.host.startswith("/") else ""
        return f"PostgreSQL, database {self.database} on {self.host}{port}{own}"

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of a connection of pg8000.

        Raises:
          ConfigError: a file of the certificates cannot be read.
        """
        where: dict[str, Any] = {"host": self.host, "port": self.port, "ssl_context": self._tls()}
        if self.host.startswith("/"):
            where = {"unix_sock": f"{self.host}/.s.PGSQL.{self.port}", "ssl_context": False}
        login = {"database": self.database, "user": self.user, "password": self.password}
        return {**where, **login, "application_name": "privsynth"}

    def _tls(self) -> ssl.SSLContext | bool:
        # Over a network a password goes to a server that has shown who it is, unless the URL says otherwise.
        mode = self.settings.get("sslmode", "disable" if self.host in _HERE else "verify-full")
        if mode == "disable":
            return False
        try:
            context = ssl.create_default_context(cafile=self.settings.get("sslrootcert"))
            if "sslcert" in self.settings:
                context.load_cert_chain(self.settings["sslcert"], self.settings.get("sslkey"), password="")
        except (OSError, ValueError) as error:
            raise ConfigError(
                "A certificate or key that the ledger's URL names cannot be read. Check the files of sslrootcert, "
                "sslcert and sslkey; a key must not be encrypted."
            ) from error
        if mode != "verify-full":
            context.check_hostname = False
        if mode == "require":
            context.verify_mode = ssl.CERT_NONE
        return context


def address_of(url: str) -> Address:
    """Return the address that a URL names: postgresql://USER@HOST:PORT/DATABASE?sslmode=…

    What it leaves out comes from `PGUSER`, `PGPASSWORD` and the password file, as with sources.

    Raises:
      ConfigError: it is none; the message quotes nothing of it.
    """
    try:
        parts = urlsplit(url)
        settings = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
        host, port = settings.pop("host", "") or parts.hostname or "localhost", parts.port or _PORT
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
    except ValueError:
        raise _unreadable() from None
    database = unquote(parts.path.removeprefix("/"))
    readable = parts.scheme in ("postgresql", "postgres") and "/" not in database and not parts.fragment
    if not readable or not all(text.isprintable() for text in (host, database, user)):
        raise _unreadable()
    if set(settings) - set(_SETTINGS) or settings.get("sslmode", "disable") not in _MODES:
        raise ConfigError(
            f"The ledger's URL has a setting that is not known. It may have {', '.join(_SETTINGS)}; sslmode is one of "
            f"{', '.join(_MODES)}."
        )
    given = {"host": host, "port": port, "database": database, "user": user, "password": password}
    login = login_defaults(given)
    user = user or login["user"]
    return Address(
        host=host, port=port, database=database or user, user=user, password=password or login["password"],
        settings=settings,
    )  # fmt: skip


def _unreadable() -> ConfigError:
    return ConfigError(
        "The URL of the ledger cannot be read. Write PRIVSYNTH_LEDGER=postgresql://USER@HOST/DATABASE, with special "
        "characters as %40 and the like, and leave the password to PGPASSWORD or the password file."
    )
