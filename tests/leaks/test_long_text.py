"""Where two long texts differ, a failure says so in a few lines."""

from __future__ import annotations

from leaks.conftest import pytest_assertrepr_compare
from leaks.long_text import LongText


def test_the_first_difference_is_shown_and_not_the_whole():
    one, other = LongText("a" * 2_000_000 + "b"), LongText("a" * 1_000_000 + "c" + "a" * 1_000_000)
    shown = pytest_assertrepr_compare("==", (one, []), (other, []))
    assert shown is not None
    assert "at character 1000000" in shown[1]
    assert sum(map(len, shown)) < 600
    assert pytest_assertrepr_compare("==", one, LongText(one.text)) is None
    assert one == LongText(one.text)
    assert one != other


def test_a_text_that_goes_on_differs_where_the_other_ends():
    assert "at character 3" in LongText("abc").first_difference(LongText("abcd"))[1]
