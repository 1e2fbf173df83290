"""Which driver a URL means that names none, and who logs in where it does not say."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from privsynth.errors import SourceError
from privsynth.logins.password_file import login_defaults, option_file_password

if TYPE_CHECKING:
    from sqlalchemy import URL

# Name of a URL -> SQLAlchemy's drivers for it by the modules that they need, the first that is installed. Those that
# need no library of the database's vendor come first, but for PostgreSQL, where psycopg is twice as fast as pg8000.
_DRIVERS: Mapping[str, Mapping[str, str]] = {
    "postgresql": {"psycopg": "psycopg", "psycopg2": "psycopg2", "pg8000": "pg8000"},
    "mysql": {"pymysql": "pymysql", "mysqldb": "MySQLdb"},
    "mariadb": {"pymysql": "pymysql", "mariadbconnector": "mariadb"},
    "mssql": {"pymssql": "pymssql", "pyodbc": "pyodbc"},
}
_KINDS = {"postgresql": "PostgreSQL", "mysql": "MySQL", "mariadb": "MariaDB", "mssql": "SQL Server"}
_ADVICE = {
    "postgresql": "pip install pg8000",
    "mysql": "pip install pymysql",
    "mariadb": "pip install pymysql",
    "mssql": "pip install pymssql, or pip install pyodbc and Microsoft's ODBC Driver 18 for SQL Server",
}


def with_driver(url: URL, label: str) -> URL:
    """Return a URL that names a driver: its own, or else the first that is installed.

    Raises:
      SourceError: none is.
    """
    known = _DRIVERS.get(url.drivername)
    if known is None:
        return url
    for driver, module in known.items():
        if find_spec(module) is not None:
            return url.set(drivername=f"{url.drivername}+{driver}")
    kind = url.drivername
    raise SourceError(f"{label} needs a driver for {_KINDS[kind]}; install one, for example: {_ADVICE[kind]}")


def _add_postgresql_login(arguments: dict[str, Any]) -> None:
    """Add what a URL leaves out to the arguments of pg8000, which, unlike libpq, looks for nothing itself."""
    for name, value in login_defaults(arguments).items():
        arguments.setdefault(name, value)


def _add_mysql_login(arguments: dict[str, Any]) -> None:
    """Add the password that a URL leaves out to the arguments of PyMySQL, as MySQL's own programs find it."""
    if not arguments.get("password") and not arguments.get("passwd"):
        arguments["password"] = os.environ.get("MYSQL_PWD") or option_file_password() or ""


# Driver -> what adds to the arguments of a connection.
LOGINS: Mapping[str, Callable[[dict[str, Any]], None]] = {
    "pg8000": _add_postgresql_login,
    "pymysql": _add_mysql_login,
}
