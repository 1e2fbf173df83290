"""Short ward notes from templates. They speak of diagnoses and plans, and of nobody."""

from __future__ import annotations

import numpy as np
from numpy.random import RandomState

from simulator import diagnoses as book
from simulator.bedside import Stay
from simulator.draws import happens, pick

OPENINGS_PLANNED = ("Planned admission: {}.", "Elective, {}.", "Here for {}.", "Booked for {}.")
OPENINGS_SUDDEN = (
    "Via ED with {}.",
    "{}, one day.",
    "Referred by GP, {}.",
    "{}, worse overnight.",
    "Ambulance, {}.",
)
OPENINGS_BIRTH = ("{}.", "{}, seen by midwife.", "{}, partner present.")
COURSES = (
    "Stable.",
    "Good recovery.",
    "Slow recovery.",
    "Obs normal.",
    "Mobile.",
    "Eating well.",
    "Pain controlled.",
)
COURSES_CHILD = ("Drinking well.", "Parents staying.", "Settled.", "Family informed.")
PLANS = (
    "GP review.",
    "Clinic in 6 weeks.",
    "Bloods in 1 week.",
    "Home with family.",
    "District nurse.",
    "No follow-up.",
)


def write_notes(rng: RandomState, stay: Stay, length: np.ndarray) -> np.ndarray:
    """Return one note an admission, "" where nobody wrote one; a third of the notes stop after a sentence."""
    n = len(length)
    child, birth = stay.years < 10, stay.grouped("delivery", "newborn")
    opening = np.select(
        [birth, stay.elective],
        [
            np.array(OPENINGS_BIRTH)[pick(rng, (4, 2, 1), n)],
            np.array(OPENINGS_PLANNED)[pick(rng, (2, 2, 3, 2), n)],
        ],
        np.array(OPENINGS_SUDDEN)[pick(rng, (5, 1, 3, 1, 2), n)],
    )
    course = np.where(
        child,
        np.array(COURSES_CHILD)[pick(rng, (3, 2, 3, 1), n)],
        np.array(COURSES)[pick(rng, (6, 4, 2, 3, 2, 2, 2), n)],
    )
    plan = np.array(PLANS)[pick(rng, (5, 4, 2, 2, 1, 3), n)]
    silent, short = happens(rng, np.full(n, 0.14)), happens(rng, np.full(n, 0.35))
    notes = []
    for at in range(n):
        text = opening[at].format(book.NAMES[stay.code[at]])
        parts = [text[0].upper() + text[1:]]
        if stay.intensive[at]:
            parts.append("ICU stay.")
        if not short[at]:
            parts.append(course[at])
            if length[at] > 1:
                parts.append(plan[at])
        notes.append("" if silent[at] else " ".join(parts))
    return np.array(notes)
