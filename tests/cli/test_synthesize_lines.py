"""What `synthesize` says of the checks adds up, and tells no exact figure."""

from __future__ import annotations

import re

from privsynth.cli.synthesize import SHOWN, loud_lines
from privsynth.findings.finding import Finding
from privsynth.policy.files import parse_policy
from privsynth.policy.judge import judge
from privsynth.policy.one_verdict import verdict_counts

POLICY = parse_policy(
    b"policy: p\nversion: '1'\npurpose: q\nchecks:\n  - {metric: promised_epsilon, at_most: 1, source: own}\n", "p"
)


def finding(name, group, verdict, visibility):
    return Finding(
        family="fidelity", name=name, value=0.417, group=group, visibility=visibility, verdict=verdict, meaning="x"
    )


def findings():
    exact = [finding("association_difference", f"a × secret{n}", "fail", "officer") for n in range(3)]
    exact += [finding("tvd_2way", "a × secret", v, "officer") for v in ("fail", "review")]
    return exact + [finding("tvd_1way", f"open{n}", "fail", "public") for n in range(SHOWN + 2)]


def counted(lines, word):
    own = [line.removeprefix(f"  {word:<16} ") for line in lines if line.startswith(f"  {word} ")]
    more = [int(found[1]) for line in own if (found := re.match(r"(?:and|exact,) (\d+) (?:more|in)", line))]
    return sum(more) + sum(not re.match(r"(and|exact,) \d+ ", line) for line in own)


def test_the_lines_add_up_to_what_is_counted():
    judged = judge(POLICY, findings(), promise={"promised_epsilon": 3.0})
    counts = verdict_counts(findings(), judged)
    for officer in (False, True):
        lines = loud_lines(findings(), judged, officer=officer)
        assert (counted(lines, "failed"), counted(lines, "to review")) == (counts["fail"], counts["review"])
        assert len(set(lines)) == len(lines)
    assert counts["fail"] == 3 + 1 + SHOWN + 2 + 1


def test_of_an_exact_figure_only_the_kind_is_named():
    told = "\n".join(loud_lines(findings(), None, officer=False))
    assert "exact, 4 in the officer report: Difference in association (3), Distance of each pair of columns" in told
    assert "secret" not in told
    assert "secret" in "\n".join(loud_lines(findings(), None, officer=True))
    assert "open0: 42 % of the rows would have to change" in told
