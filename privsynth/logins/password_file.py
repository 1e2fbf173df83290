"""Who logs in where the URL does not say: the variables and the password file of libpq, the option file of MySQL.

Source: PostgreSQL documentation, sections 32.15 (environment variables) and 32.16 (the password file); MariaDB
documentation, *Configuring MariaDB with option files*.
"""

from __future__ import annotations

import configparser
import getpass
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_FIELD = re.compile(r"((?:\\.|[^:\\])*)(?::|$)")
_PORT = 5432  # of PostgreSQL, where a URL gives none (IANA)


def login_defaults(given: Mapping[str, Any]) -> dict[str, str]:
    """Return user and password as libpq would find them, where `given` has none; "" for no password.

    Args:
      given: arguments of a connection: host, port, database, user, password.
    """
    user = str(given.get("user") or os.environ.get("PGUSER") or getpass.getuser())
    where = (
        str(given.get("host") or "localhost"),
        str(given.get("port") or _PORT),
        str(given.get("database") or user),
        user,
    )
    return {"user": user, "password": os.environ.get("PGPASSWORD") or _password_from_file(where) or ""}


def _password_from_file(where: tuple[str, ...]) -> str | None:
    """Return the password of the first line that fits host, port, database and user."""
    path = Path(os.environ.get("PGPASSFILE") or Path.home() / ".pgpass")
    try:
        if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):  # like libpq: others could read it
            return None
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return None
    for line in lines:
        fields = [re.sub(r"\\(.)", r"\1", field) for field in _FIELD.findall(line)]
        fits = all(field in ("*", value) for field, value in zip(fields, where, strict=False))
        if fits and len(fields) > len(where) and not line.startswith("#"):
            return fields[len(where)]
    return None


def option_file_password() -> str | None:
    """Return the password in the section `client` of ~/.my.cnf, if nobody else can read that file."""
    path = Path.home() / ".my.cnf"
    options = configparser.RawConfigParser(allow_no_value=True, strict=False)
    try:
        if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            return None
        # Directives such as !include stand outside of sections, and are no options.
        lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("!")]
        options.read_string("\n".join(lines))
    except (OSError, ValueError, configparser.Error):
        return None
    found = options.get("client", "password", fallback=None)
    return None if found is None else found.strip().strip("\"'")
