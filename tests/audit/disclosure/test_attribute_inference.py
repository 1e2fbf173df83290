"""Attribute inference: a copy betrays its members, a fresh draw does not, and groups are judged apart."""

import numpy as np
import pytest

from privsynth.audit.common.settings import AuditContext, AuditSettings
from privsynth.audit.disclosure.attribute_inference import BY_GROUP, NAME, attribute_inference

ROLES = {"income": ("sensitive",)}


def run(tables, **more):
    context = AuditContext(AuditSettings(max_targets=1_000, **more))
    return {(f.name, f.group): f for f in attribute_inference(tables, rng=np.random.default_rng(0), context=context)}


@pytest.fixture(scope="module")
def cases(people, tables_of):
    train, holdout, fresh = people
    return {
        name: run(tables_of(train, holdout, frame, roles=ROLES))
        for name, frame in (("copy", train.copy()), ("fresh", fresh))
    }


def test_a_copy_betrays_its_members(cases):
    found = cases["copy"][NAME, "income"]
    assert found.verdict == "review"
    assert found.low > 0.1
    assert found.detail["attack_rate"] > found.detail["control_rate"] + 0.05
    assert "above or below the median" in found.meaning


def test_a_fresh_draw_does_not(cases):
    """At alpha = 0.01, its upper half: one seed in 200 would alarm; this one is fixed."""
    found = cases["fresh"][NAME, "income"]
    assert found.verdict == "info"
    assert abs(found.detail["difference"]) < 0.07, "three standard errors of two shares of 950"
    assert abs(found.detail["control_rate"] - found.detail["naive_rate"]) < 0.06, "other real rows teach as much"


def test_groups_are_judged_apart_and_small_ones_named(cases):
    groups = {group: f for (name, group), f in cases["copy"].items() if name == BY_GROUP}
    assert set(groups) == {"sex=F · income", "sex=M · income", "sex=X · income"}
    assert groups["sex=F · income"].verdict == "review"
    assert sum(f.n for f in groups.values()) == cases["copy"][NAME, "income"].n
    assert cases["copy"][NAME, "income"].visibility == "officer"


def test_a_group_of_few_is_insufficient(people, tables_of):
    train, holdout, fresh = people
    rare = train.assign(sex=np.where(np.arange(len(train)) % 100 == 0, "X", "F"))
    found = run(tables_of(rare, holdout, fresh, roles=ROLES), level="quick")
    assert found[BY_GROUP, "sex=X · income"].verdict == "insufficient"


def test_a_claim_allows_what_it_allows(people, tables_of):
    train, holdout, _ = people
    tables = tables_of(train, holdout, train.copy(), roles=ROLES, protected=())
    assert run(tables, level="quick", claimed=(20.0, 1e-6))[NAME, "income"].verdict in ("pass", "info")


def test_no_holdout_and_no_choice(people, tables_of):
    train, _, fresh = people
    assert {f.verdict for f in run(tables_of(train, None, fresh)).values()} == {"insufficient"}
    same = [part.assign(region="A") for part in people]
    found = run(tables_of(*same, roles={"region": ("sensitive",)}))
    assert [(key, f.verdict) for key, f in found.items()] == [((NAME, "region"), "insufficient")]
