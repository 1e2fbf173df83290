"""Audits from end to end: levels, policies, interrupts, long tables, and the same generator trained anew."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from leaks.proof import Constant, release, small_generators
from leaks.proof import config as job
from leaks.world import DECLARED, ordinary_rows, write_csv
from outside import install
from pipeline.admissions import admissions, run, schema, spent, write

from privsynth.audit import registry
from privsynth.audit.common.audit import Audit
from privsynth.audit.common.audit_tables import AuditTables
from privsynth.audit.common.settings import AuditSettings
from privsynth.audit.registry import AUDITS, MAX_TABLE_ROWS, run_audits, thinning
from privsynth.codecs.column_facts import ColumnFacts
from privsynth.errors import ConfigError
from privsynth.findings.finding import Finding
from privsynth.pipeline.audits import refit
from privsynth.pipeline.audits.chosen_policy import chosen_policy
from privsynth.pipeline.audits.refit import Refit, promise_beside, refit_of_model
from privsynth.privacy.accounting import gdp_mu
from privsynth.schema import Schema

EXACT = Finding(
    family="alarms", name="exact_copies", value=0.5, visibility="officer", verdict="info", meaning="A half."
)


def quick(tables, *, rng, context):
    return [replace(EXACT, detail={"level": context.settings.level, "model": context.settings.model is not None})]


def stopped(tables, *, rng, context):
    raise KeyboardInterrupt


def entry(name, run, **more):
    """Return an audit of the family of its name."""
    return Audit(name=name, family=name, run=run, titles={}, **more)


@pytest.fixture
def audits(monkeypatch):
    """Return a function that puts a few audits in place of the registry's."""

    def put(**entries):
        monkeypatch.setattr("privsynth.audit.registry.AUDITS", entries)

    put(alarms=entry("alarms", quick, left_out={"quick": "Half of the rows."}))
    return put


@pytest.fixture
def sides(tmp_path):
    """Return the options that name a real and a synthetic table."""
    declared = schema(columns={k: v for k, v in schema()["columns"].items() if k != "note"})
    return (
        *("--real", write(tmp_path, "real.csv", admissions()), "--synthetic", write(tmp_path, "s.csv", admissions(80))),
        *("--schema", write(tmp_path, "schema.yaml", declared)),
    )


def policy(tmp_path, *checks):
    data = {
        "policy": "wards",
        "version": "1",
        "purpose": "Planning.",
        "checks": [{"source": "own", **c} for c in checks],
    }
    return write(tmp_path, "policy.yaml", data)


@pytest.fixture
def released(tmp_path, monkeypatch):
    """Return a function that makes a small release."""
    small_generators(monkeypatch, arn=False)

    def make(*options):
        table, declared = write(tmp_path, "t.csv", admissions()), write(tmp_path, "d.yaml", schema())
        return run(
            *(
                "synthesize",
                table,
                "--schema",
                declared,
                "--epsilon",
                1,
                "--rows",
                60,
                "--anyway",
                "--generator",
                "marginal",
            ),
            *("--out", tmp_path / "out", *options),
        )

    return make


def report_of(folder):
    return json.loads((folder / "report.json").read_text()), (folder / "report.html").read_text()


def test_the_report_says_what_a_level_leaves_out(audits, sides, tmp_path):
    made = run("audit", *sides, "--audit", "quick", "--out", tmp_path / "a", "--json")
    assert made.exit_code == 0, made.output
    data, html = report_of(tmp_path / "a")
    done = data["officer"]["audit"]
    left_out = {"alarms": "Half of the rows."}
    assert done == {"level": "quick", "left_out": left_out, "thinned": "", "unfinished": [], "not_compared": []}
    assert "Half of the rows." in html
    whole = run("audit", *sides, "--audit", "deep", "--out", tmp_path / "b")
    assert whole.exit_code == 0, whole.output
    assert "This level leaves nothing out." in report_of(tmp_path / "b")[1]
    with pytest.raises(ConfigError, match="no level"):
        run_audits(AuditTables(**two_frames()), AuditSettings(seed=0, level="all"))


def test_a_column_that_a_table_lacks_is_named(audits, tmp_path):
    """An audit of half of the columns must not look like one of all."""
    real, less = (write(tmp_path, f"{name}.csv", rows) for name, rows in (("real", "a,b\n1,2\n"), ("less", "a\n1\n")))
    made = run("audit", "--real", real, "--synthetic", less, "--out", tmp_path / "a")
    assert made.exit_code == 0, made.output
    assert "Not compared, because the synthetic table has no such column: b\n" in made.stdout
    data, html = report_of(tmp_path / "a")
    assert data["officer"]["audit"]["not_compared"] == ["b"]
    assert "<b>Not compared</b>" in html
    refused = run("audit", "--real", real, "--synthetic", real, "--holdout", less, "--out", tmp_path / "b")
    assert refused.exit_code == 2
    assert "the holdout lacks the column 'b'; give" in refused.stderr


def test_a_table_given_as_its_own_synthetic_one_fails(audits, sides, tmp_path):
    audits(alarms=AUDITS["alarms"])
    made = run("audit", *sides[:2], "--synthetic", sides[1], *sides[4:], "--out", tmp_path / "a")
    assert made.exit_code == 3, made.output
    assert report_of(tmp_path / "a")[0]["findings"][0]["verdict"] == "fail"


def two_frames(n=3):
    frame = pd.DataFrame({"a": np.arange(float(n))})
    return {"train": frame, "holdout": frame, "synthetic": frame, "kinds": {"a": "numeric"}}


def test_an_interrupt_leaves_a_partial_report(audits, sides, tmp_path):
    audits(
        alarms=entry("alarms", quick), bias=entry("bias", stopped),
        fidelity=entry("fidelity", quick),
    )  # fmt: skip
    made = run("audit", *sides, "--out", tmp_path / "a")
    assert made.exit_code == 130
    assert "bias, fidelity" in made.stderr
    data, html = report_of(tmp_path / "a")
    assert data["officer"]["audit"]["unfinished"] == ["bias", "fidelity"]
    assert [f["name"] for f in data["findings"]] == ["exact_copies", "bias_not_run", "fidelity_not_run"]
    assert "This report is partial." in html


def test_an_interrupt_of_the_audit_does_not_lose_the_release(audits, released, tmp_path):
    audits(
        alarms=entry("alarms", quick),
        bias=entry("bias", stopped),
    )
    made = released()
    assert made.exit_code == 130
    assert "the release is complete" in made.stderr
    assert report_of(tmp_path / "out" / "officer")[0]["officer"]["audit"]["unfinished"] == ["bias"]
    assert "not_run" not in report_of(tmp_path / "out" / "public")[1]
    assert (tmp_path / "out" / "public" / "data.parquet").exists()
    assert 0 < spent()["admissions"] <= 1


@pytest.mark.parametrize(
    ("check", "code", "verdict"),
    [
        ({"metric": "exact_copies", "at_most": 0.9}, 0, "pass"),
        ({"metric": "exact_copies", "at_most": 0.1}, 3, "fail"),
        ({"metric": "tvd_1way", "at_most": 0.5}, 0, "insufficient"),
        ({"metric": "promised_epsilon", "at_most": 0.5}, 3, "fail"),
    ],
)
def test_a_policy_decides_the_exit_code(audits, sides, tmp_path, check, code, verdict):
    asked = ("--policy", policy(tmp_path, check), "--claimed-epsilon", 1)
    made = run("audit", *sides, *asked, "--out", tmp_path / "a", "--json")
    assert made.exit_code == code, made.output
    told = json.loads(made.stdout)
    assert [c["verdict"] for c in told["policy"]["checks"]] == [verdict]
    data, html = report_of(tmp_path / "a")
    assert data["policy"]["outcomes"][0]["verdict"] == verdict
    assert data["policy"]["digest"] in html
    assert told["policy"]["sha256"] == data["policy"]["digest"]


UNKNOWN = "line 3: no audit of this installation measures 'exact_copis'; did you mean 'exact_copies'?"


MISSPELT = """\
{policy: wards, version: a, purpose: Planning, checks: [
  {metric: exact_copies, judge: verdict, source: own},
  {metric: exact_copis, judge: verdict, source: own},
]}
"""


@pytest.mark.parametrize(("text", "words"), [("policy: a\n", "the policy has no checks"), (MISSPELT, UNKNOWN)])
def test_a_policy_that_is_wrong_spends_nothing(audits, released, sides, tmp_path, text, words):
    wrong = write(tmp_path, "wrong.yaml", text)
    for made in (released("--policy", wrong), run("audit", *sides, "--policy", wrong, "--out", tmp_path / "out")):
        assert made.exit_code == 2
        assert words in made.stderr
        assert not (tmp_path / "out").exists()
    assert spent() == {}


def test_a_policy_may_name_what_an_audit_of_another_package_finds(tmp_path, monkeypatch):
    asked = policy(tmp_path, {"metric": "toy_figure", "at_most": 1})
    try:
        registry._installed.cache_clear()
        with pytest.raises(ConfigError, match="no audit of this installation measures 'toy_figure'"):
            chosen_policy(asked)
        text = "from privsynth.audit.common.audit import Audit\n"
        text += "AUDIT = Audit(name='toy', family='coverage', run=print, titles={'toy_figure': 'A toy'})\n"
        install(monkeypatch, tmp_path / "site", {"privsynth.audits": {"toy": "a_toy:AUDIT"}}, modules={"a_toy": text})
        registry._installed.cache_clear()
        assert chosen_policy(asked).policy.checks[0].metric == "toy_figure"
    finally:
        registry._installed.cache_clear()


def test_of_a_policy_on_exact_findings_the_public_folder_says_only_that_there_was_one(audits, tmp_path, monkeypatch):
    """The same bytes whatever the policy demands, and whatever it found."""
    small_generators(monkeypatch, arn=False)
    source = write_csv(tmp_path / "table.csv", ordinary_rows(60))
    shown, found = [], []
    for name, bound in (("refused", {"at_most": 0.1}), ("met", {"at_least": 0.1})):
        checks = ({"metric": "exact_copies", **bound}, {"metric": "promised_epsilon", "at_most": 1000})
        config = job(
            source, tmp_path / name, schema=DECLARED, epsilon=1.0, audit="standard", format="csv",
            policy=policy(tmp_path, *checks),
        )  # fmt: skip
        shown.append(release(Constant(), config, tmp_path / f"home-{name}"))
        inside = json.loads((tmp_path / name / "officer" / "report.json").read_text())
        found.append([o["verdict"] for o in inside["policy"]["outcomes"]])
    assert found == [["fail", "pass"], ["pass", "pass"]]
    assert shown[0].files == shown[1].files
    outside = json.loads(shown[0].files["report.json"])
    assert (outside["policy"], outside["policy_inside"]) == (None, True)


def test_a_policy_on_public_figures_stands_in_both_reports(audits, released, tmp_path):
    public = (
        {"metric": "promised_epsilon", "at_most": 2},
        {"metric": "tvd_1way", "at_most": 0.99, "visibility": "public"},
    )
    made = released("--policy", policy(tmp_path, *public), "--json")
    assert made.exit_code == 0, made.output
    outside, page = report_of(tmp_path / "out" / "public")
    inside, _ = report_of(tmp_path / "out" / "officer")
    assert outside["policy"] == inside["policy"]
    assert "Policy: " in page
    assert [c["metric"] for c in json.loads(made.stdout)["policy"]["checks"]] == ["promised_epsilon", "tvd_1way"]


def test_verdicts_on_exact_findings_are_printed_for_the_officer_alone(audits, released, tmp_path):
    made = released("--policy", policy(tmp_path, {"metric": "exact_copies", "at_most": 0.1}), "--json")
    assert made.exit_code == 3
    assert json.loads(made.stdout)["policy"]["checks"] == []


@pytest.mark.parametrize("officer", [True, False])
def test_verdicts_are_printed_as_a_table(audits, released, tmp_path, officer):
    checks = ({"metric": "exact_copies", "at_most": 0.1}, {"metric": "promised_epsilon", "at_most": 1.5})
    made = released("--policy", policy(tmp_path, *checks), *(["--officer"] if officer else []))
    assert made.exit_code == 3
    assert "Policy 'wards', version 1: evidence, not a conclusion" in made.stdout
    assert "policy           wards: failed" in made.stdout
    assert "at most 1.5" in made.stdout
    assert ("at most 0.1" in made.stdout) == officer


def test_the_model_of_a_release_is_at_hand(audits, released, tmp_path):
    assert released("--format", "csv", "--audit", "none").exit_code == 0
    folder = tmp_path / "out" / "public"
    declared, judged = tmp_path / "d.yaml", policy(tmp_path, {"metric": "promised_epsilon", "at_most": 2})
    made = run(
        *("audit", "--real", tmp_path / "t.csv", "--synthetic", folder / "data.csv", "--schema", declared),
        *("--model", folder / "model", "--policy", judged, "--out", tmp_path / "a", "--json"),
    )
    data = report_of(tmp_path / "a")[0]
    assert data["findings"][0]["detail"] == {"level": "standard", "model": True}
    assert data["policy"]["outcomes"][0]["value"] == 1.0  # the promise of the release, from the report beside it
    assert made.exit_code == 0, made.output
    assert promise_beside(folder / "model") == (1.0, 1e-6, 2)
    assert promise_beside(tmp_path) is None
    missing = run("audit", "--real", declared, "--synthetic", declared, "--model", tmp_path, "--out", tmp_path / "b")
    assert missing.exit_code == 2


def test_long_tables_are_thinned_by_whole_units_and_said_so(monkeypatch):
    units = np.repeat(np.arange(400), 3)
    frame = pd.DataFrame({"a": units.astype(float)})
    tables = AuditTables(
        train=frame, holdout=frame.head(30), synthetic=frame, kinds={"a": "numeric"}, unit_train=units,
        pool_in_train=units % 2 == 0,
    )  # fmt: skip
    fewer = tables.thinned(100, np.random.default_rng(0))
    assert len(fewer.train) == 99
    assert fewer.train["a"].value_counts().eq(3).all()
    assert fewer.train["a"].tolist() == fewer.unit_train.tolist()
    assert np.array_equal(fewer.pool_in_train, fewer.unit_train % 2 == 0)
    assert len(fewer.synthetic) == 100
    assert 0 < len(fewer.holdout) < 15, "as small a share of the holdout is drawn as of the pool in training"
    assert tables.thinned(1_200, np.random.default_rng(0)) is tables
    seen = {}

    def sizes(name):
        def look(given, *, rng, context):
            seen[name] = len(given.train)
            return []

        return look

    entries = {
        "bias": entry("bias", sizes("bias")),
        "alarms": entry("alarms", sizes("alarms"), whole=True),
    }
    monkeypatch.setattr("privsynth.audit.registry.AUDITS", entries)
    monkeypatch.setattr("privsynth.audit.registry.MAX_TABLE_ROWS", {"quick": 100, "standard": 2_000, "deep": 2_000})
    run_audits(tables, AuditSettings(seed=0, level="quick"))
    assert seen == {"bias": 99, "alarms": 1_200}
    assert "At most 100 rows of each table" in thinning(tables, "quick")
    assert "alarms saw all rows" in thinning(tables, "quick")
    assert thinning(tables, "deep") == ""


def test_every_level_has_a_size_and_deeper_is_longer():
    assert list(MAX_TABLE_ROWS.values()) == sorted(MAX_TABLE_ROWS.values())
    assert any(entry.whole for entry in AUDITS.values())


FACTS = {
    "ward": ColumnFacts(kind="categorical"), "age": ColumnFacts(kind="integer"),
    "lab": ColumnFacts(kind="numeric", precision=0.1),
    "smoker": ColumnFacts(kind="boolean"), "born": ColumnFacts(kind="date", precision=86_400.0),
    "seen": ColumnFacts(kind="datetime", precision=60.0),
}  # fmt: skip


def clean(n, seed):
    rng = np.random.default_rng(seed)
    day = np.datetime64("2024-01-01", "s") + rng.integers(0, 300, n).astype("timedelta64[D]")
    frame = pd.DataFrame(
        {
            "ward": rng.choice(["ICU", "ER"], n, p=[0.9, 0.1]).astype(object),
            "age": rng.integers(0, 90, n).astype(float),
            "lab": np.round(rng.normal(5, 1, n), 1),
            "smoker": rng.choice(["true", "false"], n).astype(object),
            "born": day,
            "seen": day + rng.integers(0, 1440, n).astype("timedelta64[m]"),
        }
    )
    frame.loc[::10, ["lab", "born"]] = None
    frame.loc[::7, "ward"] = None
    return frame


def make_refit(**changes):
    told = {
        "generator": "marginal", "epsilon": 50.0, "delta": 1e-6, "max_rows_per_unit": 1, "facts": FACTS,
        "schema": Schema.model_validate({"columns": {"lab": {"roles": ["target"]}}, "rules": []}),
    }  # fmt: skip
    return Refit(**(told | changes))


def test_a_refit_learns_other_rows_and_keeps_columns_and_types(monkeypatch):
    small_generators(monkeypatch, arn=False)
    frame = clean(1_500, 0)
    made = make_refit()(frame, seed=3)
    assert list(made) == list(frame)
    assert len(made) == len(frame)
    assert made["age"].dtype == np.float64
    assert made["seen"].dtype.kind == made["born"].dtype.kind == "M"
    assert set(made["smoker"].dropna()) <= {"true", "false"}
    assert 0.05 < made["lab"].isna().mean() < 0.15
    assert 0.8 < (made["ward"].dropna() == "ICU").mean() < 0.97
    swapped = frame.assign(ward=frame["ward"].map({"ICU": "ER", "ER": "ICU"}))
    assert (make_refit()(swapped, seed=3)["ward"].dropna() == "ICU").mean() < 0.3
    some = make_refit()(frame[["ward", "age"]].head(200), seed=4)
    assert list(some) == ["ward", "age"]


@pytest.mark.parametrize("k", [1, 4])
def test_a_refit_gives_a_row_the_noise_of_a_unit(monkeypatch, k):
    small_generators(monkeypatch, arn=False)
    told = []
    learn = refit.learn
    monkeypatch.setattr(
        refit, "learn", lambda table, request, *a: told.append(request.budget) or learn(table, request, *a)
    )
    make_refit(epsilon=2.0, max_rows_per_unit=k)(clean(100, 1)[["age"]], seed=0)
    (budget,) = told
    assert gdp_mu(budget.epsilon, 1e-6) == pytest.approx(gdp_mu(2.0, 1e-6) / k, rel=1e-6)
    assert budget.unit == "row"


def test_no_refit_without_a_promise_or_of_a_generator_that_is_not_ours():
    class Model:
        class fitted:
            name = "marginal"

    told = {"max_rows_per_unit": 1, "schema": Schema(), "facts": FACTS}
    assert refit_of_model(Model(), promise=(1.0, 1e-6), **told).epsilon == 1.0
    assert refit_of_model(Model(), promise=None, **told) is None
    assert refit_of_model(Model(), promise=(1.0, 0.0), **told) is None
    Model.fitted.name = "sdv:ctgan"
    assert refit_of_model(Model(), promise=(1.0, 1e-6), **told) is None
