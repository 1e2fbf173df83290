"""Invented tables for the officer audit: mixed kinds, nulls, one dependent target, a protected column."""

import numpy as np
import pandas as pd
import pytest

from privsynth.audit.common.audit_tables import AuditTables

KINDS = {
    "age": "integer",
    "income": "numeric",
    "seen": "date",
    "sex": "categorical",
    "region": "categorical",
    "ill": "boolean",
}


def draw_people(n, rng):
    """Return n invented people."""
    age = np.round(rng.normal(45, 14, n)).clip(18, 90)
    sex = rng.choice(["F", "M", "X"], n, p=[0.5, 0.42, 0.08])
    income = np.round(np.exp(rng.normal(10 + (age - 45) / 100, 0.6)), 2)
    income[rng.random(n) < 0.05] = np.nan
    risk = 1 / (1 + np.exp(-(age - 55) / 8 - (sex == "M")))
    region = rng.choice(list("ABCDE"), n, p=[0.4, 0.3, 0.15, 0.1, 0.05]).astype(object)
    region[rng.random(n) < 0.03] = None
    seen = np.datetime64("2020-01-01") + rng.integers(0, 700, n).astype("timedelta64[D]")
    ill = np.where(rng.random(n) < risk, "true", "false")
    columns = {"age": age, "income": income, "seen": seen.astype("datetime64[s]")}
    return pd.DataFrame({**columns, "sex": sex, "region": region, "ill": ill})


def make_tables(train, holdout, synthetic, **more):
    """Return AuditTables of invented people."""
    options = {"kinds": KINDS, "targets": ("ill",), "protected": ("sex",), **more}
    return AuditTables(train=train, holdout=holdout, synthetic=synthetic, **options)


@pytest.fixture(scope="session")
def people():
    """(train, holdout, fresh): three draws from one population."""
    rng = np.random.default_rng(20)
    return draw_people(3_000, rng), draw_people(3_000, rng), draw_people(3_000, rng)


@pytest.fixture(scope="session")
def draw():
    return draw_people


@pytest.fixture(scope="session")
def tables_of():
    return make_tables


def find(findings, name, group=None):
    """Return the one finding of a name and group."""
    found = [f for f in findings if f.name == name and (group is None or f.group == group)]
    assert len(found) == 1, (name, group, len(found))
    return found[0]


@pytest.fixture(scope="session")
def pick():
    return find
