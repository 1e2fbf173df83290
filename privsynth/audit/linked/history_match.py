"""How near two histories are, event by event, and the attack that rests on it.

The nearest persons are found by what sums up a person; among those few the histories themselves are compared: row by
row at the same place, cell by cell, and the share of cells that differ is their distance. A row that one history lacks
differs in every cell.

Source: own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from privsynth.audit.common.audit_tables import thin
from privsynth.audit.common.discretise import Coder, encode, fit_coder
from privsynth.audit.common.row_points import fit_encoder, nearest
from privsynth.audit.common.settings import AuditContext
from privsynth.audit.linked.linked_tables import LinkedPersons, LinkedTables
from privsynth.audit.linked.person_rows import person_rows
from privsynth.audit.membership.data_only_scores import ratio
from privsynth.audit.membership.inference_game import MembershipGame

CANDIDATES = 20  # nearest persons whose histories are compared (own)
EVENTS = 24  # first rows of a table that are compared; bounds the memory (own)
BINS = 50  # of a number: fine, so that cells agree by chance in few of them (own)
MAX_CELLS = 400  # of a history over all tables; bounds the memory (own)
MAX_BASE = 20_000  # synthetic persons, and reference persons, that targets are compared with; bounds the time (own)
_CHUNK = 1 << 25  # cells that are compared at once: 32 MiB (own)


def history_scores(
    tables: LinkedTables, game: MembershipGame, rng: np.random.Generator, context: AuditContext
) -> np.ndarray:
    """Return (n_targets,) log of how many times nearer a reference person's history is than a synthetic one's.

    No score depends on who was a member or on other targets: codes are fitted on the synthetic persons.
    """
    persons = person_rows(tables, context)
    encoder = fit_encoder(persons)
    assert tables.holdout is not None
    assert persons.holdout is not None
    made = _Coded(tables)
    held = made.of(tables.holdout)
    inside = made.of(tables.train)
    targets = np.where(game.member[:, None], inside[_at(game.places, inside)], held[_at(game.places, held)])
    ours = thin(persons.synthetic.shape[0], MAX_BASE, rng)
    theirs = game.reference_places[thin(len(game.reference_places), MAX_BASE, rng)]
    x = encoder.points(game.targets)
    near_s = _best(targets, x, made.of(tables.synthetic)[ours], encoder.points(persons.synthetic.iloc[ours]))
    near_r = _best(targets, x, held[theirs], encoder.points(persons.holdout.iloc[theirs]))
    return ratio(near_s[:, None], near_r[:, None])


def _at(places: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """Return the places, those of the other side within bounds: they are not used."""
    return np.minimum(places, len(cells) - 1)


@dataclass(frozen=True, repr=False, eq=False)
class _Coded:
    """Histories as (persons, cells) codes; 0 where there is no row. Coders are fitted on the synthetic persons."""

    tables: LinkedTables

    def of(self, people: LinkedPersons) -> np.ndarray:
        """Return the cells of some persons."""
        parts = [self._table(people, name, events) for name, events in self._events().items()]
        own = self._codes(people, self.tables.root)
        return np.concatenate([own.T, *parts], axis=1)

    def _events(self) -> Mapping[str, int]:
        """Return table -> first rows of a person that are compared: as many as any synthetic person has, or fit."""
        children = [name for name in self.tables.children if self.tables.columns(name)]
        room = MAX_CELLS // max(len(children), 1)
        return {
            name: max(1, min(EVENTS, room // len(self.tables.columns(name)), self._longest(name))) for name in children
        }

    def _longest(self, name: str) -> int:
        return int(self.tables.synthetic.number_of_rows(name).max(initial=0))

    @cached_property
    def _coders(self) -> dict[str, list[Coder]]:
        tables = self.tables
        return {
            name: [
                fit_coder(rows.frame[column], is_number=tables.is_number(name, column), bins=BINS)
                for column in tables.columns(name)
            ]
            for name, rows in tables.synthetic.rows.items()
        }

    def _codes(self, people: LinkedPersons, name: str) -> np.ndarray:
        """Return (columns, n) codes from 1."""
        return (encode(people.rows[name].frame, self._coders[name]) + 1).astype(np.int32)

    def _table(self, people: LinkedPersons, name: str, events: int) -> np.ndarray:
        rows = people.rows[name]
        order = np.argsort(rows.person, kind="stable")
        count = people.number_of_rows(name)
        place = np.arange(len(order)) - np.repeat(np.cumsum(count) - count, count)
        kept = place < events
        codes = self._codes(people, name)
        cells = np.zeros((people.n, events, len(codes)), dtype=np.int32)
        cells[rows.person[order][kept], place[kept]] = codes[:, order[kept]].T
        return cells.reshape(people.n, -1)


def _best(targets: np.ndarray, x: np.ndarray, base: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return (n,) the smallest distance of each target's history to that of one of its nearest persons.

    Args:
      targets, base: (n, cells), (m, cells) codes.
      x, points: (n, width), (m, width) what sums up these persons.
    """
    near = nearest(points, x, CANDIDATES)[1]
    found = np.empty(len(targets))
    step = max(1, _CHUNK // (near.shape[1] * targets.shape[1]))
    for start in range(0, len(targets), step):
        own, other = targets[start : start + step, None], base[near[start : start + step]]
        differ, there = (own != other).sum(axis=2), ((own > 0) | (other > 0)).sum(axis=2)
        found[start : start + step] = (differ / np.maximum(there, 1)).min(axis=1)
    return found
