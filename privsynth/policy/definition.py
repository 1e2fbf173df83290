"""`Policy`: a list of checks on findings, each with a threshold and its source."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

_FLOAT = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")


def _number(value: Any) -> Any:
    """Return a text such as 1e-5 as a number: YAML 1.1 reads it as a text, against expectation."""
    return float(value) if isinstance(value, str) and _FLOAT.fullmatch(value.strip()) else value


def _no_conclusion(text: str) -> str:
    found = next((word for word in FORBIDDEN if word in text.lower()), None)
    if found is not None:
        raise ValueError(f"'{found}…' is a conclusion that a person draws; a policy gathers evidence for it")
    return text


def _wrong(key: str, words: str) -> PydanticCustomError:
    """Return the error of a check that one of its keys is to blame for: its line is that of the key."""
    return PydanticCustomError("key", "{words}", {"words": words, "key": key})


FORBIDDEN = ("anonym", "compliant", "compliance")
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1_000)]
Claim = Annotated[Text, AfterValidator(_no_conclusion)]  # what a reader may take for what the policy says of the data
Number = Annotated[float, BeforeValidator(_number), Field(allow_inf_nan=False)]
# What a check may name besides findings: the promise itself.
PROMISES = ("promised_epsilon", "promised_delta")
# Figures that are shares, distances or areas: from 0 to 1.
SHARES = frozenset(
    {
        *(f"tvd_{ways}way{end}" for ways in (1, 2, 3) for end in ("", "_mean", "_worst")),
        *("tie_distance", "membership_auc", "membership_tpr", "tstr_auroc", "c2st_auroc"),
        *("base_rate", "representation", "exact_copies", "rule_violations"),
    }
)


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Check(_Frozen):
    """One check.

    Attributes:
      metric: name of the findings that it checks, or one of `PROMISES`.
      groups: which of their groups, with * and ? as wildcards.
      at_most, at_least: the threshold; exactly one of them, unless `judge` is "verdict".
      compare: "value"; "difference", value minus baseline; or "distance", the absolute difference.
      judge: "interval": pass if the whole interval meets the threshold, fail if none of it does, else review;
        "estimate": the value alone decides; "verdict": the finding's own verdict is adopted.
      visibility: "public" or "officer": check only such findings.
      if_insufficient: the verdict if there is no finding, or none with a figure.
      source: where the threshold comes from.
      why: its purpose; "" if obvious.
    """

    metric: Text
    groups: Text = "*"
    at_most: Number | None = None
    at_least: Number | None = None
    compare: Literal["value", "difference", "distance"] = "value"
    judge: Literal["interval", "estimate", "verdict"] = "interval"
    visibility: Literal["any", "public", "officer"] = "any"
    if_insufficient: Literal["insufficient", "review", "fail"] = "insufficient"
    source: Text
    why: Annotated[str, AfterValidator(_no_conclusion)] = ""

    @model_validator(mode="after")
    def _one_threshold(self) -> Check:
        given = sum(bound is not None for bound in (self.at_most, self.at_least))
        if self.judge == "verdict" and (given or self.compare != "value"):
            raise ValueError(
                "judge: verdict takes over the finding's own verdict; leave out at_most, at_least, compare"
            )
        if self.judge != "verdict" and given != 1:
            raise ValueError("give exactly one of at_most and at_least, or judge: verdict")
        self._can_be_met_and_missed()
        if self.metric in PROMISES and (self.judge == "verdict" or self.compare != "value" or self.groups != "*"):
            raise ValueError(f"{self.metric} is one number: it takes at_most or at_least, and no groups or compare")
        return self

    def _can_be_met_and_missed(self) -> None:
        """Refuse what arithmetic decides: nothing can meet it, or nothing can miss it."""
        never_below_zero = self.compare == "distance" or (self.compare == "value" and self.metric in SHARES)
        if self.at_most is not None and never_below_zero and self.at_most < 0:
            raise _wrong("at_most", f"{self.at_most:g} can be met by nothing: {self.metric} is never below 0")
        if self.compare != "value" or self.metric not in SHARES:
            return
        if self.at_most is not None and self.at_most >= 1:
            raise _wrong("at_most", f"{self.at_most:g} can be missed by nothing: {self.metric} is never above 1")
        if self.at_least is not None and not 0 < self.at_least <= 1:
            what = "missed" if self.at_least <= 0 else "met"
            raise _wrong("at_least", f"{self.at_least:g} can be {what} by nothing: {self.metric} is from 0 to 1")

    @property
    def is_public(self) -> bool:
        """Whether the check uses public findings only."""
        return self.visibility == "public" or self.metric in PROMISES

    @property
    def demand(self) -> str:
        """The requirement in words."""
        if self.judge == "verdict":
            return "the finding's own threshold"
        word, bound = ("at most", self.at_most) if self.at_most is not None else ("at least", self.at_least)
        what = {
            "value": "",
            "difference": "above what it is compared with, ",
            "distance": "away from what it is compared with, ",
        }
        return f"{what[self.compare]}{word} {bound:g}" + (" (estimate alone)" if self.judge == "estimate" else "")


class Recipient(_Frozen):
    """Somebody for whom a release is meant, with what the policy allows and forbids there, for page one of the reports.

    Attributes:
      name: of the recipient, or the kind of recipient.
      may, must_not: uses, a phrase each.
    """

    name: Claim
    may: tuple[Claim, ...] = Field(default=(), max_length=10, strict=False)
    must_not: tuple[Claim, ...] = Field(default=(), max_length=10, strict=False)


class Policy(_Frozen):
    """A named list of checks.

    Attributes:
      policy: its name.
      version: of the policy, chosen by its author.
      purpose: for which use of the data, in a sentence or two.
      approvals: people who have to approve a release, none of whom made it (`privsynth status`).
      recipients: for whom the release is meant; () if it names none.
      checks: at least one.
    """

    policy: Claim
    version: Text
    purpose: Claim
    approvals: int = Field(default=1, ge=1, le=10)
    recipients: tuple[Recipient, ...] = Field(default=(), max_length=10, strict=False)
    checks: tuple[Check, ...] = Field(max_length=500, strict=False)

    @field_validator("checks")
    @classmethod
    def _demands_something(cls, checks: tuple[Check, ...]) -> tuple[Check, ...]:
        if not checks:
            raise ValueError("a policy without checks demands nothing")
        return checks

    @property
    def public_only(self) -> bool:
        """Whether every check uses public findings only."""
        return all(check.is_public for check in self.checks)
