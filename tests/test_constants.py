"""Every module-level number of the package has a comment that says what it is and why it has this value.

"(own)" marks a choice of ours for which there is no paper or rule, as in the source of a finding.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "privsynth"


def is_number(node: ast.expr) -> bool:
    """Return whether an expression is a number, an array or collection with numbers, or computed from numbers."""
    match node:
        case ast.Constant(value=value):
            return isinstance(value, (int, float)) and not isinstance(value, bool)
        case ast.UnaryOp(operand=operand):
            return is_number(operand)
        case ast.BinOp(left=left, right=right):
            return is_number(left) or is_number(right)
        case ast.Tuple(elts=parts) | ast.List(elts=parts) | ast.Set(elts=parts) | ast.Dict(values=parts):
            return any(is_number(part) for part in parts)
        case ast.Call(args=[*parts], keywords=[]) if parts:
            return all(is_number(part) for part in parts)
    return False


def unexplained(source: str) -> list[str]:
    """Return the module-level numbers that have no comment on their lines or on the line above."""
    lines = source.splitlines()
    found = []
    for node in ast.parse(source).body:
        if not isinstance(node, ast.Assign | ast.AnnAssign) or node.value is None or not is_number(node.value):
            continue
        above = node.lineno > 1 and lines[node.lineno - 2].startswith("#")
        if not above and not any("#" in line for line in lines[node.lineno - 1 : node.end_lineno]):
            found.append(lines[node.lineno - 1])
    return found


@pytest.mark.parametrize("room", sorted({p.relative_to(PACKAGE).parts[0] for p in PACKAGE.rglob("*.py")}))
def test_every_module_level_number_is_explained(room: str) -> None:
    start = PACKAGE / room
    files = sorted(start.rglob("*.py")) if start.is_dir() else [start]
    bare = [f"{f.relative_to(PACKAGE)}: {line}" for f in files for line in unexplained(f.read_text(encoding="utf-8"))]
    assert not bare, "numbers without a comment that says what they are and why:\n" + "\n".join(bare)


@pytest.mark.parametrize(
    "line",
    ["N = 3", "N: int = -3", "A, B = 1, 2.5", "D = {'quick': 4}", "M = 1 << 20", "F = math.log(1.25)", "P = ((1, 0),)"],
)
def test_a_bare_number_is_found_and_a_comment_explains_it(line: str) -> None:
    assert unexplained(line) == [line]
    assert not unexplained(f"{line}  # rows; own")
    assert not unexplained(f"# rows; own\n{line}")
    assert unexplained(f"# of something else\n\n{line}") == [line]


@pytest.mark.parametrize("line", ["NAME = 'text'", "FLAG = True", "R = re.compile(r'\\d')", "T = ('a', 'b')"])
def test_what_is_no_number_needs_no_comment(line: str) -> None:
    assert not unexplained(line)
