"""Invented patients: who they are before anything happens to them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import RandomState

from simulator.draws import happens, logistic, pick, pick_rows, shuffled_ids, zipf_weights

ETHNICITIES = ("white", "black", "asian", "mixed", "indigenous", "other", "not_stated")
ETHNICITY_SHARES = (0.71, 0.105, 0.09, 0.035, 0.0075, 0.034, 0.0175)
MINORITY = ETHNICITIES.index("indigenous")
INSURANCES = ("senior", "employer", "private", "low_income", "none")
POSTCODES = tuple(f"{area:03d}" for area in range(1, 121))
N_SERVED = 84  # areas that send patients; the others are in the code book only
CONDITIONS = ("heart", "lungs", "diabetes", "kidney", "cancer", "mind")
CONDITION_RATES = {  # rate at 40, rise of the log odds per year of age, ceiling
    "heart": (0.012, 0.075, 0.30),
    "lungs": (0.025, 0.05, 0.20),
    "diabetes": (0.05, 0.045, 0.26),
    "kidney": (0.015, 0.07, 0.28),
    "cancer": (0.035, 0.04, 0.16),
    "mind": (0.12, -0.015, 0.16),
}
BAND_SHARES = (0.05, 0.035, 0.04, 0.05, 0.235, 0.27, 0.205, 0.115)
BAND_STARTS = (0, 28 / 365.25, 1, 5, 16, 40, 65, 80, 104)
BAND_FEMALE = (0.485, 0.44, 0.44, 0.46, 0.66, 0.48, 0.48, 0.56)
BAND_SKEW = (1.0, 1.0, 1.3, 1.0, 1.0, 0.9, 1.0, 2.0)


@dataclass(frozen=True)
class Patients:
    """What stays the same for a patient; every field is (n,), `conditions` is (n, conditions).

    Attributes:
      born: day of birth, in days since the start of the calendar.
      area: index of the postcode.
      income: standardised, and no column of the table.
      frailty: raises the number of admissions, and is no column of the table.
      kidney: factor on creatinine.
      prescribing: factor on the number of medicines.
    """

    ids: np.ndarray
    born: np.ndarray
    female: np.ndarray
    ethnicity: np.ndarray
    area: np.ndarray
    income: np.ndarray
    frailty: np.ndarray
    kidney: np.ndarray
    prescribing: np.ndarray
    conditions: np.ndarray

    def of(self, who: np.ndarray) -> Patients:
        """Return these patients, in this order; an index may come twice."""
        return Patients(**{name: values[who] for name, values in vars(self).items()})


def draw_patients(rng: RandomState, first_day: np.ndarray) -> Patients:
    """Return a patient for each day of a first admission; ages on that day follow `BAND_SHARES`."""
    n = len(first_day)
    band = pick(rng, BAND_SHARES, n)
    low, high = np.array(BAND_STARTS)[band], np.array(BAND_STARTS)[band + 1]
    age = low + (high - low) * rng.random_sample(n) ** np.array(BAND_SKEW)[band]
    age[band == 0] = 0.0
    area, wealth, ethnicity = _places(rng, n)
    income = 0.7 * wealth + 0.7 * rng.standard_normal(n) - 0.5 * np.isin(ethnicity, (1, MINORITY))
    conditions = _conditions(rng, age, income, ethnicity)
    return Patients(
        ids=shuffled_ids(rng, "P", n, 7),
        born=first_day - age * 365.25,
        female=happens(rng, np.array(BAND_FEMALE)[band]),
        ethnicity=ethnicity,
        area=area,
        income=income,
        frailty=0.9 * rng.standard_normal(n) + 0.5 * conditions[:, :5].sum(axis=1),
        kidney=np.exp(np.where(conditions[:, 3], 0.45, 0.0) + 0.10 * rng.standard_normal(n)),
        prescribing=rng.gamma(8.0, 1 / 8.0, n),
        conditions=conditions,
    )


def age_band(age_years: np.ndarray) -> np.ndarray:
    """Return the index of `diagnoses.AGE_BANDS`."""
    return np.searchsorted(BAND_STARTS[1:-1], age_years, side="right")


def insurance(age_years: np.ndarray, income: np.ndarray) -> np.ndarray:
    """Return who pays: it follows age, then income."""
    poor = [income < -1.15, income < -0.75, income > 1.1]
    adult = np.select(poor, ["low_income", "none", "private"], "employer")
    child = np.select([income < -0.3, income > 1.2], ["low_income", "private"], "employer")
    old = np.where(income > 1.35, "private", "senior")
    return np.select([age_years < 18, age_years < 65], [child, adult], old)


def _places(rng: RandomState, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return area, wealth of the area and ethnicity, whose mixture differs from area to area."""
    served = rng.permutation(len(POSTCODES))[:N_SERVED]
    sizes = zipf_weights(N_SERVED, 0.75)
    place = pick(rng, sizes, n)
    wealth = rng.standard_normal(N_SERVED)
    shares = np.array(ETHNICITY_SHARES)
    mixture = shares * np.exp(0.7 * rng.standard_normal((N_SERVED, len(shares))))
    mixture /= mixture.sum(axis=1, keepdims=True)
    mixture *= shares / np.average(mixture, axis=0, weights=sizes)
    return served[place], wealth[place], pick_rows(rng, mixture[place])


def _conditions(rng: RandomState, age: np.ndarray, income: np.ndarray, ethnicity: np.ndarray) -> np.ndarray:
    """Return (n, conditions) booleans: the chronic conditions, commoner with age and with poverty."""
    ill = np.empty((len(age), len(CONDITIONS)), dtype=bool)
    for at, name in enumerate(CONDITIONS):
        rate, rise, ceiling = CONDITION_RATES[name]
        odds = np.log(rate / (1 - rate)) + rise * (age - 40) - 0.25 * income
        odds += 0.9 * (ethnicity == MINORITY) * (name == "diabetes")
        ill[:, at] = happens(rng, ceiling * logistic(odds - np.log(ceiling)) * (age > 14))
    return ill
