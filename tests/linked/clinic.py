"""A small clinic of linked tables, from a seed: patients, their stays in order, and the tests made in a stay."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from privsynth.generators.marginal.fitted import FitSettings
from privsynth.generators.marginal.generator import MarginalGenerator
from privsynth.generators.registry import Generator, LearnsHistories
from privsynth.pipeline.linked.learn import learn_linked
from privsynth.pipeline.linked.one_table.stage import LinkedRequest
from privsynth.pipeline.linked.plan import LinkedPlan, make_linked_plan
from privsynth.pipeline.linked.views import table_schema, view_types
from privsynth.privacy.budget import Bill, Budget
from privsynth.privacy.mechanisms import GaussianMechanisms
from privsynth.randomness import KeyedFunction
from privsynth.sampling.linked.model import LinkedModel
from privsynth.schema.linked import LinkedSchema
from privsynth.table import Table

WARDS = ("medicine", "obstetrics", "surgery")
SPEC: dict[str, Any] = {
    "dataset": "clinic",
    "tables": {
        "patients": {
            "key": "patient_id",
            "columns": {
                "patient_id": {"kind": "id"},
                "sex": {"kind": "categorical", "categories": ["F", "M"], "nullable": False},
                "born": {"kind": "date", "minimum": "1920-01-01", "maximum": "2020-12-31", "nullable": False},
            },
        },
        "stays": {
            "key": "stay_id",
            "parent": {"table": "patients", "column": "patient"},
            "order": "admitted",
            "max_children": 6,
            "columns": {
                "stay_id": {"kind": "id"},
                "admitted": {"kind": "date", "minimum": "2021-01-01", "maximum": "2023-12-31", "nullable": False},
                "ward": {"kind": "categorical", "categories": list(WARDS), "nullable": False},
                "days": {"kind": "integer", "minimum": 0, "maximum": 60, "nullable": False},
            },
            "rules": ["`parent.sex` = M => ward != obstetrics", "admitted >= `parent.born`"],
        },
        "tests": {
            "parent": {"table": "stays", "column": "stay"},
            "max_children": 10,
            "columns": {
                "name": {"kind": "categorical", "categories": ["blood", "hcg", "x-ray"], "nullable": False},
                "value": {"kind": "numeric", "precision": 0.1, "minimum": 0, "maximum": 20, "nullable": False},
            },
        },
        "wards": {"reference": True, "key": "ward"},
    },
}


def clinic(people: int = 3_000, seed: int = 0) -> dict[str, pd.DataFrame]:
    """Return tables: women go to obstetrics and get an hcg test there, the next ward mostly is the last one."""
    rng = np.random.default_rng(seed)
    sex = rng.choice(["F", "M"], people)
    born = pd.Timestamp("1930-01-01") + pd.to_timedelta(rng.integers(0, 30_000, people), unit="D")
    ids = np.array([f"p{i:05d}" for i in range(people)])
    patients = pd.DataFrame({"patient_id": ids, "sex": sex, "born": born.strftime("%Y-%m-%d")})
    stays, tests = [], []
    for i in range(people):
        day, ward = int(rng.integers(0, 400)), None
        for _ in range(min(int(rng.geometric(0.5)) - 1, 6)):
            if ward is None or rng.random() < 0.2:
                ward = str(rng.choice(WARDS if sex[i] == "F" else ["medicine", "surgery"]))
            stay = f"s{len(stays):06d}"
            admitted = (pd.Timestamp("2021-01-01") + pd.Timedelta(days=day)).strftime("%Y-%m-%d")
            stays.append((stay, ids[i], admitted, ward, int(rng.poisson({"surgery": 9}.get(ward, 3)))))
            for _ in range(int(rng.integers(0, 3))):
                name = "hcg" if ward == "obstetrics" else str(rng.choice(["blood", "x-ray"]))
                tests.append((stay, name, round(float(rng.uniform(10, 20) if name == "hcg" else rng.uniform(0, 8)), 1)))
            day += 30 + int(rng.integers(0, 90))
    return {
        "patients": patients,
        "stays": pd.DataFrame(stays, columns=["stay_id", "patient", "admitted", "ward", "days"]),
        "tests": pd.DataFrame(tests, columns=["stay", "name", "value"]),
        "wards": pd.DataFrame({"ward": WARDS, "floor": [1, 2, 3]}),
    }


def as_tables(frames: dict[str, pd.DataFrame]) -> dict[str, Table]:
    """Return frames as private tables."""
    return {name: Table(pa.Table.from_pandas(frame, preserve_index=False)) for name, frame in frames.items()}


def plan_of(
    schema: LinkedSchema, tables: dict[str, Table], epsilon: float, generator: Generator | None = None
) -> LinkedPlan:
    """Return the plan of a release of these tables.

    Args:
      generator: of the tables below the root.
    """
    return make_linked_plan(
        schema,
        {name: table_schema(schema, name) for name in schema.modelled},
        {
            name: view_types(schema, name, {field.name: field.type for field in tables[name].data.schema})
            for name in schema.modelled
        },
        Budget(epsilon=epsilon),
        generator.histories_spec() if isinstance(generator, LearnsHistories) else None,
    )


def request_of(schema: LinkedSchema, tables: dict[str, Table], epsilon: float, **more: Any) -> LinkedRequest:
    """Return the request to learn from all persons, with little fitting after the noise."""
    asked: dict[str, Any] = {
        "schema": schema,
        "plan": plan_of(schema, tables, epsilon, more.get("generator")),
        "generator": MarginalGenerator(FitSettings(components=1_024, max_steps=600)),
        "dataset": "clinic",
        "holdout_fraction": 0.0,
        "seed": 7,
    }
    return LinkedRequest(**{**asked, **more})


def learned(
    epsilon: float = 100.0,
    seed: int = 0,
    *,
    frames: dict[str, pd.DataFrame] | None = None,
    spec: dict[str, Any] = SPEC,
    **more: Any,
) -> tuple[LinkedModel, Bill]:
    """Return a model of the clinic, or of other tables, and its bill."""
    schema, tables = LinkedSchema.model_validate(spec), as_tables(frames or clinic(seed=seed))
    request = request_of(schema, tables, epsilon, **more)
    bill = Bill(request.plan.whole)
    return learn_linked(tables, request, GaussianMechanisms(bill), KeyedFunction()).model, bill


def _types(table: Table) -> dict[str, pa.DataType]:
    return {field.name: field.type for field in table.data.schema}
