"""How far a mixture of products is from noisy tables, and the pull of what is left; the inner loop of the fit.

The mixture is (D, B): a row for each code of each attribute, a column for each component. A coarse attribute is sums of
its rows, two attributes of a triple are products of their rows; so everything is a stack of blocks of rows, and every
table of two or three attributes is one block times another. All tables that share their left block are one matrix
product, and so are their pulls.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from privsynth.generators.marginal.measure import Measured
from privsynth.generators.marginal.views import View


@dataclass(frozen=True)
class Blocks:
    """Where each attribute's codes stand in the stacked height D."""

    sizes: tuple[int, ...]

    @property
    def starts(self) -> np.ndarray:
        """Return (attributes + 1,) first rows."""
        return np.concatenate([[0], np.cumsum(self.sizes)]).astype(np.int64)

    @property
    def owner(self) -> np.ndarray:
        """Return (D,) attribute of each row."""
        return np.repeat(np.arange(len(self.sizes)), self.sizes)

    def softmax(self, theta: np.ndarray) -> np.ndarray:
        """Return probabilities: each attribute's rows sum to one in each column."""
        first, owner = self.starts[:-1], self.owner
        p = theta - np.maximum.reduceat(theta, first, axis=0)[owner]
        np.exp(p, out=p)
        p /= np.add.reduceat(p, first, axis=0)[owner]
        return p

    def backward(self, p: np.ndarray, grad: np.ndarray) -> np.ndarray:
        """Return the gradient with respect to theta; `grad` is used up."""
        inner = np.add.reduceat(p * grad, self.starts[:-1], axis=0)
        grad -= inner[self.owner]
        grad *= p
        return grad


@dataclass
class _Bundle:
    """Tables with one left block."""

    left: slice
    right: np.ndarray  # rows of the right blocks, one after the other
    share: np.ndarray  # (left, right) what was measured
    weight: np.ndarray  # (left, right) of squared residuals, 0 where nothing was measured
    group: np.ndarray  # (right,) which group of tables


_Part = tuple[slice, np.ndarray, np.ndarray, int]  # right block, shares, weights, group


class Terms:
    """Noisy tables as terms of Σ((model − measured)/σ)², in groups whose χ² are told apart.

    Args:
      sizes: number of codes of each attribute.
      groups: tables by group, each over one to three attributes.
      n_rows: the paid number of rows, which turns counts into shares.
    """

    def __init__(self, sizes: Sequence[int], groups: Sequence[Sequence[Measured]], *, n_rows: float) -> None:
        self.blocks = Blocks(tuple(sizes))
        self._starts = self.blocks.starts
        self._height = int(self._starts[-1])
        self._coarse: list[tuple[slice, slice, np.ndarray]] = []  # rows, base rows, (groups, codes) zeros and ones
        self._products: list[tuple[slice, slice, slice]] = []
        self._where: dict[object, slice] = {}
        alone: list[_Part] = []
        bundles: dict[int, list[_Part]] = {}
        lefts: dict[int, slice] = {}
        for at, group in enumerate(groups):
            for table in group:
                blocks = self._blocks_of(table.view)
                share = (table.counts / n_rows).astype(np.float32)
                weight = np.broadcast_to((n_rows / np.asarray(table.sigma)) ** 2, share.shape).astype(np.float32)
                if len(blocks) == 1:
                    alone.append((blocks[0], share, weight, at))
                    continue
                left = blocks[0] if len(blocks) == 2 else self._product(blocks[0], blocks[1])
                lefts[left.start] = left
                shape = (left.stop - left.start, -1)
                bundles.setdefault(left.start, []).append((blocks[-1], share.reshape(shape), weight.reshape(shape), at))
        self._alone = alone
        self._bundles = [_bundle(lefts[start], parts) for start, parts in bundles.items()]
        self.cells = np.zeros(len(groups))
        for _, _, weight, at in alone:
            self.cells[at] += np.count_nonzero(weight)
        for bundle in self._bundles:
            measured = np.count_nonzero(bundle.weight, axis=0)
            self.cells += np.bincount(bundle.group, weights=measured, minlength=len(groups))

    def _blocks_of(self, view: View) -> list[slice]:
        return [self._block(a, group) for a, group in zip(view.attributes, view.groups, strict=True)]

    def _block(self, attribute: int, group: np.ndarray) -> slice:
        size, first = self.blocks.sizes[attribute], int(self._starts[attribute])
        if int(group.max()) + 1 == size and np.array_equal(group, np.arange(size)):
            return slice(first, first + size)
        key = (attribute, group.tobytes())
        if key not in self._where:
            self._where[key] = self._grow(int(group.max()) + 1)
            self._coarse.append((self._where[key], slice(first, first + size), joining(group)))
        return self._where[key]

    def _product(self, one: slice, other: slice) -> slice:
        key = (one.start, other.start)
        if key not in self._where:
            self._where[key] = self._grow((one.stop - one.start) * (other.stop - other.start))
            self._products.append((self._where[key], one, other))
        return self._where[key]

    def _grow(self, rows: int) -> slice:
        start = self._height
        self._height += rows
        return slice(start, self._height)

    def gradient(self, p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return (D, B) half the gradient of the sum of all χ², and (groups,) χ² / cells.

        Args:
          p: (D, B) float32 probabilities.
        """
        share = np.float32(1.0 / p.shape[1])
        stack = self._stack(p)
        pull = np.zeros_like(stack)
        chi = np.zeros(len(self.cells))
        for rows, target, weight, group in self._alone:
            residual = stack[rows].sum(axis=1) * share - target
            pulled = residual * weight
            chi[group] += float(residual @ pulled)
            pull[rows] += (pulled * share)[:, None]
        for bundle in self._bundles:
            left, right = stack[bundle.left], stack[bundle.right]
            residual = left @ right.T
            residual *= share
            residual -= bundle.share
            pulled = residual * bundle.weight
            squares = np.einsum("ij,ij->j", residual, pulled)
            chi += np.bincount(bundle.group, weights=squares, minlength=len(chi))
            pulled *= share
            pull[bundle.left] += pulled @ right
            pull[bundle.right] += pulled.T @ left
        return self._unstack(stack, pull), chi / np.maximum(self.cells, 1.0)

    def _stack(self, p: np.ndarray) -> np.ndarray:
        stack = np.empty((self._height, p.shape[1]), dtype=p.dtype)
        stack[: len(p)] = p
        for rows, base, join in self._coarse:
            np.matmul(join, p[base], out=stack[rows])
        for rows, one, other in self._products:
            shape = (one.stop - one.start, other.stop - other.start, p.shape[1])
            np.multiply(stack[one][:, None], stack[other][None], out=stack[rows].reshape(shape))
        return stack

    def _unstack(self, stack: np.ndarray, pull: np.ndarray) -> np.ndarray:
        for rows, one, other in self._products:
            shape = (one.stop - one.start, other.stop - other.start, stack.shape[1])
            of = pull[rows].reshape(shape)
            pull[one] += np.einsum("ijb,jb->ib", of, stack[other])
            pull[other] += np.einsum("ijb,ib->jb", of, stack[one])
        base = pull[: self._starts[-1]]
        for rows, codes, join in self._coarse:
            base[codes] += join.T @ pull[rows]
        return base


def _bundle(left: slice, parts: list[_Part]) -> _Bundle:
    """Return tables side by side; the same table measured twice becomes one, by inverse variance."""
    merged: dict[int, _Part] = {}
    for right, share, weight, group in parts:
        if right.start in merged:
            _, before, heavy, _ = merged[right.start]
            share = (share * weight + before * heavy) / np.maximum(weight + heavy, np.float32(1e-30))
            weight = weight + heavy
        merged[right.start] = (right, share, weight, group)
    widths = [right.stop - right.start for right, *_ in merged.values()]
    return _Bundle(
        left=left,
        right=np.concatenate([np.arange(right.start, right.stop) for right, *_ in merged.values()]),
        share=np.concatenate([share for _, share, *_ in merged.values()], axis=1),
        weight=np.concatenate([weight for _, _, weight, _ in merged.values()], axis=1),
        group=np.repeat([group for *_, group in merged.values()], widths),
    )


def joining(group: np.ndarray) -> np.ndarray:
    """Return (groups, codes) float32 with a one where the code is in the group."""
    join = np.zeros((int(group.max()) + 1, len(group)), dtype=np.float32)
    join[group, np.arange(len(group))] = 1.0
    return join


def table_of(p: np.ndarray, blocks: Blocks, view: View) -> np.ndarray:
    """Return the mixture's table of a view, as shares shaped by it.

    Args:
      p: (D, B) probabilities.
    """
    starts = blocks.starts
    factors = []
    for attribute, group, size in zip(view.attributes, view.groups, view.shape, strict=True):
        rows = p[starts[attribute] : starts[attribute + 1]]
        factors.append(rows if size == len(group) else joining(group) @ rows)
    left = factors[0]
    for factor in factors[1:-1]:
        left = (left[:, None] * factor[None]).reshape(-1, p.shape[1])
    found = left.mean(axis=1) if len(factors) == 1 else left @ factors[-1].T / p.shape[1]
    return np.asarray(found, dtype=np.float64).reshape(view.shape)
