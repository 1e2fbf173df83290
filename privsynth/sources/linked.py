"""Several tables that refer to each other: a folder of files, a schema of a database, an export of records.

What a source says of its tables (their names, which refers to which) stands in a catalogue, in names of files or in the
definition of a format. None of it is read off rows.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Protocol

from privsynth.errors import ConfigError, Option, SourceError, meant
from privsynth.sources.protocol import Source, SourceOptions

SHOWN_TABLES = 20  # in a message (own)
MAX_TABLES = (
    500  # of one source (own): more is a whole database by mistake; databases of hospitals name those they want
)


@dataclass(frozen=True)
class Link:
    """Rows of one table refer to rows of another, or of the same.

    Attributes:
      child: the table that refers.
      columns: those of `child` that hold the reference.
      parent: the table that is referred to.
      parent_columns: those of `parent` that `columns` repeat, in the same order.
      proposed: it was guessed, and a person has to confirm it.

    Raises:
      ConfigError: the two do not have equally many columns, or none.
    """

    child: str
    columns: tuple[str, ...]
    parent: str
    parent_columns: tuple[str, ...]
    proposed: bool = False

    def __post_init__(self) -> None:
        if not self.columns or len(self.columns) != len(self.parent_columns):
            raise ConfigError(f"a link from {self.child} to {self.parent} needs as many columns on both sides")


class LinkedSource(Protocol):
    """Several tables, each a `Source`, and how they refer to each other.

    One whose tables are read in one state, such as a database, also has `snapshot() -> ContextManager[None]`.

    Attributes:
      label: what to call the source in a message; no password and no cell.
    """

    label: str

    def tables(self) -> Mapping[str, Source]:
        """Return the tables by name, in reading order (see `reading_order`)."""
        ...

    def links(self) -> tuple[Link, ...]:
        """Return the references between these tables that the source itself states; none where it states none."""
        ...


def reading_order(names: Collection[str], links: Iterable[Link]) -> list[str]:
    """Return the tables with each parent before its children, otherwise as given; in circles, as given."""
    place = {name: at for at, name in enumerate(names)}
    parents: dict[str, set[str]] = {name: set() for name in names}
    for link in links:
        if link.child != link.parent and link.child in place and link.parent in place:
            parents[link.child].add(link.parent)
    sorter = TopologicalSorter(parents)
    try:
        sorter.prepare()
    except CycleError:
        return list(names)
    order: list[str] = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready(), key=place.__getitem__)
        order += ready
        sorter.done(*ready)
    return order


@contextmanager
def one_snapshot(linked: LinkedSource) -> Iterator[None]:
    """Read all tables in one state of the source, where it knows of such, for as long as the block lasts."""
    begin = getattr(linked, "snapshot", None)
    with begin() if begin is not None else nullcontext():
        yield


def listed(names: Collection[str]) -> str:
    """Return the names of tables for a message."""
    more = f" and {len(names) - SHOWN_TABLES} more" if len(names) > SHOWN_TABLES else ""
    return ", ".join(list(names)[:SHOWN_TABLES]) + more


def chosen(names: Collection[str], label: str, options: SourceOptions) -> list[str]:
    """Return which of the tables are to be read: those that `tables` names, in its order, or else all.

    Raises:
      SourceError: there is none, or a wanted one is not there.
      ConfigError: there are too many.
    """
    if not names:
        raise SourceError(f"{label} has no tables that could be read; check the place, and what the user may read")
    wanted = list(names) if options.tables is None else list(options.tables)
    missing = [name for name in wanted if name not in set(names)]
    if missing:
        near = meant(missing[0], names)
        raise SourceError(f"{label} has no table named {', '.join(map(repr, missing))}; it has {listed(names)}{near}")
    if len(wanted) > MAX_TABLES:
        raise ConfigError(
            f"{label} has {len(wanted):,} tables and the limit is {MAX_TABLES}; name those to read with ",
            Option("tables", python="SourceOptions(tables=…)"),
        )
    return wanted


def one_table(names: Collection[str], label: str, options: SourceOptions) -> str:
    """Return the table that `table` names; the only one, where it names none.

    Raises:
      ConfigError: none is named, and there are several.
      SourceError: the named one is not there.
    """
    if options.table is None and len(names) != 1:
        raise ConfigError(
            f"{label} has several tables: {listed(names)}; name the one to read with ",
            Option("table", python="SourceOptions(table=…)"),
        )
    name = options.table if options.table is not None else next(iter(names))
    if name not in set(names):
        raise SourceError(f"{label} has no table named {name!r}; it has {listed(names)}{meant(name, names)}")
    return name


class TablesByName:
    """Tables that a caller named: a mapping of name to path, URL or DataFrame. It states no links."""

    def __init__(self, sources: Mapping[str, Source]) -> None:
        self.label = "the given tables"
        self._sources = dict(sources)

    def __repr__(self) -> str:
        return f"TablesByName({len(self._sources)} tables)"

    def tables(self) -> Mapping[str, Source]:
        """Return the tables as they were given."""
        return self._sources

    def links(self) -> tuple[Link, ...]:
        """Return nothing: who gives tables declares how they are linked."""
        return ()
