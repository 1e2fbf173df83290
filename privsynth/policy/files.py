"""Policies from YAML: shipped ones by name, others by path; every error names its line."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from privsynth.errors import ConfigError
from privsynth.policy.definition import Policy
from privsynth.strict.yaml import YamlDocument
from privsynth.strict.yaml import loads as read_yaml

SHIPPED = ("internal", "trusted-partner", "public")
MAX_BYTES = 1 << 20  # 1 MiB: the shipped policies have a few KiB (own)


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
      ConfigError: with line and key of each of the first five errors.
    """
    document = read_yaml(raw, what=where, error=ConfigError)
    if not isinstance(document.value, dict):
        raise ConfigError(f"{where} is no policy: it must hold the keys policy, version, purpose and checks")
    try:
        policy = Policy.model_validate(document.value)
    except ValidationError as error:
        reasons = [_reason(item, document) for item in error.errors(include_url=False, include_input=False)[:5]]
        raise ConfigError(f"{where} is not a valid policy: " + "; ".join(reasons)) from None
    return LoadedPolicy(policy, hashlib.sha256(raw).hexdigest())


def _reason(item: Any, document: YamlDocument) -> str:
    place, line = " → ".join(str(part) for part in item["loc"]), document.line(item["loc"])
    message = str(item["msg"]).removeprefix("Value error, ")
    if item["type"] == "extra_forbidden":
        return f"line {line}: '{place}' is not a key that a policy knows"
    if item["type"] == "missing":
        return f"line {line}: '{place}' is missing"
    return f"line {line}: {place}: {message}" if place else f"line {line}: {message}"
