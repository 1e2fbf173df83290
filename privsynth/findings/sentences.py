"""A finding as one plain sentence, for readers who know no statistics."""

from __future__ import annotations

from collections.abc import Callable

from privsynth.findings.finding import Finding
from privsynth.findings.usability import JOIN
from privsynth.wording.words import Words, words

GONE = 0.05  # of how far the real extremes go: below, hardly any are left (own)
_OF_DIFFERENCE = frozenset({"association_difference", "correlation_difference", "missing_share_difference"})
CELL = "most_telling"  # key of a share among rows with one value, in the detail of a pair of columns
Titles = Callable[[str], str]
_COUNTED = ("columns", "generations", "rows", "slices")  # units of which there can be one


def sentence(finding: Finding, title: Titles | None = None, say: Words | None = None) -> str:
    """Return what a finding says, with its figure and what it is compared with; it ends with a full stop.

    Args:
      title: from the name of a finding to its title, for findings that have no sentence of their own.
      say: the language; English if left out.
    """
    say = words() if say is None else say
    if finding.value is None:
        return say.say("finding.not_measured", what=_heading(finding, title, say))
    own = _SENTENCES.get(finding.name)
    said = own(finding, say) if own is not None else ""
    return said or _plain(finding, title, say)


def share(value: float, say: Words | None = None) -> str:
    """Return a share of rows in words: "3 in 10" near tenths, else percent; none and all where it is nought or one."""
    say = words() if say is None else say
    if value <= 0:
        return say.say("share.none")
    if value >= 1:
        return say.say("share.all")
    tenths = value * 10
    if abs(tenths - round(tenths)) < 0.05 and 1 <= round(tenths) <= 9:
        return say.say("share.tenths", n=round(tenths))
    return say.figure(percent(value))


def percent(value: float) -> str:
    """Return a share as percent, with a digit after the point below ten."""
    digits = 0 if value >= 0.0995 else 1 if value >= 0.00095 else 2
    text = f"{100 * value:.{digits}f}"
    return f"{text.rstrip('0').rstrip('.') if '.' in text else text} %"


def _heading(finding: Finding, title: Titles | None, say: Words) -> str:
    name = say.of(title(finding.name) if title else finding.name.replace("_", " ").capitalize())
    return say.say("finding.named", title=name, group=_words(finding.group, say)) if finding.group else name


def _words(group: str, say: Words) -> str:
    """Return the columns of a group in words."""
    return say.listed(group.replace(" · ", ", ").split(" × "), most=9)


def _at_level(finding: Finding, say: Words) -> str:
    """Return the columns of a group in words, each in the groups of codes in which it was judged."""
    joined = {one["place"]: one for one in finding.detail.get("joined", ())}
    if not joined:
        return _words(finding.group, say)
    names = finding.group.split(JOIN)
    for at, one in joined.items():
        key = "groups.of_level" if one["level"] else "groups.plain"
        names[at] = say.say(key, name=names[at], n=one["groups"], level=one["level"])
    return say.listed(names, most=9)


def _plain(finding: Finding, title: Titles | None, say: Words) -> str:
    what, figure = _heading(finding, title, say), _figure(finding.value, say, finding.unit)
    if finding.baseline is None:
        return say.say("finding.plain", what=what, figure=figure)
    label = say.of(finding.baseline_label) if finding.baseline_label else say.say("finding.to_compare")
    beside = _figure(finding.baseline, say, finding.unit)
    return say.say("finding.plain_beside", what=what, figure=figure, label=label, beside=beside)


def _figure(value: float | None, say: Words, unit: str = "") -> str:
    if value is None:
        return "–"
    text = say.figure(f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}")
    if unit == "mu":
        return text
    return f"{text} {unit.removesuffix('s') if text == '1' and unit in _COUNTED else unit}".rstrip()


def _distance(finding: Finding, say: Words) -> str:
    what = _at_level(finding, say) or say.say("finding.all_columns")
    values = {"what": what, "value": say.figure(percent(finding.value or 0.0))}
    kind = _FRESH.get(finding.baseline_label) if finding.baseline is not None else None
    if kind is None:
        told = say.say("finding.distance", **values)
    else:
        told = say.say(f"finding.distance_{kind}", fresh=say.figure(percent(finding.baseline or 0.0)), **values)
    cell = finding.detail.get(CELL)
    if not cell:
        return told
    ours, real = share(cell["synthetic"], say), share(cell["real"], say)
    return say.say("finding.cell", given=cell["given"], of=cell["of"], ours=ours, real=real, rest=told)


# What fresh rows reach, as a sentence names it; other baselines are no rows.
_FRESH = {
    "holdout": "rows",
    "holdout persons": "persons",
    "sampling alone": "chance",
    "persons mixed at random": "chance",
    "if the columns were unrelated": "unrelated",
    "sampling alone, at this group's size": "chance",
}


def _rate(finding: Finding, say: Words) -> str:
    group, _, event = finding.group.partition(" · ")
    if finding.baseline is None:
        return ""
    values = {"value": say.figure(percent(finding.value or 0.0)), "real": _real_share(finding, say)}
    if event:
        return say.say("finding.rate", event=event, group=group, **values)
    return say.say("finding.rate_of_outcome", group=group, **values)


def _real_share(finding: Finding, say: Words) -> str:
    """Return the real share of a finding: of a paid one the range that its noise allows."""
    real = say.figure(percent(finding.baseline or 0.0))
    low, high = finding.detail.get("real_low"), finding.detail.get("real_high")
    if low is None or high is None:
        return say.say("share.about", share=real) if finding.visibility == "public" else real
    return say.say("share.noisy", low=say.figure(percent(max(low, 0.0))), high=say.figure(percent(high)))


def _share_of_group(finding: Finding, say: Words) -> str:
    if finding.baseline is None:
        return ""
    value, real = finding.value or 0.0, _real_share(finding, say)
    if value == 0 and finding.baseline > 0:
        return say.say("finding.vanished", group=finding.group, real=real)
    return say.say("finding.group_share", group=finding.group, value=say.figure(percent(value)), real=real)


def _strength(finding: Finding, say: Words) -> str:
    ours, real = finding.detail.get("synthetic"), finding.detail.get("train")
    if ours is None or real is None:
        return ""
    how = "turned" if ours * real < 0 else "weakly" if abs(ours) < abs(real) else "strongly"
    values = {"value": say.figure(f"{ours:.2f}"), "real": say.figure(f"{real:.2f}")}
    return say.say(f"finding.tied_{how}", what=_words(finding.group, say), **values)


def of_what(finding: Finding) -> str:
    """Return which quantity the interval of a finding is about, where its sentence tells another one; else ""."""
    if finding.value is None or finding.name not in _OF_DIFFERENCE or finding.detail.get("synthetic") is None:
        return ""
    return f"difference {finding.value:.2f}, ".replace("-", "−")


def _missing(finding: Finding, say: Words) -> str:
    ours, real = finding.detail.get("synthetic"), finding.detail.get("train")
    if ours is None or real is None:
        return ""
    values = {"value": say.figure(percent(ours)), "real": say.figure(percent(real))}
    return say.say("finding.missing", group=finding.group, **values)


def _tail(finding: Finding, say: Words) -> str:
    factor = finding.value or 0.0
    usual = finding.detail.get("usual")
    if factor < GONE:
        if usual is None:
            return say.say("finding.tail_none", group=finding.group)
        low, high = (say.figure(f"{end:,.4g}") for end in usual)
        return say.say("finding.tail_gone", group=finding.group, low=low, high=high)
    if factor >= 1:
        return say.say("finding.tail_further", group=finding.group, factor=say.figure(f"{factor:.1f}"))
    return say.say("finding.tail_nearer", group=finding.group, value=say.figure(percent(factor)))


def _quantile(finding: Finding, say: Words) -> str:
    value = finding.value or 0.0
    key = f"finding.quantile_{'above' if value > 0 else 'below'}"
    return say.say(key, what=_words(finding.group, say), value=say.figure(f"{abs(value):.2g}"))


def _moved(finding: Finding, say: Words) -> str:
    values = {"group": finding.group, "value": say.figure(f"{finding.value:.2g}")}
    if finding.baseline is None:
        return say.say("finding.moved", **values)
    return say.say("finding.moved_fresh", fresh=say.figure(f"{finding.baseline:.2g}"), **values)


def _group_distance(finding: Finding, say: Words) -> str:
    values = {"group": finding.group, "value": say.figure(percent(finding.value or 0.0))}
    if finding.baseline is None:
        return say.say("finding.within", **values)
    return say.say("finding.within_chance", fresh=say.figure(percent(finding.baseline)), **values)


def _rule(finding: Finding, say: Words) -> str:
    if not finding.value:
        return say.say("finding.obey", rule=finding.group)
    broken = finding.detail.get("violations")
    if broken is None or finding.n is None:
        return ""
    return say.say("finding.broken", n=broken, of=finding.n, rule=finding.group)


def _told_apart(finding: Finding, say: Words) -> str:
    value = min(max(finding.value or 0.5, 0.0), 1.0)
    return say.say("finding.told_apart", value=say.figure(percent(value)))


def _copies(finding: Finding, say: Words) -> str:
    copies = finding.detail.get("copies")
    if copies is None:
        return ""
    value = say.figure(percent(finding.value or 0.0))
    if not finding.baseline:
        return say.some("finding.copies", copies, value=value)
    return say.some("finding.copies_chance", copies, value=value, fresh=say.figure(percent(finding.baseline)))


def _lower_bound(finding: Finding, say: Words) -> str:
    if finding.baseline is None:
        return ""
    broken = "_broken" if (finding.value or 0.0) > finding.baseline else ""
    values = {"value": say.figure(f"{finding.value:.2g}"), "promised": say.figure(f"{finding.baseline:.2g}")}
    return say.say(f"finding.bound{broken}", **values)


def _slices(finding: Finding, say: Words) -> str:
    n = round(finding.value or 0.0)
    if finding.name == "unseen_slices" or finding.baseline is None:
        return say.some(f"finding.{finding.name}", n)
    fresh = say.say("share.none") if finding.baseline == 0 else say.figure(f"{finding.baseline:,.0f}")
    return say.some("finding.missing_slices_fresh", n, fresh=fresh)


def _utility_gap(finding: Finding, say: Words) -> str:
    if not finding.group or (finding.value or 0.0) <= 0:
        return ""
    return say.say("finding.utility_gap", group=finding.group, value=say.figure(f"{finding.value:.2f}"))


_OF_HISTORIES = (
    "children_distance",
    "parent_distance",
    "place_distance",
    "transition_distance",
    "gap_distance",
    "aggregate_1way",
    "aggregate_2way",
)
_DISTANCES = (
    "tie_distance",
    "tvd_1way",
    "tvd_2way",
    "tvd_1way_worst",
    "tvd_2way_worst",
    "tvd_3way_worst",
    "calendar_distance",
    *(
        f"{kind}{which}"
        for kind in ("children_distance", "parent_distance", "place_distance")
        for which in ("", "_worst")
    ),
    *(f"{name}{which}" for name in _OF_HISTORIES for which in ("", "_worst")),
)
_SENTENCES: dict[str, Callable[[Finding, Words], str]] = {
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
    **dict.fromkeys(("missing_slices", "unseen_slices"), _slices),
    "utility_gap": _utility_gap,
}
