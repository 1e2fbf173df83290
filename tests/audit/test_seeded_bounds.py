"""Statistical audits of our mechanisms and our DP-SGD: each seeded fault is refuted, the correct code never.

A bound is above the truth with probability at most 1e-4, so each test of correct code raises a false alarm at most that
often. The page docs/audit-faults.md is held true here; `PRIVSYNTH_UPDATE_DOCS=1` writes its table.
"""

import os
import re
from pathlib import Path

import pytest
from audit.seeded import ALPHA, FAULTS, Fault, result

PAGE = Path(__file__).parents[2] / "docs" / "audit-faults.md"
NAMES = list(FAULTS)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_fault_is_refuted(name):
    fault = FAULTS[name]
    epsilon, _ = fault.claim()
    assert 3 <= epsilon <= 8
    assert fault.bound(faulty=True) > epsilon


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_correct_code_is_not(name):
    fault = FAULTS[name]
    assert fault.bound(faulty=False) <= fault.claim()[0]


def row(fault: Fault) -> list[str]:
    """Return the page's line of a fault, as cells."""
    epsilon, delta = fault.claim()
    found = result(fault.name, faulty=True)
    return [
        fault.name,
        f"{epsilon:.2f}",
        f"{delta:g}",
        f"{fault.bound(faulty=True):.1f}",
        f"{fault.bound(faulty=False):.1f}",
        f"{found.mu_ceiling:.1f} (μ)" if fault.gaussian else f"{found.ceiling:.1f}",
        "μ-GDP" if fault.gaussian else "any mechanism",
        f"`test_the_fault_is_refuted[{fault.name}]`",
    ]


@pytest.mark.slow
def test_the_page_says_what_was_found():
    text = PAGE.read_text(encoding="utf-8")
    found = [row(fault) for fault in FAULTS.values()]
    if os.environ.get("PRIVSYNTH_UPDATE_DOCS") == "1":
        lines = "".join("| " + " | ".join(cells) + " |\n" for cells in found)
        PAGE.write_text(re.sub(r"(\|---\|.*\n)(\| .*\n)*", lambda m: m[1] + lines, text), encoding="utf-8")
        return
    listed = [
        [cell.strip() for cell in line.strip("| \n").split(" | ")]
        for line in re.findall(r"^\| .* \|$", text, flags=re.M)[1:]
    ]
    assert [cells[0] for cells in listed] == NAMES
    for cells, expected in zip(listed, found, strict=True):
        for said, is_so in zip(cells, expected, strict=True):
            if re.fullmatch(r"[\d.]+", said) and "e" not in is_so:
                assert float(said) == pytest.approx(float(is_so), abs=0.25), cells[0]
            else:
                assert said == is_so, cells[0]
    assert f"{ALPHA:g}" in text
