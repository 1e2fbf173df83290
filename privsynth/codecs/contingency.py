"""Marginals: which attributes a contingency table is over and how finely, and counting it.

A coarse marginal joins some codes into one group. Its table has fewer entries, so less noise at the same price: that is
how a pair of long code books, or three attributes at once, can be afforded.
"""

from __future__ import annotations

import math
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from itertools import combinations

import numpy as np

from privsynth.codecs.encoded_table import CodedRows, Encoded
from privsynth.parallel import threads

JOINED = 3  # codes a group, on average, from which a code book gives a coarse marginal: below, little would be gained
LEAST_ROWS, MOST_ROWS = 1 << 16, 1 << 20  # rows counted at once: few, for the processor's cache; more for large tables
MOST_JOINT = 1 << 15  # entries of a table that is counted for several: it stays in a processor's cache (measured)
JOINT_ROWS = 1 << 16  # from which joint tables pay: with fewer rows, their zeros cost as much (measured)
MOST_COLUMNS = 16  # of a joint table: bounds how many subsets are looked at (own)
MOST_ENTRIES = 1 << 24  # of joint tables that are counted in one pass: 128 MiB of int64 (own)


@dataclass(frozen=True, eq=False)
class Marginal:
    """The attributes of a contingency table, each as it is or in coarser groups.

    Attributes:
      attributes: indices, ascending.
      groups: for each, (size,) the group 0..g−1 of each code; every group has a code.
    """

    attributes: tuple[int, ...]
    groups: tuple[np.ndarray, ...]

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """Number of groups of each attribute."""
        return tuple(int(group.max()) + 1 for group in self.groups)

    @property
    def size(self) -> int:
        """Number of entries."""
        return math.prod(self.shape)

    @cached_property
    def key(self) -> tuple[tuple[int, bytes], ...]:
        """What tells two marginals apart."""
        return tuple((a, group.tobytes()) for a, group in zip(self.attributes, self.groups, strict=True))

    def __reduce__(self) -> tuple[Callable[..., Marginal], tuple[object, ...]]:
        """Pickle it small: of an attribute whose codes stand each for itself only their number."""
        plain = (np.array_equal(group, np.arange(len(group))) for group in self.groups)
        axes = (len(group) if alone else group for alone, group in zip(plain, self.groups, strict=True))
        return _marginal, (self.attributes, tuple(axes))

    @property
    def is_coarse(self) -> bool:
        """Whether some codes are joined."""
        return any(size != len(group) for size, group in zip(self.shape, self.groups, strict=True))


def _marginal(attributes: tuple[int, ...], axes: Sequence[int | np.ndarray]) -> Marginal:
    """Return the marginal that was pickled."""
    return Marginal(attributes, tuple(np.arange(axis) if isinstance(axis, int) else axis for axis in axes))


def tables_of(data: Encoded, marginals: Sequence[Marginal]) -> list[np.ndarray]:
    """Return the exact int64 table of each marginal over all partitions. Private."""
    return data.add_up(partial(count_tables, marginals=tuple(marginals)))


def count_tables(rows: CodedRows, marginals: Sequence[Marginal]) -> list[np.ndarray]:
    """Return the exact int64 table of each marginal in one partition. Private."""
    return contingency_tables(rows.codes, marginals)


def contingency_tables(
    codes: np.ndarray, marginals: Sequence[Marginal], weight: np.ndarray | None = None
) -> list[np.ndarray]:
    """Return the exact int64 table of each marginal. Private.

    To count a row costs about the same in any table of up to `MOST_JOINT` entries, so marginals are summed out of joint
    tables over several attributes (docs/adr/0011-counting-in-joint-tables.md). Rows are taken a few at a time, few
    enough for the processor's cache: cost grows linearly with rows, memory does not grow with them. Threads share the
    parts; whole numbers add up to the same in any order.

    Args:
      codes: (attributes, n).
      weight: (n,) whole numbers that sum to less than 2^53, how much each row counts; one each if None.
    """
    columns = _Columns()
    wanted = [columns.places(marginal) for marginal in marginals]
    at_most = MOST_JOINT if codes.shape[1] >= JOINT_ROWS else 0
    joints = _joint_tables_kept(tuple(map(frozenset, wanted)), tuple(columns.sizes), at_most=at_most)
    tables: dict[frozenset[int], np.ndarray] = {}
    for some in _few_entries(list(joints), columns.sizes):
        for joint, counts in zip(some, _count(codes, columns, some, weight), strict=True):
            for table in joints[joint]:
                others = tuple(axis for axis, place in enumerate(joint) if place not in table)
                tables[table] = counts.sum(axis=others)
    return [_as_asked(tables[frozenset(places)], places, columns.sizes) for places in wanted]


class _Columns:
    """The columns that tables are over, each an attribute in some groups: once for all tables that need it."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self._place: dict[tuple[int, bytes], int] = {}
        self._made: list[tuple[int, np.ndarray | None]] = []  # without groups if they are the codes themselves

    def places(self, marginal: Marginal) -> tuple[int, ...]:
        """Return the columns of a marginal."""
        for key, group, size in zip(marginal.key, marginal.groups, marginal.shape, strict=True):
            if key not in self._place:
                self._place[key] = len(self.sizes)
                plain = size == len(group) and np.array_equal(group, np.arange(size))
                self._made.append((key[0], None if plain else group.astype(np.uint16)))
                self.sizes.append(size)
        return tuple(self._place[key] for key in marginal.key)

    def of_rows(self, place: int, part: np.ndarray) -> np.ndarray:
        """Return (n,) a column of (attributes, n) codes."""
        attribute, group = self._made[place]
        return part[attribute].astype(np.uint16, copy=False) if group is None else group[part[attribute]]


def joint_tables(
    wanted: Iterable[frozenset[int]], sizes: Sequence[int], *, at_most: int
) -> dict[tuple[int, ...], list[frozenset[int]]]:
    """Return joint tables, each with its columns from large to small, and the wanted tables to sum out of it.

    Greedy: a joint table begins as the largest table that is left, and takes the column that completes most others, of
    those the smallest, as long as it has at most `at_most` entries.

    Args:
      wanted: the columns of each table.
      sizes: of the columns.
    """
    left = dict.fromkeys(sorted(wanted, key=lambda table: (-_entries(table, sizes), sorted(table))))
    completing: dict[frozenset[int], set[int]] = defaultdict(set)  # all columns of a table but one: that one
    for table in left:
        for column in table:
            completing[table - {column}].add(column)
    lengths = {len(table) for table in left}
    found = {}
    while left:
        joint = next(iter(left))
        while len(joint) < MOST_COLUMNS and (room := at_most // _entries(joint, sizes)) > 1:
            subsets = _subsets(joint, {length - 1 for length in lengths})
            completes = Counter(column for some in subsets for column in completing.get(some, ()))
            fitting = [column for column in completes if column not in joint and sizes[column] <= room]
            if not fitting:
                break
            joint |= {max(fitting, key=lambda column: (completes[column], -sizes[column], -column))}
        covered = [table for table in _subsets(joint, lengths) if table in left]
        for table in covered:
            del left[table]
            for column in table:
                completing[table - {column}].discard(column)
        found[_largest_first(joint, sizes)] = covered
    return found


_joint_tables_kept = lru_cache(maxsize=8)(joint_tables)  # partitions one after the other ask for the same tables


def _subsets(columns: frozenset[int], lengths: Iterable[int]) -> Iterator[frozenset[int]]:
    return (frozenset(some) for length in lengths for some in combinations(columns, length))


def _entries(columns: Iterable[int], sizes: Sequence[int]) -> int:
    return math.prod(sizes[column] for column in columns)


def _largest_first(columns: Iterable[int], sizes: Sequence[int]) -> tuple[int, ...]:
    return tuple(sorted(columns, key=lambda column: (-sizes[column], column)))


def _few_entries(joints: Sequence[tuple[int, ...]], sizes: Sequence[int]) -> Iterator[list[tuple[int, ...]]]:
    """Yield joint tables that are counted in one pass: so many that they fit into memory together."""
    some: list[tuple[int, ...]] = []
    entries = 0
    for joint in joints:
        own = _entries(joint, sizes)
        if some and entries + own > MOST_ENTRIES:
            yield some
            some, entries = [], 0
        some.append(joint)
        entries += own
    if some:
        yield some


def _count(
    codes: np.ndarray, columns: _Columns, joints: Sequence[tuple[int, ...]], weight: np.ndarray | None
) -> list[np.ndarray]:
    """Return the exact int64 table of each joint table, in one pass over the rows. Private."""
    shapes = [tuple(columns.sizes[place] for place in joint) for joint in joints]
    totals = [np.zeros(math.prod(shape), dtype=np.int64) for shape in shapes]
    at_once = int(np.clip(4 * max(len(total) for total in totals), LEAST_ROWS, MOST_ROWS))
    needed = sorted({place for joint in joints for place in joint})
    adding = threading.Lock()

    def count(start: int) -> None:
        part = codes[:, start : start + at_once]
        of = None if weight is None else weight[start : start + at_once]
        made = {place: columns.of_rows(place, part) for place in needed}
        for joint, shape, total in zip(joints, shapes, totals, strict=True):
            # The narrowest type that holds an entry's number: the processor then calculates more of them at once.
            index = made[joint[0]].astype(np.min_scalar_type(len(total) - 1))
            for place, size in zip(joint[1:], shape[1:], strict=True):
                index *= index.dtype.type(size)
                index += made[place]
            found = np.bincount(index, weights=of, minlength=len(total)).astype(np.int64, copy=False)
            with adding:
                total += found

    parts = range(0, codes.shape[1], at_once)
    with threads(len(parts)) as run:
        run(count, parts)
    return [total.reshape(shape) for total, shape in zip(totals, shapes, strict=True)]


def _as_asked(table: np.ndarray, places: tuple[int, ...], sizes: Sequence[int]) -> np.ndarray:
    """Return a table with its axes in the order of a marginal; in memory too, since sums of floats follow that."""
    now = _largest_first(places, sizes)
    return np.ascontiguousarray(table.transpose([now.index(place) for place in places]))


def full_marginal(sizes: Sequence[int], attributes: tuple[int, ...]) -> Marginal:
    """Return the marginal over some attributes with every code apart."""
    return Marginal(attributes, tuple(np.arange(sizes[a]) for a in attributes))


def book_groups(data: Encoded, attribute: int) -> np.ndarray | None:
    """Return (size,) groups of an attribute's codes by a declared code book, the finest that joins many; else None."""
    size = data.sizes[attribute]
    books = [b for b in data.books.get(attribute, ()) if (int(b.max()) + 1) * JOINED <= size and b.max() > 1]
    return max(books, key=lambda book: int(book.max())) if books else None


def levels_of(data: Encoded, attribute: int) -> list[np.ndarray]:
    """Return (size,) groups of an attribute's codes by each level that was declared, from coarse to fine, nested."""
    books = sorted(data.books.get(attribute, ()), key=lambda book: int(book.max()))
    levels: list[np.ndarray] = []
    for n in range(len(books)):
        level = told_apart(books[: n + 1])
        if not levels or level.max() > levels[-1].max():
            levels.append(level)
    return levels


def told_apart(groupings: Sequence[np.ndarray]) -> np.ndarray:
    """Return (size,) the coarsest groups that tell apart what any grouping does, in the order of their first codes."""
    _, first, group = np.unique(np.stack(groupings), axis=1, return_index=True, return_inverse=True)
    place = np.empty(len(first), dtype=np.int64)
    place[np.argsort(first)] = np.arange(len(first))
    found: np.ndarray = place[group.ravel()]
    return found


def code_book_marginal(data: Encoded, attributes: tuple[int, ...]) -> Marginal | None:
    """Return the marginal that joins codes by their code books, where there are any; None if there are none."""
    books = [book_groups(data, a) for a in attributes]
    if all(book is None for book in books):
        return None
    groups = (np.arange(data.sizes[a]) if b is None else b for a, b in zip(attributes, books, strict=True))
    return Marginal(attributes, tuple(groups))


def groups_of(data: Encoded, attribute: int, share: np.ndarray, group: Callable[..., np.ndarray]) -> np.ndarray:
    """Return (size,) groups of an attribute's codes; where a code book joins many, those of its values.

    Args:
      share: (size,) of the codes.
      group: (n,) shares and `ordered` -> (n,) groups, such as `coarse_groups` with its number of groups.
    """
    book = book_groups(data, attribute)
    if book is None:
        return group(share, ordered=data.attributes[attribute].ordered)
    return group(np.bincount(book, weights=share), ordered=False)[book]


def coarse_groups(share: np.ndarray, *, ordered: bool, at_most: int) -> np.ndarray:
    """Return (size,) groups of the codes of an attribute; NULL, the last code, is always a group of its own.

    Neighbouring bins of a number are joined so that the groups weigh about the same; of categories the heaviest stand
    alone and the rest is one group. A pure function of a noisy one-way table.

    Args:
      share: (size,) noisy shares.
      ordered: whether neighbouring codes are alike.
      at_most: groups, NULL's included; at least 3.
    """
    known = len(share) - 1
    if known < at_most:
        return np.arange(len(share))
    weight = share[:known] + 1e-9
    if ordered:
        middle = (np.cumsum(weight) - weight / 2) / weight.sum()
        group = np.minimum((middle * (at_most - 1)).astype(np.int64), at_most - 2)
    else:
        heavy = np.sort(np.argsort(-weight, kind="stable")[: at_most - 2])
        group = np.full(known, at_most - 2)
        group[heavy] = np.arange(len(heavy))
    _, dense = np.unique(group, return_inverse=True)
    return np.append(dense, dense.max() + 1)
