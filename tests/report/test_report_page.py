"""The page: golden files, hostile names, no network, sound HTML, honest words."""

from __future__ import annotations

import base64
import hashlib
import os
import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest
from jinja2 import UndefinedError
from titled import checks, render, sections, title

from privsynth.extensions import Extension
from privsynth.pages.templates import templates_dir
from privsynth.report import render as rendering
from privsynth.report.blocks import SHOWN, zero_note
from privsynth.report.format_numbers import number
from privsynth.report.pictures import pictures_of
from privsynth.report.records.judgement import Decision
from privsynth.report.records.promise import GeneratorRecord
from privsynth.report.records.tables import ColumnProfile, ColumnRecord
from privsynth.report.render import ATTESTATION
from privsynth.report.sections import unmeasured

GOLDEN = Path(__file__).parent / "golden"
REWRITE = "PRIVSYNTH_UPDATE_GOLDEN"
VOID = {"meta", "br", "hr", "img", "link", "input"}
HOSTILE = "</script></title><script>alert(1)</script><img src=x onerror=alert(1)>\"'&\u202e\x00"
FORBIDDEN = ("anonymous", "anonymised", "gdpr-compliant", "compliant", "privacy score", "score of privacy")


class Page(HTMLParser):
    """What the tests ask of a page: tags in order, ids, headings, texts; unbalanced tags are an error."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.children: dict[int, list[str]] = {}
        self.texts: list[str] = []
        self.stack: list[int] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        if self.stack:
            self.children.setdefault(self.stack[-1], []).append(tag)
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID and not self.get_starttag_text().endswith("/>"):
            self.open.append(tag)
            self.stack.append(len(self.tags) - 1)

    def handle_startendtag(self, tag, attrs):
        self.children.setdefault(self.stack[-1], []).append(tag)
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag
        self.stack.pop()

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "script"):
            self.texts.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.texts))


def test_golden_page_one_in_german(report):
    page = render(replace(report, language="de"))
    text = page[page.index("<body") : page.index('<nav class="contents"')]
    path = GOLDEN / f"{report.kind}.de.html"
    if os.environ.get(REWRITE):
        path.write_text(text, encoding="utf-8", newline="\n")
    assert text == path.read_text(encoding="utf-8"), f"{path.name} differs; if that is wanted, set {REWRITE}=1"


@pytest.mark.parametrize("suffix", ["html", "json"])
def test_golden_files(report, suffix):
    """Set PRIVSYNTH_UPDATE_GOLDEN=1 to write them anew after a wanted change, and read the difference."""
    text = render(report) if suffix == "html" else report.to_json_text()
    path = GOLDEN / f"{report.kind}.{suffix}"
    if os.environ.get(REWRITE):
        path.write_text(text, encoding="utf-8", newline="\n")
    assert text == path.read_text(encoding="utf-8"), f"{path.name} differs; if that is wanted, set {REWRITE}=1"


def test_the_same_report_gives_the_same_bytes(report):
    assert render(report) == render(replace(report))


def test_the_page_is_sound(report):
    page = Page(render(report))
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    assert dict(page.tags)["html"] == {"lang": "en"}
    anchors = {attrs["href"] for tag, attrs in page.tags if tag == "a"}
    assert anchors <= {f"#{name}" for name in ids}
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert all(attrs.get("scope") in ("col", "row") for tag, attrs in page.tags if tag == "th")
    for index, (_, attrs) in enumerate(page.tags):
        if attrs.get("role") == "img":
            assert page.children[index][:2] == ["title", "desc"]
        if attrs.get("role") in ("region", "group"):
            assert attrs["aria-label"]


def test_nothing_is_loaded_and_nothing_runs(report):
    html = render(report)
    for tag, attrs in Page(html).tags:
        assert tag not in ("link", "iframe", "object", "embed", "img", "base", "form")
        assert not {"src", "style", "srcset", "action"} & set(attrs)
        assert not [name for name in attrs if name.startswith("on")]
        assert attrs.get("href", "#").startswith("#")
    assert "url(" not in html
    assert "@import" not in html
    assert html.count("<script") == 1


def test_the_attestation_element_stands_once_empty_and_last(report):
    html = render(report)
    assert html.count(str(ATTESTATION)) == 1
    assert html.count("privsynth-attestation") == 1
    assert re.fullmatch(r"\s*</body>\s*</html>\s*", html.partition(str(ATTESTATION))[2])


def test_the_policy_allows_this_style_and_nothing_else(report):
    html = render(report)
    style = re.search(r"<style>(.*?)</style>", html, re.DOTALL)
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', html)
    digest = base64.b64encode(hashlib.sha256(style.group(1).encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in policy.group(1)
    assert policy.group(1).startswith("default-src 'none'")
    assert "script" not in policy.group(1)


def test_what_is_from_other_packages_is_named(report):
    taken = (Extension("source", ".toy", "toys", "1.2"), Extension("audit", "toy", "toys", "1.2"))
    html = render(replace(report, extensions=taken))
    assert "Not part of privsynth" in html
    assert "the audit <bdi>toy</bdi> of the package <bdi>toys 1.2</bdi>" in html
    assert "Not part of privsynth" not in render(report)


def test_hostile_names_stay_inert(report, make_finding):
    hostile = replace(
        report,
        dataset=HOSTILE,
        report_id=HOSTILE,
        signer=HOSTILE,
        tool_version=HOSTILE,
        rules=(HOSTILE,),
        files=(HOSTILE,),
        extensions=(Extension("audit", HOSTILE, HOSTILE, HOSTILE),),
        generator=GeneratorRecord(name=HOSTILE, version=HOSTILE, settings={HOSTILE: HOSTILE}),
        guarantee=replace(report.guarantee, unit=HOSTILE, neighbours=HOSTILE, accountant=HOSTILE),
        columns=(
            ColumnRecord(
                name=HOSTILE, kind=HOSTILE, domain=HOSTILE, provenance="bought", treatment=HOSTILE, roles=(HOSTILE,),
                note=HOSTILE,
            ),
        ),
        findings=tuple(
            make_finding(
                name, 0.5, group=f"{HOSTILE}{i}", meaning=HOSTILE, threshold=HOSTILE, source=HOSTILE, baseline=0.4,
                baseline_label=HOSTILE, verdict="fail", unit=HOSTILE,
            )
            for name in ("tvd_1way", HOSTILE)
            for i in range(3)
        ),
        synthetic_profile=(ColumnProfile(column=HOSTILE, labels=(HOSTILE,), counts=(1.0,)),),
        decisions=(Decision(name=HOSTILE, conditions=HOSTILE),),
    )  # fmt: skip
    html = render(hostile)
    page = Page(html)
    assert not {"img", "iframe"} & {tag for tag, _ in page.tags}
    assert [tag for tag, _ in page.tags].count("script") == 1
    assert not [name for _, attrs in page.tags for name in attrs if name.startswith("on")]
    assert "alert(1)" in page.text
    assert "\u202e" not in html
    assert "\x00" not in html


def test_an_undefined_name_in_a_template_is_an_error(public_report, monkeypatch, tmp_path):
    for path in templates_dir().glob("*.*"):
        (tmp_path / path.name).write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "_checks.html").write_text("{{ nobody_defined_this }}", encoding="utf-8")
    monkeypatch.setattr(rendering, "templates_dir", lambda: tmp_path)
    with pytest.raises(UndefinedError):
        render(public_report)


def test_no_word_that_a_machine_must_not_say(report):
    words = Page(render(report)).text.lower()
    assert not [word for word in FORBIDDEN if word in words]
    assert "evidence for the controller’s assessment" in words


def test_every_verdict_is_said_in_words_and_failures_come_first(report):
    page = Page(render(report)).text
    for words in ("Fail", "Insufficient evidence", "Pass"):
        assert words in page
    assert checks(report)[0].verdict == "fail"
    assert "within 5 points (policy 1)" in page


def test_the_claim_names_all_its_parts(public_report):
    page = Page(render(public_report)).text
    for part in ("ε = 1", "δ = 10⁻⁶", "patient_id", "add or remove all rows of one patient_id", "at most 3 rows"):
        assert part in page.replace("\xa0", " ")
    assert "privsynth verify FOLDER --keyring KEYRING" in page


def test_the_public_page_shows_nothing_of_the_officer(public_report, officer_report):
    page, inside = Page(render(public_report)).text, Page(render(officer_report)).text
    assert "INTERNAL: contains exact figures about real people" in inside
    for secret in ("INTERNAL", "Seconds", "abababab", "short rows", "Exact copies", "Spent before"):
        assert secret not in page
        assert secret in inside


def test_banners(public_report, officer_report):
    assert "DEMO:" in Page(render(public_report)).text
    plain = Page(render(replace(public_report, demo=False))).text
    assert "DEMO:" not in plain
    assert "UNSIGNED" not in plain
    assert "UNSIGNED:" in Page(render(replace(public_report, demo=False, unsigned=True))).text
    loose = GeneratorRecord(name="sdv:ctgan", version="1", private=False)
    reference = Page(render(replace(officer_report, generator=loose, guarantee=None))).text
    assert "NOT PRIVATE" in reference
    assert "differentially private" not in reference


def test_what_was_not_measured_is_said(public_report):
    assert "Membership: can an attacker tell who was in the data?" in unmeasured(public_report)
    assert "that is not a pass" in Page(render(public_report)).text
    bare = replace(public_report, findings=(), columns=(), hazards=(), synthetic_profile=(), rules=(), files=())
    assert "there is no verdict" in Page(render(bare)).text


def test_a_zero_has_its_interval_or_says_that_it_has_none(make_finding, officer_report):
    assert zero_note(make_finding("exact_copies", 0.0)) != ""
    assert zero_note(make_finding("exact_copies", 0.0, low=0.0, high=0.01)) == ""
    assert "A zero without an upper bound" in Page(render(officer_report)).text


def test_four_hundred_columns(public_report, make_finding):
    names = [f"column_{i}" for i in range(400)]
    wide = replace(
        public_report,
        findings=tuple(make_finding("tvd_1way", i / 400, group=name, better="lower") for i, name in enumerate(names)),
        synthetic_profile=tuple(ColumnProfile(column=name, labels=("a",), counts=(1.0,)) for name in names),
    )
    text = Page(render(wide)).text
    assert "The worst 20 of 400" in text
    assert "60 of 400 in all" in text
    assert "388 more" in text
    assert all(name in text for name in names)
    assert len(render(wide)) < 2_000_000


def test_every_finding_is_on_the_page(report):
    page = Page(render(report)).text
    for finding in report.findings:
        assert title(finding.name) in page
        assert finding.group in page
        assert finding.meaning in page
        assert number(finding.value, finding.unit) in page or finding.value is None


def test_forbidden_words_are_nowhere_in_what_reports_are_made_of():
    sources = [*templates_dir().rglob("*.*"), *(Path(rendering.__file__).parent.glob("*.py"))]
    for path in sources:
        words = path.read_text(encoding="utf-8").lower()
        assert not [word for word in FORBIDDEN if word in words], path.name


def test_figures_with_noise_stand_before_exact_ones(public_report, make_finding):
    found = [
        make_finding(name, 0.1, visibility=kind) for kind in ("officer", "public") for name in ("tvd_1way", "tvd_2way")
    ]
    report = replace(public_report, kind="officer", findings=tuple(found))
    (section,) = sections(report)
    assert [block.exact for block in section.blocks] == [False, False, True, True]
    page = Page(render(report)).text
    assert page.count("exact: stays inside") == 2


def test_a_long_table_folds_and_hides_no_failure(public_report, make_finding):
    verdicts = ["pass"] * 14 + ["fail"] * 13 + ["review"]
    found = [make_finding("tvd_1way", 0.1, group=f"c{i}", verdict=v) for i, v in enumerate(verdicts)]
    report = replace(public_report, findings=tuple(found))
    (block,) = sections(report)[0].blocks
    assert [finding.verdict for finding, _ in block.rows] == ["fail"] * SHOWN
    assert [finding.verdict for finding, _ in block.folded][:2] == ["fail", "review"]
    assert "16 more, of which 1 failed and 1 need review" in Page(render(report)).text


def test_what_all_rows_say_is_said_once(public_report, make_finding):
    found = [
        make_finding(
            "selection_rate", value, family="bias", group=f"{group} · ill=true", meaning=meaning, verdict=verdict
        )
        for group, value, meaning, verdict in (
            ("sex=F", 0.1, "A rate of 0.5 is half. Of women.", "pass"),
            ("sex=M", 0.2, "A rate of 0.5 is half. Of men.", "pass"),
            ("sex=X", None, "A rate of 0.5 is half. Too few.", "insufficient"),
            ("sex=Y", None, "A rate of 0.5 is half. Too few.", "insufficient"),
        )
    ]
    page = Page(render(replace(public_report, findings=tuple(found)))).text
    assert page.count("A rate of 0.5 is half.") == 1
    assert "Of women." in page
    assert "Of men." in page
    assert page.count("Where there is no figure: Too few.") == page.count("Too few.") == 1
    assert "sex=X; sex=Y (all on ill=true)" in page


def test_a_matrix_of_pairs_is_drawn_and_a_few_pairs_are_a_list(public_report, make_finding):
    grid = [[None, 0.1, 0.2], [0.1, None, None], [0.2, None, None]]
    mean = make_finding("tvd_2way_mean", 0.15, detail={"columns": ["a", "b", "c"], "matrix": grid})
    few = [make_finding("tvd_2way", 0.1, group=f"c{i} × c{i + 1}") for i in range(6)]
    report = replace(public_report, findings=(mean, *few))
    blocks = sections(report)[0].blocks
    (matrix,) = pictures_of(report).matrices
    assert "a × c: 0.200" in matrix
    assert "b × c" not in matrix
    assert "Darker is worse" not in blocks[1].picture
    assert "c0 × c1" in blocks[1].picture


def test_columns_without_a_matrix_are_no_matrix(public_report, make_finding):
    found = make_finding("importance_agreement", 0.9, family="utility", detail={"columns": ["a", "b"], "real": [1, 2]})
    ((block,),) = [section.blocks for section in sections(replace(public_report, findings=(found,)))]
    assert block.picture is None


def test_a_column_whose_name_holds_the_sign_between_names_breaks_no_picture(public_report, make_finding):
    pairs = ("a × b × c", "a × b")
    odd = replace(public_report, findings=tuple(make_finding("tvd_2way", 0.1, group=pair) for pair in pairs))
    assert "a × b × c" in Page(render(odd)).text


def test_the_decision_is_blank_until_a_person_fills_it_in(public_report):
    signed = replace(public_report, decisions=(Decision(name="A. Officer", decision="refused"),))
    assert "A. Officer" in Page(render(signed)).text
    assert "A. Officer" not in Page(render(public_report)).text
