"""`TableQuestion`: what is asked of the noisy tables, parsed from a text such as "mean(age) by ward where sex = F"."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, get_args

from privsynth.errors import ConfigError

Statistic = Literal["count", "share", "mean", "sum", "median", "quantile"]
Operator = Literal["=", "!=", "in", "<", "<=", ">", ">="]
EXAMPLES = "count by ward; share(ward = surgery) by sex; mean(age) by ward; quantile(age, 0.9) where sex = F"
MAX_TEXT = 10_000  # characters of a question (own)
_WORDS = ("by", "where", "and", "in")  # of the language: a name that is one of them, or holds one, stands in quotes
_TOKEN = re.compile(r"\s*(?:`([^`]*)`|\"([^\"]*)\"|'([^']*)'|(<=|>=|!=|[=<>(),])|([^\s=<>!(),`\"']+))")


@dataclass(frozen=True)
class Comparison:
    """A comparison of one column with a value, or with any of several."""

    column: str
    operator: Operator
    values: tuple[str, ...]

    def __str__(self) -> str:
        several = self.operator == "in"
        return f"{self.column} {self.operator} {'(' + ', '.join(self.values) + ')' if several else self.values[0]}"


@dataclass(frozen=True)
class TableQuestion:
    """What is asked.

    Attributes:
      statistic: of the rows of each group.
      column: of a mean, a sum, a median or a quantile; "" else.
      of: the condition of a share: the share of a group's rows that meet it; None for the share that a group has of
        all rows.
      level: of a quantile, 0.5 for a median; 0 else.
      by: columns whose groups are told apart.
      where: conditions that rows have to meet.
    """

    statistic: Statistic
    column: str = ""
    of: Comparison | None = None
    level: float = 0.0
    by: tuple[str, ...] = ()
    where: tuple[Comparison, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that it names, once."""
        conditions = (*self.where, *(() if self.of is None else (self.of,)))
        named = (*self.by, *([self.column] if self.column else []), *(c.column for c in conditions))
        return tuple(dict.fromkeys(named))


def parse_question(text: str) -> TableQuestion:
    """Return the question in a text.

    Names and values may have blanks; those with signs, or with a word of the language, stand between backticks or
    quotes.

    Raises:
      ConfigError: it cannot be read; the message says where.
    """
    return _Parser(_tokens(text)).question()


def spelled(name: str) -> str:
    """Return a name as a question spells it: as it is, or in quotes.

    >>> spelled("discharged.after admitted"), spelled("dose (mg)")
    ('discharged.after admitted', '`dose (mg)`')
    """
    words = name.split(" ")
    if all((found := _TOKEN.fullmatch(word)) is not None and found[5] == word not in _WORDS for word in words):
        return name
    return next((f"{sign}{name}{sign}" for sign in "`\"'" if sign not in name), name)


def _tokens(text: str) -> list[tuple[str, Literal["word", "quoted", "sign"]]]:
    """Return the tokens, and what each is."""
    if len(text) > MAX_TEXT:
        raise ConfigError("the question is too long; ask for one figure at a time")
    found: list[tuple[str, Literal["word", "quoted", "sign"]]] = []
    at = 0
    while text[at:].strip():
        match = _TOKEN.match(text, at)
        if match is None:
            raise ConfigError(f"the question cannot be read from '{text[at:].strip()[:40]}' on; ask like: {EXAMPLES}")
        quoted = next((group for group in match.groups()[:3] if group is not None), None)
        if quoted is not None:
            found.append((quoted, "quoted"))
        else:
            found.append((match[5], "word") if match[5] is not None else (match[4], "sign"))
        at = match.end()
    return found


class _Parser:
    def __init__(self, tokens: list[tuple[str, Literal["word", "quoted", "sign"]]]) -> None:
        self._tokens, self._at = tokens, 0

    def question(self) -> TableQuestion:
        statistic = self._word("a statistic", whole=False)
        if statistic not in get_args(Statistic):
            known = ", ".join(get_args(Statistic))
            raise ConfigError(f"there is no statistic '{statistic}'; choose {known}, as in: {EXAMPLES}")
        column, of, level = "", None, 0.0
        if statistic == "share" and self._next("("):
            of = self._condition()
            self._expect(")")
        elif statistic not in ("count", "share"):
            self._expect("(")
            column = self._word("a column")
            level = self._level(statistic)
            self._expect(")")
        by = self._by()
        where: list[Comparison] = []
        if self._next("where"):
            where.append(self._condition())
            while self._next("and"):
                where.append(self._condition())
        if self._at < len(self._tokens):
            raise ConfigError(
                f"'{self._tokens[self._at][0]}' stands where the question should end; ask like: {EXAMPLES}"
            )
        return TableQuestion(statistic, column, of, level, by, tuple(where))  # type: ignore[arg-type]

    def _level(self, statistic: str) -> float:
        if statistic != "quantile":
            return 0.5 if statistic == "median" else 0.0
        self._expect(",")
        text = self._word("a level")
        try:
            level = float(text)
        except ValueError:
            level = -1.0
        if not 0 < level < 1:
            raise ConfigError(
                f"the level of a quantile lies between 0 and 1, and '{text}' does not: quantile(age, 0.9)"
            )
        return level

    def _by(self) -> tuple[str, ...]:
        if not self._next("by"):
            return ()
        found = [self._word("a column")]
        while self._next(","):
            found.append(self._word("a column"))
        if len(found) > 2 or len(set(found)) < len(found):
            raise ConfigError("one or two different columns can stand after 'by'; ask for fewer")
        return tuple(found)

    def _condition(self) -> Comparison:
        column = self._word("a column")
        if self._next("in"):
            self._expect("(")
            values = [self._word("a value")]
            while self._next(","):
                values.append(self._word("a value"))
            self._expect(")")
            return Comparison(column, "in", tuple(values))
        sign = self._tokens[self._at][0] if self._at < len(self._tokens) else ""
        if sign not in ("=", "!=", "<", "<=", ">", ">="):
            raise ConfigError(
                f"after '{column}' comes =, !=, <, <=, >, >= or in, and not '{sign}'; ask like: {EXAMPLES}"
            )
        self._at += 1
        return Comparison(column, sign, (self._word("a value"),))  # type: ignore[arg-type]

    def _word(self, what: str, *, whole: bool = True) -> str:
        """Return a name or a value; a whole one goes on to the next sign or word of the language."""
        if self._at >= len(self._tokens) or self._tokens[self._at][1] == "sign":
            raise ConfigError(f"the question lacks {what}; ask like: {EXAMPLES}")
        first, kind = self._tokens[self._at]
        words = [first]
        self._at += 1
        while whole and kind == "word" and self._at < len(self._tokens):
            word, another = self._tokens[self._at]
            if another != "word" or word in _WORDS:
                break
            words.append(word)
            self._at += 1
        return " ".join(words)

    def _next(self, sign: str) -> bool:
        """Pass a sign or a word of the language, if it comes next."""
        there = self._at < len(self._tokens) and self._tokens[self._at] in ((sign, "word"), (sign, "sign"))
        self._at += there
        return there

    def _expect(self, sign: str) -> None:
        if not self._next(sign):
            raise ConfigError(f"the question lacks a '{sign}'; ask like: {EXAMPLES}")
