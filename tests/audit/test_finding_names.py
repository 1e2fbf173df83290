"""The report and the audits speak of the same findings: every name that one asks for is emitted by the other."""

import ast
import inspect

import numpy as np
import pandas as pd
import pytest
from titled import TITLES

from privsynth.audit.common.settings import AuditSettings
from privsynth.audit.registry import AUDITS, run_audits
from privsynth.findings.families import FAMILIES
from privsynth.policy.definition import PROMISES
from privsynth.policy.files import SHIPPED, load_policy
from privsynth.report import blocks, headlines, overviews, sections

ROWS = 800


def compared_names(module):
    """Return the texts that a module compares the name of a finding with."""
    found = set()
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        if isinstance(node, ast.Compare) and isinstance(node.left, ast.Attribute) and node.left.attr == "name":
            found |= {c.value for c in node.comparators if isinstance(c, ast.Constant) and isinstance(c.value, str)}
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "startswith":
            assert "name" not in ast.unparse(node.func), "a prefix of a name cannot be looked up"
    return found


def asked_for():
    """Return place -> names of findings that it asks for."""
    together = {n for pictures in overviews._TOGETHER.values() for _, names in pictures for n in names}
    return {
        "first page": {name for family in FAMILIES.values() for name in family.telling},
        "pictures": together | set(overviews._SHORT) | blocks._BARS,
        "sections": set().union(*(compared_names(module) for module in (blocks, headlines, overviews, sections))),
        "policies": {check.metric for name in SHIPPED for check in load_policy(name).policy.checks} - set(PROMISES),
    }


@pytest.mark.parametrize("place", asked_for())
def test_what_the_report_asks_for_is_emitted(place):
    asked = asked_for()[place]
    assert asked
    assert asked <= set(TITLES)


def test_an_audit_and_its_exact_twin_have_one_title():
    for audit in AUDITS.values():
        assert {name: TITLES[name] for name in audit.titles} == dict(audit.titles), audit.name


@pytest.fixture(scope="module")
def tables(draw, tables_of):
    """Tables on which every finding speaks: rare cases, rows out of range, values that no real row has."""
    rng = np.random.default_rng(0)
    frames = [draw(ROWS, rng) for _ in range(3)]
    for frame in frames:
        frame["rare"] = np.where(rng.random(ROWS) < 0.08, "yes", "no")
    ours = frames[2]
    ours["region"] = ours["region"].where(rng.random(ROWS) < 0.6, "Z")
    ours.loc[:200, "income"] *= 1_000
    ours = ours[ours["age"] < 60].reset_index(drop=True)
    apart = pd.DataFrame({"mail": [f"a.b{i}@example.org" for i in range(ROWS)]})
    return tables_of(
        *frames[:2],
        ours,
        kinds={"age": "integer", "income": "numeric", "seen": "date"},
        targets=("ill", "income", "rare"),
        protected=("sex",),
        roles={"income": ("sensitive",)},
        apart=apart,
    )


def bootstrap(frame, *, seed):
    return frame.sample(len(frame), replace=True, random_state=seed).reset_index(drop=True)


@pytest.mark.slow
@pytest.mark.parametrize("name", AUDITS)
def test_an_audit_emits_what_it_has_titles_for_and_nothing_else(name, tables):
    rules = (("age >= 18", np.ones(len(tables.synthetic), bool)),)
    settings = AuditSettings(
        names=(name,), level="deep", claimed=(1.0, 1e-6), max_rows=400, rules=rules, refit=bootstrap, seed=1
    )
    findings = run_audits(tables, settings)
    assert {finding.name for finding in findings} == set(AUDITS[name].titles)
    assert {finding.family for finding in findings} == {AUDITS[name].family}
