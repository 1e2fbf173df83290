"""What CI leaves out: some cases of slow tests, never a whole test, and the same ones in every process."""

from __future__ import annotations

from dataclasses import dataclass

from in_part import left_out


@dataclass
class Case:
    nodeid: str
    slow: bool

    def get_closest_marker(self, name: str) -> bool:
        return name == "slow" and self.slow


def test_two_thirds_of_the_cases_of_slow_tests_are_left_out_and_no_test_is():
    cases = [Case(f"tests/a.py::test_{t}[{i}]", slow=t < 5) for t in range(10) for i in range(40)]
    single = [Case(f"tests/b.py::test_{t}", slow=True) for t in range(20)]
    gone = left_out([*cases, *single])
    assert gone == left_out([*cases, *single])
    assert all(case.slow for case in gone)
    assert not [case for case in gone if case in single]
    kept = {case.nodeid.partition("[")[0] for case in cases if case not in gone}
    assert len(kept) == 10
    assert 103 < len(gone) < 157  # of 195 that may be: two thirds, and four standard deviations either way
