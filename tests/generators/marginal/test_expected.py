"""What `privsynth plan` expects of pairs, beside what fits of tables of known ties give."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from privsynth.codecs.columns import Attribute
from privsynth.codecs.encoded_table import CodedRows, Encoded
from privsynth.generators.marginal.expected import expected_errors
from privsynth.generators.marginal.generator import GENERATOR
from privsynth.generators.registry import PublicFacts
from privsynth.privacy.budget import Bill, Budget, SpendingPlan, plan_spending
from privsynth.privacy.mechanisms import GaussianMechanisms

PARTS = {"one_way": 0.1, "selection": 0.08, "measurement": 0.82}


def planned(epsilon: float) -> SpendingPlan:
    return plan_spending(Budget(epsilon=epsilon), PARTS, open_domain=False)


def expected_pair(sizes: list[int], n_rows: float, epsilon: float) -> float:
    found = expected_errors(PublicFacts(n_rows=n_rows, sizes=tuple(sizes)), planned(epsilon)).pair
    assert found is not None
    return found


def seen_pair(sizes: list[int], n_rows: int, epsilon: float) -> float:
    """Return the mean distance of pairs in drawn rows; a few columns follow others, as strongly as real ones do."""
    rng = np.random.default_rng(3)
    codes = np.stack([np.minimum(rng.geometric(4.0 / size, n_rows), size - 1) - 1 for size in sizes])
    for a in range(1, len(sizes), 2):
        copied = rng.random(n_rows) < 0.5
        codes[a, copied] = codes[a - 1, copied] * (sizes[a] - 1) // (sizes[a - 1] - 1)
    attributes = tuple(Attribute(f"x{i}", size, False, False) for i, size in enumerate(sizes))
    data = Encoded(
        CodedRows(codes.astype(np.uint16), np.arange(n_rows)), attributes, 1, float(n_rows), tuple(range(len(sizes)))
    )
    plan = planned(epsilon)
    fitted = GENERATOR.fit(data, GaussianMechanisms(Bill(plan)), plan, rng=np.random.default_rng(1))
    drawn = fitted.sample_codes(n_rows, np.random.default_rng(2))

    def share(rows: np.ndarray, a: int, b: int) -> np.ndarray:
        place = rows[a].astype(np.int64) * sizes[b] + rows[b]
        return np.bincount(place, minlength=sizes[a] * sizes[b]) / n_rows

    gaps = [np.abs(share(codes, a, b) - share(drawn, a, b)).sum() / 2 for a, b in combinations(range(len(sizes)), 2)]
    return float(np.mean(gaps))


# Over six runs of each the ratio stayed between 0.77 and 1.28.
@pytest.mark.parametrize(("sizes", "n_rows"), [([10] * 8, 20_000), ([200, 9, 12, 4, 60, 6], 10_000), ([8] * 8, 2_000)])
def test_a_pair_is_as_far_off_as_was_expected_within_a_factor_of_two(sizes, n_rows):
    ratio = expected_pair(sizes, n_rows, 1.0) / seen_pair(sizes, n_rows, 1.0)
    assert 0.5 < ratio < 2


def test_more_rows_or_more_budget_leave_a_smaller_error():
    sizes = [30, 10, 200, 4]
    assert expected_pair(sizes, 1e3, 1.0) > expected_pair(sizes, 1e4, 1.0) > expected_pair(sizes, 1e5, 1.0)
    assert expected_pair(sizes, 1e4, 0.3) > expected_pair(sizes, 1e4, 1.0) > expected_pair(sizes, 1e4, 10.0)


def test_noise_in_long_code_books_does_not_count_for_more_than_a_pair_can_lose():
    """A table of 200 × 120 codes in full would be noise alone; it is bought coarsely, or not at all."""
    assert expected_pair([200, 120, 8, 8], 20_000, 3.0) < 0.2


def test_one_column_has_no_pair():
    assert expected_pair([5], 100, 1.0) == 0.0
