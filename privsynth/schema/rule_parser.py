"""Reads the sentences of rules and conditions.

    rule       = conditions | conditions "=>" conditions | column "=" calculation
    conditions = condition { "and" condition }
    condition  = side ("=" | "!=" | "<" | "<=" | ">" | ">=") side
               | column ["not"] "in" ("(" value {"," value} ")" | level group)
               | column "is" ["not"] "null"
    side       = column | value | calculation

A name with spaces or signs is written in `backquotes`; text may be quoted with ' or ". A word on the right that is a
column's name is that column. Dates are ISO 8601; one with a zone is taken in UTC, as cells are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from privsynth.hierarchies import Hierarchy
from privsynth.schema.booleans import boolean_text
from privsynth.schema.calculations import (
    Amount,
    Calculation,
    ColumnTerm,
    columns_of,
    is_calculation,
    read_calculation,
)
from privsynth.schema.rules import COMPARISONS, Condition, Membership, Operator, Rule

MAX_TEXT = 100_000  # characters of a sentence (own): a list of some thousand values
_SHOWN = 200  # characters of a sentence in a message (own): two lines of a terminal
_TOKEN = re.compile(
    r"\s*(?:(?P<name>`[^`]+`)|(?P<text>'[^']*'|\"[^\"]*\")|(?P<op>=>|>=|<=|!=|==|=|>|<)"
    r"|(?P<in>[iI][nN](?=[({]))|(?P<word>[^\s`'\"=<>!]+))"
)
_LIST = re.compile(r"\s*(?P<open>[({])(?P<items>(?:`[^`]*`|'[^']*'|\"[^\"]*\"|[^`'\"(){}])*)(?P<close>[)}])")
# Each part can match in one way only, so that a long text takes time in proportion.
_ITEM = re.compile(r"\s*(?:'(?P<one>[^']*)'\s*|\"(?P<two>[^\"]*)\"\s*|(?P<bare>[^\s,'\"][^,'\"]*))(?:,|$)")
# What a sentence is called -> how it may be written.
_FORMS = {
    "rule": "write `column >= column`, `column in (a, b)`, `a = b - c`, or `condition => condition`",
    "the condition": "write `column = value`, `column >= value`, `column in (a, b)` or `column is null`",
}


@dataclass(frozen=True)
class Vocabulary:
    """What the words of a sentence may stand for.

    Attributes:
      names: known columns; a bare word on the right that is one of them is a column, else a literal.
      hierarchies: column -> its hierarchy.
      booleans: column -> (spellings of false, spellings of true).
    """

    names: Sequence[str] = ()
    hierarchies: Mapping[str, Hierarchy] = field(default_factory=dict)
    booleans: Mapping[str, tuple[Sequence[str], Sequence[str]]] = field(default_factory=dict)


@dataclass(frozen=True)
class _Token:
    kind: str
    value: str
    start: int
    end: int

    def is_word(self, *words: str) -> bool:
        """Return whether it is one of these words, in any case."""
        return self.kind == "word" and self.value.lower() in words


def parse_rule(text: str, known: Sequence[str] | Vocabulary = ()) -> Rule:
    """Return the rule that a sentence declares.

    Args:
      text: the sentence.
      known: column names, or all that words may stand for.
    Raises:
      ValueError: the sentence cannot be read; the message quotes it.
    """
    return _Sentence(text, known if isinstance(known, Vocabulary) else Vocabulary(known), "rule").rule()


def parse_conditions(text: str, known: Vocabulary) -> tuple[Condition, ...]:
    """Return the conditions of a text, which are joined by `and`.

    Raises:
      ValueError: the text cannot be read; the message quotes it.
    """
    sentence = _Sentence(text, known, "the condition")
    if any(token.value == "=>" for token in sentence.tokens if token.kind == "op"):
        raise sentence.error(f"is a rule and no condition; {sentence.forms}")
    return sentence.conditions(sentence.tokens)


class _Sentence:
    def __init__(self, text: str, known: Vocabulary, what: str) -> None:
        self.text, self.known, self.what = text, known, what
        self.forms = _FORMS[what]
        if len(text) > MAX_TEXT:
            raise self.error(f"has more than {MAX_TEXT:,} characters; write a shorter one")
        self.tokens = self._read()

    def error(self, problem: str) -> ValueError:
        """Return the error that a sentence has this problem."""
        text = self.text.strip()
        shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
        return ValueError(f"{self.what} '{shown}' {problem}")

    def _read(self) -> list[_Token]:
        found: list[_Token] = []
        at, end = 0, len(self.text.rstrip())
        while at < end:
            listed = _LIST.match(self.text, at) if found and found[-1].is_word("in") else None
            match = listed or _TOKEN.match(self.text, at)
            if match is None or match.lastgroup is None:
                raise self.error(f"cannot be read at position {at + 1}")
            kind = "list" if listed else match.lastgroup
            value = match["items"] if listed else match.group(kind)
            start = match.start() if listed else match.start(kind)
            kind = "word" if kind == "in" else kind
            if kind == "op" and value == "==":
                value = "="
            found.append(_Token(kind, value, start, match.end()))
            at = match.end()
        return found

    def rule(self) -> Rule:
        """Return the rule."""
        tokens = self.tokens
        arrows = [at for at, token in enumerate(tokens) if (token.kind, token.value) == ("op", "=>")]
        if arrows:
            premise, conditions = self.conditions(tokens[: arrows[0]]), self.conditions(tokens[arrows[0] + 1 :])
            return Rule(text=self.text, shape="implies", premise=premise, conditions=conditions)
        joined = any(token.kind == "op" or token.is_word("and") for token in tokens[2:])
        if len(tokens) > 2 and tokens[1].value == "=" and not joined and self._calculates(tokens[2:]):
            return self._computed(self._name(tokens[0]), tokens[2:])
        return Rule(text=self.text, shape="check", conditions=self.conditions(tokens))

    def _computed(self, result: str, tokens: list[_Token]) -> Rule:
        calculation = self._calculation(tokens)
        sources = list(columns_of(calculation))
        if result in sources:
            raise self.error(f"computes '{result}' from itself; it must name different columns")
        if not sources:
            raise self.error("computes a column from no other")
        difference = len(tokens) == 3 and tokens[1].value == "-" and len(sources) == 2
        if not difference:
            return Rule(text=self.text, shape="derived", computed=(result, calculation))
        if len(set(sources)) < 2:
            raise self.error("must name three different columns")
        return Rule(text=self.text, shape="derived", derived=(result, sources[0], sources[1]))

    def _name(self, token: _Token) -> str:
        if token.kind not in ("name", "word"):
            raise self.error(f"needs a column name where it says {token.value}")
        return token.value[1:-1] if token.kind == "name" else token.value

    def _calculates(self, tokens: Sequence[_Token]) -> bool:
        return is_calculation([token.value for token in tokens if token.kind == "word"]) and (
            len(tokens) > 1 or tokens[0].kind == "word"
        )

    def _calculation(self, tokens: Sequence[_Token]) -> Calculation:
        if any(token.kind in ("text", "list") for token in tokens):
            raise self.error("calculates with a text")
        try:
            return read_calculation(self.text[tokens[0].start : tokens[-1].end], self.known.names)
        except ValueError as error:
            raise self.error(str(error)) from None

    def conditions(self, tokens: Sequence[_Token]) -> tuple[Condition, ...]:
        """Return the conditions that are joined by `and`."""
        parts: list[list[_Token]] = [[]]
        for token in tokens:
            if token.is_word("and"):
                parts.append([])
            else:
                parts[-1].append(token)
        return tuple(self._spelt(self._condition(part)) for part in parts)

    def _condition(self, tokens: list[_Token]) -> Condition:
        if len(tokens) > 2 and (tokens[1].is_word("in") or (tokens[1].is_word("not") and tokens[2].is_word("in"))):
            return self._membership(tokens)
        words = [token.value.lower() for token in tokens[1:] if token.kind == "word"]
        if len(words) == len(tokens) - 1 and words in (["is", "null"], ["is", "not", "null"]):
            missing: Operator = "is null" if len(words) == 2 else "is not null"
            return Condition(self._name(tokens[0]), missing)
        at = [i for i, token in enumerate(tokens) if token.kind == "op" and token.value in COMPARISONS]
        if len(at) != 1 or not 0 < at[0] < len(tokens) - 1:
            raise self.error(f"cannot be read: {self.forms}")
        left, right = tokens[: at[0]], tokens[at[0] + 1 :]
        operator: Operator = tokens[at[0]].value  # type: ignore[assignment]
        if self._calculates(left) or self._calculates(right):
            return self._comparison(self._calculation(left), operator, self._calculation(right))
        if len(left) > 1 or len(right) > 1:
            raise self.error(f"cannot be read: {self.forms}; quote a text of several words")
        column, value = self._name(left[0]), right[0]
        if value.kind == "name" or (value.kind == "word" and value.value in self.known.names):
            return Condition(column, operator, other=value.value.strip("`"))
        return Condition(column, operator, literal=value.value[1:-1] if value.kind == "text" else value.value)

    def _comparison(self, left: Calculation, operator: Operator, right: Calculation) -> Condition:
        named = [*columns_of(left), *columns_of(right)]
        if not named:
            raise self.error("compares numbers and no column")
        if isinstance(left, ColumnTerm) and isinstance(right, Amount) and left.part is None:
            return Condition(left.name, operator, literal=right.text)
        return Condition(named[0], operator, left=left, right=right)

    def _membership(self, tokens: list[_Token]) -> Condition:
        column, negated = self._name(tokens[0]), tokens[1].is_word("not")
        operator: Operator = "not in" if negated else "in"
        rest = tokens[2 + negated :]
        if not rest or any(token.kind == "op" for token in rest):
            raise self._needs_values(column)
        if len(rest) == 1 and rest[0].kind == "list":
            return Condition(column, operator, within=Membership(self._items(rest[0].value, column)))
        raw = self.text[rest[0].start : rest[-1].end]
        if any(token.kind == "list" or (token.kind == "word" and set(token.value) & set("(){}")) for token in rest):
            raise self._needs_values(column)
        if len(rest) > 1 and "," not in raw:
            return Condition(column, operator, within=self._group(column, rest))
        return Condition(column, operator, within=Membership(self._items(raw, column)))

    def _items(self, raw: str, column: str) -> tuple[str, ...]:
        found, at = [], 0
        while at < len(raw.rstrip()):
            match = _ITEM.match(raw, at)
            if match is None or not match.group(match.lastgroup or 0).strip():
                raise self._needs_values(column)
            found.append(match["bare"].strip() if match["bare"] is not None else match.group(match.lastgroup or 0))
            at = match.end()
        if not found:
            raise self._needs_values(column)
        return tuple(dict.fromkeys(found))

    def _needs_values(self, column: str) -> ValueError:
        return self.error(
            f"needs values after `in`: write `{column} in (a, b)`, with commas between, or a level and a group of the "
            f"column's hierarchy, as in `diagnosis in chapter O`"
        )

    def _group(self, column: str, rest: Sequence[_Token]) -> Membership:
        level = self._name(rest[0]).lower()
        group = self.text[rest[1].start : rest[-1].end]
        if len(rest) == 2 and rest[1].kind == "text":
            group = group[1:-1]
        hierarchy = self.known.hierarchies.get(column)
        if hierarchy is None:
            if self.known.hierarchies or self.known.names:
                raise self.error(
                    f"names a {level} of '{column}', which has no hierarchy; declare one with `hierarchy:`, or list "
                    f"values: `{column} in (a, b)`"
                )
            return Membership(level=level, group=group)
        levels = {one.lower(): one for one in hierarchy.levels}
        if level not in levels:
            raise self.error(f"names a {level} of '{column}', whose levels are {', '.join(hierarchy.levels)}")
        try:
            found = hierarchy.group(levels[level], group)
        except ValueError as error:
            raise self.error(f"cannot be judged: {error}") from None
        return Membership(level=levels[level], group=found, hierarchy=hierarchy)

    def _spelt(self, condition: Condition) -> Condition:
        """Return the condition with the truth values of booleans as rows write them; others stay as they are."""
        spellings = self.known.booleans.get(condition.column)
        if spellings is None:
            return condition

        def spelt(text: str) -> str:
            return boolean_text(text, *spellings) or text

        if condition.literal is not None:
            return replace(condition, literal=spelt(condition.literal))
        if condition.within is not None and condition.within.values:
            values = tuple(map(spelt, condition.within.values))
            return replace(condition, within=replace(condition.within, values=values))
        return condition
