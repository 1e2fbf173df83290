"""What happens during a stay: severity, ward, medicines, blood tests, and a return within 30 days."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import RandomState

from simulator import diagnoses as book
from simulator.draws import happens, logistic
from simulator.patients import CONDITIONS, MINORITY, Patients

WARDS = (
    *("cardiology", "respiratory", "general_medicine", "geriatrics", "neurology", "nephrology"),
    *("gastroenterology", "oncology", "haematology", "surgery", "orthopaedics", "urology", "gynaecology"),
    *("obstetrics", "neonatal", "paediatrics", "psychiatry", "ophthalmology", "ent", "observation"),
    *("intensive_care", "rehabilitation", "burns"),
)
CRP_LIMIT = 0.5  # what the laboratory writes for anything below its limit of detection
CRP_CEILING = 520.0  # mg/L: the liver makes no more
POLYPHARMACY = 8
FRAIL_GROUPS = ("heart failure", "copd")
FRAIL_AGE = 65


@dataclass(frozen=True)
class Stay:
    """Admissions with their patients; every field is (n,).

    Attributes:
      patient: the patient of each admission.
      code, group: indices of the diagnosis and of its group.
      years: age at admission.
      elective: planned.
      severity: standard normal, and no column of the table.
      intensive: needs intensive care.
      days: planned length of the stay.
    """

    patient: Patients
    code: np.ndarray
    group: np.ndarray
    years: np.ndarray
    elective: np.ndarray
    severity: np.ndarray
    intensive: np.ndarray
    days: np.ndarray

    def grouped(self, *names: str) -> np.ndarray:
        """Return whether each diagnosis belongs to one of these groups."""
        return book.is_group(*names)[self.group]


def begin_stay(rng: RandomState, patient: Patients, code: np.ndarray, years: np.ndarray, elective: np.ndarray) -> Stay:
    """Return the stays that begin with these diagnoses."""
    n, group = len(code), book.GROUP_OF[code]
    severity = rng.standard_normal(n)
    noise = 0.75 * severity + 0.75 * rng.standard_normal(n)
    age_effect = 0.007 * np.clip(years - 55, -20, 40) * ~book.is_group("delivery")[group]
    days = book.by_group("stay")[group] * np.exp(book.by_group("spread")[group] * noise + age_effect - 0.12 * elective)
    grave = book.by_group("intensive")[group] * np.exp(0.9 * severity - 0.4)
    intensive = happens(rng, grave * ~elective)
    days = np.where(intensive, 1.3 * days + 2, days).clip(0.1, 150)
    return Stay(patient, code, group, years, elective, severity, intensive, days)


def ward(rng: RandomState, stay: Stay) -> np.ndarray:
    """Return the ward: children in paediatrics, many of the very old in geriatrics, the gravest in ICU."""
    n = len(stay.code)
    usual = book.USUAL_WARDS[stay.group]
    medical = np.isin(usual, ("general_medicine", "cardiology", "respiratory", "neurology", "nephrology"))
    child = (stay.years < 16) & (usual != "neonatal")
    short = medical & ~stay.elective & (stay.days < 1.2) & happens(rng, np.full(n, 0.6))
    long_recovery = (stay.days > 18) & (stay.years > 60) & np.isin(usual, ("orthopaedics", "neurology"))
    geriatric = medical & (stay.years >= 80) & happens(rng, np.full(n, 0.45))
    outlier = medical & happens(rng, np.full(n, 0.04))  # the only free bed was on the surgical ward
    choices = [stay.intensive & ~child, child, short, long_recovery, geriatric, outlier]
    wards = ["intensive_care", "paediatrics", "observation", "rehabilitation", "geriatrics", "surgery"]
    return np.select(choices, wards, usual)


def medicines(rng: RandomState, stay: Stay) -> np.ndarray:
    """Return the number of medicines: it grows with age and with chronic conditions."""
    ill = stay.patient.conditions.sum(axis=1)
    mean = 0.6 + 0.085 * np.clip(stay.years - 25, 0, 60) + 1.2 * ill + book.by_group("medicines")[stay.group]
    mean = np.where(stay.elective, 0.9 * mean, mean).clip(0.15) * stay.patient.prescribing
    drawn = mean + 0.6 * np.sqrt(mean) * rng.standard_normal(len(mean))
    return np.round(drawn).astype(int).clip(0, 30)


def readmission_risk(stay: Stay, medication_count: np.ndarray, length: np.ndarray) -> np.ndarray:
    """Return the probability of coming back within 30 days.

    Many medicines raise it in heart failure and COPD over 65, and nowhere else: three columns at a time.
    """
    frail = stay.grouped(*FRAIL_GROUPS) & (stay.years >= FRAIL_AGE + 1)
    odds = -2.7 + book.by_group("readmit")[stay.group] + 0.008 * np.clip(stay.years - 45, -20, 45)
    odds += 0.22 * np.log1p(length) - 0.35 * stay.elective + 0.2 * stay.patient.frailty.clip(-2, 2)
    odds += 0.9 * (stay.patient.ethnicity == MINORITY)
    odds += frail * (1.4 * (medication_count >= POLYPHARMACY) - 0.35)
    return logistic(odds) * ~stay.grouped("chemotherapy")


def pregnant(rng: RandomState, stay: Stay, days_since_birth: np.ndarray) -> np.ndarray:
    """Return yes for pregnancies and births, and for the few women who are pregnant and ill otherwise."""
    fertile = stay.patient.female & (stay.years >= 17) & (stay.years < 45) & (days_since_birth > 200)
    not_likely = ("gynaecology", "after birth", "chemotherapy", "cancer", "breast and skin cancer")
    by_chance = fertile & ~stay.grouped(*not_likely) & happens(rng, np.full(len(stay.code), 0.035))
    return np.where(stay.grouped("delivery", "pregnancy") | by_chance, "yes", "no")


def laboratory(rng: RandomState, stay: Stay) -> dict[str, np.ndarray]:
    """Return creatinine (µmol/L), CRP (mg/L) and haemoglobin (g/L); what was not measured is NaN."""
    values = {
        "creatinine": _creatinine(rng, stay),
        "crp": _crp(rng, stay),
        "haemoglobin": _haemoglobin(rng, stay),
    }
    quick = stay.grouped("eye", "symptoms", "injury", "mind")
    skipped = 0.06 + 0.22 * stay.elective + 0.3 * (stay.years < 16) + 0.3 * quick - 0.05 * stay.intensive
    blood_taken = rng.random_sample(len(quick))
    luck = rng.random_sample(len(quick))
    unknown = {
        "creatinine": blood_taken < skipped.clip(0.005, 0.85),
        "crp": 0.3 * luck + 0.7 * blood_taken < (skipped + 0.16 + 0.2 * stay.elective).clip(0, 0.92),
        "haemoglobin": (blood_taken < 0.8 * skipped.clip(0.005, 0.85)) | (luck < 0.02),
    }
    return {name: np.where(unknown[name], np.nan, value) for name, value in values.items()}


def _creatinine(rng: RandomState, stay: Stay) -> np.ndarray:
    n = len(stay.code)
    grown = np.interp(stay.years, (0, 1, 5, 12, 18), (0.45, 0.32, 0.42, 0.65, 1.0))
    heavy_tail = 0.11 * rng.standard_t(4, n) + 0.08 * np.maximum(stay.severity, 0) * (1 + stay.intensive)
    usual = np.where(stay.patient.female, 65, 80) * grown * stay.patient.kidney
    illness = book.by_group("creatinine")[stay.group] ** (0.75 + 0.5 * rng.random_sample(n))
    value = usual * illness * np.exp(heavy_tail + 0.004 * np.clip(stay.years - 40, 0, 60))
    return np.round(value.clip(12, 1600))


def _crp(rng: RandomState, stay: Stay) -> np.ndarray:
    n = len(stay.code)
    value = book.by_group("crp")[stay.group] * np.exp(rng.standard_normal(n) + 0.45 * stay.severity)
    value = CRP_CEILING * (1 - np.exp(-value / CRP_CEILING))
    return np.round(np.where(value < 2 * CRP_LIMIT, CRP_LIMIT, value), 1)


def _haemoglobin(rng: RandomState, stay: Stay) -> np.ndarray:
    child = np.interp(stay.years, (0, 0.3, 1, 6, 14), (172, 118, 117, 124, 132))
    adult = np.where(stay.patient.female, 132, 146) - 0.18 * np.clip(stay.years - 45, 0, 50)
    young = stay.years < 14
    value = np.where(young, child, adult)
    value += book.by_group("haemoglobin")[stay.group] * np.where(young, 0.4, 1.0)
    value -= 6 * stay.patient.conditions[:, CONDITIONS.index("kidney")] + 2.5 * np.maximum(stay.severity, 0)
    return np.round((value + 11 * rng.standard_normal(len(young))).clip(42, 215))
