"""Check digits of the numbers by which states and health insurers know persons, each as its issuer defines it."""

from __future__ import annotations

import re


def bsn(digits: str) -> bool:
    """Return whether nine digits pass the test of eleven of Dutch citizen service numbers (BSN)."""
    weights = (9, 8, 7, 6, 5, 4, 3, 2, -1)
    return sum(int(digit) * weight for digit, weight in zip(digits, weights, strict=True)) % 11 == 0


def pesel(digits: str) -> bool:
    """Return whether eleven digits have the check digit of Polish PESEL numbers."""
    return (
        sum(int(digit) * weight for digit, weight in zip(digits, (1, 3, 7, 9) * 2 + (1, 3, 1), strict=True)) % 10 == 0
    )


def dni(text: str) -> bool:
    """Return whether eight digits, of which the first may be X, Y or Z, have the letter of Spanish DNI and NIE."""
    number = int(text[:-1].translate(str.maketrans("XYZ", "012")))
    return text[-1] == "TRWAGMYFPDXBNJZSQVHLCKE"[number % 23]


def nir(text: str) -> bool:
    """Return whether 15 digits (2A and 2B for Corsica) have the key of French social security numbers (NIR)."""
    number = int(text[:13].replace("2A", "19").replace("2B", "18"))
    return int(text[13:]) == 97 - number % 97


# What a character in an odd place counts (decree of the Italian ministry of finance, 12 March 1974).
_TENS = (1, 0, 5, 7, 9, 13, 15, 17, 19, 21)  # both of digits and of the first ten letters
_LATER = (2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23)  # of K to Z
_ODD = dict(zip("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", (*_TENS, *_TENS, *_LATER), strict=True))


def codice_fiscale(text: str) -> bool:
    """Return whether 16 characters have the last letter of Italian tax codes."""
    even = sum(int(sign) if sign.isdigit() else ord(sign) - ord("A") for sign in text[1:15:2])
    return text[15] == chr(ord("A") + (sum(_ODD[sign] for sign in text[:15:2]) + even) % 26)


def personnummer(text: str) -> bool:
    """Return whether the last ten digits of a Swedish personal number pass the Luhn check."""
    digits = re.sub(r"\D", "", text)[-10:]
    return sum(sum(divmod(int(digit) * (2 - place % 2), 10)) for place, digit in enumerate(digits)) % 10 == 0


def tax_id(digits: str) -> bool:
    """Return whether eleven digits pass ISO 7064 MOD 11,10, as German tax identification numbers do."""
    product = 10
    for digit in digits[:-1]:
        product = (int(digit) + product) % 10 or 10
        product = 2 * product % 11
    return (11 - product) % 10 == int(digits[-1])


def kvnr(text: str) -> bool:
    """Return whether a letter and nine digits have the check digit of German health insurance numbers."""
    digits = f"{ord(text[0]) - ord('A') + 1:02d}{text[1:9]}"
    return sum(sum(divmod(int(digit) * (1 + place % 2), 10)) for place, digit in enumerate(digits)) % 10 == int(text[9])
