"""Does the proof of linked tables bite? Faults are put in one at a time, and a check must fail at each."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from leaks.linked.persons import (
    STAYS,
    TESTS,
    alike,
    as_text,
    clinic,
    learn,
    moved_by_one,
    shared_keys,
    with_rows,
    without,
)
from leaks.proof import Recording

from privsynth.codecs.columns import CategoryCodec
from privsynth.codecs.parse import Grid
from privsynth.codecs.parsed_table import ParsedTable
from privsynth.domain import linking
from privsynth.domain.linking import People
from privsynth.errors import BudgetExceeded
from privsynth.generators.marginal import measure
from privsynth.pipeline.learning import columns
from privsynth.pipeline.linked import learn as core
from privsynth.pipeline.linked import views
from privsynth.pipeline.linked.plan import LinkedPlan, MechanismsOfTable

MOVED = "moved by|more keys than rows"


def one_more(rows) -> None:
    """Compare the clinic with the one to which a person came."""
    moved_by_one(clinic(), with_rows(clinic(), rows))


def test_more_rows_of_a_person_than_are_allowed(monkeypatch):
    real = People.partition
    monkeypatch.setattr(People, "partition", lambda self, rows, most, keyed: real(self, rows, 100 * most, keyed))
    with pytest.raises(AssertionError, match=MOVED):
        one_more(alike(10 * STAYS, TESTS))


def test_a_published_deviation_that_follows_from_the_number_of_rows(monkeypatch):
    """Only the noisy tables that are published tell of it: neither the model nor any answer does."""
    real = measure._measure

    def measured(data, *args, **told):
        more = 1 + 1e-9 * data.rows.codes.shape[1]
        return [
            replace(one, paid=tuple(replace(paid, sigma=paid.sigma * more) for paid in one.paid))
            for one in real(data, *args, **told)
        ]

    monkeypatch.setattr(measure, "_measure", measured)
    with pytest.raises(AssertionError, match="what leaves differs"):
        one_more(alike(STAYS, 3))


def test_a_row_before_that_is_another_persons(monkeypatch):
    real = linking._in_order

    def in_order(row, person, parent, order, **told):
        found = real(row, person, parent, order, **told)
        return replace(found, previous=np.where(found.previous < 0, np.arange(len(row)) - 1, found.previous))

    monkeypatch.setattr(linking, "_in_order", in_order)
    with pytest.raises(AssertionError, match=MOVED):
        one_more(alike(STAYS, 3))


def test_time_since_the_row_before_in_the_file(monkeypatch):
    real = linking._in_order

    def in_order(row, person, parent, order, **told):
        found = real(row, person, parent, order, **told)
        if order is None or not len(row):
            return found
        return replace(found, since=Grid(np.abs(np.diff(order.steps, prepend=0)), order.null))

    monkeypatch.setattr(linking, "_in_order", in_order)
    frames = clinic()
    fewer = without(frames, frames["stays"]["patient"].iloc[len(frames["stays"]) // 2])
    with pytest.raises(AssertionError, match=MOVED):
        moved_by_one(frames, fewer)


def test_numbers_of_children_by_the_order_of_the_file(monkeypatch):
    real = views.number_of_children

    def number_of_children(parent, n_parents):
        return np.cumsum(real(parent, n_parents)) % STAYS  # of all rows up to this one, other persons' among them

    monkeypatch.setattr(views, "number_of_children", number_of_children)
    with pytest.raises(AssertionError, match=MOVED):
        one_more(alike(STAYS, 2))


def test_a_key_that_counts_where_it_is_first_in_the_file(monkeypatch):
    real = linking._first_with_key
    monkeypatch.setattr(linking, "_first_with_key", lambda person, key: real(np.zeros_like(person), key))
    frames = clinic()
    with pytest.raises(AssertionError, match=MOVED):
        moved_by_one(with_rows(frames, shared_keys(frames), first=True), frames)


def test_draws_by_the_number_of_the_row(monkeypatch):
    real = People.draw.__func__

    def draw(cls, root, key, holdout_fraction, keyed):
        people = real(cls, root, key, holdout_fraction, keyed)
        held = np.random.default_rng(0).random(root.n_rows) < holdout_fraction
        return People(people.words, people.pool, held)

    monkeypatch.setattr(People, "draw", classmethod(draw))
    fewer = without(clinic(), "p000")
    with pytest.raises(AssertionError, match=MOVED):
        moved_by_one(clinic(), fewer)


def test_one_row_declared_where_a_person_has_several(monkeypatch):
    real = columns._encode
    monkeypatch.setattr(columns, "_encode", lambda *a: replace(real(*a), max_rows_per_unit=1))
    with pytest.raises(AssertionError, match=MOVED):
        one_more(alike(STAYS, TESTS // STAYS))


def test_what_one_table_leaves_is_passed_on_twice(monkeypatch):
    real = MechanismsOfTable.pass_on

    def pass_on(self, later):
        before = dict(self._parts)
        real(self, later)
        self._parts.update({part: mu2 for part, mu2 in before.items() if part.startswith(f"{self.table}/")})
        real(self, later)

    monkeypatch.setattr(MechanismsOfTable, "pass_on", pass_on)
    with pytest.raises(BudgetExceeded):
        learn(Recording(1), as_text(clinic()))


def test_each_table_takes_the_whole_delta(monkeypatch):
    real = LinkedPlan.of_table

    def of_table(self, table, current=None):
        return replace(real(self, table, current), discovery_delta=self.whole.discovery_delta)

    monkeypatch.setattr(LinkedPlan, "of_table", of_table)
    with pytest.raises(BudgetExceeded):
        learn(Recording(1), as_text(clinic()))


def test_the_exact_number_of_persons(monkeypatch):
    real = core.learn_linked

    def learn_linked(tables, *arguments, **told):
        public = real(tables, *arguments, **told)
        return replace(public, model=replace(public.model, n_persons=tables["patients"].n_rows))

    monkeypatch.setattr("leaks.linked.persons.learn_linked", learn_linked)
    with pytest.raises(AssertionError, match="differs"):
        one_more(alike(1, 1))


def test_categories_of_another_table_without_a_threshold(monkeypatch):
    real = columns.learn_codecs

    def learn_codecs(parsed, *arguments, **told):
        codecs = real(parsed, *arguments, **told)
        (part,) = parsed.load()
        return [
            replace(codec, values=tuple(sorted(ParsedTable.of_arrow(part).columns["ward"].values)))
            if isinstance(codec, CategoryCodec) and codec.name == "ward"
            else codec
            for codec in codecs
        ]

    monkeypatch.setattr(columns, "learn_codecs", learn_codecs)
    rows = alike(1, 1)
    with pytest.raises(AssertionError):
        one_more({**rows, "stays": [(*rows["stays"][0][:3], "a ward of her own", "1.00")]})
