"""FHIRPath: expressions that are compiled once and evaluated on many resources.

The plain ones, of which views consist for the most part (`code.coding.first().code`, `value.ofType(Quantity).value`),
are evaluated here; all others by fhirpathpy, which takes several times as long. Tests hold the two against each other.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from fhirpathpy import compile as compile_path
from fhirpathpy.engine.nodes import FP_Type, ResourceNode
from fhirpathpy.models import models

from privsynth.errors import ConfigError

MAX_PATH_CHARS = 2_000  # of an expression (own)
_MODEL = models["r4"]
# Elements of which the JSON name ends in a type: value[x], effective[x], ...
_CHOICES = frozenset(name.rpartition(".")[2] for name in _MODEL["choiceTypePaths"])
_TYPES = sorted({kind[:1].upper() + kind[1:] for kinds in _MODEL["choiceTypePaths"].values() for kind in kinds})
_LITERAL = r"'(?P<literal>[^'\\]*)'"
_NAMES = r"[a-z]\w*(?:\.[a-z]\w*)*"
_STEP = re.compile(
    r"(?P<name>[a-z]\w*)(?![\w(])|(?P<this>\$this)|ofType\((?P<type>\w+)\)|(?P<first>first\(\))|(?P<exists>exists\(\))|"
    rf"where\((?P<path>{_NAMES}) = {_LITERAL}\)|where\((?P<without>{_NAMES})\.empty\(\)\)|(?P<empty>empty\(\))|"
    rf"extension\('(?P<url>[^'\\]*)'\)|"
    r"(?P<key>getResourceKey\(\))|getReferenceKey\((?P<referred>\w*)\)"
)
_COMPARISON = re.compile(rf"(?P<left>.+) (?P<sign>=|!=) {_LITERAL}")
_VARIABLE = re.compile(r"%(\w+|`[^`]+`)")
_TEXT = re.compile(r"'(?:[^'\\]|\\.)*'")
_KEY_OF = re.compile(r"(?:^|.*/)([A-Z]\w+)/([^/#?]+)(?:/_history/[^/]+)?$")

Evaluator = Callable[[list[Any], Mapping[str, Any]], list[Any]]


class FhirPath:
    """An expression.

    Attributes:
      text: as it is written.
      is_plain: whether it is evaluated here, on JSON alone.

    Raises:
      ConfigError: it is none, or names a variable that is not there.
    """

    def __init__(self, text: Any, variables: Mapping[str, Any], where: str) -> None:
        if not isinstance(text, str) or not text.strip() or len(text) > MAX_PATH_CHARS:
            raise ConfigError(f"{where} needs FHIRPath expressions as texts of at most {MAX_PATH_CHARS:,} characters")
        self.text = text.strip()
        named = {name.strip("`") for name in _VARIABLE.findall(_TEXT.sub("", self.text))}
        if unknown := named - set(variables) - {"rowIndex", "context", "resource", "rootResource", "ucum"}:
            raise ConfigError(f"{where} has the expression {self.text!r} with %{min(unknown)}, which is no constant")
        plain = _plain(self.text)
        self.is_plain = plain is not None
        self._evaluate = plain or _compiled(self.text, where)

    def __call__(self, nodes: list[Any], variables: Mapping[str, Any]) -> list[Any]:
        """Return the collection that the expression gives on a context: JSON, or nodes of fhirpathpy.

        Raises:
          Exception: of any kind, where the expression cannot be evaluated on what is there.
        """
        return self._evaluate(nodes, variables)


def raw(node: Any) -> Any:
    """Return the JSON of a node; times as texts."""
    if isinstance(node, ResourceNode):
        node = node.data
    return str(node) if isinstance(node, FP_Type) else node


def _plain(text: str) -> Evaluator | None:
    """Return what evaluates a plain expression; None for any other."""
    if found := _COMPARISON.fullmatch(text):
        left = _plain(found["left"])
        if left is None:
            return None
        literal, wanted = found["literal"], found["sign"] == "="
        return lambda nodes, variables: _compared(left(nodes, variables), literal, wanted)
    steps: list[Callable[[list[Any]], list[Any]]] = []
    at, ended, last = 0, False, ""
    while at < len(text):
        found = _STEP.match(text, at)
        if found is None or ended:
            return None
        if last and found["type"]:  # the JSON name of the element is that of the two
            steps[-1] = _of_type(last, found["type"])
        else:
            steps.append(_step(found))
        last = found["name"] or ""
        ended = bool(found["exists"] or found["empty"])
        at = found.end()
        if at < len(text):
            if text[at] != "." or at + 1 == len(text):
                return None
            at += 1

    def evaluate(nodes: list[Any], variables: Mapping[str, Any]) -> list[Any]:
        found = [raw(node) for node in nodes]
        for step in steps:
            found = step(found)
        return _values(found)

    return evaluate


def _compared(left: list[Any], literal: str, wanted: bool) -> list[Any]:
    """Return what `left = literal` gives; with several values on the left it is false."""
    return [(left == [literal]) == wanted] if left else []


def _of_type(name: str, kind: str) -> Callable[[list[Any]], list[Any]]:
    whole = name + kind[:1].upper() + kind[1:]

    def step(nodes: list[Any]) -> list[Any]:
        found = (node.get(whole) for node in _values(nodes) if isinstance(node, dict) and node.get(name) is None)
        return [value for value in found if value is not None]

    return step


def _step(found: re.Match[str]) -> Callable[[list[Any]], list[Any]]:
    if name := found["name"]:
        return lambda nodes: _children(nodes, name)
    if found["this"]:
        return lambda nodes: nodes
    if kind := found["type"]:
        kind = kind[:1].upper() + kind[1:]
        return lambda nodes: [node.value for node in nodes if isinstance(node, _Choice) and node.kind == kind]
    if found["first"]:
        return lambda nodes: _values(nodes)[:1]
    if found["exists"]:
        return lambda nodes: [bool(nodes)]
    if found["path"] is not None:
        names, literal = found["path"].split("."), found["literal"]
        return lambda nodes: [node for node in _values(nodes) if _at(node, names) == [literal]]
    if found["empty"]:
        return lambda nodes: [not nodes]
    if found["without"] is not None:
        absent = found["without"].split(".")
        return lambda nodes: [node for node in _values(nodes) if not _at(node, absent)]
    if (url := found["url"]) is not None:
        return lambda nodes: [item for item in _children(nodes, "extension") if _at(item, ["url"]) == [url]]
    if found["key"]:
        return lambda nodes: _resource_keys(_values(nodes))
    referred = found["referred"]
    return lambda nodes: _reference_keys(_values(nodes), referred)


class _Choice:
    """The value of an element whose JSON name ends in a type, which `ofType` may ask for."""

    __slots__ = ("kind", "value")

    def __init__(self, kind: str, value: Any) -> None:  # the type begins with a capital
        self.kind = kind
        self.value = value


def _values(nodes: list[Any]) -> list[Any]:
    return [node.value if isinstance(node, _Choice) else node for node in nodes]


def _at(node: Any, names: list[str]) -> list[Any]:
    nodes = [node]
    for name in names:
        nodes = _children(nodes, name)
    return _values(nodes)


def _children(nodes: list[Any], name: str) -> list[Any]:
    found: list[Any] = []
    for node in nodes:
        node = node.value if isinstance(node, _Choice) else node
        if not isinstance(node, dict):
            continue
        child = node.get(name)
        if child is None:
            if name in _CHOICES:
                found += _chosen(node, name)
        elif isinstance(child, list):
            found += [item for item in child if item is not None]
        else:
            found.append(child)
    return found


def _chosen(node: dict[str, Any], name: str) -> list[_Choice]:
    """Return the value of an element such as value[x], for example that of valueQuantity."""
    for kind in _TYPES:
        if (value := node.get(name + kind)) is not None:
            return [_Choice(kind, value)]
    return []


def _resource_keys(nodes: list[Any]) -> list[Any]:
    return [node["id"] for node in nodes if isinstance(node, dict) and isinstance(node.get("id"), str)]


def _reference_keys(nodes: list[Any], kind: str) -> list[str]:
    """Return the ids that references hold: relative and absolute ones, and those of a Bundle (urn:uuid:)."""
    keys = []
    for node in nodes:
        reference = node.get("reference") if isinstance(node, dict) else None
        if not isinstance(reference, str):
            continue
        if reference.startswith("urn:uuid:"):
            keys.append(reference.removeprefix("urn:uuid:"))
        elif (found := _KEY_OF.match(reference)) and kind in ("", found[1]):
            keys.append(found[2])
    return keys


def _join(inputs: list[Any], separator: str = "") -> list[str]:
    return [separator.join(str(item) for item in inputs)]  # of nothing the empty text, as SQL on FHIR wants it


_FUNCTIONS = {
    "join": {"fn": _join, "arity": {0: [], 1: ["String"]}},
    "getResourceKey": {"fn": _resource_keys, "arity": {0: []}},
    "getReferenceKey": {
        "fn": lambda inputs, kind=None: _reference_keys(inputs, kind.name if kind is not None else ""),
        "arity": {0: [], 1: ["TypeSpecifier"]},
    },
}


def _compiled(text: str, where: str) -> Evaluator:
    options = {"userInvocationTable": _FUNCTIONS, "returnRawData": True}
    try:
        evaluated: Callable[..., Any] = compile_path(text, _MODEL, options)
    except Exception:  # of the parser, of any kind
        raise ConfigError(f"{where} has the expression {text!r}, which is no FHIRPath; correct it") from None

    def evaluate(nodes: list[Any], variables: Mapping[str, Any]) -> list[Any]:
        found = evaluated(nodes, dict(variables))
        return found if isinstance(found, list) else [found]

    return evaluate
