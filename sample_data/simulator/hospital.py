"""The table of admissions, wave by wave: the wave v holds the v-th admission of every patient.

Each admission decides whether the patient is back within 30 days; the next wave then holds that admission, so
that `readmitted_30d` agrees with the dates of the table.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import RandomState

from simulator import diagnoses as book
from simulator.bedside import Stay, begin_stay, laboratory, medicines, pregnant, readmission_risk, ward
from simulator.dates import (
    DAY,
    END,
    N_DAYS,
    arrival,
    day_weights,
    departure,
    iso,
    length_of_stay,
    whole_weeks_earlier,
    winter,
)
from simulator.draws import happens, logistic, pick, pick_rows
from simulator.notes import write_notes
from simulator.patients import (
    CONDITIONS,
    ETHNICITIES,
    POSTCODES,
    Patients,
    age_band,
    draw_patients,
    insurance,
)

N_PATIENTS = 12_000
MAX_ADMISSIONS = 12
LONG_AGO = -9999  # days: a patient who has not given birth in these two years
MENOPAUSE = 48  # years: no pregnancy begins later


@dataclass(frozen=True)
class Wave:
    """The admissions of one wave, one entry each.

    Attributes:
      who: index of the patient.
      day: earliest day of arrival.
      previous: code index of the admission before; -1 if there was none.
      back_soon: the patient is back within 30 days, which is never planned.
      gave_birth: day of the last delivery, or `LONG_AGO`.
    """

    who: np.ndarray
    day: np.ndarray
    previous: np.ndarray
    back_soon: np.ndarray
    gave_birth: np.ndarray


def simulate_hospital(*, seed: int, n_patients: int = N_PATIENTS) -> dict[str, np.ndarray]:
    """Return the columns of the table, by time of admission; missing numbers are NaN, missing notes ""."""
    rng = RandomState(seed)
    first_day = pick(rng, day_weights(), n_patients)
    patients = draw_patients(rng, first_day)
    nobody = np.zeros(n_patients, dtype=bool)
    wave = Wave(np.arange(n_patients), first_day, np.full(n_patients, -1), nobody, np.full(n_patients, LONG_AGO))
    parts = []
    for visit in range(MAX_ADMISSIONS):
        rows, wave = _admit(rng, wave, patients.of(wave.who), visit)
        parts.append(rows)
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    order = np.lexsort((columns["patient_id"], columns["admitted"]))
    columns = {name: values[order] for name, values in columns.items()}
    for name in ("admitted", "discharged"):
        columns[name] = iso(columns[name])
    return columns


def _admit(rng: RandomState, wave: Wave, patient: Patients, visit: int) -> tuple[dict[str, np.ndarray], Wave]:
    """Return the rows of a wave whose stays end within the two years, and the wave that follows."""
    code = _diagnoses(rng, wave, patient)
    elective = ~wave.back_soon & happens(rng, book.ELECTIVE[code])
    admitted = arrival(rng, wave.day, elective)
    newborn = book.in_groups("newborn")[code]
    years = np.where(newborn, 0.0, (admitted / DAY - patient.born) / 365.25)
    stay = begin_stay(rng, patient, code, years, elective)
    discharged = departure(rng, admitted, stay.days)
    if visit == 0:  # so that every patient has at least one row
        earlier = whole_weeks_earlier(admitted, discharged, elective)
        admitted, discharged = admitted - earlier, discharged - earlier
    length = length_of_stay(admitted, discharged)
    medication_count = medicines(rng, stay)
    back_soon = happens(rng, readmission_risk(stay, medication_count, length))
    if visit == MAX_ADMISSIONS - 1:
        back_soon = np.zeros_like(back_soon)
    rows = {
        "patient_id": patient.ids,
        "admitted": admitted,
        "discharged": discharged,
        "age": np.floor(years).astype(int),
        "sex": np.where(patient.female, "F", "M"),
        "ethnicity": np.array(ETHNICITIES)[patient.ethnicity],
        "insurance": insurance(years, patient.income),
        "postcode3": np.array(POSTCODES)[patient.area],
        "diagnosis": np.array(book.CODES)[code],
        "ward": ward(rng, stay),
        **laboratory(rng, stay),
        "medication_count": medication_count,
        "length_of_stay": length,
        "pregnant": pregnant(rng, stay, wave.day - wave.gave_birth),
        "readmitted_30d": back_soon,
        "note": write_notes(rng, stay, length),
    }
    complete = discharged < END
    return {name: values[complete] for name, values in rows.items()}, _next_wave(
        rng, wave, stay, discharged, back_soon, complete
    )


def _diagnoses(rng: RandomState, wave: Wave, patient: Patients) -> np.ndarray:
    """Return the code index of each admission."""
    years = (wave.day - patient.born) / 365.25
    risk = book.AGE_RISK[:, age_band(years)].T * np.exp(winter(wave.day)[:, None] * book.by_group("winter"))
    for at, (latent, lift) in enumerate(zip(book.LATENT, book.by_group("lift"), strict=True)):
        if latent:
            risk[:, at] *= np.where(patient.conditions[:, CONDITIONS.index(latent)], lift, 0.55)
    weights = risk[:, book.GROUP_OF] * book.WEIGHTS
    weights *= np.where(patient.female[:, None], book.ALLOWED["F"], book.ALLOWED["M"])
    weights[wave.back_soon] *= 1 - book.ELECTIVE
    since = wave.day - wave.gave_birth
    weights[:, book.in_groups("delivery")] *= ((since > 300) & (years < MENOPAUSE))[:, None]
    weights[:, book.in_groups("pregnancy")] *= ((since > 90) & (years < MENOPAUSE))[:, None]
    weights[:, book.in_groups("after birth")] *= (40.0 * (since < 45))[:, None]
    return _consequences(rng, wave, pick_rows(rng, weights), weights)


def _consequences(rng: RandomState, wave: Wave, drawn: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Let some diagnoses follow from the one before: the same again, a complication, a birth."""
    back = wave.previous >= 0
    previous = np.where(back, wave.previous, 0)
    possible = weights[np.arange(len(drawn)), previous] > 0
    result = np.where(back & possible & happens(rng, np.where(wave.back_soon, 0.5, 0.28)), previous, drawn)

    tumour = book.in_groups("cancer", "breast and skin cancer", "chemotherapy")[previous]
    treated = back & tumour & ~wave.back_soon & happens(rng, np.full(len(drawn), 0.6))
    result[treated] = book.CODES.index("Z51")

    operated = back & wave.back_soon & book.in_groups("bowel", "joints", "urology", "vascular")[previous]
    result[operated & happens(rng, np.full(len(drawn), 0.4))] = book.CODES.index("T81")

    expecting = back & ~wave.back_soon & book.in_groups("pregnancy")[previous]
    expecting &= weights[:, book.in_groups("delivery")].sum(axis=1) > 0
    expecting &= happens(rng, np.full(len(drawn), 0.8))
    births = np.where(book.in_groups("delivery"), book.WEIGHTS, 0.0)
    result[expecting] = pick(rng, births, int(expecting.sum()))
    return result


def _next_wave(
    rng: RandomState,
    wave: Wave,
    stay: Stay,
    discharged: np.ndarray,
    back_soon: np.ndarray,
    complete: np.ndarray,
) -> Wave:
    """Return who is admitted again: within 30 days as decided, or later."""
    n, home = len(stay.code), discharged // DAY
    treated = stay.grouped("chemotherapy", "cancer", "breast and skin cancer")
    expecting = stay.grouped("pregnancy")
    odds = -0.58 + 0.85 * stay.patient.frailty + 0.9 * treated + 0.3 * expecting - 1.2 * stay.grouped("newborn")
    later = ~back_soon & happens(rng, logistic(odds))
    soon_gap = 1 + (28.9 * rng.random_sample(n) ** 1.5).astype(int)
    late_gap = 32 + rng.exponential(np.where(treated, 25, 150)).astype(int)
    late_gap = np.where(expecting, 40 + (130 * rng.random_sample(n)).astype(int), late_gap)
    day = home + np.where(back_soon, soon_gap, late_gap)
    again = complete & (back_soon | later) & (day < N_DAYS)
    gave_birth = np.where(stay.grouped("delivery"), home, wave.gave_birth)
    return Wave(wave.who[again], day[again], stay.code[again], back_soon[again], gave_birth[again])
