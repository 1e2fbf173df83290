"""The contract of generators: what each owes its callers, whatever it is inside.

`check_generator` raises at the first check that fails. privsynth runs it on every generator from another package before
a release, on a few invented rows; packages run it in their tests. It finds mistakes, and cannot prove a guarantee: a
generator that means to leak can pass it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from privsynth.codecs.columns import Attribute
from privsynth.codecs.encoded_table import CodedRows, Encoded
from privsynth.errors import ConfigError
from privsynth.generators.registry import FittedGenerator, Generator, PublicFacts
from privsynth.privacy.accounting import SubsampledGaussianEvent
from privsynth.privacy.budget import Bill, Budget, SpendingPlan
from privsynth.privacy.mechanisms import GaussianMechanisms, Mechanisms
from privsynth.progress import no_progress
from privsynth.testing.doubles import ExactMechanisms, RecordingMechanisms, ReplayMechanisms, StubMechanisms

PARTS = {"rows": 0.1, "one_way": 0.2, "selection": 0.1, "measurement": 0.7, "report": 0.1}  # μ², as a plan has them
OWN_PARTS = frozenset({"one_way", "selection", "measurement", "training"})
# Attributes' sizes, units, most rows of a unit: few rows, few columns, codes that cannot vary, a long code book.
ODD_TABLES = (
    ((4, 3), 0, 1),
    ((4, 3), 1, 1),
    ((5,), 40, 1),
    ((1, 4, 1), 40, 1),
    ((1,), 9, 1),
    ((4, 3), 30, 5),
    ((900, 3), 40, 1),
)
STEPS = 3  # of training: checks are about what is asked, not about what is learned

Restore = Callable[[Mapping[str, np.ndarray], Mapping[str, Any]], FittedGenerator]


@dataclass(frozen=True)
class GeneratorUnderTest:
    """A generator to be checked, and the function that restores its models."""

    generator: Generator
    restore: Restore

    def plan(self) -> SpendingPlan:
        """Return a plan with few steps; its noise is not calibrated, which no check is about."""
        spec = self.generator.training_spec()
        event = None
        if spec is not None:
            event = SubsampledGaussianEvent(
                noise_multiplier=1.0, sampling_probability=spec.sampling_probability, steps=STEPS
            )
        return SpendingPlan(budget=Budget(epsilon=3.0), parts=PARTS, training=event)

    def fit(self, data: Encoded, mechanisms: Mechanisms | None = None) -> FittedGenerator:
        """Fit with exact answers, or those of the mechanisms that are given."""
        made = ExactMechanisms() if mechanisms is None else mechanisms
        rng = np.random.default_rng(1)
        return self.generator.fit(data, made, self.plan(), rng=rng, progress=no_progress)


def check_generator(generator: Generator, restore: Restore) -> None:
    """Hold a generator to the contract.

    Args:
      restore: gives a model back from its tensors and settings, as the module `fitted` of a `GeneratorInfo` does.
    Raises:
      ConfigError: it breaks the contract; the message says where.
    """
    subject = GeneratorUnderTest(generator, restore)
    for check in CHECKS:
        try:
            check(subject)
        except Exception as error:  # also what the generator itself raises: it must not, on any of these tables
            what = str(error) if isinstance(error, AssertionError) else f"it ends with {type(error).__name__}"
            raise ConfigError(
                f"the generator '{generator.name}' fails '{check.__name__}': {what}; no release is made with it"
            ) from error


def invented_table(
    sizes: tuple[int, ...] = (4, 3, 2), n: int = 60, *, max_rows_per_unit: int = 1, seed: int = 0, nulls: bool = True
) -> Encoded:
    """Return rows whose attributes follow the first one; every third unit has the most rows, the others one."""
    rng = np.random.default_rng(seed)
    unit = np.repeat(np.arange(n), np.where(np.arange(n) % 3 == 0, max_rows_per_unit, 1))
    first = rng.integers(0, sizes[0], len(unit))
    codes = np.array([(first + (rng.random(len(unit)) < 0.2)) % size for size in sizes], dtype=np.uint16)
    attributes = tuple(Attribute(f"a{i}", size, nulls, False) for i, size in enumerate(sizes))
    rows, n_rows = CodedRows(codes, unit), float(max(len(unit), 1))
    return Encoded(rows, attributes, max_rows_per_unit, n_rows, tuple(range(len(sizes))))


def content(fitted: FittedGenerator) -> tuple[Any, str]:
    """Return all that is saved of a model, every byte."""
    tensors = {name: (a.dtype.str, a.shape, a.tobytes()) for name, a in fitted.tensors().items()}
    return tensors, json.dumps(fitted.settings(), allow_nan=False)


def draws_rows_from_the_seed_alone(subject: GeneratorUnderTest) -> None:
    """Rows have the promised shape and are a function of model and seed."""
    data = invented_table()
    fitted = subject.fit(data)
    _must(fitted.name == subject.generator.name, "the model has another name than its generator")
    _must(fitted.settings()["sizes"] == list(data.sizes), "the settings do not hold the sizes of all attributes")
    rows = fitted.sample_codes(300, np.random.default_rng(5))
    _must((rows.shape, rows.dtype) == ((3, 300), np.dtype(np.uint16)), "rows are not (attributes, n_rows) of uint16")
    _must_be_codes(rows, data.sizes)
    same, other = (fitted.sample_codes(300, np.random.default_rng(seed)) for seed in (5, 6))
    _must(np.array_equal(same, rows), "two draws from one seed differ")
    _must(not np.array_equal(other, rows), "draws from two seeds are the same")
    for count in (0, 1):
        drawn = fitted.sample_codes(count, np.random.default_rng(0))
        _must(drawn.shape == (3, count), f"asked for {count} rows it draws another number")


def restores_the_same_model(subject: GeneratorUnderTest) -> None:
    """A model that was saved and restored is the same and gives the same rows."""
    from safetensors.numpy import load, save

    fitted = subject.fit(invented_table())
    tensors = load(save({key: np.ascontiguousarray(array) for key, array in fitted.tensors().items()}))
    again = subject.restore(tensors, json.loads(json.dumps(fitted.settings(), allow_nan=False)))
    one, other = (model.sample_codes(200, np.random.default_rng(5)) for model in (fitted, again))
    _must(np.array_equal(one, other), "a restored model draws other rows")
    _must(content(again) == content(fitted), "a restored model is saved in another way")


def spends_its_own_parts(subject: GeneratorUnderTest) -> None:
    """It spends only its parts of the plan, none of them beyond, and trains at most once."""
    bill = Bill(subject.plan())
    subject.fit(invented_table(max_rows_per_unit=2), GaussianMechanisms(bill))
    spent = [spend.part for spend in bill.spends]
    _must(set(spent) <= OWN_PARTS, "it spends parts of the plan that are not its own")
    expected = int(subject.generator.training_spec() is not None)
    _must(spent.count("training") == expected, "it does not train as its training_spec says")
    _must(bool(spent), "it learns without paying")


def learns_through_mechanisms_alone(subject: GeneratorUnderTest) -> None:
    """With constant answers the model is the same whatever the rows are, and if there are none."""
    data = invented_table(max_rows_per_unit=3)
    fewer = replace(data, rows=data.gathered().chosen(slice(3, None)))
    nobody = replace(data, rows=data.gathered().chosen(slice(0)))
    other = replace(data, rows=replace(data.gathered(), codes=np.zeros_like(data.gathered().codes)))
    first, *others = [content(subject.fit(each, StubMechanisms())) for each in (data, fewer, nobody, other)]
    _must(all(each == first for each in others), "the model depends on rows other than through mechanisms")


def moves_within_its_sensitivities(subject: GeneratorUnderTest) -> None:
    """With one unit more and the same noise no release moves beyond its sensitivity, and the model is the same."""
    for most in (1, 2, 12):
        data = invented_table(max_rows_per_unit=most)
        # Last, so that a Poisson sample of the others is the same; with a gap before it.
        rows = data.gathered()
        codes = np.concatenate([rows.codes, np.repeat(rows.codes[:, :1], most, axis=1)], axis=1)
        more = replace(data, rows=CodedRows(codes, np.append(rows.unit, np.full(most, 9_999))))
        record = RecordingMechanisms(3)
        fitted = subject.fit(data, record)
        replay = ReplayMechanisms(record)
        again = subject.fit(more, replay)
        violations = replay.violations()
        _must(not violations, f"with one unit more: {'; '.join(violations[:1])}")
        _must(content(again) == content(fitted), "with one unit more and the same noisy answers the model is another")


def fits_odd_tables(subject: GeneratorUnderTest) -> None:
    """No table that can occur ends a run after budget was spent."""
    for sizes, n, most in ODD_TABLES:
        fitted = subject.fit(invented_table(sizes, n, max_rows_per_unit=most))
        _must_be_codes(fitted.sample_codes(20, np.random.default_rng(0)), list(sizes))
        finite = all(np.isfinite(array).all() for array in fitted.tensors().values())
        _must(finite, "a tensor of the model is not finite")


def draws_no_null_that_was_declared_away(subject: GeneratorUnderTest) -> None:
    """NULL is never drawn where a column was declared without nulls."""
    data = invented_table(nulls=False)
    data.gathered().codes[1] = 2  # every row holds the NULL that was declared away
    rows = subject.fit(data).sample_codes(500, np.random.default_rng(0))
    _must(bool((rows.max(axis=1) < np.array(data.sizes) - 1).all()), "it draws a NULL that was declared away")


def expects_errors_from_public_facts(subject: GeneratorUnderTest) -> None:
    """Expected errors are total variation distances, one for each column."""
    facts = PublicFacts(n_rows=1_000.0, sizes=(4, 3, 2), max_rows_per_unit=2)
    errors = subject.generator.expected_errors(facts, subject.plan())
    _must(len(errors.one_way) == 3, "it does not give an expected error for each column")
    values = [*errors.one_way, *([] if errors.pair is None else [errors.pair])]
    _must(all(0 <= value <= 1 for value in values), "an expected error does not lie between 0 and 1")


CHECKS: tuple[Callable[[GeneratorUnderTest], None], ...] = (
    draws_rows_from_the_seed_alone,
    restores_the_same_model,
    spends_its_own_parts,
    learns_through_mechanisms_alone,
    moves_within_its_sensitivities,
    fits_odd_tables,
    draws_no_null_that_was_declared_away,
    expects_errors_from_public_facts,
)


def _must(holds: bool, otherwise: str) -> None:
    if not holds:  # not `assert`, which `python -O` leaves out
        raise AssertionError(otherwise)


def _must_be_codes(rows: np.ndarray, sizes: list[int]) -> None:
    _must(bool((rows.max(axis=1) < np.array(sizes)).all()), "it draws what is no code of an attribute")
