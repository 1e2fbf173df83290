"""How the proof runs the pipeline: mechanisms with chosen answers that are entered in the bill, and what came out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from doubles import Call, RecordedTraining, RecordingMechanisms, ReplayMechanisms, StubMechanisms, distance
from leaks.long_text import LongText

from privsynth.pipeline.config import SynthesizeConfig
from privsynth.privacy.budget import Bill
from privsynth.privacy.mechanisms import GaussianMechanisms, Noisy, StableKeys, TrainingNoise
from privsynth.randomness import KeyedFunction

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
# So little noise that a small table shows kinds, categories and cells; sensitivities do not depend on it.
EPSILON = 300.0


class FixedKey(KeyedFunction):
    """The keyed function under a key that two runs share, so that a unit has the same coins in both."""

    __slots__ = ()

    def __init__(self) -> None:
        self._key = bytes(range(32))


class _FullBatches:
    """DP-SGD with every unit in every step, so that two runs train on the same units but one."""

    def training(self, *, clip: float, label: str, steps: int | None = None) -> RecordedTraining:
        return RecordedTraining(self, clip, label, steps=2, sampling_probability=1.0)  # type: ignore[arg-type]


class Constant(_FullBatches, StubMechanisms):
    """Every answer a constant."""


class Recording(_FullBatches, RecordingMechanisms):
    """Noise from a seed, and a record."""


class Replaying(_FullBatches, ReplayMechanisms):
    """The answers of a record; a question of another kind than the recorded one is a difference by itself."""

    def _answer(self, values: np.ndarray, sigma: float) -> np.ndarray:
        assert self._next().public[0] == "gaussian", "what the mechanisms were told depends on the rows"
        return super()._answer(values, sigma)

    def _keys(self, counts: Sequence[Mapping[str, int]], sigma: float, threshold: int) -> list[dict[str, int]]:
        assert self._next().public[0] == "stable_keys", "what the mechanisms were told depends on the rows"
        return super()._keys(counts, sigma, threshold)


class Charged:
    """Answers of a double, with everything entered in the run's bill as the real mechanisms would."""

    def __init__(self, double: Any, bill: Bill) -> None:
        self.double, self.real = double, GaussianMechanisms(bill)

    def gaussian(self, values: np.ndarray, **told: Any) -> Noisy:
        self.real.gaussian(np.zeros(1, dtype=np.int64), **told)
        answer: Noisy = self.double.gaussian(values, **told)
        return answer

    def stable_keys(self, counts: Sequence[Mapping[str, int]], **told: Any) -> StableKeys:
        self.real.stable_keys([{} for _ in counts], **told)
        answer: StableKeys = self.double.stable_keys(counts, **told)
        return answer

    def share_out(self, parts: Mapping[str, float]) -> None:
        self.real.share_out(parts)
        self.double.share_out(parts)

    def training(self, *, clip: float, label: str, steps: int | None = None) -> RecordedTraining:
        self.real.training(clip=clip, label=label, steps=steps)
        training: RecordedTraining = self.double.training(clip=clip, label=label, steps=steps)
        return training


class Watching(GaussianMechanisms):
    """The real mechanisms, and a record of what was paid out: (part, noise multiplier, δ), and of training runs."""

    def __init__(self, bill: Bill, before: Callable[[], None] = lambda: None) -> None:
        super().__init__(bill)
        self.bill, self.before = bill, before
        self.paid: list[tuple[str, float, float]] = []
        self.draws: list[float | None] = []  # the deviations to be drawn, in order; None where a training step says it
        self.trained: list[tuple[float, float, int]] = []

    def gaussian(self, values: np.ndarray, *, l2_sensitivity: float, part: str, mu_squared: float, label: str) -> Noisy:
        self.before()
        noisy = super().gaussian(values, l2_sensitivity=l2_sensitivity, part=part, mu_squared=mu_squared, label=label)
        self.paid.append((part, noisy.sigma / l2_sensitivity, 0.0))
        self.draws.append(noisy.sigma)
        return noisy

    def stable_keys(
        self,
        counts: Sequence[Mapping[str, int]],
        *,
        max_rows_per_unit: int,
        part: str,
        mu_squared: float,
        delta: float,
        label: str,
        known: Sequence[str] = (),
        unit_weight: int | None = None,
    ) -> StableKeys:
        self.before()
        kept = super().stable_keys(
            counts,
            max_rows_per_unit=max_rows_per_unit,
            part=part,
            mu_squared=mu_squared,
            delta=delta,
            label=label,
            known=known,
            unit_weight=unit_weight,
        )
        self.draws += [kept.sigma] * len(counts)
        # Worked out anew: a unit has k rows, or they weigh so much, and each has a key in every column.
        self.paid.append((part, kept.sigma / ((unit_weight or max_rows_per_unit) * len(counts) ** 0.5), delta))
        return kept

    def training(self, *, clip: float, label: str, steps: int | None = None) -> TrainingNoise:
        self.before()
        noise = super().training(clip=clip, label=label, steps=steps)
        self.draws += [None] * noise.steps
        self.trained.append((noise.noise_multiplier, noise.sampling_probability, noise.steps))
        return noise


@dataclass(frozen=True)
class Seen:
    """What a run showed to the public.

    Attributes:
      files: path below public/ -> bytes.
      calls: what the mechanisms were told, in order.
    """

    files: dict[str, bytes]
    calls: list[tuple[Any, ...]]


def config(source: Any, out: Path, **changes: Any) -> SynthesizeConfig:
    """Return the job of the proof: everything that may be fixed is fixed."""
    job: dict[str, Any] = {
        "source": source, "out": out, "unit": "patient", "max_rows_per_unit": 3, "epsilon": EPSILON, "seed": 7,
        "generator": "marginal", "audit": "none", "dataset": "admissions", "rows": None,
        "anyway": True,
    }  # fmt: skip
    return SynthesizeConfig(**{**job, **changes})


def release(double: Any, job: SynthesizeConfig, home: Path) -> Seen:
    """Run the whole job with the answers of a double and return all that the public gets."""
    from privsynth.pipeline.environment import Environment
    from privsynth.pipeline.synthesize import synthesize

    env = Environment(
        home=home,
        now=NOW,
        report_id="run-00000000000000aa",
        mechanisms=lambda bill: Charged(double, bill),
        keyed=FixedKey,
    )
    synthesize(job, env)
    return Seen(files_below(job.out / "public"), [call.public for call in double.calls])


def files_below(folder: Path) -> dict[str, bytes]:
    """Return path -> bytes of every file below a folder."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def assert_same(one: Seen, other: Seen) -> None:
    """Fail unless two runs showed the same: the same questions, and the same bytes."""
    assert one.calls == other.calls, "what the mechanisms were told depends on the rows"
    assert one.files.keys() == other.files.keys()
    different = [name for name in one.files if one.files[name] != other.files[name]]
    assert not different, f"these public files depend on the rows: {different}"


def assert_within_sensitivity(mine: Sequence[Call], theirs: Sequence[Call], *, k: int) -> None:
    """Fail unless both runs asked the same and their exact figures differ by at most what was declared.

    Keys that one run alone has are those of the unit: at most k rows, so at most k of them a column.
    """
    assert [call.public for call in mine] == [call.public for call in theirs]
    for one, other in zip(mine, theirs, strict=True):
        moved = distance(one.given, other.given)
        limit = one.l2_sensitivity * (1 + 1e-9)
        assert moved <= limit, f"'{one.public[1]}' moved by {moved:.4g}, declared {one.l2_sensitivity:.4g}"
        if one.public[0] == "stable_keys":
            for a, b in zip(one.given, other.given, strict=True):
                alone = a.keys() ^ b.keys()
                assert len(alone) <= k, "more keys than rows came with one unit"
                most = limit / len(one.given) ** 0.5
                assert all(max(a.get(key, 0), b.get(key, 0)) <= most for key in alone)
                changed = sum(abs(a.get(key, 0) - b.get(key, 0)) for key in a.keys() | b.keys())
                assert changed <= most, f"a column of '{one.public[1]}' moved by {changed}"


def small_generators(monkeypatch: Any, *, arn: bool = True) -> None:
    """Make the generators quick: less fitting after the noise, which the proof does not care about."""
    from privsynth.generators.marginal import generator as marginal
    from privsynth.generators.marginal.fitted import FitSettings

    quick = replace(marginal.GENERATOR, fit_settings=FitSettings(components=16, max_steps=6))
    monkeypatch.setattr(marginal, "GENERATOR", quick)
    if not arn:
        return
    from privsynth.generators.arn import generator

    small = replace(
        generator.GENERATOR,
        marginal=quick,
        warm=replace(generator.GENERATOR.warm, rows=1_024, steps=4, batch=64),
        tilt=replace(generator.GENERATOR.tilt, rows=1_024, max_sweeps=3),
    )
    monkeypatch.setattr(generator, "GENERATOR", small)
    from privsynth.generators.ctgan import generator as ctgan
    from privsynth.generators.tvae import generator as tvae

    monkeypatch.setattr(tvae, "GENERATOR", replace(tvae.GENERATOR, steps=8))
    monkeypatch.setattr(ctgan, "GENERATOR", replace(ctgan.GENERATOR, steps=8, generated=32, hidden=32))


def plan_of(
    schema: Any, types: Any, *, generator: str, unit: str, k: int, epsilon: float = EPSILON, **more: Any
) -> Any:
    """Return a request of the private core, as the pipeline makes it."""
    from privsynth.generators.registry import load_generator
    from privsynth.pipeline.learning.request import Request
    from privsynth.pipeline.spending_plan import make_plan
    from privsynth.privacy.budget import Budget

    budget = Budget(epsilon=epsilon, unit=unit, max_rows_per_unit=k)
    chosen = load_generator(generator)
    return Request(
        schema=schema,
        budget=budget,
        plan=make_plan(schema, types, budget, chosen.training_spec()),
        generator=chosen,
        dataset="admissions",
        n_synthetic=None,
        seed=7,
        **more,
    )


def everything_public(public: Any) -> LongText:
    """Return all that the private core lets out: every digit of every number counts."""
    model = public.model
    tensors = {name: (a.dtype.str, a.shape, a.tobytes().hex()) for name, a in model.fitted.tensors().items()}
    found = [
        repr(tensors),
        repr(model.fitted.settings()),
        repr(model.codec.to_json()),
        repr((model.rules, model.default_rows, model.dataset, public.n_rows)),
        repr(public.rows.frame().dtypes.to_dict()),
        public.rows.frame().to_csv(),
        repr(dict(public.facts)),
        repr(public.layout),
        repr(public.findings),
        *(repr((t.axes, t.counts.tolist(), t.sigma.tolist(), t.noise_multiplier)) for t in public.noisy.tables),
        repr((public.noisy.axes, public.noisy.rows)),
    ]
    return LongText("\n".join(found))
