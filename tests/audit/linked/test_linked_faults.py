"""Planted faults are found, fresh real persons raise no alarm, and each name that can be found has a title."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from linked.clinic import clinic
from linked.worlds import ABOVE, keyed, people, real, tables, with_broken_order, with_other_parents
from titled import TITLES

from privsynth.audit.common.settings import LEVELS, AuditSettings
from privsynth.audit.linked.linked_tables import Faults, KeyedReference, people_by_keys
from privsynth.audit.linked.registry import LINKED_AUDITS, linked_left_out, run_linked_audits
from privsynth.errors import ConfigError

FIDELITY = ("integrity", "rows", "histories")
ATTACKS = ("membership", "epsilon", "alarms", "linkability")


@pytest.fixture(scope="module")
def parts():
    return real(10)


def run(synthetic, parts, names, level="quick"):
    settings = AuditSettings(names=names, level=level, claimed=(1.0, 1e-6), seed=1)
    return run_linked_audits(tables(synthetic, parts), settings)


def alarms(findings):
    return {(f.name, f.group) for f in findings if f.verdict in ("fail", "review")}


def figure(findings, name, group):
    return next(f for f in findings if (f.name, f.group) == (name, group))


@pytest.mark.slow
def test_fresh_real_persons_raise_no_alarm(parts):
    """Some 20 verdicts at 0.1 %, and attacks at 5 % over all, so that at most 7 of 100 seeds would fail; of 60 worlds
    tried for fidelity and 30 for the attacks, none did."""
    findings = run(people(clinic(1_500, 12)), parts, None)
    assert alarms(findings) == set()
    assert not [f.name for f in findings if f.name.endswith("_failed")]
    assert figure(findings, "transition_distance_mean", "stays").baseline_label == "holdout persons"


@pytest.mark.slow
def test_copied_persons_are_found_by_attacks_on_whole_histories(parts):
    found = alarms(run(parts["train"], parts, ATTACKS))
    assert {
        ("membership_headline", "patients"),
        ("membership_tpr", "patients: histories, FPR 10.0 %"),
        ("epsilon_lower_bound_one_run", "patients"),
        ("exact_copies", "patients"),
        ("linkability", "stays"),
    } <= found


def test_rows_of_other_parents_are_found(parts):
    frames = with_other_parents(clinic(1_500, 12), np.random.default_rng(0))
    findings = run(people(frames), parts, FIDELITY)
    assert ("transition_distance_worst", "stays: ward × next ward") in alarms(findings)
    tie = figure(findings, "parent_distance", "stays: patients.sex × ward")
    assert tie.low > 1.5 * tie.baseline
    assert figure(findings, "parent_distance_worst", "stays: patients.sex × ward")
    within = figure(findings, "tvd_2way_excess", "stays")  # a stay by itself is as it was
    assert within.verdict == "pass"
    picture = figure(findings, "transition_distance_worst", "stays: ward × next ward").detail
    assert picture["labels"] == ["medicine", "obstetrics", "surgery"]
    assert min(np.diag(picture["real"])) > 0.75
    assert max(np.diag(picture["synthetic"])) < 0.6


def test_a_broken_order_is_found(parts):
    frames = with_broken_order(clinic(1_500, 12), np.random.default_rng(0))
    broken = figure(run(people(frames), parts, FIDELITY), "rows_out_of_order", "stays")
    assert broken.verdict == "fail"
    assert broken.value > 0.2


def test_orphans_and_repeated_keys_fail(parts):
    whole = people(clinic(100, 3))
    bad = replace(whole, faults={"stays": Faults(n_rows=200, orphans=3, repeated=1, disordered=0)})
    findings = run(bad, parts, ("integrity",))
    assert [(f.name, f.value, f.verdict) for f in findings] == [
        ("orphans", 0.015, "fail"),
        ("repeated_keys", 0.005, "fail"),
        ("rows_out_of_order", 0.0, "pass"),
    ]


def test_too_few_persons_get_more_rows_is_seen_in_their_numbers(parts):
    frames = clinic(1_500, 12)
    rich = frames["patients"]["patient_id"][:300]
    frames["stays"]["patient"] = np.random.default_rng(0).choice(rich, len(frames["stays"]))
    findings = run(people(frames), parts, ("histories",))
    assert ("children_distance_excess", "stays") in alarms(findings)
    counts = figure(findings, "children_distance", "stays").detail
    assert counts["real"][0] < 0.55 < counts["synthetic"][0]
    assert sum(counts["real"]) == pytest.approx(1, abs=1e-4)


def test_without_a_holdout_attacks_say_so_and_distances_have_chance_beside_them(parts):
    findings = run(people(clinic(300, 12)), {"train": parts["train"]}, None)
    assert figure(findings, "membership_auc", "patients").verdict == "insufficient"
    assert figure(findings, "linkability", "stays").verdict == "insufficient"
    mean = figure(findings, "transition_distance_mean", "stays")
    assert mean.baseline_label == "persons mixed at random"
    assert 0.5 < mean.value / mean.baseline < 2
    assert not [f.name for f in findings if f.name.endswith(("_excess", "_failed"))]


def test_persons_without_any_rows_are_no_error(parts):
    nobody = clinic(50, 1)
    nobody["stays"], nobody["tests"] = nobody["stays"].iloc[:0], nobody["tests"].iloc[:0]
    findings = run(people(nobody), parts, None)
    assert not [f.name for f in findings if f.name.endswith("_failed")]
    assert figure(findings, "transition_distance_mean", "stays").verdict == "insufficient"
    assert figure(findings, "children_distance_excess", "stays").verdict == "review"


@pytest.mark.slow
def test_each_audit_emits_what_it_has_titles_for_for_the_officer_and_names_its_table(parts):
    for name, audit in LINKED_AUDITS.items():
        protected = {"patients": {"sex": ("protected",)}}
        whole = people(clinic(1_500, 12))
        stays = replace(whole.faults["stays"], dangling={"after": 0})
        world = replace(tables(replace(whole, faults={**whole.faults, "stays": stays}), parts), roles=protected)
        findings = run_linked_audits(world, AuditSettings(names=(name,), level="deep", claimed=(1.0, 1e-6), seed=1))
        assert {f.name for f in findings} == set(audit.titles), name
        assert {f.visibility for f in findings} == {"officer"}
        assert {f.group.split(":")[0] for f in findings} <= {"patients", "stays", "tests"}
        assert {found: TITLES[found] for found in audit.titles} == dict(audit.titles)


def test_an_interrupt_ends_the_audits_and_keeps_what_is_finished(parts):
    def stop(name, number, of):
        assert of == len(LINKED_AUDITS)
        if name == "rows":
            raise KeyboardInterrupt

    settings = AuditSettings(level="quick", seed=1)
    findings = run_linked_audits(tables(people(clinic(50, 1)), parts), settings, progress=stop)
    missing = [f.name for f in findings if f.verdict == "insufficient"]
    assert missing == [f"{name}_not_run" for name in list(LINKED_AUDITS)[1:]]


def test_levels_say_what_they_leave_out_and_unknown_audits_are_refused(parts):
    for level in LEVELS:
        assert {"membership", "linkability"} <= set(linked_left_out(level))
    with pytest.raises(ConfigError, match="no audit 'decay' of linked tables"):
        run(parts["train"], parts, ("decay",))


def test_references_that_lead_nowhere_or_to_another_person_fail(parts):
    frames, found = clinic(100, 3), keyed(clinic(100, 3))
    stays = frames["stays"]["stay_id"]
    asked = stays.shift(1).where(frames["stays"]["patient"].eq(frames["stays"]["patient"].shift(1)))
    for change, count in (({}, 0), ({2: "nothing"}, 1), ({0: stays.iloc[-1], 1: stays.iloc[1]}, 2)):
        key = asked.copy()
        for at, value in change.items():
            key[at] = value
        reference = KeyedReference("stays", "after", key, of_person=True)
        whole = people_by_keys({**found, "stays": replace(found["stays"], references=(reference,))}, ABOVE)
        assert whole.faults["stays"].dangling == {"after": count}
        (finding,) = [f for f in run(whole, parts, ("integrity",)) if f.name == "dangling_references"]
        assert (finding.group, finding.verdict) == ("stays: after", "fail" if count else "pass")
