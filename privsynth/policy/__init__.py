"""Policies: checks on findings, and their verdicts. No row enters here."""

from privsynth.policy.definition import Check, Policy
from privsynth.policy.files import SHIPPED, load_policy
from privsynth.policy.judge import CheckOutcome, Judgement, judge

__all__ = ["SHIPPED", "Check", "CheckOutcome", "Judgement", "Policy", "judge", "load_policy"]
