"""`Catalogue`: facts for a record of the release in a data catalogue; a person's statements, public and free."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Any, Protocol, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator

from privsynth.schema.catalogue.vocabularies import AccessRights, CodingSystem, DataTheme, HealthCategory, HealthTheme

MOST = 100  # entries of a list, such as keywords (own): people write them by hand
# One line of text (own): nothing that moves or hides text where a record is shown.
_SHOWN = r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]+$"
Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=300, pattern=_SHOWN)]
Paragraph = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4_000)]
# An absolute address without the characters that RFC 3987 does not let an IRI hold.
Address = Annotated[str, StringConstraints(pattern=r'^https?://[^\s<>"{}|\\^`]+$', max_length=2_000)]
Email = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9.!#$%&'*+/=?^_~-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+$")]
# Languages and countries are named by three letters, as in the authority tables of the EU: ENG, BEL.
Code3 = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
PublisherType = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,63}$")]


def _as_list(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


class Bounded(Protocol):
    """A column with declared bounds."""

    @property
    def minimum(self) -> object:
        """Its lower bound."""

    @property
    def maximum(self) -> object:
        """Its upper bound."""


class ContactPoint(BaseModel):
    """Where questions go: an e-mail address, a page, or both."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    email: Email | None = None
    page: Address | None = None

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        if self.email is None and self.page is None:
            raise ValueError("needs an email or a page, so that somebody can be asked")
        return self


class Organisation(ContactPoint):
    """Who answers for something, and where to ask.

    Attributes:
      type: its code in the EU's vocabulary of publishers of health data, such as "national-authority".
    """

    name: Line
    type: PublisherType | None = None


class CoveredPeriod(BaseModel):
    """A span of days; `first` and `last` are part of it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    first: date
    last: date

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.first > self.last:
            raise ValueError("first is after last")
        return self


class HealthCatalogue(BaseModel):
    """What HealthDCAT-AP asks beside DCAT-AP, of a dataset in the European Health Data Space.

    Attributes:
      categories: of Article 51 of the EHDS Regulation.
      access_body: the health data access body.
      custodian: the health data holder, if that is another than the publisher.
      themes, coding_systems: codes of the EU's vocabularies. Coding systems of declared hierarchies need not be named.
      purposes, legal_bases: in words.
      population: whom the rows are about, in words.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    categories: Annotated[tuple[HealthCategory, ...], BeforeValidator(_as_list), Field(min_length=1, max_length=MOST)]
    access_body: Organisation
    custodian: Organisation | None = None
    themes: Annotated[tuple[HealthTheme, ...], BeforeValidator(_as_list)] = ()
    coding_systems: Annotated[tuple[CodingSystem, ...], BeforeValidator(_as_list)] = ()
    purposes: Annotated[tuple[Paragraph, ...], BeforeValidator(_as_list), Field(max_length=MOST)] = ()
    legal_bases: Annotated[tuple[Paragraph, ...], BeforeValidator(_as_list), Field(max_length=MOST)] = ()
    population: Paragraph | None = None


class Catalogue(BaseModel):
    """What a record in a data catalogue says and a release cannot know.

    Attributes:
      publisher: who makes the release available.
      access_rights: who may have it.
      access_url: the page where it is, or where to ask for it.
      title, description: of the release; None for what the release says of itself.
      contact: for questions on the data; None for the publisher's.
      themes: codes of the EU's data themes; a health record has HEAL in any case.
      languages, places: of its texts, and where its rows are from, as codes of three letters of the EU's tables.
      licence: the page that states it.
      applicable_legislation: addresses of laws, as ELI.
      period_of: the column whose declared bounds are the period that the rows cover; of linked tables "table: column".
      retention: from when to when the release is available.
      health: for a record in HealthDCAT-AP; None for DCAT-AP.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    publisher: Organisation
    access_rights: AccessRights
    access_url: Address
    title: Line | None = None
    description: Paragraph | None = None
    contact: ContactPoint | None = None
    themes: Annotated[tuple[DataTheme, ...], BeforeValidator(_as_list)] = ()
    keywords: Annotated[tuple[Line, ...], BeforeValidator(_as_list), Field(max_length=MOST)] = ()
    languages: Annotated[tuple[Code3, ...], BeforeValidator(_as_list), Field(max_length=MOST)] = ()
    places: Annotated[tuple[Code3, ...], BeforeValidator(_as_list), Field(max_length=MOST)] = ()
    licence: Address | None = None
    applicable_legislation: Annotated[tuple[Address, ...], BeforeValidator(_as_list), Field(max_length=MOST)] = ()
    period_of: str | None = None
    retention: CoveredPeriod | None = None
    health: HealthCatalogue | None = None

    @model_validator(mode="after")
    def _law_of_health(self) -> Self:
        if self.health is not None and not self.applicable_legislation:
            raise ValueError(
                "a health record needs applicable_legislation; the EHDS Regulation is "
                "http://data.europa.eu/eli/reg/2025/327/oj"
            )
        return self


def covered_period(catalogue: Catalogue | None, columns: Mapping[str, Bounded]) -> CoveredPeriod | None:
    """Return the period that the rows cover: the declared bounds of the column that the catalogue names.

    Args:
      columns: name -> what is declared of it; of linked tables by "table: column".
    Raises:
      ValueError: there is no such column, or it lacks declared bounds of times.
    """
    if catalogue is None or catalogue.period_of is None:
        return None
    name = catalogue.period_of
    if name not in columns:
        raise ValueError(f"catalogue: period_of names '{name}', which is no column of the schema")
    low, high = columns[name].minimum, columns[name].maximum
    if not isinstance(low, datetime) or not isinstance(high, datetime):
        raise ValueError(f"catalogue: period_of names '{name}', which needs declared times as minimum and maximum")
    return CoveredPeriod(first=low.date(), last=high.date())
