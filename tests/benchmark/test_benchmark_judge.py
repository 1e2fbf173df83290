"""The judge's figures: against a naive twin of the published definition, and where the answer is known."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd
import pytest

from privsynth.audit.common.audit_tables import AuditTables
from privsynth.benchmark.judge import accuracy, ceiling, judge, told_apart, usefulness

KINDS = {"age": "integer", "ward": "categorical", "lab": "numeric", "back": "categorical"}


def admissions(n: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    lab = np.round(rng.lognormal(0, 0.5, n), 2)
    back = np.where(rng.random(n) < 1 / (1 + np.exp(-6 * (lab - 1))), "yes", "no").astype(object)
    ward = rng.choice(["ICU", "ER", "surgery"], n).astype(object)
    frame = pd.DataFrame({"age": rng.integers(18, 90, n).astype(float), "ward": ward, "lab": lab, "back": back})
    frame.loc[rng.random(n) < 0.1, "lab"] = np.nan
    frame.loc[rng.random(n) < 0.1, "ward"] = None
    return frame


@pytest.fixture
def tables() -> AuditTables:
    return AuditTables(
        train=admissions(300, 1),
        holdout=admissions(150, 2),
        synthetic=admissions(300, 3).sample(frac=1.0, random_state=0).reset_index(drop=True),
        kinds=KINDS,
        targets=("back", "lab"),
    )


def naive(train: pd.DataFrame, other: pd.DataFrame, ways: int) -> float:
    """Return 1 − mean TVD as the usual judges of synthetic tables count it: deciles of the training rows as labels,
    a missing value a label of its own, joint labels counted one set of columns at a time."""

    def labels(frame: pd.DataFrame) -> pd.DataFrame:
        out = {}
        for name in train:
            if pd.api.types.is_numeric_dtype(train[name]) and train[name].nunique() > 20:
                edges = np.unique(np.quantile(train[name].dropna(), np.arange(1, 10) / 10))
                out[name] = ["none" if np.isnan(x) else sum(x > edge for edge in edges) for x in frame[name]]
            else:
                out[name] = frame[name].astype(str)
        return pd.DataFrame(out)

    a, b, found = labels(train), labels(other), []
    for columns in combinations(train.columns, ways):
        p = a.groupby(list(columns)).size() / len(a)
        q = b.groupby(list(columns)).size() / len(b)
        keys = set(p.index) | set(q.index)
        found.append(sum(abs(p.get(key, 0.0) - q.get(key, 0.0)) for key in keys) / 2)
    return 1.0 - float(np.mean(found))


def test_accuracy_is_that_of_the_naive_definition(tables):
    found, real = accuracy(tables), accuracy(replace(tables, synthetic=tables.holdout))
    for ways in (1, 2, 3):
        assert found[f"acc{ways}"] == pytest.approx(naive(tables.train, tables.synthetic, ways), abs=1e-12)
        assert real[f"acc{ways}"] == pytest.approx(naive(tables.train, tables.holdout, ways), abs=1e-12)
    assert 0.5 < found["acc3"] < found["acc2"] < found["acc1"] < 1


def test_rows_equal_to_the_training_rows_are_perfect_and_a_larger_table_is_cut(tables):
    assert accuracy(replace(tables, synthetic=tables.train)) == pytest.approx({"acc1": 1, "acc2": 1, "acc3": 1})
    doubled = pd.concat([tables.synthetic, admissions(900, 4)], ignore_index=True)
    whole = accuracy(replace(tables, synthetic=doubled))
    found = judge(replace(tables, synthetic=doubled, targets=()), max_rows=1000)
    assert found["acc2"] < whole["acc2"]  # 1,200 rows have less sampling noise than 300


def test_a_table_of_two_columns_has_no_triples(tables):
    two = {part: getattr(tables, part)[["age", "ward"]] for part in ("train", "holdout", "synthetic")}
    assert list(accuracy(AuditTables(**two, kinds=KINDS))) == ["acc1", "acc2"]


def test_models_learn_from_rows_with_a_signal_only(tables):
    useful = usefulness(tables, "back", max_rows=1000)
    noise = tables.synthetic.assign(back=np.random.default_rng(0).permutation(tables.synthetic["back"]))
    useless = usefulness(replace(tables, synthetic=noise), "back", max_rows=1000)
    assert list(useful) == ["tstr:back"]  # neither value is rare
    assert useful["tstr:back"] > 0.75
    assert useless["tstr:back"] < 0.68


def test_a_number_is_judged_as_two_classes_and_as_a_number(tables):
    def with_copy(frame):
        return frame.assign(copy=frame["age"] * 2 + 1)

    doubled = AuditTables(
        train=with_copy(tables.train),
        holdout=with_copy(tables.holdout),
        synthetic=with_copy(tables.synthetic),
        kinds={**KINDS, "copy": "numeric"},
        targets=("copy",),
    )
    found = usefulness(doubled, "copy", max_rows=1000)
    assert found["tstr:copy"] > 0.98
    assert found["r2:copy"] > 0.95
    assert usefulness(tables, "age", max_rows=1000)["r2:age"] < 0.2


def test_rare_values_have_their_average_precision(tables):
    rare = {}
    for part in ("train", "holdout", "synthetic"):
        frame = getattr(tables, part)
        rare[part] = frame.assign(back=np.where(frame["lab"] > 1.7, "yes", "no"))
    found = usefulness(AuditTables(**rare, kinds=KINDS), "back", max_rows=1000)
    assert 0.05 < (rare["holdout"]["back"] == "yes").mean() < 0.2
    assert found["ap:back"] > 0.9


def test_a_target_of_several_classes_has_one_figure(tables):
    three = {}
    for part in ("train", "holdout", "synthetic"):
        frame = getattr(tables, part)
        lab = frame["lab"].fillna(0.0)
        three[part] = frame.assign(level=np.where(lab < 0.7, "low", np.where(lab < 1.3, "middle", "high")))
    found = usefulness(AuditTables(**three, kinds={**KINDS, "level": "categorical"}), "level", max_rows=1000)
    assert [key for key in found if key.startswith("tstr")] == ["tstr:level"]
    assert found["tstr:level"] > 0.95


def test_a_target_that_real_rows_never_vary_has_no_figure(tables):
    constant = {part: getattr(tables, part).assign(back="no") for part in ("train", "holdout", "synthetic")}
    assert usefulness(AuditTables(**constant, kinds=KINDS), "back", max_rows=1000) == {}


def test_numbers_that_a_generator_lost_stop_nobody(tables):
    lost = replace(tables, synthetic=tables.synthetic.assign(age=np.nan, lab=np.nan))
    found = judge(lost, max_rows=1000)
    assert found["tstr:lab"] == 0.5
    assert found["r2:lab"] < 0.01
    assert found["c2st"] > 0.9


def test_rows_of_one_population_cannot_be_told_apart_and_others_can(tables):
    # 150 rows a side: the AUROC of no difference has a standard deviation of about 0.034.
    assert 0.3 < told_apart(tables)["c2st"] < 0.7
    shifted = tables.synthetic.assign(age=tables.synthetic["age"] + 60)
    assert told_apart(replace(tables, synthetic=shifted))["c2st"] > 0.9
    assert told_apart(replace(tables, holdout=tables.holdout.head(4))) == {}


def test_the_ceiling_is_what_real_rows_reach(tables):
    found = ceiling(tables, max_rows=1000)
    assert found["acc2"] == accuracy(replace(tables, synthetic=tables.holdout))["acc2"]
    real = usefulness(replace(tables, synthetic=tables.train), "back", max_rows=1000)
    assert found["tstr:back"] == real["tstr:back"]
    assert list(found) == ["acc1", "acc2", "acc3", "tstr:back", "tstr:lab", "r2:lab", "c2st"]


def test_judging_twice_gives_the_same_figures_and_the_ceiling_needs_no_synthetic_rows(tables):
    few = {part: getattr(tables, part).head(60) for part in ("train", "holdout", "synthetic")}
    one = replace(tables, **few, targets=("back",))
    assert judge(one, max_rows=1000) == judge(one, max_rows=1000)
    blank = replace(one, synthetic=one.synthetic.assign(age=np.nan))
    assert ceiling(blank, max_rows=1000) == ceiling(one, max_rows=1000)
