"""What identifiers look like: names of columns, shapes of cells, check digits.

The kinds are the 18 of the Safe Harbor rule, 45 CFR 164.514(b)(2)(i). One number in ten passes a check digit by chance,
which proves nothing for a cell but much for a column; so each checksum comes with its chance.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass

from privsynth.audit.disclosure import national_numbers as national

HIPAA = {
    "name": "(A) names",
    "geography": "(B) geographic subdivisions smaller than a state",
    "date": "(C) elements of dates finer than a year, and ages over 89",
    "phone": "(D) telephone numbers",
    "fax": "(E) fax numbers",
    "email": "(F) e-mail addresses",
    "ssn": "(G) social security numbers",
    "record": "(H) medical record numbers",
    "plan": "(I) health plan beneficiary numbers",
    "account": "(J) account numbers",
    "licence": "(K) certificate and licence numbers",
    "vehicle": "(L) vehicle identifiers and plates",
    "device": "(M) device identifiers and serial numbers",
    "url": "(N) web addresses",
    "ip": "(O) IP addresses",
    "biometric": "(P) biometric identifiers",
    "photo": "(Q) full-face photographs",
    "other": "(R) any other unique number, characteristic or code",
}
# Listed by Safe Harbor, but no identifiers by themselves: a person decides.
INDIRECT = frozenset({"date", "geography"})

_PERSON = "first last middle full given family maiden nick patient customer person client employee member holder"
_PERSON += " contact doctor physician provider mother father spouse user legal preferred birth"
_NAME_WORDS = frozenset(_PERSON.split())
# Kind -> words of which one is enough; then kind -> words that must all occur, in any order.
_WORDS: tuple[tuple[str, str], ...] = (
    ("name", "surname forename firstname lastname fullname middlename vorname nachname prenom apellido apellidos"),
    (
        "geography",
        "street address city town county precinct zip zipcode postcode postal plz latitude longitude geocode",
    ),
    ("phone", "phone telephone tel mobile cellphone"),
    ("fax", "fax telefax"),
    ("email", "email mail"),
    ("ssn", "ssn nin nhs sozialversicherungsnummer bsn pesel dni nie nir personnummer steuerid codicefiscale cpf"),
    ("record", "mrn"),
    ("plan", "beneficiary kvnr"),
    ("account", "iban"),
    ("licence", "license licence npi passport"),
    ("vehicle", "vin numberplate"),
    ("device", "imei imsi mac udi"),
    ("url", "url website homepage"),
    ("ip", "ipaddress ipv4 ipv6"),
    ("biometric", "fingerprint retina voiceprint biometric dna"),
    ("photo", "photo photograph selfie portrait"),
    ("other", "uuid guid"),
)
_TOGETHER: tuple[tuple[str, str], ...] = (
    ("ssn", "social security"), ("record", "medical record"), ("record", "patient id"), ("record", "patient number"),
    ("plan", "health plan"), ("plan", "plan number"), ("plan", "plan id"), ("plan", "insurance number"),
    ("account", "account number"), ("account", "account id"), ("account", "account no"), ("account", "card number"),
    ("account", "credit card"), ("licence", "certificate number"), ("vehicle", "license plate"),
    ("vehicle", "licence plate"),
    ("vehicle", "number plate"), ("device", "serial number"), ("device", "device id"),
    ("ip", "ip address"),
    ("ssn", "tax id"), ("ssn", "national id"), ("ssn", "codice fiscale"), ("ssn", "national insurance"),
    ("date", "birth date"), ("date", "date of birth"),
    ("email", "e mail"), ("geography", "post code"), ("photo", "face image"),
)  # fmt: skip


def words_of(name: str) -> list[str]:
    """Return the words of a column's name in lower case: "homePhone_2" -> home, phone."""
    return re.findall(r"[a-zà-ÿ]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower())


def kind_of_name(name: str) -> str | None:
    """Return the kind of identifier that a column's name suggests, or None."""
    words = words_of(name)
    there = set(words)
    for kind, together in _TOGETHER:
        if set(together.split()) <= there:
            return kind
    for kind, single in _WORDS:
        if there & set(single.split()):
            return kind
    if words == ["name"] or ("name" in there and there & _NAME_WORDS):
        return "name"
    return "date" if there & {"dob", "birthday", "birthdate"} else None


def luhn(digits: str) -> bool:
    """Return whether a string of digits passes the Luhn check (ISO/IEC 7812-1)."""
    values = [int(digit) for digit in reversed(digits)]
    return sum(v if i % 2 == 0 else sum(divmod(2 * v, 10)) for i, v in enumerate(values)) % 10 == 0


def npi(digits: str) -> bool:
    """Return whether ten digits are a National Provider Identifier: Luhn with 80840 before them."""
    return luhn("80840" + digits)


def nhs(digits: str) -> bool:
    """Return whether ten digits pass modulus 11 as NHS numbers do."""
    return sum(int(digit) * weight for digit, weight in zip(digits, range(10, 0, -1), strict=True)) % 11 == 0


def iban(text: str) -> bool:
    """Return whether an IBAN (letters upper case, no spaces) passes ISO 7064 MOD 97-10."""
    return int("".join(str(int(c, 36)) for c in text[4:] + text[:4])) % 97 == 1


_VIN = dict(zip("ABCDEFGHJKLMNPRSTUVWXYZ", map(int, "12345678123457923456789"), strict=True))
_VIN_WEIGHTS = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)  # of the 17 places, 49 CFR 565.15


def vin(text: str) -> bool:
    """Return whether a 17-character vehicle identification number has its check digit (49 CFR 565.15)."""
    total = sum(w * (int(c) if c.isdigit() else _VIN[c]) for c, w in zip(text, _VIN_WEIGHTS, strict=True))
    return text[8] == "0123456789X"[total % 11]


def dea(text: str) -> bool:
    """Return whether two letters and seven digits pass the check of DEA registration numbers."""
    d = [int(c) for c in text[2:]]
    return (d[0] + d[2] + d[4] + 2 * (d[1] + d[3] + d[5])) % 10 == d[6]


def address(text: str) -> bool:
    """Return whether a text is an IPv4 or IPv6 address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


@dataclass(frozen=True)
class Shape:
    """A form that cells can have.

    Attributes:
      name: for the reader. kind: key of `HIPAA`.
      pattern: what a whole cell looks like, after `squeeze` if `digits`.
      check: what a cell of that form must pass; None if the form is enough.
      chance: share of random cells of that form that pass; 0 if the form does not occur by accident.
      digits: spaces and hyphens between digits are ignored.
    """

    name: str
    kind: str
    pattern: re.Pattern[str]
    check: Callable[[str], bool] | None = None
    chance: float = 0.0
    digits: bool = False


_CARD = (
    r"4\d{12}(?:\d{3}){0,2}|(?:5[1-5]\d\d|222[1-9]|22[3-9]\d|2[3-6]\d\d|27[01]\d|2720)\d{12}|3[47]\d{13}"
    r"|(?:6011|65\d\d|64[4-9]\d)\d{12}|35(?:2[89]|[3-8]\d)\d{12}|3(?:0[0-5]|[68]\d)\d{11}|62\d{14,17}"
)
_V = "[A-HJ-NPR-Z0-9]"  # no I, O or Q
_NINO = r"(?!BG|GB|KN|NK|NT|TN|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z]\d{6}[A-D]"
_CODICE = r"[A-Z]{6}\d\d[A-EHLMPRST]\d\d[A-Z]\d{3}[A-Z]"
_MONTH, _DAY = r"(?:0[1-9]|1[0-2])", r"(?:0[1-9]|[12]\d|3[01])"
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
SHAPES: tuple[Shape, ...] = (
    Shape("e-mail address", "email", re.compile(rf"(?i)[\w.+'-]{{1,64}}@(?:{_LABEL}\.)+[a-z]{{2,24}}")),
    Shape("web address", "url", re.compile(r"(?i)(?:https?|ftp)://\S+|www\.[a-z0-9-]+\.\S+")),
    Shape("IP address", "ip", re.compile(r"(?i)(?:\d{1,3}\.){3}\d{1,3}|(?=.*:.*:)[0-9a-f:]{6,39}"), address),
    Shape("MAC address", "device", re.compile(r"(?i)[0-9a-f]{2}([:-])(?:[0-9a-f]{2}\1){4}[0-9a-f]{2}")),
    Shape(
        "social security number",
        "ssn",
        re.compile(r"(?!000|666|9\d\d)\d{3}-(?!00)\d\d-(?!0000)\d{4}"),
    ),
    Shape(
        "telephone number",
        "phone",
        re.compile(
            r"\+\d{1,3}[ .\-/()]*(?:\d[ .\-/()]*){6,12}|\(\d{2,5}\)[ .\-]?\d{3,4}[ .\-]?\d{3,5}"
            r"|\d{3}[-. ]\d{3}[-. ]\d{4}"
        ),
    ),
    Shape("UUID", "other", re.compile(r"(?i)[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")),
    Shape("ZIP+4 code", "geography", re.compile(r"\d{5}-\d{4}")),
    Shape("date", "date", re.compile(r"(?:19|20)\d\d-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])(?:[T ]\d\d:\d\d.*)?")),
    Shape("payment card number", "account", re.compile(_CARD), luhn, 0.1, digits=True),
    Shape("IBAN", "account", re.compile(r"[A-Z]{2}\d\d[A-Z0-9]{11,30}"), iban, 1 / 97, digits=True),
    Shape("NHS number", "record", re.compile(r"\d{10}"), nhs, 1 / 11, digits=True),
    Shape("National Provider Identifier", "licence", re.compile(r"[12]\d{9}"), npi, 0.1, digits=True),
    Shape("IMEI", "device", re.compile(r"(?!3[47])\d{15}"), luhn, 0.1, digits=True),
    Shape("vehicle identification number", "vehicle", re.compile(rf"(?=.*[A-Z]){_V}{{8}}[\dX]{_V}{{8}}"), vin, 1 / 11),
    Shape("DEA number", "licence", re.compile(r"[A-Z][A-Z9]\d{7}"), dea, 0.1),
    *(
        Shape(name, kind, re.compile(pattern, re.ASCII), check, chance, digits=True)
        for name, kind, pattern, check, chance in (
            ("UK national insurance number", "ssn", _NINO, None, 0.0),
            ("Dutch citizen service number", "ssn", r"\d{9}", national.bsn, 1 / 11),
            ("Polish PESEL number", "ssn", rf"\d\d(?:[02468][1-9]|[13579][0-2]){_DAY}\d{{5}}", national.pesel, 0.1),
            ("Spanish DNI or NIE", "ssn", r"[\dXYZ]\d{7}[A-HJ-NP-TV-Z]", national.dni, 1 / 23),
            ("French social security number", "ssn", r"[12]\d{4}(?:\d\d|2[AB])\d{8}", national.nir, 1 / 97),
            ("Italian tax code", "ssn", _CODICE, national.codice_fiscale, 1 / 26),
            ("Swedish personal number", "ssn", rf"(?:19|20)?\d\d{_MONTH}{_DAY}\+?\d{{4}}", national.personnummer, 0.1),
            ("German tax identification number", "ssn", r"[1-9]\d{10}", national.tax_id, 0.1),
            ("German health insurance number", "plan", r"[A-Z]\d{9}", national.kvnr, 0.1),
        )
    ),
)  # fmt: skip
ISBN10_X = re.compile(r"\d{9}[Xx]")


def squeeze(text: str) -> str:
    """Return a cell without the spaces and hyphens that group its digits."""
    return re.sub(r"(?<=[0-9A-Za-z])[ -](?=[0-9A-Za-z])", "", text)


def matches(shape: Shape, text: str) -> bool | None:
    """Return whether a cell passes a shape's check; None if it does not have its form."""
    text = squeeze(text) if shape.digits else text
    if not shape.pattern.fullmatch(text):
        return None
    return shape.check is None or shape.check(text)
