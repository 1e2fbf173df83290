"""Policies from YAML: shipped ones by name, others by path; every error names its line."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from privsynth.errors import ConfigError, meant
from privsynth.policy.definition import PROMISES, Check, Policy, Recipient
from privsynth.strict.complaints import in_plain_words
from privsynth.strict.yaml import YamlDocument
from privsynth.strict.yaml import loads as read_yaml

SHIPPED = ("internal", "trusted-partner", "public")
NAMES_AT = "docs/report.md#every-finding"  # where all names of findings are explained
# List of a policy -> what one of its entries is.
_PARTS: dict[str, tuple[str, type[BaseModel]]] = {"checks": ("check", Check), "recipients": ("recipient", Recipient)}
MAX_BYTES = 1 << 20  # 1 MiB: the shipped policies have a few KiB (own)


@dataclass(frozen=True)
class LoadedPolicy:
    """A policy, and the SHA-256 of the bytes that it was read from."""

    policy: Policy
    digest: str


def load_policy(name: str, *, metrics: Collection[str] | None = None) -> LoadedPolicy:
    """Return a shipped policy by its name, or the policy of a file.

    Args:
      name: one of `SHIPPED`, or a path; a file of the same name as a shipped one is given as ./name.
      metrics: names of the findings that there can be; None to look at no figure.
    Raises:
      ConfigError: the file cannot be read, is no policy, or has a metric that there is not; with the line.
    """
    if name in SHIPPED:
        raw = (files("privsynth.policy") / "shipped" / f"{name}.yaml").read_bytes()
        return parse_policy(raw, f"policy {name}", metrics=metrics)
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
    return parse_policy(raw, str(path), metrics=metrics)


def parse_policy(raw: bytes, where: str, *, metrics: Collection[str] | None = None) -> LoadedPolicy:
    """Return the policy of some YAML; see `load_policy`.

    Raises:
      ConfigError: with line and key of each of the first five errors.
    """
    document = read_yaml(raw, what=where, error=ConfigError)
    if not isinstance(document.value, dict):
        raise ConfigError(f"{where} is no policy: it must hold the keys policy, version, purpose and checks")
    try:
        policy = Policy.model_validate(document.value)
        reasons = [] if metrics is None else list(_unknown_metrics(policy, document, metrics))
    except ValidationError as error:
        reasons = [_reason(item, document) for item in error.errors(include_url=False)]
    if reasons:
        raise ConfigError(f"{where} is not a valid policy: " + "; ".join(reasons[:5]))
    return LoadedPolicy(policy, hashlib.sha256(raw).hexdigest())


def _unknown_metrics(policy: Policy, document: YamlDocument, metrics: Collection[str]) -> Iterator[str]:
    """Yield what is wrong with each metric that nothing measures: as a check it would only ever lack evidence."""
    known = (*PROMISES, *metrics)
    for number, check in enumerate(policy.checks):
        if check.metric not in known:
            yield (
                f"line {document.line(('checks', number, 'metric'))}: no audit of this installation measures "
                f"'{check.metric}'{meant(check.metric, known) or ';'} {NAMES_AT} lists all names"
            )


def _reason(item: Any, document: YamlDocument) -> str:
    """Return an error of the validation as a sentence with its line."""
    at = item["loc"] + ((item["ctx"]["key"],) if item["type"] == "key" else ())
    line = f"line {document.line(at)}: "
    if item["type"] == "missing":
        return f"{line}{_place(at[:-1])} has no {at[-1]}"
    if item["type"] == "extra_forbidden":
        return f"{line}{_place(at[:-1])} has no key '{at[-1]}'{meant(str(at[-1]), _keys_at(at))}"
    return f"{line}{_place(at)}: {in_plain_words(item)}"


def _place(at: tuple[str | int, ...]) -> str:
    """Return a place of a policy as a person names it; lists are counted from 1."""
    if not at:
        return "the policy"
    if len(at) > 1 and at[0] in _PARTS and isinstance(at[1], int):
        part = f"{_PARTS[str(at[0])][0]} {at[1] + 1}"
        return " of ".join([*(f"entry {step + 1}" if isinstance(step, int) else step for step in at[:1:-1]), part])
    return str(at[0])


def _keys_at(at: tuple[str | int, ...]) -> Collection[str]:
    kind = _PARTS[str(at[0])][1] if len(at) > 1 and at[0] in _PARTS else Policy
    return kind.model_fields
