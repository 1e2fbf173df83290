"""How often the membership audits cry wolf: synthetic rows that owe nothing to anybody, tables of every size.

A claim of ε = 0 allows no attack anything, so that every bound above 0 is a false alarm. Each finding says that it is
wrong with probability at most 5 %.
"""

import numpy as np
import pandas as pd
import pytest

from privsynth.audit.common.audit_tables import AuditTables
from privsynth.audit.common.settings import LEVELS, AuditContext, AuditSettings
from privsynth.audit.membership.attacks import AttackScores
from privsynth.audit.membership.epsilon_lower_bound import epsilon
from privsynth.audit.membership.inference_game import draw_game
from privsynth.audit.membership.membership import membership
from privsynth.audit.registry import MAX_TABLE_ROWS, run_audits
from privsynth.stats.epsilon_bounds import ALPHA
from privsynth.stats.intervals import lower_bound

RUNS = 60
SURE = 1e-4  # a valid audit fails a test of this file with at most this probability
NOTHING = (0.0, 0.0)
BOUNDS = ("epsilon_lower_bound", "epsilon_lower_bound_one_run", "mu_lower_bound", "mu_lower_bound_one_run")


def too_often(alarms, runs, rate):
    """Return whether so many alarms refute that their rate is at most `rate` (Clopper-Pearson)."""
    return lower_bound(alarms, runs, SURE) > rate


def with_coins(rng, *, n=6_000, share=0.25):
    """Return tables whose pool was thrown by fair coins, as `synthesize` does; two rows of most units."""
    units = np.sort(rng.integers(0, n // 2, n))
    pool, heads = rng.random(n) < share, rng.random(n) < 0.5
    held = (pool & heads)[units]
    frame = pd.DataFrame({"a": rng.normal(size=n)})
    return AuditTables(
        train=frame[~held].reset_index(drop=True),
        holdout=frame[held].reset_index(drop=True),
        synthetic=pd.DataFrame({"a": rng.normal(size=n)}),
        kinds={"a": "numeric"},
        unit_train=units[~held],
        unit_holdout=units[held],
        pool_in_train=pool[units[~held]],
    )


def without_coins(rng, *, train, holdout):
    """Return tables of so many rows each, drawn from one population."""
    frames = [pd.DataFrame({"a": rng.normal(size=n)}) for n in (train, holdout, train)]
    return AuditTables(train=frames[0], holdout=frames[1], synthetic=frames[2], kinds={"a": "numeric"})


TABLES = {
    "known coins": with_coins,
    "known coins, small pool": lambda rng: with_coins(rng, share=0.2),
    "many more training rows": lambda rng: without_coins(rng, train=5_000, holdout=600),
    "many more holdout rows": lambda rng: without_coins(rng, train=400, holdout=5_000),
    "sides of one size": lambda rng: without_coins(rng, train=700, holdout=700),
}


@pytest.fixture
def blind_attacks(monkeypatch):
    """Attacks that know nothing: one guesses, one always says the same."""

    def scores(tables, *, rng, context):
        game = draw_game(tables, rng=rng, max_targets=context.settings.max_targets)
        assert game is not None
        n = len(game.member)
        return AttackScores(
            member=game.member,
            scores={"guess": rng.random(n), "always the same": np.zeros(n)},
            rows=game.targets,
            n_reference=len(game.reference),
            coins=game.coins,
            blind=None,
            vulnerability=rng.random(n),
            game=game,
        )

    for module in ("privsynth.audit.membership.epsilon_lower_bound", "privsynth.audit.membership.membership"):
        monkeypatch.setattr(f"{module}.attack_scores", scores)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("case", TABLES)
def test_membership_stays_a_fair_coin_however_tables_are_thinned(level, case):
    """The count of members is that of fair coins, two-sided at 1e-4; sizes of the level, scaled down."""
    rng = np.random.default_rng(3)
    at_most = MAX_TABLE_ROWS[level] // 100
    members = targets = 0
    for _ in range(20):
        game = draw_game(TABLES[case](rng).thinned(at_most, rng), rng=rng, max_targets=10_000)
        members, targets = members + int(game.member.sum()), targets + len(game.member)
    assert abs(members - targets / 2) < 3.9 * np.sqrt(targets) / 2


@pytest.mark.slow
@pytest.mark.parametrize("case", TABLES)
def test_nothing_learnt_raises_false_alarms_at_the_stated_rate(case, blind_attacks):
    rng = np.random.default_rng(4)
    context = AuditContext(AuditSettings(claimed=NOTHING, max_targets=150))
    alarms = dict.fromkeys((*BOUNDS, "membership_headline"), 0)
    for _ in range(RUNS):
        tables = TABLES[case](rng).thinned(2_000, rng)
        findings = epsilon(tables, rng=rng, context=context) + membership(tables, rng=rng, context=context)
        for finding in findings:
            if finding.name in alarms:
                alarms[finding.name] += finding.verdict in ("fail", "review")
    assert not {name: count for name, count in alarms.items() if too_often(count, RUNS, ALPHA)}


@pytest.mark.parametrize("level", LEVELS)
def test_a_table_longer_than_its_level_fails_no_audit_of_membership(level, monkeypatch):
    """The real attacks, end to end; a false alarm in 5 % of seeds."""
    rng = np.random.default_rng(5)
    monkeypatch.setattr("privsynth.audit.registry.MAX_TABLE_ROWS", dict.fromkeys(LEVELS, 3_000))
    findings = run_audits(
        with_coins(rng, n=20_000, share=0.3),
        AuditSettings(seed=5, names=("membership", "epsilon"), claimed=(1.0, 1e-6), level=level),
    )
    bound = next(f for f in findings if f.name == "epsilon_lower_bound_one_run")
    assert bound.detail["fair_coins"]
    assert not [f.name for f in findings if f.verdict in ("fail", "review")]
