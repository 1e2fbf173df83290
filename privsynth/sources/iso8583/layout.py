"""Which fields of ISO 8583 become which columns, and the formats in which messages come. Source: ISO 8583:1987.

PINs, tracks, chip data, expiry dates, names of merchants and private fields are never read. The number of the card is
an identifier, and so are the numbers of a transaction: a release holds surrogates.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from iso8583.specs import default, default_ascii

from privsynth.errors import ConfigError
from privsynth.sources.header_checks import refuse_unreadable

MAX_SPEC_BYTES = 1 << 20  # of a file of fields (own): 128 of them take some 20 kB
_ID = {"kind": "id", "roles": ("identifier",)}
_CODE = {"kind": "categorical"}
# Column -> field, its first and last character, and what the standard says of the cells.
COLUMNS: Mapping[str, tuple[str, slice, dict[str, Any]]] = {
    "card": ("2", slice(None), _ID),
    "message": ("t", slice(None), _CODE),
    "transaction_type": ("3", slice(0, 2), _CODE),
    "from_account": ("3", slice(2, 4), _CODE),
    "to_account": ("3", slice(4, 6), _CODE),
    "amount": ("4", slice(None), {"kind": "integer", "minimum": 0}),  # in the smallest unit of the currency
    "currency": ("49", slice(None), _CODE),
    "trace": ("11", slice(None), _ID),
    "local_month": ("13", slice(0, 2), {"kind": "integer", "minimum": 1, "maximum": 12}),
    "local_day": ("13", slice(2, 4), {"kind": "integer", "minimum": 1, "maximum": 31}),
    "local_hour": ("12", slice(0, 2), {"kind": "integer", "minimum": 0, "maximum": 23}),
    "mcc": ("18", slice(None), {**_CODE, "hierarchy": "mcc"}),
    "acquirer_country": ("19", slice(None), {**_CODE, "hierarchy": "iso3166_numeric"}),
    "entry_mode": ("22", slice(0, 2), _CODE),
    "pin_capability": ("22", slice(2, 3), _CODE),
    "condition": ("25", slice(None), _CODE),
    "reference": ("37", slice(None), _ID),
    "authorization": ("38", slice(None), _ID),
    "response": ("39", slice(None), _CODE),
    "terminal": ("41", slice(None), _CODE),
    "merchant": ("42", slice(None), _CODE),
}
TRANSMITTED = "transmitted"  # field 7, where the options say the year, which messages do not have
# Fields that hold digits alone (n of the standard), which BCD packs two a byte.
_DIGITS = [*range(2, 28), 32, 33, *range(49, 52), 53, *range(66, 91), 99, 100]
FORMATS = ("ascii", "ascii-binary", "bcd", "ebcdic")
LENGTHS = ("2", "4", "ascii4", "line")


@dataclass(frozen=True)
class Framing:
    """How messages lie in a file.

    Attributes:
      path: a file or a folder.
      format: "ascii", with bitmaps in hex; "ascii-binary", with bitmaps of bytes; "bcd", with digits two a byte as
        well; "ebcdic", with bitmaps of bytes.
      length: what stands before each message: 2 or 4 bytes, "ascii4" (four digits), or "line" (a message a line).
      spec: a JSON file of fields that are otherwise at a site, as pyiso8583 describes them.
      year: in which the messages were sent.
    """

    path: Path
    format: str = "ascii"
    length: str = "2"
    spec: str | None = None
    year: int | None = None

    @classmethod
    def of(cls, origin: str) -> Framing:
        """Return what stands behind the question mark of an origin.

        Raises:
          ConfigError: a key or a value is none of those above.
        """
        path, _, query = origin.partition("?")
        said = dict(parse_qsl(query, keep_blank_values=True))
        if unknown := set(said) - {"format", "length", "spec", "year"}:
            raise ConfigError(
                f"{sorted(unknown)[0]!r} is no key of iso8583:PATH?…; known are format, length, spec, year"
            )
        for key, known in (("format", FORMATS), ("length", LENGTHS)):
            if said.get(key, known[0]) not in known:
                raise ConfigError(f"{key}={said[key]} is not known after iso8583:PATH?; known are {', '.join(known)}")
        year = said.get("year", "2000")
        if not (year.isascii() and year.isdecimal() and 1970 <= int(year) <= 2100):
            raise ConfigError("year= after iso8583:PATH? needs a year, such as year=2024")
        if said.get("length") == "line" and said.get("format", "ascii") != "ascii":
            raise ConfigError("length=line after iso8583:PATH? needs format=ascii: bytes may look like ends of lines")
        found = {key: said[key] for key in ("format", "length", "spec") if key in said}
        return cls(Path(path), **found, year=int(year) if "year" in said else None)

    def fields(self) -> dict[str, dict[str, Any]]:
        """Return the fields as pyiso8583 wants them.

        Raises:
          ConfigError: the file of fields is none.
        """
        fields = {"ascii": default_ascii}.get(self.format, default)
        made: dict[str, dict[str, Any]] = deepcopy(dict(fields))
        if self.format == "ebcdic":
            for field in made.values():
                field |= {key: "cp500" for key in ("data_enc", "len_enc") if field[key] == "ascii"}
        if self.format == "bcd":
            _pack(made)
        if self.spec is not None:
            for name, said in _site_fields(Path(self.spec)).items():
                made[name] = {**made[name], **said}
        return made


def _pack(fields: dict[str, dict[str, Any]]) -> None:
    """Make digits BCD: two a byte, an odd number of them with a 0 in front, and lengths that count digits."""
    fields["t"] |= {"data_enc": "b", "max_len": 2}
    for name, field in fields.items():
        if field["len_type"]:
            field |= {"len_enc": "bcd", "len_type": (field["len_type"] + 1) // 2}
        if name.isdecimal() and int(name) in _DIGITS:
            field |= {"data_enc": "b", "len_count": "nibbles", "left_pad": "0"}


def _site_fields(path: Path) -> dict[str, dict[str, Any]]:
    refuse_unreadable(path)
    kinds = {
        "data_enc": str, "len_enc": str, "len_type": int, "max_len": int, "len_count": str, "left_pad": str,
        "right_pad": str, "desc": str,
    }  # fmt: skip
    try:
        if path.stat().st_size > MAX_SPEC_BYTES:
            raise ValueError
        found = json.loads(path.read_bytes())
        for name, field in found.items():
            if name not in default or any(not isinstance(value, kinds[key]) for key, value in field.items()):
                raise ValueError
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise ConfigError(
            f'{path} is no file of fields for pyiso8583; write {{"48": {{"max_len": 255}}}}, with the keys of its specs'
        ) from None
    return dict(found)
