"""Code books that a user writes: inline in a schema, or as a file of codes and their groups.

Whatever the form, a book is read into one: levels from coarse to fine, and for each code its group on every level.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from privsynth.hierarchies.hierarchy import Hierarchy, Path, tree_of

MAX_CODES = 200_000  # of a book (own): LOINC has some 110,000; a model file has to hold them
MAX_LEVELS = 8  # (own) no classification in use has more than six
MAX_NAME = 1_000  # characters of a code or group (own): that of a category in a model file is longer
_FORM = "write the name of one that ships, groups and their codes, or {file: codes.csv}"


def read_book(data: Any) -> tuple[tuple[str, ...], dict[str, Path]]:
    """Return the levels of a book that is written in a schema, and the groups of each code from coarse to fine.

    Args:
      data: parsed YAML: {groups: {group: {group: [codes]}}, levels: [names]}, or {levels: {name: {group: [codes]}}}, or
        groups alone.
    Raises:
      ValueError: it is none; the message is a sentence.
    """
    if not isinstance(data, Mapping) or not data:
        raise ValueError(_FORM)
    if isinstance(data.get("levels"), Mapping) and data.keys() == {"levels"}:
        names, paths = _by_level(data["levels"])
    else:
        structured = "groups" in data and data.keys() <= {"groups", "levels"}
        groups = _nested(data["groups"] if structured else data)
        names, paths = _named(data.get("levels") if structured else None, groups)
    return _checked(names, paths)


def read_csv(text: str) -> tuple[tuple[str, ...], dict[str, Path]]:
    """Return the levels and groups of a file: a header, then a code and its groups in each line.

    The first column holds the codes, each other one a level, in any order: the coarser level has fewer groups.
    Cells are separated by commas, semicolons or tabs; the code belongs to the level above where a cell is empty.

    Raises:
      ValueError: it is none; the message is a sentence.
    """
    first = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=first.count)
    try:
        header, *lines = ([cell.strip() for cell in row] for row in csv.reader(io.StringIO(text), delimiter=delimiter))
    except (csv.Error, ValueError):
        raise ValueError("the file holds no table: write a header, then a code and its groups in each line") from None
    lines = [line for line in lines if any(line)]
    if len(header) < 2 or any(len(line) != len(header) for line in lines):
        raise ValueError("every line of the file must hold a code and its group on each level, as its header does")
    if len(lines) > MAX_CODES:
        raise ValueError(f"it holds more than {MAX_CODES:,} codes")
    order = sorted(range(1, len(header)), key=lambda at: _coarseness([line[at] for line in lines]))
    paths: dict[str, Path] = {}
    for line in lines:
        path = tuple(line[at] for at in order)
        if paths.setdefault(line[0], path) != path:
            raise ValueError(f"the code '{line[0]}' stands in two places")
    return _checked(tuple(header[at] for at in order), {code: _filled(path, code) for code, path in paths.items()})


def written(name: str, levels: tuple[str, ...], paths: Mapping[str, Path]) -> Hierarchy:
    """Return the hierarchy of a book that was read."""
    return Hierarchy(name=name, levels=levels, tree=tree_of(paths.values()), place=paths.get, codes=tuple(paths))


def nested_groups(paths: Mapping[str, Path]) -> dict[str, Any]:
    """Return the groups of a book as nested mappings with lists of codes: what `read_book` takes as `groups`."""
    root: dict[str, Any] = {}
    for code, path in paths.items():
        here = root
        for name in path[:-1]:
            here = here.setdefault(name, {})
        here.setdefault(path[-1], []).append(code)
    return root


def _coarseness(groups: Sequence[str]) -> tuple[int, int]:
    """Return what sorts levels from coarse to fine: a coarser one has all the codes of a finer one, in fewer groups."""
    known = [group for group in groups if group]
    return -len(known), len(set(known))


def _filled(path: Path, code: str) -> Path:
    """Return a path in which an empty cell takes the group of the level above."""
    found: list[str] = []
    for group in path:
        if not group and not found:
            raise ValueError(f"the code '{code}' has no group on the coarsest level")
        found.append(group or found[-1])
    return tuple(found)


def _nested(data: Any) -> dict[str, Path]:
    """Return code -> its groups, as many as there are around it."""
    paths: dict[str, Path] = {}
    for code, path in _walk(data, ()):
        if len(paths) > MAX_CODES:
            raise ValueError(f"it holds more than {MAX_CODES:,} codes")
        if paths.setdefault(code, path) != path:
            raise ValueError(f"the code '{code}' stands in two places")
    return paths


def _walk(data: Any, above: Path) -> Iterator[tuple[str, Path]]:
    if len(above) > MAX_LEVELS:
        raise ValueError(f"it has more than {MAX_LEVELS} levels")
    if isinstance(data, Mapping):
        for group, below in data.items():
            yield from _walk(below, (*above, _text(group)))
    elif not above:
        raise ValueError(_FORM)
    else:
        for code in data if isinstance(data, list | tuple) else [data]:
            yield _text(code), above


def _named(names: Any, paths: dict[str, Path]) -> tuple[tuple[str, ...], dict[str, Path]]:
    """Return names for the levels, and paths of that length: where a code has fewer groups, the last stands again."""
    depth = max((len(path) for path in paths.values()), default=0)
    if names is None:
        names = ["group"] if depth == 1 else [f"level{n + 1}" for n in range(depth)]
    if not isinstance(names, list | tuple) or len(names) != depth:
        raise ValueError(f"levels must be a list of {depth} names, one for each level of groups, from coarse to fine")
    longer = {code: path + path[-1:] * (depth - len(path)) for code, path in paths.items()}
    return tuple(_text(name) for name in names), longer


def _by_level(data: Mapping[Any, Any]) -> tuple[tuple[str, ...], dict[str, Path]]:
    """Return the book of levels that each list the codes of their groups; coarser levels have fewer groups."""
    levels = {_text(name): {code: path[0] for code, path in _nested(level).items()} for name, level in data.items()}
    if not all(isinstance(level, Mapping) and level for level in data.values()):
        raise ValueError("each level must map its groups to their codes")
    order = sorted(levels, key=lambda name: _coarseness(list(levels[name].values())))
    codes = dict.fromkeys(code for name in order for code in levels[name])
    return tuple(order), {code: _filled(tuple(levels[name].get(code, "") for name in order), code) for code in codes}


def _checked(levels: Sequence[str], paths: Mapping[str, Path]) -> tuple[tuple[str, ...], dict[str, Path]]:
    """Return a book in which each group lies in one place."""
    if not paths:
        raise ValueError("it holds no code")
    if not 1 <= len(levels) <= MAX_LEVELS or len(set(levels)) < len(levels) or not all(levels):
        raise ValueError(f"it needs between 1 and {MAX_LEVELS} levels, each with a name of its own")
    tree = tree_of(paths.values())
    for code, path in paths.items():
        if not code or not all(path):
            raise ValueError("a code or group is empty")
        if tree.get(code, path[: len(tree.get(code, ()))]) != path[: len(tree.get(code, ()))]:
            raise ValueError(f"'{code}' is a code, and a group that it is not in")
    return tuple(levels), dict(paths)


def _text(value: Any) -> str:
    """Return a code or name as the text of its cell, as categories are."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str | int | float | date | datetime):
        raise ValueError("codes and groups must be texts or numbers")
    if len(text := str(value)) > MAX_NAME:
        raise ValueError(f"a code or group has more than {MAX_NAME} characters")
    return text
