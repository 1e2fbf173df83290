"""Findings of one name as one block of a page: what they share, their order and their picture."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from privsynth.findings.finding import Finding, Verdict
from privsynth.findings.severity import worst_first
from privsynth.report.charts import matrices, plots
from privsynth.report.charts.plots import Row
from privsynth.report.titles import Titles

SHOWN = 12  # rows of a table shown without a click (own)
FULL = 0.5  # share of all pairs from which a matrix is drawn instead of a list (own)
_BARS = {"representation", "base_rate", "selection_rate", "true_positive_rate", "false_positive_rate"}
_FOLDED: dict[Verdict, str] = {"fail": "failed", "review": "need review", "insufficient": "lack evidence"}
_PAIR = " × "
APART = " · "
_SENTENCE = re.compile(r"(?<=[.!?]) (?=[A-Z0-9])")


@dataclass(frozen=True)
class FindingGroup:
    """Findings of one name and visibility, with their picture.

    Attributes:
      title: heading. exact: whether the figures are the officer's.
      findings: worst verdict first.
      picture: None for a single figure without a curve or a matrix.
      meaning, threshold, source: what those with a figure share; "" where they differ. The table says what departs.
      own: for each finding, what its meaning adds to the shared one; "" where that is nothing.
      absent: why there is no figure, where several findings lack theirs for the same reason; else "".
      absent_source: the source of that.
      ending: what all groups end with, " · " included; "" where they do not. The head of the table says it once.
      compare: what all baselines are; "" where they differ or there is none.
    """

    title: str
    exact: bool
    findings: tuple[Finding, ...]
    picture: Markup | None
    meaning: str
    threshold: str
    source: str
    own: tuple[str, ...]
    absent: str
    absent_source: str
    ending: str
    compare: str

    @property
    def single(self) -> bool:
        """Whether there is one figure, to be shown large."""
        return len(self.findings) == 1

    @property
    def rows(self) -> list[tuple[Finding, str]]:
        """The findings with what is their own, those shown without a click."""
        return list(zip(self.findings, self.own, strict=True))[:SHOWN]

    @property
    def folded(self) -> list[tuple[Finding, str]]:
        """The rest of `rows`."""
        return list(zip(self.findings, self.own, strict=True))[SHOWN:]

    @property
    def folded_words(self) -> str:
        """What the fold holds, its failures and reviews named, so that none hides."""
        rest = Counter(finding.verdict for finding, _ in self.folded)
        named = [f"{rest[verdict]} {words}" for verdict, words in _FOLDED.items() if rest[verdict]]
        return f"{len(self.folded)} more" + (f", of which {' and '.join(named)}" if named else "")


def zero_note(finding: Finding) -> str:
    """Return what a reader must not conclude from a zero that has no upper end."""
    if finding.value != 0 or finding.high is not None:
        return ""
    return "A zero without an upper bound: nothing was seen, which does not show that there is nothing."


def blocks_of(findings: Sequence[Finding], title: Titles) -> list[FindingGroup]:
    together: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        together.setdefault((finding.name, finding.visibility), []).append(finding)
    blocks = [_block(title(name), own) for (name, visibility), own in together.items()]
    return sorted(blocks, key=lambda block: block.exact)


def _block(heading: str, findings: Sequence[Finding]) -> FindingGroup:
    without = [finding for finding in findings if finding.value is None]
    measured = [finding for finding in findings if finding.value is not None] or findings
    absent = _shared(f.meaning for f in without) if 1 < len(without) < len(findings) else ""
    ordered = tuple(sorted(findings, key=worst_first))
    common = _common(measured)
    return FindingGroup(
        title=heading,
        exact=findings[0].visibility == "officer",
        findings=ordered,
        picture=_picture(heading, findings),
        meaning=" ".join(common),
        threshold=_shared(f.threshold for f in measured),
        source=_shared(f.source for f in measured),
        own=tuple("" if absent and f.value is None else _rest(f.meaning, common) for f in ordered),
        absent=_rest(absent, common),
        absent_source=_shared(f.source for f in without) if absent else "",
        ending=shared_ending([f.group for f in findings]) if len(findings) > 1 else "",
        compare=_shared(f.baseline_label for f in findings if f.baseline is not None),
    )


def _shared(texts: Iterable[str]) -> str:
    different = set(texts)
    return different.pop() if len(different) == 1 else ""


def _common(findings: Sequence[Finding]) -> list[str]:
    """Return the sentences that every meaning holds, in the order of the first."""
    others = [set(_SENTENCE.split(finding.meaning)) for finding in findings[1:]]
    first = dict.fromkeys(_SENTENCE.split(findings[0].meaning))
    return [sentence for sentence in first if all(sentence in other for other in others)]


def _rest(meaning: str, common: Sequence[str]) -> str:
    return " ".join(sentence for sentence in _SENTENCE.split(meaning) if sentence not in common)


def _picture(heading: str, findings: Sequence[Finding]) -> Markup | None:
    if all(finding.value is None for finding in findings):
        return None
    if len(findings) == 1:
        return None
    if findings[0].name == "tvd_2way" and (pairs := _pairs(findings)) and _fills(pairs):
        return matrices.heatmap(heading, pairs, better=findings[0].better)
    label = next((f.baseline_label for f in findings if f.baseline_label), "")
    rest = shared_ending([finding.group for finding in findings])
    rows = [row_of(finding, finding.group.removesuffix(rest) or heading) for finding in findings]
    if findings[0].name in _BARS:
        return plots.group_bars(heading, rows, better=findings[0].better, baseline_label=label or "real rows")
    return plots.forest(heading, rows, better=findings[0].better, baseline_label=label)


def _fills(pairs: Sequence[tuple[str, str, float]]) -> bool:
    """Return whether a matrix of these pairs would be full enough to be read."""
    columns = len({name for one, two, _ in pairs for name in (one, two)})
    return len(pairs) >= FULL * columns * (columns - 1) / 2


def shared_ending(groups: Sequence[str]) -> str:
    """Return what all groups end with, from the last " · " on: labels are short, and the table has the whole name."""
    _, sign, last = groups[0].rpartition(APART)
    ending = sign + last
    return ending if sign and all(group.endswith(ending) and group != ending for group in groups) else ""


def row_of(finding: Finding, label: str) -> Row:
    return Row(label=label, value=finding.value, low=finding.low, high=finding.high, baseline=finding.baseline)


def _pairs(findings: Sequence[Finding]) -> list[tuple[str, str, float]]:
    """Return the pairs as a matrix, or nothing where a column's own name holds the sign between names."""
    names = [finding.group.split(_PAIR) for finding in findings]
    if any(len(pair) != 2 or pair[0] == pair[1] for pair in names) or len({frozenset(p) for p in names}) < len(names):
        return []
    return [(a, b, f.value) for (a, b), f in zip(names, findings, strict=True) if f.value is not None]
