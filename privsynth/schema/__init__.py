"""The public shape of a table: what a code book says, declared by a person. Every field may be printed."""

from privsynth.schema.definition import Column, Kind, Role, Schema
from privsynth.schema.rule_parser import parse_rule
from privsynth.schema.rules import Rule

__all__ = ["Column", "Kind", "Role", "Rule", "Schema", "parse_rule"]
