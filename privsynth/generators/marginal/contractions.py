"""Noisy tables beside the mixture's, laid out for matrix products.

Every table of two blocks of rows is one block times the other. All tables in which a block takes part are side by side
in its `Panel`, so that what pulls at the block is one matrix product; what the model says of them is another. A table
of three blocks is the products of the rows of two, times the third; all that share those two are one `Product`.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from privsynth.parallel import Scratch

DENSE = 0.7  # of a span of rows that are wanted: then all of it is taken, which saves the copy


class _Scratch(threading.local, Scratch):
    """Each thread's own."""


@dataclass(frozen=True)
class Frame:
    """What all tables of a fit have in common.

    Attributes:
      groups: how many groups of tables there are.
      dtype: of every array.
    """

    groups: int
    dtype: type[np.floating[Any]] = np.float32
    scratch: Scratch = field(default_factory=_Scratch)


class Block(NamedTuple):
    """Rows start … stop of the stack: the codes of an attribute, or groups of them."""

    start: int
    stop: int

    @property
    def rows(self) -> slice:
        """Return the rows."""
        return slice(self.start, self.stop)

    @property
    def size(self) -> int:
        """Return how many rows there are."""
        return self.stop - self.start


@dataclass(frozen=True, eq=False)
class LossTerm:
    """A noisy table of two or three blocks.

    Attributes:
      blocks: one for each axis.
      share: what was measured, as shares.
      weight: of squared residuals, 0 where nothing was measured; of the table's shape, or one for all.
      group: which group of tables it belongs to.
    """

    blocks: tuple[Block, ...]
    share: np.ndarray
    weight: np.ndarray
    group: int

    def along(self, blocks: tuple[Block, ...]) -> LossTerm:
        """Return the same table with its axes in another order."""
        axes = [self.blocks.index(block) for block in blocks]
        weight = self.weight if self.weight.ndim == 0 else self.weight.transpose(axes)
        return LossTerm(blocks, self.share.transpose(axes), weight, self.group)

    def joined(self, other: LossTerm) -> LossTerm:
        """Return one table for two measurements of it, by inverse variance, in the group of the other."""
        weight = self.weight + other.weight
        share = (self.share * self.weight + other.share * other.weight) / np.maximum(weight, 1e-30)
        return LossTerm(self.blocks, share, weight, other.group)


def together(terms: Sequence[LossTerm]) -> list[LossTerm]:
    """Return the tables; one that was measured twice becomes one."""
    found: dict[tuple[Block, ...], LossTerm] = {}
    for term in terms:
        found[term.blocks] = found[term.blocks].joined(term) if term.blocks in found else term
    return list(found.values())


class _Rows:
    """Blocks of the stack, side by side as one matrix."""

    def __init__(self, blocks: Sequence[Block], scratch: Scratch) -> None:
        self._scratch = scratch
        start, stop = min(b.start for b in blocks), max(b.stop for b in blocks)
        wanted = sum(b.size for b in blocks)
        self._span = slice(start, stop) if wanted >= DENSE * (stop - start) else None
        self.width = stop - start if self._span else wanted
        self._index = np.concatenate([np.arange(b.start, b.stop) for b in blocks])
        self.place: dict[Block, slice] = {}  # where each block stands
        at = 0
        for block in blocks:
            first = block.start - start if self._span else at
            self.place[block] = slice(first, first + block.size)
            at += block.size

    def of(self, stack: np.ndarray, first: int = 0) -> np.ndarray:
        """Return the rows from `first` on; scratch memory, unless they stand side by side."""
        if self._span:
            return stack[self._span.start + first : self._span.stop]
        index = self._index[first:]
        out = self._scratch.get("rows", (len(index), stack.shape[1]), stack.dtype)
        return stack.take(index, axis=0, out=out, mode="clip")

    def add(self, stack: np.ndarray, values: np.ndarray) -> None:
        """Add to the rows."""
        if self._span:
            stack[self._span] += values
            return
        for block, at in self.place.items():
            stack[block.rows] += values[at]


@dataclass
class _PanelMeasurements:
    """Tables side by side: (left, right) shares and weights, (right,) groups; the weight may be one row for all."""

    share: np.ndarray
    weight: np.ndarray
    group: np.ndarray
    groups: int

    @classmethod
    def of(cls, height: int, width: int, parts: Sequence[tuple[slice, LossTerm]], frame: Frame) -> _PanelMeasurements:
        """Lay out tables, each at its columns; what is between them was not measured."""
        flat = all(term.weight.ndim == 0 for _, term in parts)
        share, weight = (np.zeros((rows, width), frame.dtype) for rows in (height, 1 if flat else height))
        group = np.zeros(width, np.int64)
        for at, term in parts:
            share[:, at] = term.share.reshape(height, -1)
            weight[:, at] = term.weight if term.weight.ndim == 0 else term.weight.reshape(height, -1)
            group[at] = term.group
        return cls(share, weight, group, frame.groups)

    def entries(self) -> np.ndarray:
        """Return (groups,) entries that were measured."""
        there = np.broadcast_to(self.weight != 0, self.share.shape).sum(axis=0)
        return np.bincount(self.group, weights=there, minlength=self.groups)

    def compare(self, model: np.ndarray, share: float, out: np.ndarray) -> np.ndarray:
        """Write half the gradient to `out` and return (groups,) χ².

        Args:
          model: sums over components; used up.
          share: of a component.
        """
        model *= share
        model -= self.share
        np.multiply(model, self.weight, out=out)
        squares = np.einsum("ij,ij->j", model, out)
        out *= share
        return np.bincount(self.group, weights=squares, minlength=self.groups)


class Panel:
    """All tables of a block and one other block.

    Attributes:
      block: the block.
      cost: of the comparison, about, in multiplications a component.
    """

    def __init__(self, block: Block, partners: Sequence[Block], later: Sequence[LossTerm], frame: Frame) -> None:
        """Lay out.

        Args:
          partners: all of them, ascending.
          later: its tables with partners that stand later; those with earlier ones are compared there.
        """
        self.block = block
        self._frame = frame
        self._rows = _Rows(partners, frame.scratch)
        self._pull = np.zeros((block.size, self._rows.width), frame.dtype)
        self._first = min((self._rows.place[term.blocks[1]].start for term in later), default=self._rows.width)
        parts = [(_shifted(self._rows.place[term.blocks[1]], -self._first), term) for term in later]
        width = self._rows.width - self._first
        self._measured = _PanelMeasurements.of(block.size, width, parts, frame)
        self._mirrors: list[tuple[np.ndarray, np.ndarray]] = []  # the same pulls in the later blocks' panels
        self.cost = block.size * width

    def entries(self) -> np.ndarray:
        """Return (groups,) entries."""
        return self._measured.entries()

    def mirror(self, panel: Panel) -> None:
        """Note that a later block's panel holds the same table."""
        here = self._pull[:, self._rows.place[panel.block]]
        self._mirrors.append((panel._pull[:, panel._rows.place[self.block]], here.T))

    def compare(self, stacks: Sequence[np.ndarray], share: float) -> np.ndarray:
        """Compare the model's tables with the measured ones and return (groups,) χ²."""
        model = _model(
            stacks, lambda s: s[self.block.rows], lambda s: self._rows.of(s, self._first), self._frame.scratch
        )
        chi = self._measured.compare(model, share, self._pull[:, self._first :])
        for there, here in self._mirrors:
            there[...] = here
        return chi

    def pull(self, stack: np.ndarray, out: np.ndarray) -> None:
        """Write the pull at the block's rows to those of `out`."""
        np.matmul(self._pull, self._rows.of(stack), out=out[self.block.rows])


class Product:
    """All tables of two given blocks and a third.

    Attributes:
      cost: see `Panel`.
    """

    def __init__(self, one: Block, two: Block, terms: Sequence[LossTerm], frame: Frame) -> None:
        self._one, self._two, self._scratch = one, two, frame.scratch
        self._rows = _Rows(sorted(term.blocks[2] for term in terms), frame.scratch)
        height, width = one.size * two.size, self._rows.width
        parts = [(self._rows.place[term.blocks[2]], term) for term in terms]
        self._measured = _PanelMeasurements.of(height, width, parts, frame)
        self._pull = np.zeros((height, width), frame.dtype)
        self.cost = height * width

    def entries(self) -> np.ndarray:
        """Return (groups,) entries."""
        return self._measured.entries()

    def _left(self, stack: np.ndarray) -> np.ndarray:
        shape = (self._one.size, self._two.size, stack.shape[1])
        out = self._scratch.get("left", shape, stack.dtype)
        np.multiply(stack[self._one.rows][:, None], stack[self._two.rows][None], out=out)
        return out.reshape(-1, stack.shape[1])

    def compare(self, stacks: Sequence[np.ndarray], share: float) -> np.ndarray:
        """Compare the model's tables with the measured ones and return (groups,) χ²."""
        return self._measured.compare(_model(stacks, self._left, self._rows.of, self._scratch), share, self._pull)

    def pull(self, stack: np.ndarray, out: np.ndarray) -> None:
        """Add the pulls at the rows of the three blocks to those of `out`."""
        left, right = self._left(stack), self._rows.of(stack)
        back = self._scratch.get("back", right.shape, stack.dtype)
        self._rows.add(out, np.matmul(self._pull.T, left, out=back))
        of = np.matmul(self._pull, right, out=left).reshape(self._one.size, self._two.size, -1)
        out[self._one.rows] += np.einsum("ijb,jb->ib", of, stack[self._two.rows])
        out[self._two.rows] += np.einsum("ijb,ib->jb", of, stack[self._one.rows])


def panels(terms: Sequence[LossTerm], frame: Frame) -> list[Panel]:
    """Return the panels of tables of two blocks."""
    terms = together([term.along(tuple(sorted(term.blocks))) for term in terms])
    partners: dict[Block, set[Block]] = {}
    later: dict[Block, list[LossTerm]] = {}
    for term in terms:
        one, two = term.blocks
        partners.setdefault(one, set()).add(two)
        partners.setdefault(two, set()).add(one)
        later.setdefault(one, []).append(term)
    found = {b: Panel(b, sorted(partners[b]), later.get(b, []), frame) for b in sorted(partners)}
    for term in terms:
        found[term.blocks[0]].mirror(found[term.blocks[1]])
    return list(found.values())


def products(terms: Sequence[LossTerm], frame: Frame) -> list[Product]:
    """Return tables of three blocks by two of them, chosen greedily so that few products of rows are made."""
    left = together([term.along(tuple(sorted(term.blocks))) for term in terms])
    found = []
    while left:
        pairs = Counter(pair for term in left for pair in combinations(term.blocks, 2))
        one, two = min(pairs, key=lambda p: (-pairs[p], p[0].size * p[1].size, p))
        taken = [term for term in left if one in term.blocks and two in term.blocks]
        left = [term for term in left if term not in taken]
        thirds = [next(block for block in term.blocks if block not in (one, two)) for term in taken]
        turned = [term.along((one, two, third)) for term, third in zip(taken, thirds, strict=True)]
        found.append(Product(one, two, turned, frame))
    return found


def _model(
    stacks: Sequence[np.ndarray],
    left: Callable[[np.ndarray], np.ndarray],
    right: Callable[[np.ndarray], np.ndarray],
    scratch: Scratch,
) -> np.ndarray:
    """Return the sum over stacks of left @ right.T, in their order; scratch memory."""
    total: np.ndarray | None = None
    for stack in stacks:
        a, b = left(stack), right(stack)
        out = scratch.get("model" if total is None else "part", (len(a), len(b)), a.dtype)
        np.matmul(a, b.T, out=out)
        if total is None:
            total = out
        else:
            total += out
    assert total is not None
    return total


def _shifted(rows: slice, by: int) -> slice:
    return slice(rows.start + by, rows.stop + by)
