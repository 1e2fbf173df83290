"""The hospital's calendar: arrivals and departures. Times are minutes since 2023-01-01 00:00."""

from __future__ import annotations

import numpy as np
from numpy.random import RandomState

from simulator.draws import pick

DAY = 1440  # minutes
START = np.datetime64("2023-01-01T00:00")
N_DAYS = 731
END = N_DAYS * DAY
HOLIDAYS = (0, 358, 359, 365, 724, 725)  # New Year's Day and 25, 26 December, in days since the start
HOURS = (22, 18, 15, 13, 12, 13, 18, 26, 38, 52, 60, 63, 62, 60, 58, 58, 59, 60, 58, 54, 48, 42, 35, 28)
WEEKDAYS = (1.12, 1.04, 1.0, 1.0, 1.03, 0.91, 0.90)
TENTH_OF_A_DAY = 144  # minutes


def weekday(days: np.ndarray) -> np.ndarray:
    """Return 0 for a Monday to 6 for a Sunday; day 0, 2023-01-01, was a Sunday."""
    return (days + 6) % 7


def winter(days: np.ndarray) -> np.ndarray:
    """Return a wave that is 1 in mid-January and -1 in mid-July."""
    return np.cos(2 * np.pi * (days - 14) / 365.25)


def day_weights() -> np.ndarray:
    """Return (N_DAYS,) relative numbers of first admissions: busier Mondays and winters.

    They fall as more of the patients are known already, so that the beds stay as full as before.
    """
    days = np.arange(N_DAYS)
    new = 1 + 0.8 * np.exp(-days / 160)
    return np.array(WEEKDAYS)[weekday(days)] * np.exp(0.06 * winter(days)) * new


def arrival(rng: RandomState, day: np.ndarray, elective: np.ndarray) -> np.ndarray:
    """Return the time of admission: planned patients on working mornings, emergencies at all hours."""
    n = len(day)
    working = day + np.where(weekday(day) >= 5, 7 - weekday(day) + pick(rng, (3, 3, 2, 2, 1), n), 0)
    for _ in range(4):  # the longest closure is Christmas with a weekend
        closed = np.isin(working, HOLIDAYS) | (weekday(working) >= 5)
        working = np.where(closed, working + 1, working)
    early = 6 * 60 + 30 + 5 * (rng.random_sample(n) * 24 + rng.random_sample(n) * 12).astype(int)
    late = 10 * 60 + 5 * (rng.random_sample(n) * 42).astype(int)
    planned = np.where(rng.random_sample(n) < 0.75, early, late)
    unplanned = 60 * pick(rng, HOURS, n) + rng.randint(0, 60, n)
    return np.where(elective, working * DAY + planned, day * DAY + unplanned)


def departure(rng: RandomState, admitted: np.ndarray, stay: np.ndarray) -> np.ndarray:
    """Return the time of discharge for stays in days: day cases leave the same day, others around noon."""
    n = len(stay)
    hours = np.clip(stay * 24, 2.5, 14)
    same_day = admitted + (hours * 60).astype(int)
    night = (same_day % DAY < 7 * 60) | (same_day % DAY > 22 * 60)
    at = 9 * 60 + 30 + (rng.gamma(3.2, 62, n)).astype(int).clip(0, 11 * 60)
    after_midnight = admitted % DAY < 3 * 60
    next_morning = (admitted // DAY + 1 - after_midnight) * DAY + at
    nights = np.maximum(1, np.floor(stay + 0.5)).astype(int)
    overnight = (admitted // DAY + nights) * DAY + at
    result = np.where(stay < 0.75, np.where(night, next_morning, same_day), overnight)
    quiet_sunday = (stay >= 3) & (weekday(result // DAY) == 6) & (rng.random_sample(n) < 0.45)
    result = np.where(quiet_sunday, result + DAY, result)
    # Keep off the ties that could be rounded to either tenth of a day.
    return result + ((result - admitted) % TENTH_OF_A_DAY == TENTH_OF_A_DAY // 2)


def length_of_stay(admitted: np.ndarray, discharged: np.ndarray) -> np.ndarray:
    """Return days with one decimal."""
    return np.round((discharged - admitted) / DAY, 1)


def whole_weeks_earlier(admitted: np.ndarray, discharged: np.ndarray, elective: np.ndarray) -> np.ndarray:
    """Return minutes to move a stay back, so that it ends in the window and keeps its weekday."""
    weeks = np.ceil(np.maximum(0, discharged - END + 1) / (7 * DAY)).astype(int)
    weeks += elective & np.isin(admitted // DAY - 7 * weeks, HOLIDAYS)
    return weeks * 7 * DAY


def iso(minutes: np.ndarray) -> np.ndarray:
    """Return texts such as 2023-04-05T14:30."""
    return (START + minutes.astype("timedelta64[m]")).astype(str)
