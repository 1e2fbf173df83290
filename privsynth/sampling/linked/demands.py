"""What rules demand of a row of linked tables, once the row above it, the row before and its time are known.

`diagnosis in chapter O => parent.sex = F` forbids chapter O below a man, whatever else the row says. Such a demand is
on one column, and becomes weights of the model's codes: the row is drawn inside it, and not again until it fits.

To draw inside demands keeps the rules, but not the shares of what they speak of. Where noise has put a third of chapter
O below men, chapter O would lose that third. So what a rule forbids in some rows weighs more in the others, as much as
brings back the share that the model was fitted to. The weights are found once (see `kept_shares`), and belong to it.

Source: generalised iterative scaling (Darroch & Ratcliff 1972).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from copy import copy
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from privsynth.codecs.table import TableCodec
from privsynth.errors import ConfigError
from privsynth.sampling.conditions import Clause, checked
from privsynth.sampling.likelihood import Conditioned, condition
from privsynth.sampling.linked.drawn import is_of_other_row, rules_of
from privsynth.sampling.linked.model import LinkedModel
from privsynth.sampling.repair import negated, without_unknown
from privsynth.schema.rules import Condition, Rule


@dataclass(frozen=True)
class Demand:
    """What a rule says of one column of a row where what is known of the row makes it say so.

    Attributes:
      premise: of what is known; all of it is met where the demand holds.
      excused: conditions on what is known, with which the rule asks nothing; empty if there are none.
      clause: what the column has to be then.
    """

    premise: tuple[Condition, ...]
    excused: tuple[Condition, ...]
    clause: Clause

    def holds(self, frame: pd.DataFrame) -> np.ndarray:
        """Return (n,) booleans: the demand is made of the row.

        Args:
          frame: what is known, by the names of rules.
        """
        made = Rule(text="", shape="implies", premise=self.premise).meets_premise(frame)
        if self.excused:
            made &= ~Rule(text="", shape="check", conditions=self.excused).holds(frame)
        return made


def demands_of(rules: Sequence[Rule], known: Collection[str]) -> Iterator[Demand]:
    """Yield what rules demand of single columns, given what is known; of other rules nothing.

    Args:
      known: the columns, by the names of rules, that are known before the row is drawn.
    """
    for rule in rules:
        premise, open_premise = _apart(rule.premise, known)
        concluded, open_conclusions = _apart(rule.conditions, known)
        if not open_premise:
            for one in open_conclusions:
                if _of_values(one):
                    # Negated twice: a missing value keeps a rule.
                    yield Demand(premise, (), Clause(rule.text, (negated(one),), negated=True))
        elif len(open_premise) == 1 and _of_values(open_premise[0]) and concluded:
            yield Demand(premise, concluded, Clause(rule.text, open_premise, negated=True))


def _apart(
    conditions: Sequence[Condition], known: Collection[str]
) -> tuple[tuple[Condition, ...], tuple[Condition, ...]]:
    """Return the conditions that are on known columns only, and the others."""
    told = [one for one in conditions if set(one.columns) <= set(known)]
    return tuple(told), tuple(one for one in conditions if one not in told)


def _of_values(one: Condition) -> bool:
    return not one.calculates and one.other is None


def demands_on(model: LinkedModel, name: str) -> Demands:
    """Return the demands on the rows of a table of a model, with its weights; when a row is is known before it."""
    rules, order = rules_of(model, name), model.schema.tables[name].order
    known = {column for rule in rules for column in rule.columns if is_of_other_row(column) or column == order}
    return Demands(model.codecs[name], rules, known, model.models[name].weights)


class Demands:
    """The demands on the rows of one table, as weights of its codes.

    Args:
      codec: of the table.
      rules: that can be told of its rows.
      known: as in `demands_of`.
      weights: of what the demands forbid, as `kept_shares` finds them; none if they weigh as much as the model says.
    """

    def __init__(
        self, codec: TableCodec, rules: Sequence[Rule], known: Collection[str], weights: Sequence[float] = ()
    ) -> None:
        self._codec = codec
        self._all = [one for one in (_spelt(one, codec) for one in demands_of(rules, known)) if one is not None]
        self._forbidden = _forbidden([one.clause for one in self._all], codec)
        self.weights = np.array(weights if len(weights) == len(self._forbidden) else np.ones(len(self._forbidden)))
        self._given_by: dict[tuple[bool, ...], Conditioned] = {}

    def weighing(self, weights: np.ndarray) -> Demands:
        """Return the same demands with other weights."""
        other = copy(self)
        other.weights, other._given_by = weights, {}
        return other

    @property
    def columns(self) -> set[str]:
        """The known columns that decide which demands are made, by the names of rules."""
        return {name for one in self._all for c in (*one.premise, *one.excused) for name in c.columns}

    def groups(self, frame: pd.DataFrame) -> list[tuple[Conditioned, np.ndarray]]:
        """Return rows of which the same is demanded: what that means for the codes, and the places of the rows."""
        if not self._all:
            return [(self._given(()), np.arange(len(frame)))]
        told = np.stack([_told(one, frame) for one in self._all])
        kinds, of_row = np.unique(told, axis=1, return_inverse=True)
        of_row = of_row.reshape(-1)
        return [(self._given(tuple(kind.tolist())), np.flatnonzero(of_row == i)) for i, kind in enumerate(kinds.T)]

    def _given(self, made: tuple[bool, ...]) -> Conditioned:
        """Return what some of the demands mean for the codes, with the weights of what is forbidden elsewhere."""
        if made in self._given_by:
            return self._given_by[made]
        found = condition([one.clause for one, there in zip(self._all, made, strict=False) if there], self._codec)
        evidence = dict(found.evidence)
        for (attribute, share), weight in zip(self._forbidden, self.weights.tolist(), strict=True):
            if weight != 1.0:
                evidence[attribute] = evidence.get(attribute, 1.0) * (1.0 + (weight - 1.0) * share)
        # What a demand means for one column may leave nothing of it; then the rules decide, and not the weights.
        evidence = {attribute: weight for attribute, weight in evidence.items() if weight.max() > 0}
        self._given_by[made] = replace(found, evidence=evidence)
        return self._given_by[made]

    def counts(self, codes: np.ndarray) -> np.ndarray:
        """Return (forbidden,) how many rows have what each demand forbids; of a bin that lies half in it, half."""
        return np.array([share[codes[attribute]].sum() for attribute, share in self._forbidden])

    def together(self, codes: np.ndarray) -> np.ndarray:
        """Return (forbidden,) of how many demands rows have what they forbid, on average over rows that have each."""
        there = np.array([share[codes[attribute]] > 0 for attribute, share in self._forbidden], dtype=np.float64)
        number = there.sum(axis=0)
        return np.maximum((there * number).sum(axis=1) / np.maximum(there.sum(axis=1), 1.0), 1.0)


def _told(one: Demand, frame: pd.DataFrame) -> np.ndarray:
    """Return (n,) booleans: the demand is made; never of a first row, if it names the row before."""
    names = {name for c in (*one.premise, *one.excused) for name in c.columns}
    return one.holds(frame) if names <= set(frame.columns) else np.zeros(len(frame), dtype=bool)


def _spelt(one: Demand, codec: TableCodec) -> Demand | None:
    """Return a demand with its values as the model has them; None if no weights can say it."""
    try:
        (only,) = one.clause.conditions
        spelt = checked(without_unknown(only, codec), one.clause.text, codec)
    except ConfigError:  # a category that the model does not have
        return None
    return replace(one, clause=replace(one.clause, conditions=(spelt,)))


def _forbidden(clauses: Sequence[Clause], codec: TableCodec) -> list[tuple[int, np.ndarray]]:
    """Return (attribute, (size,) the part of each code that is forbidden) for clauses on one attribute, each once."""
    found: list[tuple[int, np.ndarray]] = []
    for clause in clauses:
        evidence = condition([clause], codec).evidence
        if len(evidence) != 1:
            continue
        ((attribute, allowed),) = evidence.items()
        share = 1.0 - allowed
        if not any(attribute == at and np.array_equal(share, other) for at, other in found):
            found.append((attribute, share))
    return found
