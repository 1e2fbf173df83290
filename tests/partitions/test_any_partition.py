"""However rows are divided into partitions, what is released of them is the same, byte for byte."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, replace
from functools import cache, partial, reduce

import numpy as np
import pytest
from doubles import RecordingMechanisms
from generators.rare_log import log_of
from hypothesis import given, settings
from hypothesis import strategies as st

from privsynth.codecs.columns import Attribute, CategoryCodec
from privsynth.codecs.contingency import Marginal, contingency_tables, full_marginal, tables_of
from privsynth.codecs.encoded_table import CodedRows, Encoded, InMemory, PriorRows, RowsPerUnit, together
from privsynth.codecs.table import TableCodec
from privsynth.generators.marginal.clip_units import by_length, count_clipped, count_lengths, count_weight
from privsynth.generators.marginal.fitted import FitSettings
from privsynth.generators.marginal.generator import MarginalGenerator
from privsynth.partitions.sums import added
from privsynth.privacy.budget import Budget, plan_spending
from privsynth.public_figures.figures import paid_findings
from privsynth.public_figures.inputs import PaidInputs
from privsynth.testing.generators import content

PARTS = {"one_way": 0.2, "selection": 0.2, "measurement": 0.6}
GENERATOR = MarginalGenerator(FitSettings(components=16, max_steps=20))


def sent(thing):
    """Return what arrives elsewhere."""
    return pickle.loads(pickle.dumps(thing))  # noqa: S301, our own


@dataclass(frozen=True, eq=False)
class Elsewhere:
    """Partitions to which what counts is sent, as it would be to another process."""

    parts: list[CodedRows]

    def add_up(self, count):
        return reduce(added, (sent(sent(count)(part)) for part in self.parts))

    def gathered(self):
        raise AssertionError("rows are gathered")


def divided(rows: CodedRows, parts: int, seed: int) -> list[CodedRows]:
    """Return the rows in partitions by unit, in any order, with other numbers of units in each; some may be empty."""
    rng = np.random.default_rng(seed)
    unit, units = rows.units()
    of_unit = rng.integers(0, parts, units)
    found = []
    for part in rng.permutation(parts):
        own = rows.chosen(rng.permutation(np.flatnonzero(of_unit[unit] == part)))
        numbers = rng.permutation(10 * units + 1)[:units] - 5  # with gaps, and some below zero
        found.append(replace(own, unit=numbers[own.units()[0]]))
    return found


def table(k: int, units: int = 240) -> Encoded:
    """Return five dependent attributes of units with up to k rows each."""
    rng = np.random.default_rng(k)
    unit = np.repeat(np.arange(units), rng.integers(1, k + 1, units))
    first, sizes = rng.integers(0, 7, len(unit)), (8, 5, 3, 12, 4)
    codes = np.array([(first * (a + 1) + (rng.random(len(unit)) < 0.3)) % (size - 1) for a, size in enumerate(sizes)])
    attributes = tuple(Attribute(f"a{i}", size, True, i == 3) for i, size in enumerate(sizes))
    return Encoded(CodedRows(codes.astype(np.uint16), unit), attributes, k, float(len(unit)), tuple(range(5)))


def with_prior(data: Encoded) -> Encoded:
    public = data.gathered().codes[:, ::2].copy()
    return replace(data, prior=PriorRows(public, (True, True, True, True, False)))


def by_units(data: Encoded, k: int) -> Encoded:
    """Return the rows with how many rows their unit has, as an attribute more."""
    rows = data.gathered()
    unit, units = rows.units()
    per_unit = RowsPerUnit(((1, 2), (3, k)), (0.5, 0.5), k)
    own = per_unit.code_of(np.bincount(unit, minlength=units)[unit]).astype(np.uint16)
    attribute = Attribute("rows of the unit", 3, can_be_null=False, ordered=True)
    return replace(
        data,
        rows=replace(rows, codes=np.concatenate([rows.codes, own[None]])),
        attributes=(*data.attributes, attribute),
        columns=(*data.columns, len(data.columns)),
        rows_per_unit=per_unit,
    )


def rare(k: int, units: int) -> Encoded:
    """Return a log in which few units have rows with a rare value of the target."""
    data = log_of(units, k=k)
    data.rows.codes[1, data.rows.unit % 5 != 0] = 0
    return data


CASES = {
    "one row a unit": partial(table, 1),
    "several rows a unit": partial(table, 6),
    "many rows a unit": lambda: by_units(table(14, 60), 14),
    "rare values, several rows a unit": partial(rare, 6, units=300),
    "rare values, many rows a unit": lambda: by_units(rare(15, units=200), 15),
    "a prior": lambda: with_prior(table(1)),
    "a prior and several rows a unit": lambda: with_prior(table(6)),
}


def released(data: Encoded):
    """Return the model and all that mechanisms were told and given."""
    k = data.max_rows_per_unit
    plan = plan_spending(
        Budget(epsilon=10.0, unit="u" if k > 1 else "row", max_rows_per_unit=k), PARTS, open_domain=False
    )
    mechanisms = RecordingMechanisms(5)
    fitted = GENERATOR.fit(data, mechanisms, plan, rng=np.random.default_rng(0))
    return content(fitted), [(call.public, call.given.tobytes()) for call in mechanisms.calls]


@cache
def in_one(case: str):
    data = CASES[case]()
    return data, released(data)


@pytest.mark.parametrize("parts", [1, 2, 7])
@pytest.mark.parametrize("case", CASES)
def test_a_marginal_model_is_the_same(case, parts):
    data, expected = in_one(case)
    assert released(replace(data, rows=Elsewhere(divided(data.rows, parts, seed=parts)))) == expected


def test_the_cases_reach_every_count():
    labels = {case: " ".join(public[1] for public, _ in in_one(case)[1][1]) for case in CASES}
    assert "numbers of units by how much they hold" in labels["several rows a unit"]
    assert "a unit counting once" in labels["rare values, several rows a unit"]
    assert "looks of the rare rows" in labels["rare values, many rows a unit"]
    assert "agreement of each pair with the prior" in labels["a prior"]
    assert "weight of all rows" in labels["a prior and several rows a unit"]


@pytest.mark.parametrize("parts", [1, 2, 7])
@pytest.mark.parametrize("target", ["ill", "age", None])
def test_public_figures_are_the_same(target, parts):
    rng = np.random.default_rng(0)
    names = {"age": 11, "ward": 4, "sex": 2, "ill": 2}
    unit = np.repeat(np.arange(150), rng.integers(1, 4, 150))
    real, synthetic = (_people(n, seed) for n, seed in ((len(unit), 1), (400, 2)))
    codec = TableCodec(
        tuple(
            CategoryCodec(n, tuple(f"{n}{i}" for i in range(k)), other=False, nullable=True) for n, k in names.items()
        )
    )
    data = Encoded(CodedRows(real, unit, unit % 3 > 0), tuple(codec.attributes), 3, float(len(unit)), (0, 1, 2, 3))
    inputs = PaidInputs(
        data=data, synthetic=synthetic, codec=codec, target=target, protected=("sex", "ward"), has_holdout=True
    )

    def figures(data: Encoded):
        mechanisms = RecordingMechanisms(4)
        found = paid_findings(replace(inputs, data=data), mechanisms, mu_squared=1.0, rng=np.random.default_rng(0))
        given = [(call.public, call.given.tobytes()) for call in mechanisms.calls]
        return [finding.to_json() for finding in found], given

    assert figures(replace(data, rows=Elsewhere(divided(data.rows, parts, seed=parts)))) == figures(data)


def _people(n: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    age, ward, sex = rng.integers(0, 11, n), rng.integers(0, 4, n), rng.integers(0, 2, n)
    return np.stack([age, ward, sex, (rng.random(n) < 0.1 + 0.06 * age).astype(int)]).astype(np.uint16)


ROWS = st.lists(
    st.tuples(st.integers(0, 30), st.integers(0, 3), st.integers(0, 2)), min_size=0, max_size=60
)  # unit and two codes


@settings(deadline=None)
@given(ROWS, st.integers(1, 7), st.integers(0, 99), st.floats(1.0, 9.0))
def test_counts_are_the_same_for_any_rows(rows, parts, seed, bound):
    drawn = np.array(rows, dtype=np.int64).reshape(-1, 3)
    whole = CodedRows(drawn[:, 1:].T.astype(np.uint16), drawn[:, 0])
    marginals = (full_marginal((4, 3), (0, 1)), Marginal((0,), (np.array([0, 0, 1, 2]),)))
    scales = [np.linspace(0.3, 1.1, marginal.size) for marginal in marginals]
    elsewhere = Elsewhere(divided(whole, parts, seed))
    for count in (
        partial(count_lengths, marginals=marginals, scales=scales, ends=9.0 ** (np.arange(5) / 4)),
        partial(count_clipped, marginals=marginals, scales=scales, bound=bound),
        count_weight,
    ):
        assert elsewhere.add_up(count).tolist() == count(whole).tolist()
    data = Encoded(elsewhere, (), 9, 1.0, ())
    counted, expected = tables_of(data, marginals), contingency_tables(whole.codes, marginals)
    assert [n.tolist() for n in counted] == [n.tolist() for n in expected]


@given(ROWS, st.integers(1, 5), st.integers(0, 99))
def test_gathered_rows_are_those_of_all_partitions_by_unit(rows, parts, seed):
    drawn = np.array(rows, dtype=np.int64).reshape(-1, 3)
    whole = CodedRows(drawn[:, 1:].T.astype(np.uint16), drawn[:, 0])
    gathered = InMemory(tuple(divided(whole, parts, seed))).gathered()

    def by_unit(rows: CodedRows) -> list[list[list[int]]]:
        return sorted(sorted(rows.codes[:, rows.unit == u].T.tolist()) for u in set(rows.unit.tolist()))

    assert by_unit(gathered) == by_unit(whole)
    assert set(gathered.unit.tolist()) == set(range(len(set(whole.unit.tolist()))))


def test_partitions_that_tell_their_holdout_do_not_go_with_others():
    one = CodedRows(np.zeros((1, 2), dtype=np.uint16), np.arange(2))
    with pytest.raises(ValueError, match="of training"):
        together([one, replace(one, trained=np.array([True, False]))])


def test_a_marginal_is_sent_as_it_is_but_small():
    plain, coarse = full_marginal((5_000, 3), (0, 1)), Marginal((0, 2), (np.array([0, 0, 1]), np.array([1, 0])))
    for marginal in (plain, coarse):
        again = sent(marginal)
        assert again.key == marginal.key
        assert again.shape == marginal.shape
    assert len(pickle.dumps(plain)) < 500


def test_long_vectors_count_at_the_last_end():
    assert by_length(np.array([0.5, 1.0, 1.5, 3.0, 99.0]), np.array([1.0, 2.0, 4.0])).tolist() == [2, 1, 2]
