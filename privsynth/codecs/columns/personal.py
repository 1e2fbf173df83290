"""Columns of invented personal values: names, e-mails, phones and addresses of nobody. Their cells are never read."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import Any, ClassVar, get_args

import numpy as np
import pyarrow as pa

from privsynth.codecs.columns.protocol import InventedCodec
from privsynth.codecs.columns.saved_fields import column_name
from privsynth.codecs.columns.surrogate import SurrogateCodec, mixed, surrogate_codec
from privsynth.codecs.invented.personal_pool import addresses, people
from privsynth.codecs.loaded import only, require
from privsynth.schema.definition import Column, Locale, PersonalKind

KINDS = tuple(kind for kind in get_args(PersonalKind) if kind != "national_id")
MAIL_DOMAIN = "example.org"  # reserved: no mail to it is ever delivered (RFC 2606, section 3)
# Numbers that are never assigned, in the hundred that North America keeps for fiction, 555-0100 to 555-0199 (ATIS
# 0300115), under area codes that begin like existing ones.
PHONE, AREAS, FICTION = "+1 {}-555-01{:02d}", 800, 100
# One word of the draw's key for each kind of fact, so that a person's address says nothing of the name.
_WORDS = {"people": 0, "addresses": 1, "phones": 2}


@dataclass(frozen=True)
class PersonalCodec(InventedCodec):
    """Invented values of one kind. A row has one person: its names and its e-mail belong together.

    Attributes:
      kind: one of `KINDS`.
      locale: where names and addresses seem to come from.
    """

    type: ClassVar[str] = "personal"
    name: str
    kind: PersonalKind
    locale: Locale = "en_US"

    def invent(self, numbers: np.ndarray, key: int) -> pa.Array:
        """Return (n,) texts, a function of each number, the key and the locale.

        Raises:
          MissingPackageError: Faker is not installed, from which names and addresses come.
        """
        if self.kind == "phone":
            words = _words(numbers, key, "phones")
            area, last = words // np.uint64(FICTION) % np.uint64(AREAS), words % np.uint64(FICTION)
            found = [PHONE.format(200 + a, n) for a, n in zip(area.tolist(), last.tolist(), strict=True)]
            return pa.array(found, pa.string())
        if self.kind == "address":
            return _picked(addresses(self.locale), numbers, key, "addresses")
        first_names, last_names = people(self.locale)
        if self.kind == "first_name":
            return _picked(first_names, numbers, key, "people")
        if self.kind == "last_name":
            return _picked(last_names, numbers, key, "people")
        whole = [f"{one} {other}" for one, other in zip(first_names, last_names, strict=True)]
        if self.kind == "name":
            return _picked(whole, numbers, key, "people")
        boxes = _picked([_mailbox(name) for name in whole], numbers, key, "people").to_pylist()
        return pa.array([f"{b}.{n}@{MAIL_DOMAIN}" for b, n in zip(boxes, numbers.tolist(), strict=True)], pa.string())

    def to_json(self) -> dict[str, Any]:
        """Return JSON-able data."""
        return {"kind": self.kind, "locale": self.locale}

    @classmethod
    def from_json(cls, data: Any) -> PersonalCodec:
        """Return the codec that `to_json` wrote.

        Raises:
          Malformed: a field is missing or wrong.
        """
        found = only(data, {"name", "kind", "locale"}, "a column of personal values")
        require(found["kind"] in KINDS, "the kind of a column of personal values is unknown")
        require(found["locale"] in get_args(Locale), "the locale of a column of personal values is unknown")
        return cls(column_name(found["name"]), found["kind"], found["locale"])


def invented_codec(name: str, column: Column, kind: pa.DataType) -> SurrogateCodec | PersonalCodec:
    """Return the codec of a column of invented values, from what was declared and the container's type."""
    if column.kind in KINDS:
        return PersonalCodec(name, column.kind, column.locale or "en_US")  # type: ignore[arg-type]
    return surrogate_codec(name, column, kind)


def _words(numbers: np.ndarray, key: int, purpose: str) -> np.ndarray:
    """Return (n,) uint64 words that look random, for each number of a draw and each purpose."""
    return mixed(mixed(numbers.astype(np.uint64), key >> 64 * _WORDS[purpose] & (1 << 64) - 1), _WORDS[purpose])


def _picked(pool: tuple[str, ...] | list[str], numbers: np.ndarray, key: int, purpose: str) -> pa.Array:
    """Return (n,) texts of a pool; equally many of each in the long run."""
    places = (_words(numbers, key, purpose) % np.uint64(len(pool))).astype(np.int64)
    return pa.array(pool, pa.string()).take(pa.array(places))


def _mailbox(name: str) -> str:
    """Return a name in the letters of an e-mail address: Zoë Strauß is zoe.strauss."""
    plain = unicodedata.normalize("NFKD", name.lower().replace("ß", "ss").replace("ł", "l").replace("ø", "o"))
    return ".".join("".join(sign for sign in word if sign.isascii() and sign.isalpha()) for word in plain.split())
