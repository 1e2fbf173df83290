"""SQL on FHIR: what a ViewDefinition makes of a resource.

Source: https://sql-on-fhir.org/ig/, version 2. Of what the specification leaves open: rows of a `unionAll` come branch
by branch, and a column without a type is a text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, product
from typing import Any

from privsynth.errors import ConfigError
from privsynth.sources.fhir.paths import FhirPath, raw

MAX_ROWS = 10_000  # that one resource gives (own): siblings multiply, and a Bundle may be hostile
MAX_DEPTH = 20  # of selects in selects (own)
_NAME = re.compile(r"[A-Za-z]\w{0,254}")  # of columns and constants: sql-on-fhir.org, constraint sql-name
_ITERATIONS = ("forEach", "forEachOrNull", "repeat")

Problem = Callable[[str], None]
Row = list[Any]


@dataclass(frozen=True, kw_only=True)
class ViewColumn:
    """A column of a view.

    Attributes:
      path: its expression.
      type: the FHIR type that it declares; "" for none.
      collection: whether it may hold several values, as a list.
      tags: name -> value of its tags.
    """

    name: str
    path: FhirPath
    type: str
    collection: bool
    tags: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class _Select:
    """A part of a view: columns, and what is joined to them.

    Attributes:
      each: the expressions to iterate over; none for the context itself.
      mode: "" or one of forEach, forEachOrNull, repeat.
    """

    columns: tuple[ViewColumn, ...]
    selects: tuple[_Select, ...]
    union: tuple[_Select, ...]
    each: tuple[FhirPath, ...]
    mode: str

    def all_columns(self) -> tuple[ViewColumn, ...]:
        """Return the columns of its rows, in order."""
        nested = [column for select in self.selects for column in select.all_columns()]
        return (*self.columns, *nested, *(self.union[0].all_columns() if self.union else ()))

    def is_plain(self) -> bool:
        """Return whether everything below needs JSON alone."""
        paths = [*self.each, *(column.path for column in self.columns)]
        return all(path.is_plain for path in paths) and all(s.is_plain() for s in (*self.selects, *self.union))


class View:
    """A view that has been checked.

    Attributes:
      name: of the view; "" if it has none.
      resource: the kind of resource that it is about.
      columns: of its rows, in order.

    Raises:
      ConfigError: it is no ViewDefinition; `where` says in messages which.
    """

    def __init__(self, definition: Any, where: str) -> None:
        if not isinstance(definition, dict) or not isinstance(definition.get("resource"), str):
            raise ConfigError(f"{where} is no ViewDefinition with the kind of its `resource`")
        self.name = str(definition.get("name") or "")
        self.resource: str = definition["resource"]
        self._variables = {**_constants(definition, where), "rowIndex": 0}
        parser = _Parser(self._variables, where)
        self._root = _Select(
            columns=(), selects=parser.selects(definition.get("select"), 1), union=(), each=(), mode=""
        )
        self._where = [parser.path(_member(item, "path", where)) for item in _list(definition, "where", where)]
        self.columns = self._root.all_columns()
        names = [column.name for column in self.columns]
        if not names:
            raise ConfigError(f"{where} has no columns")
        if repeated := {name for name in names if names.count(name) > 1}:
            raise ConfigError(f"{where} has two columns named {min(repeated)!r}; rename one")
        self._refuse_what_never_works(where)

    def __repr__(self) -> str:
        return f"View({self.name or self.resource}, {len(self.columns)} columns)"

    def rows(self, resource: dict[str, Any], problem: Problem) -> Iterator[Row]:
        """Yield the rows of a resource, at most `MAX_ROWS`.

        Args:
          problem: is told, in one word, of what could not be had: a value that is then None ("value", "values"), a
            resource that is then left out ("where"), a part that is ("each"), rows that are ("rows"). It may raise.
        """
        kept = _Evaluation(problem, {**self._variables, "resource": resource, "rootResource": resource})
        if all(kept.holds(path, resource) for path in self._where):
            found = islice(kept.rows(self._root, resource, 0), MAX_ROWS + 1)
            for n, row in enumerate(found):
                if n == MAX_ROWS:
                    problem("rows")
                    return
                yield row

    def _refuse_what_never_works(self, where: str) -> None:
        """Raise `ConfigError` for an expression that fails even where there is nothing, such as an unknown function."""
        paths = [*self._where, *(column.path for column in self.columns)]
        for path in paths:
            try:
                path([{"resourceType": self.resource}], self._variables)
            except Exception:
                raise ConfigError(f"{where} has the expression {path.text!r}, which cannot be evaluated") from None


class _Evaluation:
    """The rows of one resource."""

    def __init__(self, problem: Problem, variables: Mapping[str, Any]) -> None:
        self._problem = problem
        self._variables = variables

    def holds(self, path: FhirPath, resource: Any) -> bool:
        found = self._found(path, [resource], 0, "where")
        if found not in ([], [True], [False]):
            self._problem("where")
        return found == [True]

    def rows(self, select: _Select, context: Any, index: int) -> Iterator[Row]:
        for n, nodes in self._contexts(select, context, index):
            own = [self._cell(column, nodes, n) for column in select.columns]
            parts: list[list[Row]] = [self._some(child, nodes, n) for child in select.selects]
            if select.union:
                parts.append([row for branch in select.union for row in self._some(branch, nodes, n)])
            for joined in product(*parts):
                yield [*own, *(cell for row in joined for cell in row)]

    def _some(self, select: _Select, nodes: list[Any], index: int) -> list[Row]:
        return list(islice(self.rows(select, nodes[0] if nodes else {}, index), MAX_ROWS + 1))

    def _contexts(self, select: _Select, context: Any, index: int) -> Iterator[tuple[int, list[Any]]]:
        if not select.mode:
            yield index, [context]
            return
        found = self._repeated(select, context, index) if select.mode == "repeat" else None
        if found is None:
            found = self._each(select.each[0], context, index, select.is_plain())
        if not found and select.mode == "forEachOrNull":
            yield 0, []
        for n, node in enumerate(islice(found, MAX_ROWS + 1)):
            yield n, [node]

    def _each(self, path: FhirPath, context: Any, index: int, is_plain: bool) -> list[Any]:
        found = self._found(path, [context], index, "each")
        return [raw(node) for node in found] if is_plain else found

    def _repeated(self, select: _Select, context: Any, index: int) -> list[Any]:
        """Return what the expressions give on the context, on what they gave, and so on, depth first."""
        found: list[Any] = []
        waiting = [context]
        while waiting and len(found) <= MAX_ROWS:
            node = waiting.pop()
            if node is not context:
                found.append(node)
            below = [child for path in select.each for child in self._each(path, node, index, select.is_plain())]
            waiting += reversed(below)
        return found

    def _cell(self, column: ViewColumn, nodes: list[Any], index: int) -> Any:
        found = [raw(node) for node in self._found(column.path, nodes, index, "value")]
        if column.collection:
            return found
        if len(found) > 1:
            self._problem("values")
            return None
        return found[0] if found else None

    def _found(self, path: FhirPath, nodes: list[Any], index: int, what: str) -> list[Any]:
        try:
            return path(nodes, {**self._variables, "rowIndex": index} if index else self._variables)
        except Exception:  # fhirpathpy raises whatever Python does on a value that is not as it should be
            self._problem(what)
            return []


class _Parser:
    """From JSON to the parts of a view."""

    def __init__(self, variables: Mapping[str, Any], where: str) -> None:
        self._variables = variables
        self._where = where

    def path(self, text: Any) -> FhirPath:
        return FhirPath(text, self._variables, self._where)

    def selects(self, found: Any, depth: int) -> tuple[_Select, ...]:
        if not isinstance(found, list) or not found or depth > MAX_DEPTH:
            raise ConfigError(f"{self._where} needs `select` as a list, nested at most {MAX_DEPTH} times")
        return tuple(self._select(item, depth) for item in found)

    def _select(self, found: Any, depth: int) -> _Select:
        modes = [mode for mode in _ITERATIONS if isinstance(found, dict) and mode in found]
        if not isinstance(found, dict) or len(modes) > 1:
            raise ConfigError(f"{self._where} has a select with more than one of {', '.join(_ITERATIONS)}")
        mode = modes[0] if modes else ""
        each: Sequence[Any] = _list(found, "repeat", self._where) if mode == "repeat" else [found[mode]] if mode else []
        union = self.selects(found["unionAll"], depth + 1) if found.get("unionAll") else ()
        if len({tuple(column.name for column in branch.all_columns()) for branch in union}) > 1:
            raise ConfigError(f"{self._where} has a unionAll of selects with different columns")
        return _Select(
            columns=tuple(self._column(item) for item in _list(found, "column", self._where)),
            selects=self.selects(found["select"], depth + 1) if found.get("select") else (),
            union=union,
            each=tuple(self.path(text) for text in each),
            mode=mode,
        )

    def _column(self, found: Any) -> ViewColumn:
        name = _member(found, "name", self._where)
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise ConfigError(f"{self._where} has a column whose name is not one of letters, digits and _")
        return ViewColumn(
            name=name,
            path=self.path(_member(found, "path", self._where)),
            type=str(found.get("type") or ""),
            collection=found.get("collection") is True,
            tags={
                str(_member(tag, "name", self._where)): str(_member(tag, "value", self._where))
                for tag in _list(found, "tag", self._where)
            },
        )


def _list(found: dict[str, Any], key: str, where: str) -> list[Any]:
    value = found.get(key, [])
    if not isinstance(value, list):
        raise ConfigError(f"{where} needs `{key}` as a list")
    return value


def _member(found: Any, key: str, where: str) -> Any:
    if not isinstance(found, dict) or key not in found:
        raise ConfigError(f"{where} has a part without `{key}`")
    return found[key]


def _constants(definition: dict[str, Any], where: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for item in _list(definition, "constant", where):
        name = _member(item, "name", where)
        values = [value for key, value in item.items() if key.startswith("value")]
        if not isinstance(name, str) or not _NAME.fullmatch(name) or len(values) != 1:
            raise ConfigError(f"{where} has a constant that is not one name and one value")
        found[name] = values[0]
    return found
