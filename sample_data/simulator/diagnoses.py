"""The code book of diagnoses: ICD-10 three-character codes (`diagnoses.csv`) in groups that behave alike.

The codes are those of the International Classification of Diseases. All figures are invented, chosen so that
a clinician recognises the picture. `weight` is relative within an age band, `elective` the share of planned
admissions. The columns of `groups.csv`:

    ward         where adults with it lie
    stay         median stay in days; below 0.75 it is a day case
    spread       standard deviation of the logarithm of the stay
    crp          median C-reactive protein, mg/L
    haemoglobin  shift in g/L
    creatinine   factor on creatinine
    medicines    shift of the number of medicines
    readmit      shift of the log odds of coming back within 30 days
    winter       amplitude of the winter peak in the log rate
    intensive    share that needs intensive care
    latent       the chronic condition that raises the risk of the group
    lift         factor on the risk of a patient with that condition
    newborn ...  relative risk in each of `AGE_BANDS`
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

AGE_BANDS = ("newborn", "infant", "1-4", "5-15", "16-39", "40-64", "65-79", "80+")


def _read(name: str) -> list[dict[str, str]]:
    with open(Path(__file__).with_name(name), encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


_CODES, _GROUPS = _read("diagnoses.csv"), _read("groups.csv")
CODES = tuple(row["code"] for row in _CODES)
NAMES = tuple(row["name"] for row in _CODES)
WEIGHTS = np.array([float(row["weight"]) for row in _CODES])
ELECTIVE = np.array([float(row["elective"]) for row in _CODES])
ALLOWED = {sex: np.array([row["sex"] in ("", sex) for row in _CODES]) for sex in "FM"}
GROUP_NAMES = tuple(row["group"] for row in _GROUPS)
GROUP_OF = np.array([GROUP_NAMES.index(row["group"]) for row in _CODES])
USUAL_WARDS = np.array([row["ward"] for row in _GROUPS])
LATENT = tuple(row["latent"] for row in _GROUPS)
AGE_RISK = np.array([[float(row[band]) for band in AGE_BANDS] for row in _GROUPS])


def by_group(field: str) -> np.ndarray:
    """Return (groups,) numbers: one column of `groups.csv`."""
    return np.array([float(row[field]) for row in _GROUPS])


def is_group(*names: str) -> np.ndarray:
    """Return (groups,) booleans: is it one of these?"""
    unknown = set(names) - set(GROUP_NAMES)
    if unknown:
        raise KeyError(f"no such group: {sorted(unknown)}")
    return np.isin(GROUP_NAMES, names)


def in_groups(*names: str) -> np.ndarray:
    """Return (codes,) booleans: does the code belong to one of these groups?"""
    return is_group(*names)[GROUP_OF]
