"""Policies from YAML: the shipped ones by name, others by path; every complaint names its line."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from privsynth.errors import ConfigError
from privsynth.policy.definition import Policy

SHIPPED = ("internal", "trusted-partner", "public")
MAX_BYTES = 1 << 20  # 1 MiB: the shipped policies have a few KiB (own)
MAX_DEPTH = 20  # levels of nesting; a policy needs three (own)


@dataclass(frozen=True)
class LoadedPolicy:
    """A policy, and the SHA-256 of the bytes that it was read from."""

    policy: Policy
    digest: str


def load_policy(name: str) -> LoadedPolicy:
    """Return a shipped policy by its name, or the policy of a file.

    Args:
      name: one of `SHIPPED`, or a path; a file of the same name as a shipped one is given as ./name.
    Raises:
      ConfigError: the file cannot be read, or is no policy; with the line.
    """
    if name in SHIPPED:
        return parse_policy((files("privsynth.policy") / "shipped" / f"{name}.yaml").read_bytes(), f"policy {name}")
    path = Path(name)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ConfigError(f"{path} is too large for a policy")
        raw = path.read_bytes()
    except FileNotFoundError:
        raise ConfigError(f"there is no policy '{name}'; choose {', '.join(SHIPPED)} or give a YAML file") from None
    except (OSError, ValueError) as error:
        reason = (isinstance(error, OSError) and error.strerror) or "not a path"
        raise ConfigError(f"the policy {name} cannot be read: {reason}") from None
    return parse_policy(raw, str(path))


def parse_policy(raw: bytes, where: str) -> LoadedPolicy:
    """Return the policy of some YAML.

    Raises:
      ConfigError: with the line and the key of each of the first five complaints.
    """
    try:
        node = yaml.compose(raw.decode("utf-8-sig"), Loader=yaml.SafeLoader)
    except UnicodeDecodeError:
        raise ConfigError(f"{where} is not UTF-8 text") from None
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f" (line {mark.line + 1})" if mark is not None else ""
        raise ConfigError(f"{where} is not valid YAML{place}") from None
    if not isinstance(node, yaml.MappingNode):
        raise ConfigError(f"{where} is no policy: it must hold the keys policy, version, purpose and checks")
    _check_nodes(node, where, set())
    try:
        data = yaml.SafeLoader("").construct_document(node)
        policy = Policy.model_validate(data)
    except ValidationError as error:
        reasons = [_reason(item, node) for item in error.errors(include_url=False, include_input=False)[:5]]
        raise ConfigError(f"{where} is not a valid policy: " + "; ".join(reasons)) from None
    except (yaml.YAMLError, ValueError):
        raise ConfigError(f"{where} holds a value that YAML cannot read") from None
    return LoadedPolicy(policy, hashlib.sha256(raw).hexdigest())


def _check_nodes(node: yaml.Node, where: str, seen: set[int], depth: int = 0) -> None:
    """Refuse what makes a small file large or ambiguous: aliases, deep nesting, a key that stands twice."""
    line = node.start_mark.line + 1
    if depth > MAX_DEPTH or id(node) in seen:
        raise ConfigError(f"{where}: line {line}: a policy has no aliases and no deep nesting")
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _check_nodes(item, where, seen, depth + 1)
    elif isinstance(node, yaml.MappingNode):
        names = set()
        for key, item in node.value:
            if key.value in names if isinstance(key, yaml.ScalarNode) else True:
                what = f"the key '{key.value}' stands twice" if isinstance(key, yaml.ScalarNode) else "a key is no text"
                raise ConfigError(f"{where}: line {key.start_mark.line + 1}: {what}")
            names.add(key.value)
            _check_nodes(item, where, seen, depth + 1)


def _reason(item: Any, node: yaml.Node) -> str:
    place, line = " → ".join(str(part) for part in item["loc"]), _line(node, item["loc"])
    message = str(item["msg"]).removeprefix("Value error, ")
    if item["type"] == "extra_forbidden":
        return f"line {line}: '{place}' is not a key that a policy knows"
    if item["type"] == "missing":
        return f"line {line}: '{place}' is missing"
    return f"line {line}: {place}: {message}" if place else f"line {line}: {message}"


def _line(node: yaml.Node, place: tuple[str | int, ...]) -> int:
    """Return the line of the deepest part of a place that the file has."""
    line = int(node.start_mark.line) + 1
    for part in place:
        if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
        elif isinstance(node, yaml.MappingNode):
            found = [(key, item) for key, item in node.value if key.value == part]
            if not found:
                break
            key, node = found[0]
            line = int(key.start_mark.line) + 1
            continue
        else:
            break
        line = int(node.start_mark.line) + 1
    return line
