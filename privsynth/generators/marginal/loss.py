"""The loss of a mixture of products against noisy tables, and its gradient: the inner loop of the fit.

The mixture is (D, B): a row for each code of each attribute, a column for each component. A coarse attribute is sums of
its rows; so everything is a stack of blocks of rows, and every table is a product of blocks (see `contractions`).

The columns come in shards that fit into the processor's cache. A table is summed over shards in their order; all else
concerns one shard alone. So threads can take several shards, and the result does not depend on how many threads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from privsynth.codecs.contingency import Marginal
from privsynth.generators.marginal.contractions import Block, Frame, LossTerm, Panel, Product, panels, products
from privsynth.generators.marginal.measure import Measurement
from privsynth.parallel import ThreadMap, one_by_one

LISTS = 8  # of tables, each compared by one thread; a fixed number, so that no sum depends on the machine
OVERHEAD = 2_000  # multiplications that the calls for one part cost, about; only balances the lists


@dataclass(frozen=True)
class LogitBlocks:
    """Where each attribute's codes stand in the stacked height D."""

    sizes: tuple[int, ...]

    @cached_property
    def starts(self) -> np.ndarray:
        """Return (attributes + 1,) first rows."""
        return np.concatenate([[0], np.cumsum(self.sizes)]).astype(np.int64)

    @cached_property
    def owner(self) -> np.ndarray:
        """Return (D,) attribute of each row."""
        return np.repeat(np.arange(len(self.sizes)), self.sizes)

    def centre(self, theta: np.ndarray) -> None:
        """Bring the largest logit of each attribute to zero in each column, in place; the model stays the same."""
        theta -= np.maximum.reduceat(theta, self.starts[:-1], axis=0)[self.owner]

    def softmax(self, theta: np.ndarray) -> np.ndarray:
        """Return (D, B) probabilities: each attribute's rows sum to one in each column."""
        theta = theta.copy()
        self.centre(theta)
        return self.shares(theta)

    def shares(self, theta: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """Return the same of logits that are nowhere far above zero, as they are once centred, and soon after."""
        p = np.exp(theta, out=out)
        total = np.add.reduceat(p, self.starts[:-1], axis=0)
        np.reciprocal(total, out=total)
        p *= total[self.owner]
        return p

    def backward(self, p: np.ndarray, grad: np.ndarray) -> np.ndarray:
        """Return the gradient with respect to theta; `grad` is used up."""
        inner = np.add.reduceat(p * grad, self.starts[:-1], axis=0)
        grad -= inner[self.owner]
        grad *= p
        return grad


class MarginalLoss:
    """Σ((model − measured)/σ)² over noisy tables, in groups whose χ² are told apart.

    Holds the residuals of the last comparison, so it serves one fit at a time.

    Args:
      sizes: number of codes of each attribute.
      groups: tables by group, each over one to three attributes.
      n_rows: the paid number of rows, which turns counts into shares.
      dtype: of every array.
    Attributes:
      height: rows of a stack: those of the probabilities and of coarse attributes.
      entries: (groups,) number of entries that were measured.
      work: multiplications that one step takes for each component.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        groups: Sequence[Sequence[Measurement]],
        *,
        n_rows: float,
        dtype: type[np.floating[Any]] = np.float32,
    ) -> None:
        self.blocks = LogitBlocks(tuple(sizes))
        self.height = int(self.blocks.starts[-1])
        self._coarse: list[tuple[Block, Block, np.ndarray]] = []  # rows, base rows, (groups, codes) zeros and ones
        self._where: dict[tuple[int, bytes], Block] = {}
        self._frame = Frame(len(groups), dtype)
        terms: dict[int, list[LossTerm]] = {1: [], 2: [], 3: []}
        for at, group in enumerate(groups):
            for table in group:
                blocks = tuple(
                    self._block(a, g) for a, g in zip(table.marginal.attributes, table.marginal.groups, strict=True)
                )
                weight = (n_rows / np.asarray(table.sigma, dtype=np.float64)) ** 2
                terms[len(blocks)].append(LossTerm(blocks, table.counts / n_rows, weight, at))
        self._singles = _Singles(terms[1], self.height, self._frame)
        self._panels = panels(terms[2], self._frame)
        self._products = products(terms[3], self._frame)
        of = {panel.block for panel in self._panels}
        blocks_ = [Block(int(a), int(b)) for a, b in pairwise(self.blocks.starts)] + [rows for rows, *_ in self._coarse]
        self._alone = [block.rows for block in blocks_ if block not in of]  # no table of two blocks has them
        parts: list[Panel | Product] = [*self._panels, *self._products]
        self.work = 3 * sum(part.cost for part in parts) + self.height
        self._lists = _balanced(parts)
        self.entries = sum((part.entries() for part in parts), self._singles.entries())

    def _block(self, attribute: int, group: np.ndarray) -> Block:
        size, first = self.blocks.sizes[attribute], int(self.blocks.starts[attribute])
        if int(group.max()) + 1 == size and np.array_equal(group, np.arange(size)):
            return Block(first, first + size)
        key = (attribute, group.tobytes())
        if key not in self._where:
            self._where[key] = Block(self.height, self.height + int(group.max()) + 1)
            self.height = self._where[key].stop
            join = joining(group).astype(self._frame.dtype, copy=False)
            self._coarse.append((self._where[key], Block(first, first + size), join))
        return self._where[key]

    def coarsen(self, stack: np.ndarray) -> None:
        """Fill the rows of coarse attributes, below the probabilities, of a (height, B) stack."""
        for rows, base, join in self._coarse:
            np.matmul(join, stack[base.rows], out=stack[rows.rows])

    def compare(self, stacks: Sequence[np.ndarray], run: ThreadMap = one_by_one) -> np.ndarray:
        """Compare the mixture with what was measured and return (groups,) χ² / entries.

        Args:
          stacks: shards of the components, each (height, …).
        """
        share = 1.0 / sum(stack.shape[1] for stack in stacks)
        chi = self._singles.compare(stacks, share)
        for found in run(lambda parts: [part.compare(stacks, share) for part in parts], self._lists):
            chi = sum(found, chi)
        return chi / np.maximum(self.entries, 1.0)

    @property
    def mean(self) -> np.ndarray:
        """(D,) shares of the codes, by what `compare` found."""
        return self._singles.mean[: self.blocks.starts[-1]]

    def pull(self, stack: np.ndarray, out: np.ndarray) -> np.ndarray:
        """Return (D, …) half the gradient of the sum of all χ², by what `compare` found, at the columns of a shard.

        Args:
          out: of the stack's shape, overwritten; the result is a part of it.
        """
        for rows in self._alone:
            out[rows] = 0.0
        for panel in self._panels:
            panel.pull(stack, out)
        out += self._singles.pull[:, None]
        for product in self._products:
            product.pull(stack, out)
        for rows_, base, join in self._coarse:
            out[base.rows] += join.T @ out[rows_.rows]
        return out[: self.blocks.starts[-1]]

    def gradient(self, p: np.ndarray, shards: int = 1) -> tuple[np.ndarray, np.ndarray]:
        """Return (D, B) half the gradient of the sum of all χ², and (groups,) χ² / entries.

        Args:
          p: (D, B) probabilities.
          shards: in how many parts the columns are taken.
        """
        stacks = [np.empty((self.height, part.shape[1]), p.dtype) for part in np.array_split(p, shards, axis=1)]
        for stack, part in zip(stacks, np.array_split(p, shards, axis=1), strict=True):
            stack[: len(p)] = part
            self.coarsen(stack)
        chi = self.compare(stacks)
        return np.concatenate([self.pull(stack, np.empty_like(stack)) for stack in stacks], axis=1), chi


class _Singles:
    """Tables of one block, as one vector of entries.

    Attributes:
      pull: (height,) what the last comparison found, the same for all components.
      mean: (height,) the model's shares.
    """

    def __init__(self, terms: Sequence[LossTerm], height: int, frame: Frame) -> None:
        empty: list[np.ndarray] = [np.zeros(0)]
        self._rows = np.concatenate(empty + [np.arange(t.blocks[0].start, t.blocks[0].stop) for t in terms]).astype(int)
        self._share = np.concatenate(empty + [term.share for term in terms])
        self._weight = np.concatenate(empty + [np.broadcast_to(term.weight, term.share.shape) for term in terms])
        self._group = np.concatenate(empty + [np.full(len(term.share), term.group) for term in terms]).astype(int)
        self._frame = frame
        self.pull = np.zeros(height, frame.dtype)
        self.mean = np.zeros(height)

    def entries(self) -> np.ndarray:
        """Return (groups,) entries that were measured."""
        found: np.ndarray = np.bincount(self._group, weights=self._weight != 0, minlength=self._frame.groups)
        return found

    def compare(self, stacks: Sequence[np.ndarray], share: float) -> np.ndarray:
        """Compare the model's tables with the measured ones and return (groups,) χ²."""
        total = sum(stack.sum(axis=1, dtype=np.float64) for stack in stacks)
        self.mean[:] = total * share
        residual = self.mean[self._rows] - self._share
        pulled = residual * self._weight
        self.pull[:] = np.bincount(self._rows, weights=pulled * share, minlength=len(self.pull))
        return np.bincount(self._group, weights=residual * pulled, minlength=self._frame.groups)


def _balanced(parts: Sequence[Panel | Product]) -> list[list[Panel | Product]]:
    """Return the parts in lists that take about the same time; the lists do not depend on the machine."""
    lists: list[list[Panel | Product]] = [[] for _ in range(LISTS)]
    load = [0] * LISTS
    for part in sorted(parts, key=lambda part: -part.cost):
        least = load.index(min(load))
        lists[least].append(part)
        load[least] += part.cost + OVERHEAD
    return [found for found in lists if found]


def joining(group: np.ndarray) -> np.ndarray:
    """Return (groups, codes) float32 with a one where the code is in the group."""
    join = np.zeros((int(group.max()) + 1, len(group)), dtype=np.float32)
    join[group, np.arange(len(group))] = 1.0
    return join


def model_table(p: np.ndarray, blocks: LogitBlocks, marginal: Marginal) -> np.ndarray:
    """Return the mixture's table of a marginal, as shares of its shape.

    Args:
      p: (D, B) probabilities.
    """
    starts = blocks.starts
    factors = []
    for attribute, group, size in zip(marginal.attributes, marginal.groups, marginal.shape, strict=True):
        rows = p[starts[attribute] : starts[attribute + 1]]
        factors.append(rows if size == len(group) else joining(group) @ rows)
    left = factors[0]
    for factor in factors[1:-1]:
        left = (left[:, None] * factor[None]).reshape(-1, p.shape[1])
    found = left.mean(axis=1) if len(factors) == 1 else left @ factors[-1].T / p.shape[1]
    return np.asarray(found, dtype=np.float64).reshape(marginal.shape)
