"""One thread for the libraries, and a short word on where two long texts differ."""

from __future__ import annotations

from typing import Any

import pytest
from leaks.long_text import LongText
from threadpoolctl import threadpool_limits


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Keep to one thread: small tables gain nothing from two, and sums of two threads may round otherwise.

    Of the module, not of the test: what fixtures of a module work out is compared with what its tests work out.
    """
    with threadpool_limits(1):
        yield


def pytest_assertrepr_compare(op: str, left: Any, right: Any) -> list[str] | None:
    """Show where two long texts, alone or as the first of a pair, begin to differ."""
    if isinstance(left, tuple) and isinstance(right, tuple) and left and right:
        left, right = left[0], right[0]
    if op == "==" and isinstance(left, LongText) and isinstance(right, LongText) and left != right:
        return left.first_difference(right)
    return None
