"""Where a class is rare, boosted trees are held back: they rank new rows, and do not fall to chance."""

import numpy as np
import pandas as pd
import pytest

from privsynth.audit.common.audit_tables import AuditTables
from privsynth.audit.common.predictors import TREES, fit, make_task
from privsynth.stats.leaf_penalty import PENALTY, leaf_penalty
from privsynth.stats.prediction_metrics import macro_auc


@pytest.mark.parametrize(
    ("counts", "penalty"),
    [((981, 19), PENALTY), ((980, 20), 0.0), ((500, 490, 10), PENALTY), ((400, 300, 300), 0.0), ((7,), 0.0), ((), 0.0)],
)
def test_only_a_class_below_a_fiftieth_of_the_rows_is_held_back(counts, penalty):
    assert leaf_penalty(np.repeat(np.arange(len(counts)), counts)) == penalty


def payments(n, share, seed):
    """Return payments of which a share is fraud: at night, large and abroad more often than others."""
    rng = np.random.default_rng(seed)
    fraud = np.arange(n) < share * n
    shops, places = 1 / np.arange(1, 151), 1 / np.arange(1, 41) ** 2
    shop = rng.choice(150, n, p=shops / shops.sum())
    hour, amount = rng.integers(6, 24, n), np.exp(rng.normal(3, 1, n))
    place = rng.choice(40, n, p=places / places.sum())
    for column, odd in ((hour, rng.integers(0, 6, n)), (amount, amount * 8), (place, rng.integers(1, 40, n))):
        seen = fraud & (rng.random(n) < 0.7)
        column[seen] = odd[seen]
    hour[rng.random(n) < 0.05] = 3
    words = {"shop": [f"s{i}" for i in shop], "place": [f"p{i}" for i in place], "fraud": np.where(fraud, "yes", "no")}
    rows = pd.DataFrame({"hour": hour.astype(float), "amount": amount, **words})
    return rows.iloc[rng.permutation(n)].reset_index(drop=True)


def test_thirty_cases_among_ten_thousand_rows_are_learned():
    train, holdout = payments(10_000, 0.003, 0), payments(20_000, 0.02, 100)
    kinds = {"hour": "integer", "amount": "numeric", "shop": "categorical", "place": "categorical"}
    kinds["fraud"] = "categorical"
    tables = AuditTables(train=train, holdout=holdout, synthetic=train, kinds=kinds, targets=("fraud",))
    task = make_task(tables, "fraud")
    found = fit(tables, task, TREES, train, seed=0).predict(holdout)
    assert macro_auc(found, task.labels(holdout))[0] > 0.85  # 0.89; without the penalty 0.45
