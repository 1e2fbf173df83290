"""Marginals: which attributes a contingency table is over and how finely, and counting it.

A coarse marginal joins some codes into one group. Its table has fewer entries, so less noise at the same price: that is
how a pair of long code books, or three attributes at once, can be afforded.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np

from privsynth.codecs.encoded_table import CodedRows, Encoded
from privsynth.parallel import threads

JOINED = 3  # codes a group, on average, from which a code book gives a coarse marginal: below, little would be gained
LEAST_ROWS, MOST_ROWS = 1 << 15, 1 << 20  # rows counted at once: few, for the processor's cache; more for large tables


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

    Rows are taken a few at a time, few enough for the processor's cache, and each coarse column is made once for all
    marginals that need it: cost grows linearly with rows, memory does not grow with them. Threads share the
    parts; whole numbers add up to the same in any order.

    Args:
      codes: (attributes, n).
      weight: (n,) whole numbers that sum to less than 2^53, how much each row counts; one each if None.
    """
    columns: dict[tuple[int, bytes], int] = {}
    seen: list[tuple[int, np.ndarray | None]] = []  # attribute, and its groups if they are not the codes themselves
    used = []
    for marginal in marginals:
        places = []
        for key, group, size in zip(marginal.key, marginal.groups, marginal.shape, strict=True):
            if key not in columns:
                columns[key] = len(seen)
                plain = size == len(group) and np.array_equal(group, np.arange(size))
                seen.append((key[0], None if plain else group.astype(np.int64)))
            places.append(columns[key])
        used.append(places)
    totals = [np.zeros(marginal.size, dtype=np.int64) for marginal in marginals]
    largest = max((marginal.size for marginal in marginals), default=0)
    at_once = int(np.clip(4 * largest, LEAST_ROWS, MOST_ROWS))
    adding = threading.Lock()

    def count(start: int) -> None:
        part = codes[:, start : start + at_once]
        of = None if weight is None else weight[start : start + at_once]
        made = [part[a].astype(np.int64) if group is None else group[part[a]] for a, group in seen]
        for marginal, places, total in zip(marginals, used, totals, strict=True):
            index = made[places[0]]
            for place, size in zip(places[1:], marginal.shape[1:], strict=True):
                index = index * size
                index += made[place]
            found = np.bincount(index, weights=of, minlength=len(total)).astype(np.int64, copy=False)
            with adding:
                total += found

    parts = range(0, codes.shape[1], at_once)
    with threads(len(parts)) as run:
        run(count, parts)
    return [total.reshape(marginal.shape) for marginal, total in zip(marginals, totals, strict=True)]


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
