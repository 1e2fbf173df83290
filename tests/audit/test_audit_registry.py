"""The registry: isolation, repeatability, odd tables, and words that a machine may not use."""

import re
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from privsynth.audit.common.audit import Audit
from privsynth.audit.common.audit_tables import AuditTables
from privsynth.audit.common.running import not_run
from privsynth.audit.common.settings import LEVELS, AuditSettings
from privsynth.audit.membership.attacks import pre_registered
from privsynth.audit.registry import AUDITS, left_out, run_audits
from privsynth.errors import ConfigError

KINDS = {"n": "numeric", "c": "categorical", "t": "datetime"}


def frame(n, *, null=False, constant=False, seed=0):
    rng = np.random.default_rng(seed)
    pick = np.zeros(n, int) if constant else rng.integers(0, 3, n)
    data = pd.DataFrame({"n": pick * 1.5, "c": np.array(["u", "v", "w"], object)[pick]})
    data["t"] = pd.Series(np.datetime64("2021-05-05") + pick.astype("timedelta64[D]")).astype("datetime64[s]")
    if null:
        data = data.assign(n=np.nan, c=pd.Series([None] * n, dtype=object), t=pd.Series([pd.NaT] * n))
        data["t"] = data["t"].astype("datetime64[s]")
    return data


def odd_tables():
    whole = frame(300)
    yield "one row", (frame(1), frame(1), frame(1))
    yield "one synthetic row", (whole, whole, frame(1))
    yield "no synthetic row", (whole, whole, whole.head(0))
    yield "empty holdout", (whole, whole.head(0), whole)
    yield "no holdout", (whole, None, whole)
    yield "all null", (frame(300, null=True), frame(300, null=True), frame(300, null=True))
    yield "synthetic all null", (whole, frame(300, seed=1), frame(300, null=True))
    yield "train all null", (frame(300, null=True), frame(300, seed=1), whole)
    yield "constant", (frame(300, constant=True), frame(300, constant=True), frame(300, constant=True))
    yield "one column", tuple(frame(300, seed=s)[["c"]] for s in range(3))
    yield "one number", tuple(frame(300, seed=s)[["n"]] for s in range(3))
    yield "no column", tuple(frame(300)[[]] for _ in range(3))
    yield "text dtype", tuple(frame(300, seed=s).astype({"c": "string"}) for s in range(3))


@pytest.mark.parametrize(("case", "frames"), list(odd_tables()), ids=[case for case, _ in odd_tables()])
def test_odd_tables_crash_no_audit(case, frames):
    columns = [name for name in ("c", "n", "t") if name in frames[0].columns]
    tables = AuditTables(
        train=frames[0], holdout=frames[1], synthetic=frames[2], kinds=KINDS,
        targets=tuple(columns[:2]), protected=tuple(columns),
    )  # fmt: skip
    findings = run_audits(
        tables, AuditSettings(seed=0, claimed=(1.0, 1e-6), rules=[("n >= 0", np.ones(len(frames[2]), bool))])
    )
    assert not [f.meaning for f in findings if f.name.endswith("_failed")]
    assert [f.to_json() for f in findings]


def test_a_failing_audit_is_named_and_quotes_nothing(monkeypatch, people, tables_of):
    def broken(tables, *, rng, context):
        raise KeyError("needle-4711")

    monkeypatch.setitem(AUDITS, "utility", Audit(name="utility", titles={}, run=broken, family="utility"))
    findings = run_audits(tables_of(*people), AuditSettings(seed=0, names=("utility", "alarms")))
    failed = findings[0]
    assert (failed.name, failed.verdict) == ("utility_failed", "insufficient")
    assert "KeyError" in failed.meaning
    assert "needle" not in str(failed.to_json())
    assert len(findings) == 3


def test_the_same_stream_gives_the_same_findings(people, tables_of):
    train, holdout, fresh = (part.head(800) for part in people)
    runs = [run_audits(tables_of(train, holdout, fresh), AuditSettings(seed=5, claimed=(1.0, 0.0))) for _ in "ab"]
    assert [f.to_json() for f in runs[0]] == [f.to_json() for f in runs[1]]


def test_every_audit_runs_and_only_what_needs_no_real_row_is_public(people, tables_of):
    train, holdout, fresh = (part.head(800) for part in people)
    seen = []
    findings = run_audits(
        tables_of(train, holdout, fresh),
        AuditSettings(seed=5, claimed=(1.0, 0.0), rules=[("age >= 18", np.ones(800, bool))]),
        progress=lambda *step: seen.append(step),
    )
    usual = [name for name, entry in AUDITS.items() if "standard" in entry.levels]
    assert seen == [(name, i, len(usual)) for i, name in enumerate(usual, start=1)]
    assert {f.family for f in findings if f.visibility == "public"} == {"rules", "pii"}
    words = " ".join(f"{f.meaning} {f.threshold}" for f in findings).lower()
    assert not re.search(r"\b(anonym\w*|safe|gdpr|compliant)\b", words)
    assert all(f.meaning.endswith((".", "guess.")) or f.meaning.rstrip().endswith(".") for f in findings)


def test_figures_do_not_depend_on_the_other_audits_asked_for(people, tables_of):
    train, holdout, fresh = (part.head(800) for part in people)
    tables = tables_of(train, holdout, fresh)
    alone = run_audits(tables, AuditSettings(seed=5, names=("alarms",)))
    among = run_audits(tables, AuditSettings(seed=5, names=("alarms", "fidelity")))
    assert [f.to_json() for f in among if f.family == "alarms"] == [f.to_json() for f in alone]


@pytest.mark.parametrize(
    "wrong",
    [
        {"names": ["nonsense"]},
        {"claimed": (float("nan"), 0.0)},
        {"claimed": (1.0, 1.0)},
        {"claimed": (-1, 0)},
        {"level": "all"},
    ],
)
def test_wrong_requests_are_refused(people, tables_of, wrong):
    with pytest.raises(ConfigError):
        run_audits(tables_of(*people), AuditSettings(seed=0, **wrong))


def test_tables_that_do_not_fit_are_refused(people, tables_of):
    train, holdout, fresh = people
    with pytest.raises(ConfigError, match="other columns"):
        tables_of(train, holdout, fresh[["age"]])
    with pytest.raises(ConfigError, match="lack"):
        tables_of(train, holdout, fresh, targets=("missing",))
    with pytest.raises(ConfigError, match="one entry for each row"):
        tables_of(train, holdout, fresh, unit_train=np.arange(3))


def test_units_of_several_rows_widen_the_intervals(people, tables_of, pick):
    train, holdout, fresh = people
    five = np.repeat(np.arange(600), 5)
    repeated = train.iloc[five].reset_index(drop=True)
    rows = run_audits(tables_of(repeated, holdout, fresh), AuditSettings(seed=0, names=("fidelity",)))
    units = run_audits(tables_of(repeated, holdout, fresh, unit_train=five), AuditSettings(seed=0, names=("fidelity",)))
    widths = [(f := pick(found, "tvd_1way", "sex")).high - f.low for found in (rows, units)]
    assert widths[1] > 1.3 * widths[0]


def test_an_audit_runs_at_a_level_or_says_what_it_leaves_out():
    for name, entry in AUDITS.items():
        assert set(entry.levels) | set(entry.left_out) >= set(LEVELS), name
        assert all(text.endswith(".") for text in entry.left_out.values()), name
    for level in LEVELS:
        told = {name for name, entry in AUDITS.items() if level in entry.left_out}
        assert set(left_out(AuditSettings(level=level))) == told | {"membership"}


def test_an_attack_that_ran_is_not_said_to_be_left_out():
    told = SimpleNamespace(fitted=SimpleNamespace(settings=lambda: {"tables": [[0, 1]]}))
    for known in (True, False):
        settings = AuditSettings(level="standard", model=told if known else None)
        assert ("mama_mia" in pre_registered(settings)) is known
        assert ("MAMA-MIA" not in left_out(settings)["membership"]) is known


def test_a_level_leaves_out_what_it_says(monkeypatch, people, tables_of):
    def one(tables, *, rng, context):
        seen.append((context.settings.level, context.settings.model, context.settings.refit))
        return []

    seen = []
    left = {"quick": "All.", "standard": "All."}
    deep = Audit(name="alarms", titles={}, run=one, family="coverage", levels=("deep",), left_out=left)
    monkeypatch.setitem(AUDITS, "alarms", deep)
    for level in LEVELS:
        run_audits(tables_of(*people), AuditSettings(seed=0, names=("alarms",), level=level, refit=people[0].copy))
    assert [level for level, _, _ in seen] == ["deep"]
    assert seen[0][1] is None
    assert callable(seen[0][2])
    assert left_out(AuditSettings(level="quick"))["alarms"] == "All."
    assert "alarms" not in left_out(AuditSettings(level="deep"))


def test_an_interrupt_keeps_what_was_finished(monkeypatch, people, tables_of):
    def stopped(tables, *, rng, context):
        raise KeyboardInterrupt

    monkeypatch.setitem(AUDITS, "utility", Audit(name="utility", titles={}, run=stopped, family="utility"))
    names = ["fidelity", "utility", "alarms"]
    findings = run_audits(tables_of(*people), AuditSettings(seed=0, names=names))
    assert not_run(findings) == ["utility", "alarms"]
    whole = run_audits(tables_of(*people), AuditSettings(seed=0, names=("fidelity",)))
    assert [f.to_json() for f in findings[:-2]] == [f.to_json() for f in whole]
    assert {f.verdict for f in findings[-2:]} == {"insufficient"}
