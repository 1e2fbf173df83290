"""Linkability across rows and tables: who knows a person and one row of the history, can he find another row?

Of a person are known the own columns and one row. Another row has to be picked among those of ten people: the next one
of the same table, or one of another table. The attack and its control are those of
`privsynth.audit.disclosure.linkability`.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd

from privsynth.audit.common.audit_tables import AuditTables, thin
from privsynth.audit.common.settings import AuditContext, Level
from privsynth.audit.disclosure.linkability import CANDIDATES, linking_risk, n_targets
from privsynth.audit.disclosure.targets import NO_ROWS, choose_targets
from privsynth.audit.linked.entry import LinkedAudit
from privsynth.audit.linked.linked_tables import LinkedPersons, LinkedTables
from privsynth.findings.finding import Finding
from privsynth.findings.insufficient import insufficient

# Pairs of tables that are attacked, first each table with itself; each takes a second or two (own).
PAIRS: dict[Level, int] = {"quick": 2, "standard": 6, "deep": 20}
PER_PERSON = 16  # pairs of rows of a person; bounds the memory (own)
MAX_PERSONS = 5_000  # on a side, from whom pairs are taken; bounds the time (own)


def linkability_of_rows(tables: LinkedTables, *, rng: np.random.Generator, context: AuditContext) -> list[Finding]:
    """Return the excess risk of finding another row of a person, for each pair of tables."""
    children = [name for name in tables.children if tables.columns(name)]
    pairs = [(name, name) for name in children] + list(combinations(children, 2))
    return [_risk(tables, pair, rng, context) for pair in pairs[: PAIRS[context.settings.level]]]


def _risk(tables: LinkedTables, pair: tuple[str, str], rng: np.random.Generator, context: AuditContext) -> Finding:
    one, other = pair
    group = one if one == other else f"{one}: with {other}"
    rows = pair_rows(tables, one, other, rng)
    who = None if rows is None else choose_targets(rows, rng=rng, at_most=n_targets(context))
    if rows is None or who is None:
        why = f"of persons with two such rows, the attack {NO_ROWS}"
        return insufficient("disclosure", "linkability", why, group=group)
    sought = [name for name in rows.columns if name.startswith("other: ")]
    known = [name for name in rows.columns if name not in sought]
    next_one = "the next row" if one == other and one in tables.orders else "another row"
    meaning = (
        f"Known are the person's own columns and one row of {one}; {next_one} of {other} has to be picked among those "
        f"of {CANDIDATES} people. The attacker takes the pair that is nearest to one of a synthetic person."
    )
    found = linking_risk(rows, who, [(known, sought)], meaning, rng=rng, context=AuditContext(context.settings))
    return replace(found, group=group)


def pair_rows(tables: LinkedTables, one: str, other: str, rng: np.random.Generator) -> AuditTables | None:
    """Return pairs of rows of one person as the rows of an audit, with the person's own columns; None without any.

    In a table with an order, a row is paired with the next; elsewhere, rows are paired at random.
    """
    follows = one == other and one in tables.orders
    frames, units = {}, {}
    for name, part in tables.parts.items():
        chosen = np.zeros(part.n, dtype=bool)
        chosen[thin(part.n, MAX_PERSONS, rng)] = True
        first, second = _next_rows(part, one) if follows else _random_pairs(part, one, other, rng)
        kept = chosen[part.rows[one].person[first]]
        first, second = first[kept], second[kept]
        units[name] = part.rows[one].person[first]
        frames[name] = _joined(tables, part, (one, first), (other, second))
    if "holdout" not in frames or min(len(frame) for frame in frames.values()) == 0:
        return None
    kinds = {name: tables.kinds[tables.root].get(name, "categorical") for name in tables.columns(tables.root)}
    for prefix, table in (("one", one), ("other", other)):
        kinds |= {f"{prefix}: {name}": tables.kinds[table].get(name, "categorical") for name in tables.columns(table)}
    pool = tables.pool_in_train
    return AuditTables(
        train=frames["train"],
        holdout=frames["holdout"],
        synthetic=frames["synthetic"],
        kinds=kinds,
        unit_train=units["train"],
        unit_holdout=units["holdout"],
        unit=tables.root,
        pool_in_train=None if pool is None else pool[units["train"]],
    )


def _next_rows(part: LinkedPersons, table: str) -> tuple[np.ndarray, np.ndarray]:
    followed = part.rows[table].followed
    return followed, followed + 1


def _random_pairs(part: LinkedPersons, one: str, other: str, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return up to `PER_PERSON` pairs of rows for each person; no row is paired with itself."""
    counts = [part.number_of_rows(name) for name in (one, other)]
    places = [np.argsort(part.rows[name].person, kind="stable") for name in (one, other)]
    starts = [np.cumsum(count) - count for count in counts]
    least = 2 if one == other else 1
    persons = np.flatnonzero((counts[0] >= least) & (counts[1] >= 1))
    persons = np.repeat(persons, np.minimum(counts[0][persons] * counts[1][persons], PER_PERSON))
    at = [np.floor(rng.random(len(persons)) * count[persons]).astype(np.int64) for count in counts]
    if one == other:  # one of the other places, all alike
        step = 1 + np.floor(rng.random(len(persons)) * (counts[0][persons] - 1)).astype(np.int64)
        at[1] = (at[0] + step) % counts[0][persons]
    first, second = (places[i][starts[i][persons] + at[i]] for i in (0, 1))
    return first, second


def _joined(
    tables: LinkedTables, part: LinkedPersons, one: tuple[str, np.ndarray], other: tuple[str, np.ndarray]
) -> pd.DataFrame:
    person = part.rows[one[0]].person[one[1]]
    frames = [part.rows[tables.root].frame.iloc[person].reset_index(drop=True)]
    for prefix, (table, rows) in (("one", one), ("other", other)):
        frames.append(part.rows[table].frame.iloc[rows].reset_index(drop=True).add_prefix(f"{prefix}: "))
    return pd.concat(frames, axis=1)


LINKABILITY = LinkedAudit(
    name="linkability",
    family="disclosure",
    run=linkability_of_rows,
    titles={"linkability": "Linking two parts of a person's record"},
    left_out={
        level: f"At most {most} pairs of tables; no singling out and no inference of values, which would need to model "
        "each row of a history."
        for level, most in PAIRS.items()
    },
)
