"""A finding as one plain sentence, for readers who know no statistics."""

from __future__ import annotations

from collections.abc import Callable

from privsynth.findings.finding import Finding

CELL = "most_telling"  # key of a share among rows with one value, in the detail of a pair of columns
Titles = Callable[[str], str]
_COUNTED = ("columns", "generations", "rows", "slices")  # units of which there can be one


def sentence(finding: Finding, title: Titles | None = None) -> str:
    """Return what a finding says, with its figure and what it is compared with; it ends with a full stop.

    Args:
      title: from the name of a finding to its title, for findings that have no sentence of their own.
    """
    if finding.value is None:
        return f"{_heading(finding, title)}: not measured."
    own = _SENTENCES.get(finding.name)
    said = own(finding) if own is not None else ""
    return said or _plain(finding, title)


def share(value: float) -> str:
    """Return a share of rows in words: "3 in 10" near tenths, else percent; none and all where it is nought or one."""
    if value <= 0:
        return "none"
    if value >= 1:
        return "all"
    tenths = value * 10
    if abs(tenths - round(tenths)) < 0.05 and 1 <= round(tenths) <= 9:
        return f"{round(tenths)} in 10"
    return percent(value)


def percent(value: float) -> str:
    """Return a share as percent, with a digit after the point below ten."""
    digits = 0 if value >= 0.0995 else 1 if value >= 0.00095 else 2
    text = f"{100 * value:.{digits}f}"
    return f"{text.rstrip('0').rstrip('.') if '.' in text else text} %"


def _heading(finding: Finding, title: Titles | None) -> str:
    name = title(finding.name) if title else finding.name.replace("_", " ").capitalize()
    return f"{name}, {_words(finding.group)}" if finding.group else name


def _words(group: str) -> str:
    """Return the columns of a group in words."""
    return group.replace(" × ", " and ").replace(" · ", ", ")


def _plain(finding: Finding, title: Titles | None) -> str:
    beside = ""
    if finding.baseline is not None:
        beside = f", {finding.baseline_label or 'to compare with'}: {_figure(finding.baseline, finding.unit)}"
    return f"{_heading(finding, title)}: {_figure(finding.value, finding.unit)}{beside}."


def _figure(value: float | None, unit: str = "") -> str:
    if value is None:
        return "–"
    text = f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"
    if unit == "mu":
        return text
    return f"{text} {unit.removesuffix('s') if text == '1' and unit in _COUNTED else unit}".rstrip()


def _distance(finding: Finding) -> str:
    cell = finding.detail.get(CELL)
    fresh = ""
    if finding.baseline is not None and finding.baseline_label in _FRESH:
        fresh = f", {_FRESH[finding.baseline_label]} {finding.baseline:.2f}"
    told = f"{_words(finding.group) or 'All columns'}: distance {finding.value:.2f}{fresh}."
    if not cell:
        return told
    return (
        f"Of the rows with {cell['given']}, {share(cell['synthetic'])} have {cell['of']}; in the real table "
        f"{share(cell['real'])}. {told}"
    )


# What fresh rows reach, as a sentence names it; other baselines are no rows.
_FRESH = {
    "holdout": "fresh real rows",
    "holdout persons": "fresh real persons",
    "sampling alone": "by chance alone",
    "persons mixed at random": "by chance alone",
    "if the columns were unrelated": "unrelated columns would have",
    "sampling alone, at this group's size": "by chance alone",
}


def _rate(finding: Finding) -> str:
    group, _, event = finding.group.partition(" · ")
    if finding.baseline is None or not event:
        return ""
    return f"{event} among {group}: {percent(finding.value or 0.0)} in place of {percent(finding.baseline)}."


def _share_of_group(finding: Finding) -> str:
    if finding.baseline is None:
        return ""
    value = finding.value or 0.0
    if value == 0 and finding.baseline > 0:
        return f"{finding.group} has vanished: no synthetic row, in place of {percent(finding.baseline)}."
    return f"{finding.group} makes up {percent(value)} of the rows in place of {percent(finding.baseline)}."


def _strength(finding: Finding) -> str:
    ours, real = finding.detail.get("synthetic"), finding.detail.get("train")
    if ours is None or real is None:
        return ""
    how = f"more {'weakly' if abs(ours) < abs(real) else 'strongly'} than in the real table"
    if ours * real < 0:
        how = "the other way round"
    return f"{_words(finding.group)} are tied {how}: {ours:.2f} in place of {real:.2f}."


def _missing(finding: Finding) -> str:
    ours, real = finding.detail.get("synthetic"), finding.detail.get("train")
    if ours is None or real is None:
        return ""
    return f"{finding.group} is missing in {percent(ours)} of the rows in place of {percent(real)}."


def _tail(finding: Finding) -> str:
    factor = finding.value or 0.0
    if factor <= 0:
        return f"{finding.group}: no extreme values are left."
    word = f"{factor:.1f} times as far" if factor >= 1 else f"only {percent(factor)} as far"
    return f"{finding.group}: extreme values reach {word} as in the real table."


def _quantile(finding: Finding) -> str:
    value = finding.value or 0.0
    way = "above" if value > 0 else "below"
    return f"{_words(finding.group)}: {abs(value):.2g} standard deviations {way} the real one."


def _moved(finding: Finding) -> str:
    fresh = f"; those of fresh real rows {finding.baseline:.2g}" if finding.baseline is not None else ""
    return f"{finding.group}: values lie {finding.value:.2g} standard deviations from the real ones on average{fresh}."


def _group_distance(finding: Finding) -> str:
    beside = f", by chance alone {finding.baseline:.2f}" if finding.baseline is not None else ""
    return f"Among {finding.group}, columns and pairs are at distance {finding.value:.2f}{beside}."


def _rule(finding: Finding) -> str:
    if not finding.value:
        return f"All synthetic rows obey: {finding.group}."
    broken = finding.detail.get("violations")
    if broken is None or finding.n is None:
        return ""
    return f"{broken:,} of {finding.n:,} synthetic rows break the rule: {finding.group}."


def _told_apart(finding: Finding) -> str:
    value = finding.value or 0.5
    return (
        f"Shown one synthetic and one real row, a model tells which is which {percent(min(max(value, 0.0), 1.0))} of "
        "the time; half of the time would be guessing."
    )


def _copies(finding: Finding) -> str:
    copies = finding.detail.get("copies")
    if copies is None:
        return ""
    beside = f"; by chance {percent(finding.baseline)} would" if finding.baseline else ""
    many = f"{copies:,} synthetic rows equal" if copies != 1 else "1 synthetic row equals"
    return f"{many} a training row in every column ({percent(finding.value or 0.0)}{beside})."


def _lower_bound(finding: Finding) -> str:
    if finding.baseline is None:
        return ""
    return (
        f"Attacks show that epsilon is at least {finding.value:.2g} where {finding.baseline:.2g} was promised: the "
        "promise would be broken."
        if (finding.value or 0.0) > finding.baseline
        else f"Attacks show that epsilon is at least {finding.value:.2g}; {finding.baseline:.2g} was promised."
    )


_DISTANCES = (
    "tie_distance",
    "tvd_1way",
    "tvd_2way",
    "tvd_1way_worst",
    "tvd_2way_worst",
    "tvd_3way_worst",
    "calendar_distance",
)
_SENTENCES: dict[str, Callable[[Finding], str]] = {
    **dict.fromkeys(_DISTANCES, _distance),
    **dict.fromkeys(("association_difference", "correlation_difference"), _strength),
    "base_rate": _rate,
    "representation": _share_of_group,
    "missing_share_difference": _missing,
    "tail_weight": _tail,
    "quantile_error": _quantile,
    "wasserstein": _moved,
    "subgroup_fidelity": _group_distance,
    "rule_violations": _rule,
    "c2st_auroc": _told_apart,
    "exact_copies": _copies,
    "epsilon_lower_bound": _lower_bound,
    "epsilon_lower_bound_one_run": _lower_bound,
}
