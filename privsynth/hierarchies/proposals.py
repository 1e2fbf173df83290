"""Which hierarchy a column may have, by the words of its name alone; a person confirms it."""

from __future__ import annotations

import re

# Words -> the hierarchy, and when it is the right one. Earlier lines win. Words of several languages, as column names
# of hospitals, banks and statistical offices have them.
_PROPOSALS = (
    ({"icd9", "icd9cm"}, "icd9cm", "ICD-9-CM"),
    (
        {
            "icd", "icd10", "icd10cm", "icd10gm", "cim", "cim10", "cie", "cie10", "diagnosis", "diagnoses", "diag",
            "dx", "diagnose", "diagnosen", "hauptdiagnose", "nebendiagnose", "diagnostic", "diagnostics", "diagnostico",
            "diagnóstico", "diagnosi", "diagnoza", "diagnos", "morbidity",
        },
        "icd10",
        "ICD-10, or icd9cm for ICD-9-CM",
    ),
    ({"atc", "atccode"}, "atc", "ATC codes of medicines"),
    ({"mcc", "merchantcategorycode"}, "mcc", "merchant category codes of four digits"),
    (
        {"nace", "isic", "naf", "ateco", "cnae", "sbi", "wz", "wz2008", "branche", "industry", "wirtschaftszweig"},
        "nace",
        "NACE or ISIC, or nace_sections for letters alone",
    ),
    (
        {
            "country", "countries", "countrycode", "nationality", "citizenship", "land", "staat", "herkunftsland",
            "staatsangehörigkeit", "pays", "nationalité", "pais", "país", "nacionalidad", "paese", "nazionalità",
            "kraj", "maa", "nationalität", "staatsangehoerigkeit",
        },
        "iso3166",
        "ISO codes of two letters, or iso3166_alpha3 or iso3166_numeric; then `categories: hierarchy` lists all",
    ),
)  # fmt: skip
# What stands beside such a word in the name of a column that holds no such codes.
_OTHERWISE = {
    "date", "time", "datum", "text", "name", "names", "desc", "description", "count", "number", "num", "n", "days",
    "age", "year", "flag", "size", "is", "has", "note", "rank", "order", "seq",
}  # fmt: skip


def proposed(name: str) -> tuple[str, str] | None:
    """Return the hierarchy that a column's name suggests, and when it is the right one; None if it suggests none."""
    spelt = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
    words = re.findall(r"[^\W\d_]+[0-9]*[^\W\d_]*|[0-9]+", spelt)
    plain = {word.rstrip("0123456789") or word for word in words}
    if plain & _OTHERWISE:
        return None
    joined = {"".join(words[i : i + n]) for n in (2, 3) for i in range(len(words) - n + 1)}
    for known, hierarchy, when in _PROPOSALS:
        if known & {*words, *joined, *(plain if hierarchy != "icd9cm" else ())}:
            return hierarchy, when
    return None
