"""`Words`: the sentences of a language, with numbers, dates and lists as that language writes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from string import Formatter
from typing import Any

from privsynth.errors import ConfigError
from privsynth.pages.templates import templates_dir
from privsynth.strict.yaml import loads

LANGUAGES = ("en", "de")
ENGLISH = "en"
_POINT_AND_COMMA = str.maketrans(".,", ",.")


class Foreign(str):
    """A text of page one that stands there in English, since nobody has translated it."""

    __slots__ = ()


@dataclass(frozen=True)
class Words:
    """The sentences of one language.

    Attributes:
      language: as `lang` names it.
      messages: key -> sentence, with places in braces.
      translations: English text that comes from elsewhere (titles, what audits leave out) -> the same in the language.
    """

    language: str
    messages: Mapping[str, str]
    translations: Mapping[str, str]

    def say(self, key: str, **values: Any) -> str:
        """Return a sentence; a number among its values is written as the language does.

        Raises:
          KeyError: there is no such sentence, or it lacks a value.
        """
        return self.messages[key].format(**{name: self._value(value) for name, value in values.items()})

    def some(self, key: str, n: int, **values: Any) -> str:
        """Return the sentence `key.one` or `key.many`, as n is one or not."""
        return self.say(f"{key}.one" if n == 1 else f"{key}.many", n=n, **values)

    def of(self, english: str) -> str:
        """Return a text from elsewhere in the language, marked as foreign where it has no translation."""
        return self.translations.get(english) or (english if self.language == ENGLISH else Foreign(english))

    def figure(self, text: str) -> str:
        """Return a number that was written as in English, such as 1,234.5 %, as the language writes it."""
        return text if self.language == ENGLISH else text.translate(_POINT_AND_COMMA)

    def date(self, iso: str) -> str:
        """Return an ISO time in UTC, as a person writes it."""
        at = datetime.fromisoformat(iso).astimezone(UTC)
        month = self.messages["months"].split()[at.month - 1]
        return self.messages["moment"].format(day=at.day, month=month, year=at.year, time=f"{at:%H:%M}")

    def unit(self, noun: str) -> str:
        """Return the noun of a unit as it stands in a sentence: "a patient", where a language can tell the article."""
        return with_article(noun) if self.language == ENGLISH else self.messages["noun"].format(noun=noun)

    def listed(self, names: Sequence[str], *, most: int = 4) -> str:
        """Return names as a list in words, and how many more there are."""
        shown, more = list(names[:most]), len(names) - most
        if more > 0:
            return self.say("list.more", names=", ".join(shown), more=more)
        if len(shown) < 2:
            return "".join(shown)
        return self.say("list.last", names=", ".join(shown[:-1]), last=shown[-1])

    def _value(self, value: Any) -> Any:
        return self.figure(f"{value:,}") if isinstance(value, int) else value


_SPOKEN_AS_CONSONANT = ("uni", "use", "usa", "eu", "one", "once")


def with_article(noun: str) -> str:
    """Return "a patient", "an account"."""
    an = noun[:1].lower() in set("aeiou") and not noun.lower().startswith(_SPOKEN_AS_CONSONANT)
    return f"{'an' if an else 'a'} {noun}"


@cache
def words(language: str = ENGLISH) -> Words:
    """Return the sentences of a language.

    Raises:
      ConfigError: there are none, or their file is damaged.
    """
    if language not in LANGUAGES:
        raise ConfigError(f"there is no page one in {language!r}; there is one in {', '.join(LANGUAGES)}")
    return read(templates_dir() / "sheet" / f"{language}.yaml")


def read(path: Path) -> Words:
    """Return the sentences of a file.

    Raises:
      ConfigError: it is no such file.
    """
    found = loads(path.read_bytes(), what=path.name, error=ConfigError).value
    if not isinstance(found, dict) or set(found) != {"language", "messages", "translations"}:
        raise ConfigError(f"{path.name} needs the keys language, messages and translations")
    messages, translations = found["messages"], found["translations"] or {}
    for name, part in (("messages", messages), ("translations", translations)):
        if not isinstance(part, dict) or not all(isinstance(text, str) for text in part.values()):
            raise ConfigError(f"{path.name}: {name} must be texts by their key")
    return Words(found["language"], messages, translations)


def places(message: str) -> frozenset[str]:
    """Return the names of the places of a sentence."""
    return frozenset(name for _, name, _, _ in Formatter().parse(message) if name)
