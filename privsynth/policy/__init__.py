"""Policies: what a person demands of findings, and the verdict on each demand. Nothing here sees a row."""

from privsynth.policy.definition import Check, Policy
from privsynth.policy.files import SHIPPED, load_policy
from privsynth.policy.judge import CheckOutcome, Judgement, judge

__all__ = ["SHIPPED", "Check", "CheckOutcome", "Judgement", "Policy", "judge", "load_policy"]
