"""A small model of each generator, fitted to random codes without noise, and saved as a release does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from doubles import ExactMechanisms
from leaks.proof import small_generators

from privsynth.codecs.bins import Bins
from privsynth.codecs.columns import (
    CategoryCodec,
    DerivedCodec,
    Endings,
    NumberCodec,
    PersonalCodec,
    SurrogateCodec,
    TiedCodec,
    TimeCodec,
)
from privsynth.codecs.encoded_table import CodedRows, Encoded
from privsynth.codecs.table import TableCodec
from privsynth.generators.registry import load_generator
from privsynth.privacy.accounting import SubsampledGaussianEvent
from privsynth.privacy.budget import Budget, SpendingPlan
from privsynth.progress import no_progress
from privsynth.sampling.synthetic_model import SyntheticModel
from privsynth.schema.identifier_format import identifier_format
from privsynth.schema.source_format import SourceFormat

PARTS = {"rows": 0.1, "one_way": 0.2, "selection": 0.1, "measurement": 0.7, "report": 0.1}
DAY = 86_400


def cells(*ends):
    """Return cells between the ends, of one segment each."""
    lows, highs = np.array(ends[:-1]), np.array(ends[1:]) - 1
    return Bins(lows, lows, highs, np.ones(len(lows)))


def codec():
    """Return a table with a column of every kind, alone and computed from another."""
    return TableCodec(
        (
            SurrogateCodec("id"),
            SurrogateCodec("case", identifier_format("P{8 digits}")),
            SurrogateCodec("number", identifier_format("{9 digits}"), integer=True),
            PersonalCodec("phone", "phone", "de_DE"),
            CategoryCodec("urgent", ("no", "yes"), False, True, boolean=True),
            CategoryCodec("ward", ("ICU", "ER", "GP"), False, False),
            CategoryCodec("site", ("north", "south"), False, True, "ward", (0, 1, -1)),
            CategoryCodec("note", ("a", "b"), True, True),
            NumberCodec("age", cells(0, 40, 120), 1.0, True, True, 0, 120),
            NumberCodec("dose", cells(0, 5, 50), 0.1, False, False, endings=Endings(((10, 0), (10, 5)))),
            NumberCodec("peak", cells(0, 10), 0.1, False, False, base="dose"),
            TiedCodec("paid", cells(0, 9, 90), 0.5, True, False, "dose", cells(0, 5, 50), True, cells(-4096, 0, 4097)),
            TimeCodec("in", cells(2700, 2800), cells(0, 24), 3600, False, "%d.%m.%Y %H:%M"),
            TimeCodec("out", cells(0, 9), None, DAY, True, base="in"),
            DerivedCodec("stay", "out", "in", 1.0, True),
        )
    )


FORMAT = SourceFormat(
    delimiter=";",
    decimal_commas=("dose",),
    time_zones={"in": "Europe/Berlin"},
    types={"number": "int32", "age": "int16", "dose": "decimal128(10, 2)", "in": "timestamp[us, tz=Europe/Berlin]"},
)
RULES = ["age >= 0", "out >= in", "stay = out - in", "ward = ICU => age is not null"]


def save_model(name: str, folder: Path) -> None:
    """Write the model of a generator into a folder."""
    table = codec()
    attributes = table.attributes
    rng = np.random.default_rng(0)
    codes = np.array([rng.integers(0, a.size, 80) for a in attributes], dtype=np.uint16)
    data = Encoded(CodedRows(codes, np.arange(80)), tuple(attributes), 1, 80.0, tuple(range(len(attributes))))
    with pytest.MonkeyPatch.context() as patch:
        small_generators(patch)
        generator = load_generator(name)
        spec = generator.training_spec()
        event = spec and SubsampledGaussianEvent(
            noise_multiplier=1.0, sampling_probability=spec.sampling_probability, steps=3
        )
        plan = SpendingPlan(budget=Budget(epsilon=3.0), parts=PARTS, training=event)
        fitted = generator.fit(data, ExactMechanisms(), plan, rng=rng, progress=no_progress)
    SyntheticModel(table, fitted, tuple(RULES), 80, "admissions", FORMAT).save(folder)
