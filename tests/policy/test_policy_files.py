"""Policy files: the shipped ones, clear complaints with lines, and nothing but a ConfigError whatever the bytes are."""

from __future__ import annotations

import hashlib
import re
from importlib.resources import files
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from titled import TITLES

from privsynth.errors import ConfigError
from privsynth.policy.definition import PROMISES, Check
from privsynth.policy.files import SHIPPED, load_policy, parse_policy

GOOD = """\
policy: wards
version: "1"
purpose: Planning.
checks:
  - metric: tvd_2way_mean
    at_most: 0.05
    source: own
  - metric: membership_auc
    groups: "sex=*"
    judge: verdict
    source: "Kairouz et al. (2015)"
"""


RECIPIENT = """\
recipients:
  - name: the board
    may:
      - counts
      - proof of compliance
"""


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_policies_name_known_figures_and_a_source_for_each_threshold(name):
    loaded = load_policy(name, metrics=TITLES)
    assert loaded.policy.policy.replace(" ", "-").startswith(name)
    for check in loaded.policy.checks:
        assert len(check.source) >= 3
    raw = (files("privsynth.policy") / "shipped" / f"{name}.yaml").read_bytes()
    assert loaded.digest == hashlib.sha256(raw).hexdigest()


def test_a_policy_for_everyone_is_the_strictest():
    def bound(name, metric):
        return next(c.at_most for c in load_policy(name).policy.checks if c.metric == metric)

    for metric in ("promised_epsilon", "promised_delta", "tvd_2way_mean"):
        assert bound("public", metric) <= bound("trusted-partner", metric) <= bound("internal", metric)
    kept = {name: {c.metric for c in load_policy(name).policy.checks} for name in SHIPPED}
    assert kept["public"] >= {"singling_out", "linkability", "inference", "pii_synthetic_columns"}
    faults = {"epsilon_lower_bound_one_run", "exact_copies", "rule_violations", "membership_auc"}
    assert all(faults <= metrics for metrics in kept.values())


def test_a_file_is_read_and_its_bytes_are_its_digest(tmp_path):
    path = tmp_path / "wards.yaml"
    path.write_text(GOOD, encoding="utf-8")
    loaded = load_policy(str(path))
    assert [check.metric for check in loaded.policy.checks] == ["tvd_2way_mean", "membership_auc"]
    assert loaded.digest == hashlib.sha256(GOOD.encode()).hexdigest()


def test_a_number_that_yaml_takes_for_a_text_is_a_number():
    assert parse_policy(GOOD.replace("0.05", "1e-5").encode(), "p").policy.checks[0].at_most == 1e-5


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (GOOD.replace("at_most", "atmost"), "line 6: check 1 has no key 'atmost'; did you mean 'at_most'?"),
        (GOOD.replace("    source: own\n", ""), "line 5: check 1 has no source"),
        (GOOD.replace("0.05", "low"), "line 6: at_most of check 1: it must be a number, such"),
        (GOOD.replace("0.05", ".nan"), "line 6: at_most of check 1: it must be a number, neither"),
        (GOOD.replace("0.05", "0.05\n    at_least: 1"), "line 5: check 1: give exactly one"),
        (GOOD.replace("    at_most: 0.05\n", ""), "line 5: check 1: give exactly one"),
        (GOOD.replace("judge: verdict", "judge: verdict\n    at_most: 1"), "takes over the finding's own verdict"),
        (GOOD.replace("tvd_2way_mean", "promised_epsilon\n    compare: distance"), "it takes at_most or at_least"),
        (GOOD.replace("version: \"1\"", "version: 1"), "line 2: version: it must be a text; write"),
        (GOOD.replace("judge: verdict", "judge: oracle"), "line 10: judge of check 2: it can be interval,"),
        (GOOD.replace("Planning.", "Proves that we are GDPR-compliant."), "line 3: purpose: 'compliant…' is a"),
        (GOOD.replace("policy: wards", "policy: Anonymous data"), "line 1: policy: 'anonym…' is a"),
        (GOOD.split("checks:")[0] + "checks: []\n", "line 4: checks: a policy without checks demands nothing"),
        (GOOD + "version: \"2\"\n", "line 12: the key 'version' stands twice"),
        (GOOD.replace("own", "&a own") + "x: *a\n", "line 12: the policy has no key 'x'"),
        (GOOD.replace("version:", "approvals: two\nversion:"), "line 2: approvals: it must be a whole number"),
        (GOOD.replace("version:", "approvals: 0\nversion:"), "line 2: approvals: it must be at least 1"),
        (GOOD.replace("version:", "purpos: a\nversion:"), "line 2: the policy has no key 'purpos'; did you mean"),
        (GOOD.replace("checks:", "checks: all\nx:"), "line 4: checks: it must be a list"),
        (GOOD.replace("0.05", "-1"), "line 6: at_most of check 1: -1 can be met by nothing"),
        (GOOD.replace("checks:", RECIPIENT + "checks:"), "line 8: entry 2 of may of recipient 1: 'compliance…' is a"),
        ("- a\n", "it must hold the keys"),
        ("a: [\n", "not valid YAML (line"),
        ("", "it must hold the keys"),
        ("a: !!python/object/apply:os.system [ls]\n", "cannot read"),
        ("[" * 600, "not valid YAML"),
        ("a: " + "[" * 40 + "]" * 40, "no deep nesting"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_line(text, words):
    with pytest.raises(ConfigError) as error:
        parse_policy(text.encode(), "wards.yaml")
    assert words in str(error.value)
    assert "wards.yaml" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("metric", "words"),
    [
        ("tvd_2way_men", "measures 'tvd_2way_men'; did you mean 'tvd_2way_mean'?"),
        ("promised_epsilom", "measures 'promised_epsilom'; did you mean 'promised_epsilon'?"),
        ("Membership_AUC", "measures 'Membership_AUC'; did you mean 'membership_auc'?"),
        ("happiness", "measures 'happiness'; docs/report.md#every-finding lists"),
    ],
)  # fmt: skip
def test_a_metric_that_nothing_measures_is_refused_with_the_one_that_was_meant(metric, words):
    with pytest.raises(ConfigError, match=re.escape(words)) as error:
        parse_policy(GOOD.replace("tvd_2way_mean", metric).encode(), "wards.yaml", metrics=TITLES)
    assert "line 5: no audit of this installation" in str(error.value)
    assert "docs/report.md#every-finding lists all names" in str(error.value)


def test_every_metric_that_something_measures_is_known():
    """Public and officer's, of one table and of linked ones, of every level, and those of the promise."""
    assert {"tie_distance", "orphans", "membership_shadow_auc", "undecodable_cells"} <= set(TITLES)
    for metric in (*TITLES, *PROMISES):
        text = GOOD.replace("tvd_2way_mean", metric)
        assert parse_policy(text.encode(), "p", metrics=TITLES).policy.checks[0].metric == metric


def test_a_policy_that_is_not_there(tmp_path):
    with pytest.raises(ConfigError, match="choose internal, trusted-partner, public or give a YAML file"):
        load_policy("publik")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_policy(str(tmp_path))
    big = tmp_path / "big.yaml"
    big.write_bytes(b"#" * ((1 << 20) + 1))
    with pytest.raises(ConfigError, match="too large"):
        load_policy(str(big))
    with pytest.raises(ConfigError, match="UTF-8"):
        parse_policy(b"\xff\xfe\x00", "p")


def said(raw):
    """Return the complaint about some bytes, or "" if they are a policy; any other error is the test's failure."""
    try:
        assert parse_policy(raw, "p").policy.checks
    except ConfigError as error:
        return str(error)
    return ""


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace")))
def test_no_bytes_give_another_error(raw):
    assert said(raw).startswith("p")


KEYS = st.sampled_from([*Check.model_fields, "policy", "checks", "nonsense"])
VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)


@given(st.dictionaries(KEYS, VALUES | st.lists(st.dictionaries(KEYS, VALUES, max_size=4), max_size=3), max_size=5))
def test_no_mapping_gives_another_error(data):
    whole = {"policy": "p", "version": "1", "purpose": "q", "checks": [data], **data}
    words = said(yaml.safe_dump(whole, allow_unicode=True).encode("utf-8", "replace"))
    assert words == "" or "line" in words or "YAML" in words


def test_the_page_explains_every_key_and_its_example_is_a_policy():
    page = (Path(__file__).parents[2] / "docs" / "policy.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```yml\n(.*?)```", page, flags=re.S)
    assert len(parse_policy(example.encode(), "p").policy.checks) == 4
    assert not [name for name in (*Check.model_fields, *SHIPPED, *PROMISES) if f"`{name}`" not in page]
