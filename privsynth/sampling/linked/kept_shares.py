"""Weights with which classes that rules restrict keep the shares that the model was fitted to. Post-processing.

Persons of the model are drawn once. What is known of their rows before these are drawn stays; the rows are then drawn
again and again. What demands forbid in some rows is counted as the model alone would have it, and as it comes out, and
the weights move from the second towards the first.

Source: generalised iterative scaling (Darroch & Ratcliff 1972).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from privsynth.generators.registry import FittedGenerator
from privsynth.progress import Progress, no_progress
from privsynth.sampling.conditional import complete
from privsynth.sampling.linked.demands import Demands, demands_on
from privsynth.sampling.linked.draw import Context, TableDrawing, draw_inside
from privsynth.sampling.linked.drawn import DrawnTable
from privsynth.sampling.linked.model import LinkedModel

PERSONS = 2_000  # that are drawn (own): a class of a tenth of the rows is then known to seven in a hundred
MOST_ROWS = 2_500  # of a table that are drawn again (own): some seconds
TIMES, LAST = 12, 4  # that they are drawn again, of which the last few are averaged (own)
MOST_WEIGHT = 50.0  # of what is forbidden elsewhere (own): with more, rows that may have it had nothing else
FEW = 10.0  # rows that are added to either count (own), so that a handful of rows moves no weight far


def with_kept_shares(model: LinkedModel, rng: np.random.Generator, *, progress: Progress = no_progress) -> LinkedModel:
    """Return the model with the weights of what rules forbid, table by table."""
    drawn: dict[str, DrawnTable] = {}
    with_demands = [name for name in model.schema.modelled if demands_on(model, name).weights.size]
    needed = model.schema.modelled[: 1 + max(map(model.schema.modelled.index, with_demands), default=-1)]
    for i, name in enumerate(needed):
        progress(f"keeping the shares of {name}", i / len(needed))
        contexts: list[Context] = []
        drawing = TableDrawing(model, name, drawn, rng, contexts)
        if name == model.schema.root:
            drawn[name] = drawing.draw_root(PERSONS)
        else:
            drawn[name] = drawing.draw_below()
            weights = _weights(drawing.demands, model.models[name].fitted, contexts, rng)
            table = replace(model.models[name], weights=tuple(np.round(weights, 4).tolist()))
            model = replace(model, models={**model.models, name: table})
    return model


def _weights(
    demands: Demands, fitted: FittedGenerator, contexts: list[Context], rng: np.random.Generator
) -> np.ndarray:
    """Return the weights of what demands forbid, given what is known of rows."""
    weights = demands.weights
    if not weights.size or not contexts:
        return weights
    known = np.concatenate([codes for codes, _ in contexts], axis=1)
    frame = pd.concat([frame for _, frame in contexts], ignore_index=True)
    some = rng.permutation(len(frame))[:MOST_ROWS]
    known, frame = known[:, some], frame.iloc[some].reset_index(drop=True)
    free = complete(fitted, known, {}, rng)
    wanted, together = demands.counts(free), demands.together(free)
    found = []
    for _ in range(TIMES):
        demands = demands.weighing(weights)
        there = np.zeros(len(weights))
        for given, at in demands.groups(frame):
            there += demands.counts(draw_inside(fitted, known[:, at], given, rng))
        weights = np.clip(weights * ((wanted + FEW) / (there + FEW)) ** (1 / together), 1 / MOST_WEIGHT, MOST_WEIGHT)
        found.append(np.log(weights))
    return np.exp(np.mean(found[-LAST:], axis=0))
