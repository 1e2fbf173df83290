"""The sentences of the regulatory annex: one file a language, validated when it is read."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from string import Formatter
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from privsynth.errors import ConfigError
from privsynth.pages.templates import templates_dir
from privsynth.report.regulation.facts import CONDITIONS, VALUES
from privsynth.strict.yaml import loads
from privsynth.wording.words import LANGUAGES

Text = Annotated[str, Field(min_length=1)]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Sentence(_Record):
    """A sentence about the release, said where all of `when` hold and none of `unless`."""

    text: Text
    when: tuple[str, ...] = ()
    unless: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _known(self) -> Sentence:
        if unknown := {*self.when, *self.unless} - CONDITIONS:
            raise ValueError(f"no such fact: {', '.join(sorted(unknown))}")
        if unknown := {name for _, name, _, _ in Formatter().parse(self.text) if name} - VALUES:
            raise ValueError(f"no such value: {', '.join(sorted(unknown))}")
        return self


class Question(_Record):
    """One thing that an instrument asks."""

    id: Text
    asks: Text
    shows: tuple[Sentence, ...]
    open: Text
    decides: Text


class Instrument(_Record):
    """A law or guideline, with its status on the day the file names."""

    id: Text
    name: Text
    region: Text
    status: Text
    questions: Annotated[tuple[Question, ...], Field(min_length=1)]


class Headings(_Record):
    """What stands above the four columns."""

    asks: Text
    shows: Text
    open: Text
    decides: Text


class Texts(_Record):
    """The annex in one language; `read_on` is the day on which the laws were read."""

    language: Text
    title: Text
    lead: Text
    headings: Headings
    nothing: Text
    read_on: Text
    instruments: Annotated[tuple[Instrument, ...], Field(min_length=1)]


@cache
def texts(language: str) -> Texts:
    """Return the sentences of a language.

    Raises:
      ValueError: it is none of `LANGUAGES`.
    """
    if language not in LANGUAGES:
        raise ValueError(f"there is no annex in {language!r}; there is one in {', '.join(LANGUAGES)}")
    return read(templates_dir() / "regulation" / f"{language}.yaml")


def read(path: Path) -> Texts:
    """Return the sentences of a file.

    Raises:
      ConfigError: it is not such a file; with the line.
    """
    what = f"the annex in {path.name}"
    document = loads(path.read_bytes(), what=what, error=ConfigError)
    try:
        return Texts.model_validate(document.value)
    except ValidationError as problem:
        first = problem.errors()[0]
        line = document.line(tuple(first["loc"]))
        raise ConfigError(f"{what}, line {line}: {first['msg']}") from None
