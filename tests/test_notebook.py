"""Cards for notebooks: escaped, small, without scripts; and short texts of results."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import pytest

import privsynth
from privsynth.findings.finding import Finding
from privsynth.notebook import MOST_CHARACTERS, card, promise_text, worst_text
from privsynth.report.records.inside import LedgerState

HOSTILE = "<script>alert(1)</script>\"'&" + "x" * 100_000


class Tags(HTMLParser):
    """Collects the names of tags and attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.found |= {tag, *(name for name, _ in attrs)}


def finding(**more) -> Finding:
    usual = {"family": "fidelity", "name": "tvd", "value": 0.5, "visibility": "public", "meaning": "m"}
    return Finding(**{**usual, **more})


def release(folder: Path, **more) -> privsynth.Release:
    guarantee = {"epsilon": 1.0, "delta": 1e-6, "unit": "patient", "max_rows_per_unit": 3}
    report = {"dataset": "stays", "guarantee": guarantee, "findings": [], "unsigned": True, **more}
    (folder / "report.json").write_text(json.dumps(report), encoding="utf-8")
    return privsynth.Release.open(folder)


def synthesis(opened: privsynth.Release, *findings: Finding, **more) -> privsynth.SynthesisResult:
    usual = {"epsilon": 1.0, "delta": 1e-6, "unit": "patient", "dataset": "stays", "signer": "", "audit_level": "quick"}
    return privsynth.SynthesisResult(release=opened, officer=opened.officer, findings=findings, **{**usual, **more})


def cards(folder: Path, text: str) -> list[str]:
    """Return the card of every result, with a text in the place of every name."""
    bad = finding(verdict="fail", group=text, name=text)
    opened = release(folder, dataset=text, findings=[bad.to_json()])
    audited = privsynth.AuditResult(
        folder=folder, findings=(bad,), judgement=None, unfinished=(text,), not_compared=(text,), dataset=text,
        claimed=(1.0, 1e-6),
    )  # fmt: skip
    verified = privsynth.VerificationResult(
        keyid="k", fingerprint=text, holder=text, signed_at=datetime(2026, 1, 1, tzinfo=UTC),
        valid_until=datetime(2027, 1, 1, tzinfo=UTC), kind="public", dataset=text, files=7, unchecked=2,
    )  # fmt: skip
    plan = privsynth.Plan(
        dataset=text, epsilon=1.0, delta=1e-6, unit=text, max_rows_per_unit=1, neighbours="", generator=text,
        epsilon_of_events=1.0, parts=(), outlooks=(),
    )  # fmt: skip
    made = synthesis(opened, bad, dataset=text, unit=text, signer=text, unresolved=(text,), unfinished=(text,))
    synthesizer = privsynth.Synthesizer(epsilon=1, unit=text)
    return [item._repr_html_() for item in (opened, made, audited, verified, plan, synthesizer)]


def test_cards_are_small_and_escaped(tmp_path):
    for page in cards(tmp_path, HOSTILE):
        assert len(page.encode()) < 20_000
        assert "<script" not in page
        assert "&lt;script&gt;alert(1)" in page
        assert Tags(page).found <= {"div", "p", "strong", "table", "tbody", "tr", "th", "td", "style"}


def test_a_card_leaves_out_what_there_is_not_and_cuts_what_is_too_long():
    page = card("Title", [("Said", "yes"), ("Unsaid", "")], note="n" * 1000)
    assert "Unsaid" not in page
    assert "n" * MOST_CHARACTERS + "…" in page


def test_a_report_from_anywhere_shows_whatever_its_findings_hold(tmp_path):
    odd = [
        {},
        {"verdict": ["fail"]},
        {"verdict": "fail", "family": {}, "name": 3, "value": 10**400, "low": "x", "high": []},
    ]
    page = release(tmp_path, findings=odd)._repr_html_()
    assert "1 failed" in page
    assert "no figure" in page


def test_the_promise_names_the_unit_and_how_many_of_its_rows():
    assert promise_text(1, 1e-6, "row", 1) == "(1, 1e-06)-differential privacy for each row"
    assert promise_text(1, 1e-6, "id", 3).endswith("for each id, of which at most 3 rows were used")


def test_the_worst_finding_failed_and_is_about_people():
    review = finding(family="membership", verdict="review", name="auc")
    unlike = finding(verdict="fail", name="unlike", low=0.4, high=0.6)
    copies = finding(family="alarms", verdict="fail", name="copies", visibility="officer", group="ward = ICU")
    assert worst_text([finding().to_json()]) == "none failed or waits for review"
    assert worst_text(f.to_json() for f in (review, unlike)) == "fail: unlike = 0.5 (0.4 to 0.6)"
    every = [f.to_json() for f in (review, unlike, copies)]
    assert worst_text(every, exact=True) == "fail: copies · ward = ICU = 0.5"
    assert worst_text(every) == "fail: copies; its exact figure is in the officer's report"


def test_a_release_says_promise_budget_and_worst_finding(tmp_path):
    opened = release(tmp_path)
    state = LedgerState(cap_epsilon=10.0, spent_before_epsilon=1.0, spent_after_epsilon=2.5)
    exact = finding(
        family="alarms", verdict="fail", name="copies", value=0.123, visibility="officer", group="ward = ICU"
    )
    page = synthesis(opened, exact, ledger=state)._repr_html_()
    assert "(1, 1e-06)-differential privacy for each patient, of which at most 3 rows were used" in page
    assert "epsilon 7.5 of 10 for this dataset" in page
    assert "fail: copies" in page
    assert "0.123" not in page, "a notebook is passed on: exact figures stay in the officer's report"
    assert "ICU" not in page


def test_results_are_short_as_text(tmp_path):
    many = [finding(group=str(i)).to_json() for i in range(500)]
    opened = release(tmp_path, findings=many)
    assert repr(opened) == (
        f"Release({str(tmp_path)!r}, dataset='stays', epsilon=1, delta=1e-06, unit='patient', findings=500)"
    )
    made = synthesis(opened, *(Finding(**data) for data in many))
    assert repr(made) == "SynthesisResult(dataset='stays', epsilon=1, delta=1e-06, unit='patient', verdict='pass')"
    files = tuple(Path(f"part-{i}") for i in range(500))
    assert repr(privsynth.SampleResult(1, 2, files)) == "SampleResult(rows=1, seed=2, files=500)"


@pytest.mark.parametrize("wrong", [
    {"guarantee": None}, {"guarantee": {"epsilon": "x"}}, {"findings": None}, {"findings": ["text"]}, {"dataset": ""},
    {"guarantee": {"epsilon": 10**400, "delta": 0, "unit": "row"}},
    {"guarantee": {"epsilon": -1, "delta": 0, "unit": "row"}},
])  # fmt: skip
def test_another_report_is_no_release(tmp_path, wrong):
    with pytest.raises(privsynth.SourceError, match=r"no release|another report"):
        release(tmp_path, **wrong)


def test_samples_and_filled_tables_show_themselves(tmp_path):
    from privsynth.release.impute import ImputationResult
    from privsynth.release.sample import SampleResult
    from privsynth.sampling.impute import Counts

    drawn = SampleResult(3, 7, (tmp_path / "data.csv",), ("age >= 60",), {"a < b": 3})._repr_html_()
    assert "3 synthetic rows" in drawn
    assert "age &gt;= 60" in drawn
    assert "a &lt; b: 3 rows" in drawn
    filled = ImputationResult((tmp_path / "full.csv",), 7, 1, Counts())._repr_html_()
    assert "as sensitive" in filled
    assert "full.csv" in filled


def test_a_table_is_no_path_of_a_release():
    import pandas as pd

    from privsynth.errors import ConfigError
    from privsynth.release.folder import Release

    with pytest.raises(ConfigError, match="path"):
        Release.open(pd.DataFrame({"a": ["needle"]}))  # type: ignore[arg-type]
