"""Drawing rows that satisfy the rules and conditions, for one part of a table."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from privsynth.codecs.decoded_rows import DecodedRows, join
from privsynth.codecs.table import TableCodec
from privsynth.errors import ConfigError
from privsynth.progress import Progress, no_progress
from privsynth.sampling.balance import Group, parse_balance, split_rows
from privsynth.sampling.conditional import DrawsCodes, complete
from privsynth.sampling.conditions import parse_given
from privsynth.sampling.likelihood import Conditioned, condition
from privsynth.sampling.repair import Repairs
from privsynth.schema.rules import Rule

PART_ROWS = 200_000  # rows drawn at once (own): some 100 MB while they are decoded. Another value gives other rows
LEAST_RATE = 1e-3  # share of drawn rows that meet a condition, below which it is refused (own): minutes for a table
_TRY_ROWS = 200_000  # drawn before a condition is refused: at that rate 200 ± 14 rows meet it
_RULE_ROUNDS = 25  # times its rows that a part may draw to keep the rules, before rows that do are copied (own)


@dataclass(frozen=True)
class Order:
    """The rows that are wanted; a function of public facts.

    Attributes:
      n_rows: of the whole table.
      groups: what is wanted, and its share; a single group if nothing is balanced.
      conditioned: what each group means for the model's codes.
      split: (parts, groups) rows of each group in each part.
      asked: the conditions and the shares as they were written.
    """

    n_rows: int
    groups: tuple[Group, ...]
    conditioned: tuple[Conditioned, ...]
    split: np.ndarray
    asked: tuple[str, ...] = ()

    @property
    def is_plain(self) -> bool:
        """Whether nothing is asked of the rows."""
        return not any(conditioned.clauses for conditioned in self.conditioned)

    @property
    def counts(self) -> dict[str, int]:
        """Rows of each group in the whole table."""
        return dict(zip((g.label for g in self.groups), self.split.sum(axis=0).tolist(), strict=True))


def place_order(codec: TableCodec, n_rows: int, *, given: Sequence[str] = (), balance: str | None = None) -> Order:
    """Return an order for rows that meet conditions, in groups of given shares, cut into parts of `PART_ROWS`.

    Args:
      given: conditions, all of which hold in every row (see `privsynth.sampling.conditions`).
      balance: see `privsynth.sampling.balance`.
    Raises:
      ConfigError: a condition or share cannot be read, or names what the model does not have.
    """
    always = parse_given(given, codec)
    groups = parse_balance(balance, codec) if balance is not None else (Group("", 1.0, ()),)
    sizes = [min(PART_ROWS, n_rows - start) for start in range(0, n_rows, PART_ROWS)]
    return Order(
        n_rows,
        groups,
        tuple(condition((*always, *group.clauses), codec) for group in groups),
        split_rows([group.share for group in groups], sizes),
        (*given, "balance", balance or ""),
    )


def draw_key(dataset: str, seed: int, order: Order) -> int:
    """Return the 256-bit key of a draw, from which its identifiers and personal values follow; public.

    The same dataset, seed and order give the same key; any other one gives a key that is unrelated.
    """
    asked = json.dumps([dataset, seed, order.n_rows, *order.asked])
    return int.from_bytes(hashlib.blake2b(asked.encode("utf-8"), digest_size=32).digest(), "little")


def draw_part(
    order: Order,
    part: int,
    fitted: DrawsCodes,
    rules: Sequence[Rule],
    rng: np.random.Generator,
    progress: Progress = no_progress,
) -> tuple[DecodedRows, np.ndarray]:
    """Return the rows of one part of an order and their (attributes, rows) codes; groups are in random order.

    Raises:
      ConfigError: no row of the model, or hardly any, meets the conditions and keeps the rules.
    """
    made = [
        draw_rows(conditioned, fitted, rules, int(count), rng, progress)
        for conditioned, count in zip(order.conditioned, order.split[part], strict=True)
        if count
    ]
    if len(made) == 1:
        return made[0]
    mixed = rng.permutation(sum(rows.n_rows for rows, _ in made))
    return join([rows for rows, _ in made]).take(mixed), np.concatenate([codes for _, codes in made], axis=1)[:, mixed]


def draw_rows(
    conditioned: Conditioned,
    fitted: DrawsCodes,
    rules: Sequence[Rule],
    n_rows: int,
    rng: np.random.Generator,
    progress: Progress = no_progress,
) -> tuple[DecodedRows, np.ndarray]:
    """Return rows in which every rule and condition holds: those that break one are mended or drawn again.

    Where too few rows satisfy the rules, and there are no conditions, rows that do replace those that do not.
    """
    names = {name for rule in rules for name in rule.columns}
    names |= {name for clause in conditioned.clauses for name in clause.columns}
    plain = _compared_with_values(conditioned, rules)
    repairs = Repairs(conditioned, fitted, rules)

    def draw(count: int) -> tuple[DecodedRows, np.ndarray, np.ndarray]:
        codes = _codes(conditioned, fitted, count, rng)
        rows = conditioned.codec.draw(codes, rng)
        repairs.mend(rows, codes, rng)
        frame = conditioned.codec.frame(rows, names=names, categorical=plain)
        return rows, codes, _met(conditioned, rules, frame)

    rows, codes, held = draw(n_rows)
    drawn, kept = n_rows, int(held.sum())
    while not held.all():
        missing = np.flatnonzero(~held)
        progress("applying rules and conditions", 1 - len(missing) / n_rows)
        if conditioned.clauses:
            if drawn >= _TRY_ROWS and kept < LEAST_RATE * drawn:
                _refuse(kept, drawn)
        elif drawn >= max(_RULE_ROUNDS * n_rows, 10_000):
            return _fill(rows, codes, held, rng)
        wanted = len(missing) * drawn / max(kept, 0.5)
        fresh, fresh_codes, good = draw(int(np.clip(1.1 * wanted, 64, PART_ROWS)))
        drawn, kept = drawn + len(good), kept + int(good.sum())
        chosen = np.flatnonzero(good)[: len(missing)]
        filled = missing[: len(chosen)]
        rows.put(filled, fresh.take(chosen))
        codes[:, filled] = fresh_codes[:, chosen]
        held[filled] = True
    return rows, codes


def _codes(conditioned: Conditioned, fitted: DrawsCodes, count: int, rng: np.random.Generator) -> np.ndarray:
    if not conditioned.evidence:
        return fitted.sample_codes(count, rng)
    known = np.full((len(conditioned.codec.attributes), count), -1, dtype=np.int32)
    return complete(fitted, known, conditioned.evidence, rng)


def rules_hold(codec: TableCodec, rules: Sequence[Rule], rows: DecodedRows) -> np.ndarray:
    """Return (n,) booleans: a row keeps all rules."""
    held = np.ones(rows.n_rows, dtype=bool)
    if rules:
        frame = codec.frame(rows, names={name for rule in rules for name in rule.columns})
        for rule in rules:
            held &= rule.holds(frame)
    return held


def _met(conditioned: Conditioned, rules: Sequence[Rule], frame: pd.DataFrame) -> np.ndarray:
    held = np.ones(len(frame), dtype=bool)
    for rule in rules:
        held &= rule.holds(frame)
    for clause in conditioned.clauses:
        held &= clause.met(frame)
    return held


def _compared_with_values(conditioned: Conditioned, rules: Sequence[Rule]) -> set[str]:
    """Return the columns that are only compared with single values for equality, or tested for null."""
    conditions = [c for rule in rules for c in (*rule.premise, *rule.conditions)]
    conditions += [c for clause in conditioned.clauses for c in clause.conditions]
    others = {c for c in conditions if c.other or c.calculates or c.operator in ("<", "<=", ">", ">=")}
    return {c.column for c in conditions} - {name for c in others for name in c.columns}


def _refuse(kept: int, drawn: int) -> None:
    raise ConfigError(
        f"only {kept:,} of {drawn:,} rows that the model drew meet the conditions and keep the rules; check that they "
        "do not contradict each other, or loosen the conditions"
    )


def _fill(
    rows: DecodedRows, codes: np.ndarray, held: np.ndarray, rng: np.random.Generator
) -> tuple[DecodedRows, np.ndarray]:
    """Return the rows with those that still break a rule replaced by copies of rows that keep them all."""
    good = np.flatnonzero(held)
    if not len(good):
        raise ConfigError("no synthetic row satisfies the rules; check that they do not contradict each other")
    chosen = np.arange(len(held))
    chosen[~held] = rng.choice(good, size=int((~held).sum()))
    return rows.take(chosen), codes[:, chosen]
