"""Names and addresses of nobody, from Faker: the one module that imports it. A function of the locale alone."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from privsynth.extras import needs

if TYPE_CHECKING:
    from privsynth.schema.definition import Locale

PEOPLE = ADDRESSES = 4_000  # of which rows pick (own): in a table of 20,000 rows a name occurs some five times
_SEED = 20_261_130  # of the pools (own); which of them a row gets follows from the seed of its table


@lru_cache
def people(locale: Locale) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return first names and last names, one of each for every person.

    Raises:
      MissingPackageError: Faker is not installed.
    """
    faker = _faker(locale)
    return tuple(faker.first_name() for _ in range(PEOPLE)), tuple(faker.last_name() for _ in range(PEOPLE))


@lru_cache
def addresses(locale: Locale) -> tuple[str, ...]:
    """Return addresses, each on one line.

    Raises:
      MissingPackageError: Faker is not installed.
    """
    faker = _faker(locale)
    return tuple(", ".join(faker.address().split("\n")) for _ in range(ADDRESSES))


def _faker(locale: Locale) -> Any:
    with needs("personal"):
        from faker import Faker
    faker = Faker(locale, use_weighting=False)
    faker.seed_instance(_SEED)
    return faker
