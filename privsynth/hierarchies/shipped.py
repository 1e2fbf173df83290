"""The hierarchies that ship, by name. Each states the structure of a public classification, and no text of it."""

from __future__ import annotations

import re

from privsynth.hierarchies.atc import ATC
from privsynth.hierarchies.countries import ISO3166, ISO3166_ALPHA3, ISO3166_NUMERIC
from privsynth.hierarchies.hierarchy import Hierarchy, Path
from privsynth.hierarchies.icd9 import ICD9CM
from privsynth.hierarchies.icd10 import ICD10
from privsynth.hierarchies.mcc import MCC
from privsynth.hierarchies.nace import NACE, NACE_SECTIONS

_CONCEPT = re.compile(r"[0-9]{1,10}", re.ASCII)  # fits the integer of OMOP's concept_id


def _concept(code: str) -> Path | None:
    return ("0",) if _CONCEPT.fullmatch(code.strip()) else None


# Concepts of OMOP's vocabularies. They are not known here, so that all lie in the one that says "no matching concept".
OMOP = Hierarchy(name="omop", levels=("unmapped",), tree={"0": ("0",)}, place=_concept)

SHIPPED = {
    hierarchy.name: hierarchy
    for hierarchy in (ICD10, ICD9CM, ATC, MCC, NACE, NACE_SECTIONS, ISO3166, ISO3166_ALPHA3, ISO3166_NUMERIC, OMOP)
}


def shipped(name: str) -> Hierarchy:
    """Return the hierarchy that ships under a name.

    Raises:
      ValueError: there is none; the message is the end of a sentence and names those that ship.
    """
    found = SHIPPED.get(name.strip().lower())
    if found is None:
        raise ValueError(f"'{name}' is no hierarchy that ships; those are {', '.join(SHIPPED)}")
    return found
