"""YAML from people, read strictly: no key twice, no tag that makes objects, nothing too deep, and nothing that grows.

What a plain word is, follows YAML 1.2 where 1.1 would turn codes into something else: `yes`, `no`, `on` and `off`,
numbers with leading zeros (010 is no 8), `12:30` and `1_000` are texts. Dates (2024-12-31) are dates, as in 1.1.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import yaml

from privsynth.errors import PrivsynthError

MAX_DEPTH = 20  # levels; a policy has four, a schema five (own)
MAX_REPEATED = 100_000  # values that aliases repeat: a list of categories that hundreds of columns share (own)
_TAG = "tag:yaml.org,2002:"
_WHOLE = r"(?:0|[1-9][0-9]*)"
# Each pattern takes less than that of YAML 1.1, so that what any writer of 1.1 leaves unquoted as a text stays one.
_PLAIN = {
    "bool": (r"true|True|TRUE|false|False|FALSE", "tTfF"),
    "int": (rf"[-+]?{_WHOLE}", "-+0123456789"),
    "float": (
        rf"[-+]?{_WHOLE}\.[0-9]*(?:[eE][-+][0-9]+)?|\.[0-9]+(?:[eE][-+][0-9]+)?"
        r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        "-+0123456789.",
    ),
}


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers = {  # noqa: RUF012
        first: [(tag, pattern) for tag, pattern in resolvers if tag.removeprefix(_TAG) not in _PLAIN]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


for _name, (_pattern, _first) in _PLAIN.items():
    _Loader.add_implicit_resolver(f"{_TAG}{_name}", re.compile(f"^(?:{_pattern})$"), list(_first))


@dataclass(frozen=True)
class YamlDocument:
    """What a file says, and on which lines."""

    value: Any
    _root: yaml.Node | None

    def line(self, place: tuple[str | int, ...] = ()) -> int:
        """Return the line, from 1, of the deepest part of a place (keys and numbers) that the document has."""
        node = self._root
        line = 1 if node is None else int(node.start_mark.line) + 1
        for part in place:
            if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
                node = node.value[part]
                line = int(node.start_mark.line) + 1
            elif isinstance(node, yaml.MappingNode):
                found = [(key, item) for key, item in node.value if key.value == part]
                if not found:
                    break
                key, node = found[0]
                line = int(key.start_mark.line) + 1
            else:
                break
        return line


def loads(raw: bytes, *, what: str, error: type[PrivsynthError]) -> YamlDocument:
    """Return what UTF-8 bytes say.

    Args:
      raw: the document.
      what: how to call it in a message.
      error: the class to raise.
    Raises:
      error: with the line: it is not UTF-8, not YAML, has a key twice in one mapping, a key that is no plain value, a
        value that cannot be (2024-13-01), a tag of its own, more than 20 levels, or aliases that repeat too much.
    """
    try:
        loader = _Loader(raw.decode("utf-8-sig"))
        root = loader.get_single_node()
    except UnicodeDecodeError:
        raise error(f"{what} is not UTF-8 text") from None
    except (yaml.YAMLError, RecursionError) as problem:
        raise error(f"{what} is not valid YAML{_place(problem)}") from None
    if root is None:
        return YamlDocument(None, None)
    _Check(what, error).node(root, 0)
    try:
        return YamlDocument(loader.construct_document(root), root)
    except (yaml.YAMLError, ValueError, OverflowError) as problem:
        raise error(
            f"{what} holds a value that YAML cannot read{_place(problem)}, such as a date that does not exist or a tag"
        ) from None


def _place(problem: Exception) -> str:
    mark = getattr(problem, "problem_mark", None)
    return "" if mark is None else f" (line {mark.line + 1})"


class _Check:
    """Refuses what makes a small file large or ambiguous."""

    def __init__(self, what: str, error: type[PrivsynthError]) -> None:
        self._what, self._error = what, error
        self._seen: set[int] = set()
        self._repeated = 0

    def node(self, node: yaml.Node, depth: int) -> None:
        """Look at a node and at all below it, once for each alias."""
        self._repeated += id(node) in self._seen
        self._seen.add(id(node))
        if depth > MAX_DEPTH or self._repeated > MAX_REPEATED:
            self._refuse(node, "no deep nesting and no alias that repeats very much is read; write it out")
        if isinstance(node, yaml.SequenceNode):
            for item in node.value:
                self.node(item, depth + 1)
        elif isinstance(node, yaml.MappingNode):
            names = set()
            for key, item in node.value:
                if not isinstance(key, yaml.ScalarNode):
                    self._refuse(key, "a key is no text")
                if key.value in names:
                    self._refuse(key, f"the key '{key.value}' stands twice; take one away")
                names.add(key.value)
                self.node(item, depth + 1)

    def _refuse(self, node: yaml.Node, why: str) -> None:
        raise self._error(f"{self._what}: line {node.start_mark.line + 1}: {why}")
