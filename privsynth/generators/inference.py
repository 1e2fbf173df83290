"""What a trained network makes of its inputs, in numpy: who draws rows from a released model needs no torch.

Training is torch's. Its layers (`dpsgd.layers`, `arn.network`) hand their weights over as float32 arrays, and these
functions are the only ones that turn such arrays into rows, in a release as later.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import pairwise

import numpy as np

SLOPE = 0.2  # of the leaky rectifiers below zero, as in CTGAN (Xu et al. 2019, section 4.4)
DRAW_BATCH = 8_192  # rows whose logits are in memory at once

# Φ is read off a table, with straight lines between its points: 4,096 a unit leave an error below 2⁻²⁴/8 · max|Φ″|,
# which is 2e-9 and less than a tenth of float32's own rounding. Beyond ±8 it is 0 or 1 to that precision.
_POINTS, _REACH = 4_096, 8
_ROWS_AT_ONCE = 256  # so that what each pass over them reads and writes stays in the processor's cache


@cache
def _normal_table() -> tuple[np.ndarray, np.ndarray]:
    """Return Φ at each point of the table, and how much it rises until the next, as float32."""
    points = np.arange(-_REACH * _POINTS, _REACH * _POINTS + 1) / (_POINTS * math.sqrt(2.0))
    phi = np.array([0.5 * math.erfc(-point) for point in points])
    phi[0], phi[-1] = 0.0, 1.0  # so that what lies far out, however far, is exactly 0 or itself
    rise = np.diff(phi)
    rise[[0, -1]] = 0.0
    return np.append(phi[:-2], 1.0).astype(np.float32), rise.astype(np.float32)


def gelu(values: np.ndarray) -> np.ndarray:
    """Return x·Φ(x) of float32 values (rows, width), Φ being the exact normal distribution function.

    Source: Hendrycks & Gimpel 2016 (1606.08415), equation 2; not its approximation by tanh.
    """
    phi, rise = _normal_table()
    out = np.empty_like(values)
    last = np.float32(_REACH * _POINTS - 0.5)
    for start in range(0, len(values), _ROWS_AT_ONCE):
        part = values[start : start + _ROWS_AT_ONCE]
        place = part * np.float32(_POINTS)  # a power of two: exact
        np.clip(place, -last, last, out=place)
        floor = np.floor(place)
        place -= floor
        index = floor.astype(np.int32)
        index += _REACH * _POINTS
        place *= rise[index]
        place += phi[index]
        np.multiply(part, place, out=out[start : start + _ROWS_AT_ONCE])
    return out


def draw_codes(
    logits: np.ndarray, sizes: Sequence[int], no_null: Sequence[bool], rng: np.random.Generator
) -> np.ndarray:
    """Return (attributes, rows) uint16 codes, one draw from each block of logits (rows, D)."""
    out = np.empty((len(sizes), len(logits)), dtype=np.uint16)
    start = 0
    for attribute, size in enumerate(sizes):
        most = size - 1 if no_null[attribute] else size
        block = logits[:, start : start + most].astype(np.float64)
        cdf = np.exp(block - block.max(axis=1, keepdims=True)).cumsum(axis=1)
        point = rng.random(len(logits))[:, None] * cdf[:, -1:]
        out[attribute] = np.minimum((cdf <= point).sum(axis=1), most - 1)
        start += size
    return out


def batches(n_rows: int) -> list[int]:
    """Return sizes of batches in which rows are drawn."""
    return [min(DRAW_BATCH, n_rows - start) for start in range(0, n_rows, DRAW_BATCH)]


def check_arrays(tensors: Mapping[str, np.ndarray], name: str, widths: Sequence[int]) -> dict[str, np.ndarray]:
    """Return the weights of a perceptron as contiguous float32 arrays.

    Raises:
      ValueError: one is missing, or its shape does not fit.
    """
    checked = {}
    for index, (before, after) in enumerate(pairwise(widths)):
        for kind, shape in (("weight", (after, before)), ("bias", (after,))):
            key = f"{name}.{index}.{kind}"
            array = np.ascontiguousarray(tensors[key], dtype=np.float32) if key in tensors else None
            if array is None or array.shape != shape or not np.isfinite(array).all():
                raise ValueError(f"the tensor '{key}' does not fit the attributes")
            checked[key] = array
    return checked


def apply_arrays(weights: Mapping[str, np.ndarray], name: str, layers: int, inputs: np.ndarray) -> np.ndarray:
    """Return what the perceptron makes of inputs (rows, first width), in float32 and without torch."""
    values = inputs.astype(np.float32)
    for index in range(layers):
        values = values @ weights[f"{name}.{index}.weight"].T + weights[f"{name}.{index}.bias"]
        if index < layers - 1:
            values = np.where(values > 0, values, np.float32(SLOPE) * values)
    return values
