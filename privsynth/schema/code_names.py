"""Names that say that a column holds codes: a public hint, where digits alone could be a measure."""

from __future__ import annotations

import re

# Words for what is a code wherever they stand last: `admission_type_id`, `zip_code`.
_KEYS = {"code", "codes", "cd", "cde", "id", "ids", "key"}
# Words for codes, by what they code: diseases, procedures, drugs; places; trades; accounts and goods. From the data
# dictionaries of OMOP, MIMIC and hospital statistics, and the names of public classifications.
_CODES = {
    "icd", "diag", "diagnosis", "dx", "drg", "msdrg", "hcpcs", "cpt", "ops", "procedure", "proc", "snomed", "loinc",
    "rxnorm", "ndc", "atc", "concept", "zip", "zipcode", "plz", "postcode", "postal", "postleitzahl", "fips", "naics",
    "nace", "sic", "isic", "soc", "isco", "mcc", "bic", "blz", "iban", "sku", "ean", "gtin",
}  # fmt: skip
# Words that count: `number_of_codes`; and words that measure or date what stands beside them: `diagnosis_year`.
_COUNTS = {"n", "no", "num", "number", "count", "counts", "total", "sum", "avg", "mean", "min", "max"}
_MEASURES = _COUNTS | {
    "length", "len", "size", "days", "hours", "years", "age", "rate", "share", "ratio", "score", "time", "date", "year",
    "version", "weight", "amount", "cost", "price",
}  # fmt: skip


def names_codes(name: str) -> bool:
    """Return whether a column's name says that its values are codes: `diag_1`, `zipCode`, `admission_type_id`."""
    words = re.findall(r"[a-z]+", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower())
    if words and words[-1] in _KEYS:
        return not _COUNTS & set(words)
    return bool(_CODES & set(words)) and not _MEASURES & set(words)
