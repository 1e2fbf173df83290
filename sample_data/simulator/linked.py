"""The hospital as its database has it: patients, their stays, the blood tests of each stay, and the wards."""

from __future__ import annotations

import numpy as np
from numpy.random import RandomState

from simulator.bedside import CRP_CEILING, CRP_LIMIT, WARDS
from simulator.draws import happens
from simulator.hospital import simulate_hospital

N_LINKED_PATIENTS = 3_000
TESTS = ("creatinine", "crp", "haemoglobin")
PANELS = 4  # times at which blood is taken in a stay, at most
DAYS_BETWEEN = 2  # from one time to the next
FLOORS = 5

Columns = dict[str, np.ndarray]


def simulate_tables(*, seed: int, n_patients: int = N_LINKED_PATIENTS) -> dict[str, Columns]:
    """Return the columns of each table: patients in order of their numbers, stays and tests in order of time."""
    rows = simulate_hospital(seed=seed, n_patients=n_patients)
    rng = RandomState(seed + 1)
    stays = {"stay_id": np.array([f"S{number:06d}" for number in range(1, len(rows["admitted"]) + 1)])}
    stays |= {name: rows[name] for name in ("patient_id", "admitted", "discharged", "insurance", "diagnosis", "ward")}
    stays["medication_count"] = rows["medication_count"]
    return {
        "patients": _patients(rng, rows),
        "stays": stays,
        "tests": _tests(rng, stays["stay_id"], rows),
        "wards": _wards(),
    }


def _patients(rng: RandomState, rows: Columns) -> Columns:
    """Return who the patients are; a date of birth agrees with the age at the first stay."""
    ids, first = np.unique(rows["patient_id"], return_index=True)
    admitted, age = rows["admitted"][first].astype("datetime64[D]"), rows["age"][first]
    newborn = np.isin(rows["diagnosis"][first].astype("U1"), ("P",)) | (rows["diagnosis"][first] == "Z38")
    months = np.where(newborn, 0.0, rng.random_sample(len(ids)))
    born = admitted - np.ceil((age + 0.99 * months) * 365.25).astype("timedelta64[D]")
    of_first = {name: rows[name][first] for name in ("sex", "ethnicity", "postcode3")}
    return {"patient_id": ids, "born": born.astype(str), **of_first}


def _tests(rng: RandomState, stay_id: np.ndarray, rows: Columns) -> Columns:
    """Return what was measured: the first values are those of the stay, later ones follow from the one before."""
    admitted, discharged = (rows[name].astype("datetime64[m]") for name in ("admitted", "discharged"))
    hours = (discharged - admitted).astype(int) // 60
    first = np.minimum(rng.randint(0, 4, len(stay_id)), hours)
    found: list[tuple[np.ndarray, np.ndarray, str, np.ndarray]] = []
    for test in TESTS:
        value, going_on = rows[test].astype(float), ~np.isnan(rows[test].astype(float))
        for panel in range(PANELS):
            hour = first + panel * DAYS_BETWEEN * 24
            going_on = going_on & (hour <= hours) & (happens(rng, np.full(len(value), 0.8)) | (panel == 0))
            found.append((np.flatnonzero(going_on), hour[going_on], test, value[going_on]))
            value = _next_value(rng, test, value)
    at, hour, value = (np.concatenate([part[which] for part in found]) for which in (0, 1, 3))
    test = np.concatenate([np.full(len(part[0]), part[2]) for part in found])
    order = np.lexsort((test, hour, at))
    return {"stay_id": stay_id[at][order], "hour": hour[order], "test": test[order], "value": value[order]}


def _next_value(rng: RandomState, test: str, value: np.ndarray) -> np.ndarray:
    """Return the next values: inflammation falls, kidneys change little, and blood is lost to the laboratory."""
    noise = rng.standard_normal(len(value))
    if test == "crp":
        return np.clip(value * np.exp(-0.45 + 0.35 * noise), CRP_LIMIT, CRP_CEILING).round(1)
    if test == "creatinine":
        return np.clip(value * np.exp(0.12 * noise), 15, 1500).round()
    return np.clip(value - 2 + 4 * noise, 40, 220).round()


def _wards() -> Columns:
    """Return the wards, which are public: the hospital's web page lists them."""
    number = np.arange(len(WARDS))
    return {"ward": np.array(WARDS), "floor": number % FLOORS, "beds": 12 + 6 * (number % 4)}
