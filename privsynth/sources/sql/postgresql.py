"""PostgreSQL as it is: sessions that only read, end in time, and in which no cell makes a driver raise.

A cell that Python has no object for (a date before Christ or after 9999, infinity) comes as a mark. Texts come in the
encoding of the database, and bytes that it does not know are marked: the server itself would raise on them if it were
to convert them.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable
from contextlib import suppress
from typing import Any

# Of one statement, or one portion of rows (own): a large sort on a busy server ends; one that hangs does not go on.
STATEMENT_TIMEOUT_S = 3600
# Waiting for a table that somebody alters or fills under a lock (own).
LOCK_TIMEOUT_S = 60
_TIMES = (1082, 1114, 1184)  # oids of date, timestamp and timestamptz in PostgreSQL's pg_type.dat
_INFINITE = ("infinity", "-infinity")
_MARKING = "privsynth_marking_"  # a codec of this name marks what the one after it cannot decode
_LIMIT = """
    SELECT set_config(name, '{ms}', false) FROM pg_settings
    WHERE name = '{name}' AND (setting = '0' OR setting::bigint > {ms})
"""


class Unreadable:
    """What stands for a cell that a driver could not read, such as a date beyond the year 9999."""


UNREADABLE = Unreadable()


def prepare(connection: Any, driver: str) -> None:
    """Make every transaction of the session read only, also one that a function of the query might begin.

    Times and intervals come as ISO 8601 or as drivers know them, whatever the user's role prefers. A limit on time that
    the database sets itself is never made longer.
    """
    cursor = connection.cursor()
    cursor.execute("SET SESSION default_transaction_read_only = on")
    cursor.execute("SET SESSION datestyle = 'ISO'")
    cursor.execute("SET SESSION intervalstyle = 'postgres'")
    for name, seconds in (("statement_timeout", STATEMENT_TIMEOUT_S), ("lock_timeout", LOCK_TIMEOUT_S)):
        cursor.execute(_LIMIT.format(name=name, ms=int(1000 * seconds)))
    cursor.execute("SHOW server_encoding")
    found = cursor.fetchone()[0]
    encoding = found.decode() if isinstance(found, bytes) else str(found)  # psycopg's texts where it knows no encoding
    cursor.close()
    connection.commit()
    _choose_encoding(connection, driver, encoding)
    if guard := _GUARDS.get(driver):
        guard(connection)


def _choose_encoding(connection: Any, driver: str, encoding: str) -> None:
    """Have texts sent in the encoding of the database, whatever PGCLIENTENCODING says, and what it lacks marked.

    SQL_ASCII says that nobody knows the encoding: UTF-8 is the most likely one.
    """
    if driver == "psycopg2":
        from psycopg2 import extensions

        for name in {encoding, encoding.replace("_", "")}:
            codec = extensions.encodings.get(name, "utf-8")
            if not codec.startswith(_MARKING):
                extensions.encodings[name] = _MARKING + ("utf-8" if encoding == "SQL_ASCII" else codec)
        # What is set already is not looked up again.
        connection.set_client_encoding("SQL_ASCII" if encoding != "SQL_ASCII" else "UTF8")
        connection.set_client_encoding(encoding)
        connection.commit()
        return
    cursor = connection.cursor()
    cursor.execute(f"SET SESSION client_encoding = '{encoding}'")
    cursor.close()
    connection.commit()
    if driver == "pg8000":
        codec = connection._client_encoding or "utf-8"  # pg8000 decodes a cell before any adapter sees it
        connection._client_encoding = _MARKING + ("utf-8" if encoding == "SQL_ASCII" else codec)


def _marking_codec(name: str) -> codecs.CodecInfo | None:
    """Return the codec that decodes like another one, and what that cannot decode to lone surrogates."""
    if not name.startswith(_MARKING):
        return None
    known = codecs.lookup(name.removeprefix(_MARKING))

    def decode(data: Any, errors: str = "strict") -> tuple[str, int]:
        return known.decode(bytes(data), "surrogateescape")

    return codecs.CodecInfo(encode=known.encode, decode=decode, name=name)


codecs.register(_marking_codec)


def _guard_psycopg2(connection: Any) -> None:
    from psycopg2 import STRING, extensions

    def guarded(cast: Callable[[Any, Any], Any], oid: int) -> Callable[[Any, Any], Any]:
        def read(value: Any, cursor: Any) -> Any:
            if oid in STRING.values:
                return value  # decoded already; the cast of psycopg2 would take it for UTF-8
            if oid in _TIMES and value in _INFINITE:
                return UNREADABLE
            try:
                return cast(value, cursor)
            except Exception:
                return UNREADABLE

        return read

    for oid, cast in extensions.string_types.items():
        extensions.register_type(extensions.new_type((oid,), "GUARDED", guarded(cast, oid)), connection)


def _guard_psycopg(connection: Any) -> None:
    from psycopg.adapt import Loader
    from psycopg.pq import Format

    def guarded(base: type[Any]) -> type[Any]:
        class Guarded(Loader):
            def __init__(self, oid: int, context: Any = None) -> None:
                super().__init__(oid, context)
                self._inner = base(oid, context)

            def load(self, data: Any) -> Any:
                try:
                    found = self._inner.load(data)
                except Exception:
                    return UNREADABLE
                if texts and isinstance(found, bytes):  # of a database without an encoding
                    return found.decode("utf-8", "surrogateescape")
                return found

        texts = base is not connection.adapters.get_loader(bytea, Format.TEXT)
        return Guarded

    types = connection.adapters.types
    bytea = types["bytea"].oid
    names = "date time timetz timestamp timestamptz interval json jsonb numeric text varchar bpchar name uuid inet cidr"
    for oid in (0, *(types[name].oid for name in names.split())):  # 0 stands for the types that psycopg does not know
        if (base := connection.adapters.get_loader(oid, Format.TEXT)) is not None:
            connection.adapters.register_loader(oid, guarded(base))


def _guard_pg8000(connection: Any) -> None:
    def guarded(read: Callable[[str], Any], *, time: bool) -> Callable[[str], Any]:
        def reading(text: str) -> Any:
            if time and text.endswith(" BC"):  # pg8000 leaves out the era
                return UNREADABLE
            try:
                found = read(text)
            except Exception:
                return UNREADABLE
            return UNREADABLE if time and isinstance(found, str) else found

        return reading

    for oid, read in list(connection.pg_types.items()):
        connection.register_in_adapter(oid, guarded(read, time=oid in _TIMES))


_GUARDS: dict[str, Callable[[Any], None]] = {
    "psycopg2": _guard_psycopg2,
    "psycopg": _guard_psycopg,
    "pg8000": _guard_pg8000,
}


def sqlstate(error: BaseException | None) -> str:
    """Return the five signs by which PostgreSQL names an error; "" for another one. They quote nothing."""
    for name in ("sqlstate", "pgcode"):  # psycopg, psycopg2
        if isinstance(found := getattr(error, name, None), str):
            return found
    with suppress(AttributeError, IndexError, TypeError):
        return str(error.args[0].get("C", ""))  # type: ignore[union-attr]  # pg8000
    return ""
