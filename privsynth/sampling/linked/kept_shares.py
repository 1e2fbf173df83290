"""Weights with which classes that rules restrict keep the shares that the model was fitted to. Post-processing.

Persons of the model are drawn without rules: what demands forbid in some rows then has the share that it should have.
They are drawn with rules, and what is known of their rows before these are drawn stays; the rows are then drawn again
and again, and the weights move to where the shares come out. As weights change histories, too, whole histories are
drawn a few times more, and the weights follow.

Source: generalised iterative scaling (Darroch & Ratcliff 1972).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from privsynth.generators.registry import FittedGenerator
from privsynth.progress import Progress, no_progress
from privsynth.sampling.linked.demands import Demands, demands_on
from privsynth.sampling.linked.draw import Context, TableDrawing, draw_inside
from privsynth.sampling.linked.drawn import DrawnTable
from privsynth.sampling.linked.model import LinkedModel

PERSONS = 2_000  # that are drawn (own): a class of a tenth of the rows is then known to seven in a hundred
MOST_ROWS = 2_500  # of a table that are drawn again (own): some seconds
PASSES = 4  # over histories (own): after the first, a ward that lasts comes out a fifth too often or too rarely
TIMES, LAST = 8, 4  # that they are drawn again, of which the last few are averaged (own)
MOST_WEIGHT = 50.0  # of what is forbidden elsewhere (own): with more, rows that may have it had nothing else
FEW = 10.0  # rows that are added to either count (own), so that a handful of rows moves no weight far


def with_kept_shares(model: LinkedModel, rng: np.random.Generator, *, progress: Progress = no_progress) -> LinkedModel:
    """Return the model with the weights of what rules forbid, table by table."""
    drawn: dict[str, DrawnTable] = {}
    with_demands = [name for name in model.schema.modelled if demands_on(model, name).weights.size]
    needed = model.schema.modelled[: 1 + max(map(model.schema.modelled.index, with_demands), default=-1)]
    for i, name in enumerate(needed):
        progress(f"keeping the shares of {name}", i / len(needed))
        if name == model.schema.root:
            drawn[name] = TableDrawing(model, name, drawn, rng).draw_root(PERSONS)
            continue
        free = TableDrawing(_without_rules(model, name), name, drawn, rng).draw_below().codes
        contexts: list[Context] = []
        drawing = TableDrawing(model, name, drawn, rng, contexts)
        drawing.draw_below()
        weights = _weights(drawing.demands, model.models[name].fitted, contexts, free, rng)
        for _ in range(PASSES if weights.size else 0):
            model = _with_weights(model, name, weights)
            drawing = TableDrawing(model, name, drawn, rng)
            weights = _nearer(drawing.demands, weights, free, drawing.draw_below().codes)
        model = _with_weights(model, name, weights)
        if name != needed[-1]:
            drawn[name] = TableDrawing(model, name, drawn, rng).draw_below()
    return model


def _with_weights(model: LinkedModel, name: str, weights: np.ndarray) -> LinkedModel:
    table = replace(model.models[name], weights=tuple(np.round(weights, 4).tolist()))
    return replace(model, models={**model.models, name: table})


def _nearer(demands: Demands, weights: np.ndarray, free: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Return weights that bring the shares of what is forbidden nearer to those without rules.

    Args:
      free, codes: (attributes, n) codes of rows without rules, and of rows with the weights so far.
    """
    there, n_rows = demands.counts(codes), codes.shape[1]
    wanted = demands.counts(free) * (n_rows / max(free.shape[1], 1))
    moved = weights * ((wanted + FEW) / (there + FEW)) ** (1 / demands.together(free))
    return np.clip(moved, 1 / MOST_WEIGHT, MOST_WEIGHT)


def _without_rules(model: LinkedModel, name: str) -> LinkedModel:
    """Return the model as if nothing were declared of the rows of one table but their columns."""
    table = model.schema.tables[name].model_copy(update={"rules": ()})
    return replace(model, schema=model.schema.model_copy(update={"tables": {**model.schema.tables, name: table}}))


def _weights(
    demands: Demands,
    fitted: FittedGenerator,
    contexts: list[Context],
    free: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """Return the weights of what demands forbid, given what is known of rows.

    Args:
      free: (attributes, n) codes of rows without rules.
    """
    weights = demands.weights
    if not weights.size or not contexts:
        return weights
    known = np.concatenate([codes for codes, _ in contexts], axis=1)
    frame = pd.concat([frame for _, frame in contexts], ignore_index=True)
    some = rng.permutation(len(frame))[:MOST_ROWS]
    known, frame = known[:, some], frame.iloc[some].reset_index(drop=True)
    found = []
    for _ in range(TIMES):
        demands = demands.weighing(weights)
        codes = np.empty(known.shape, dtype=np.uint16)
        for given, at in demands.groups(frame):
            codes[:, at] = draw_inside(fitted, known[:, at], given, rng)
        weights = _nearer(demands, weights, free, codes)
        found.append(np.log(weights))
    return np.exp(np.mean(found[-LAST:], axis=0))
