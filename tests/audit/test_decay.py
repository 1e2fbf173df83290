"""Decay: a generator that forgets is seen to forget, resampling is the yardstick, accumulating helps."""

import math

import numpy as np
import pandas as pd
import pytest

from privsynth.audit import decay as module
from privsynth.audit.common.settings import AuditContext, AuditSettings
from privsynth.audit.decay import CURVES, GENERATIONS, Meter, beside, chain, decay, half_life

NAMES = {"decay_tail_mass", "decay_support", "decay_entropy", "decay_minority_share", "decay_distance"}


def bootstrap(frame, *, seed):
    return frame.sample(len(frame), replace=True, random_state=seed).reset_index(drop=True)


def forgetful(frame, *, seed):
    """Draw again, but never the rarest tenth of the regions and sexes."""
    out = bootstrap(frame, seed=seed)
    counts = out["region"].value_counts()
    top = counts.index[0]
    keep = out["region"].map(counts) >= 0.12 * len(out)
    return out.assign(region=out["region"].where(keep, top), sex=out["sex"].where(out["sex"] != "X", "F"))


@pytest.fixture(scope="module")
def small(people):
    return tuple(part.head(600).reset_index(drop=True) for part in people)


@pytest.fixture(scope="module")
def cases(small, tables_of):
    tables = tables_of(*small)
    found = {}
    for name, refit in (("bootstrap", bootstrap), ("forgetful", forgetful)):
        context = AuditContext(AuditSettings(level="deep", refit=refit))
        findings = decay(tables, rng=np.random.default_rng(0), context=context)
        found[name] = {(f.name, f.group): f for f in findings}
    return found


def test_a_generator_that_forgets_is_seen_to(cases):
    found = cases["forgetful"]
    lost = found["decay_tail_mass", "replace"]
    assert lost.high < lost.baseline
    assert lost.value < lost.baseline - 0.1
    assert found["decay_minority_share", "replace"].value == 0.0
    assert "sex=X" in found["decay_minority_share", "replace"].meaning
    assert found["decay_support", "replace"].value < found["decay_support", "replace"].baseline
    assert found["decay_entropy", "replace"].high < found["decay_entropy", "replace"].baseline
    assert found["decay_half_life", "replace"].value < 0.5 * cases["bootstrap"]["decay_half_life", "replace"].value


def test_resampling_is_its_own_yardstick(cases):
    """The last generations of two chains and of five: within a tenth at this seed."""
    for (name, regime), f in cases["bootstrap"].items():
        if name != "decay_half_life":
            assert f.value == pytest.approx(f.baseline, abs=0.25 if "minority" in name else 0.1), (name, regime)


def test_accumulating_keeps_more_than_replacing(cases):
    for name in ("decay_tail_mass", "decay_support"):
        assert cases["bootstrap"][name, "accumulate"].value > cases["bootstrap"][name, "replace"].value + 0.03


def test_every_regime_has_its_curves(cases):
    for regime in ("replace", "accumulate", "mix"):
        assert {name for name, group in cases["forgetful"] if group == regime} == NAMES | {"decay_half_life"}
        curves = cases["forgetful"]["decay_tail_mass", regime].detail
        assert curves["generation"] == list(range(GENERATIONS + 1))
        assert [curves[name][0] for name in CURVES] == [1.0, 1.0, 1.0, 1.0, 0.0]
        assert all(len(curves[f"{name}_resampled"]) == GENERATIONS + 1 for name in CURVES)
    assert {f.visibility for f in cases["forgetful"].values()} == {"officer"}


def test_what_each_regime_is_fed(small, tables_of):
    train, holdout, fresh = small
    tables = tables_of(train, holdout, fresh)
    fed = []

    def spy(frame, *, seed):
        fed.append((len(frame), int(frame["age"].isin([-1.0]).sum())))
        return frame.assign(age=frame["age"] + 0.0)

    real = train.assign(age=-1.0)
    for regime in ("replace", "accumulate", "mix"):
        chain(regime, fresh, real, spy, np.random.default_rng(0), Meter(tables, fresh), generations=3)
    assert [size for size, _ in fed] == [600, 600, 600, 600, 1_200, 1_800, 600, 600, 600]
    assert [marked for _, marked in fed[:7]] == [0] * 6 + [300]
    assert 350 < fed[7][1] < 550, "half are real, and the half before was real by half"


def test_half_life():
    assert half_life(0.5 ** (np.arange(6) / 3)) == pytest.approx(3.0)
    assert half_life(np.ones(6)) == math.inf
    assert half_life(np.array([1.0, 0.0, 0.0])) < 0.1


def test_real_rows_slow_the_decay_of_an_exact_generator(tables_of):
    """The generator copies its food, but a tenth of each rare word becomes the commonest one, without chance.

    Alone, the rare words halve every log 0.5 / log 0.9 = 6.58 generations. The release has three times the rare words
    of the real rows, so that half of real food makes the curve fall far in the first generation without any decay: by
    itself it would give a half-life below that of `replace`. Beside a chain that copies, x' = (5 + x) / 2 from 15, the
    kept share is 0.900, 0.840, 0.814, 0.807, 0.808 of it, whose slope gives 12.7.
    """
    rare = [f"r{i}" for i in range(4)]

    def rows(each):
        words = np.repeat(["a", *rare], [20_000 - 4 * each, *[each] * 4])
        return pd.DataFrame({"word": np.random.default_rng(0).permutation(words)})

    def leaky(frame, *, seed):
        words = frame["word"].to_numpy(dtype=object).copy()
        for word in rare:
            at = np.flatnonzero(words == word)
            words[at[: round(0.1 * len(at))]] = "a"
        return pd.DataFrame({"word": words})

    real, release = rows(50), rows(150)
    tables = tables_of(real, None, release, kinds={"word": "categorical"}, targets=(), protected=())
    lives, alone = {}, {}
    for regime in ("replace", "mix"):
        kept = [
            chain(regime, release, real, make, np.random.default_rng(1), Meter(tables, release))[0]
            for make in (leaky, lambda frame, *, seed: frame)
        ]
        lives[regime], alone[regime] = half_life(beside(*kept)), half_life(kept[0])
    assert lives["replace"] == pytest.approx(6.58, rel=0.05)
    assert alone["mix"] < alone["replace"], "what the curve alone would say"
    assert 9 < lives["mix"] < 20


def test_without_a_generator_or_rows_nothing_is_claimed(small, tables_of, pick):
    train, holdout, fresh = small
    alone = decay(
        tables_of(train, holdout, fresh),
        rng=np.random.default_rng(0),
        context=AuditContext(AuditSettings(level="deep")),
    )
    assert pick(alone, "decay_tail_mass").verdict == "insufficient"
    context = AuditContext(AuditSettings(level="deep", refit=bootstrap))
    few = decay(tables_of(train, holdout, fresh.head(50)), rng=np.random.default_rng(0), context=context)
    assert [f.verdict for f in few] == ["insufficient"]


def test_tables_without_categories(monkeypatch, tables_of):
    monkeypatch.setattr(module, "GENERATIONS", 1)
    rng = np.random.default_rng(0)
    frames = [pd.DataFrame({"n": rng.normal(size=200)}) for _ in range(2)]
    tables = tables_of(frames[0], None, frames[1], kinds={"n": "numeric"}, targets=(), protected=())
    context = AuditContext(AuditSettings(level="deep", refit=bootstrap))
    found = {(f.name, f.group): f for f in decay(tables, rng=rng, context=context)}
    assert found["decay_minority_share", "replace"].verdict == "insufficient"
    assert found["decay_tail_mass", "replace"].value is not None
