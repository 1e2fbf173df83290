"""Policies: what a person demands of findings, and the verdict on each demand. Nothing here sees a row."""

from privsynth.policy.files import SHIPPED, load_policy
from privsynth.policy.judge import CheckOutcome, Judgement, judge
from privsynth.policy.model import Check, Policy

__all__ = ["SHIPPED", "Check", "CheckOutcome", "Judgement", "Policy", "judge", "load_policy"]
