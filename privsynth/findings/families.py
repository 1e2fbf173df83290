"""The families of findings, each a section of the report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Family:
    """One section of the report.

    Attributes:
      title: its question.
      lead: what readers need to know first.
      telling: names of findings that represent the family on the first page where none of its findings is beyond its
        limits, in order of preference; else the worst finding does.
      linked: whether it is asked of several linked tables alone.
    """

    title: str
    lead: str
    telling: tuple[str, ...] = ()
    linked: bool = False


# In the order of the report.
FAMILIES: Mapping[str, Family] = {
    "fidelity": Family(
        title="Fidelity: are the distributions alike?",
        lead="A distance of 0 is a perfect match; at 1 the tables share nothing. The holdout's distance, where it is "
        "known, is what chance alone gives for two samples of the same population.",
        telling=("tvd_2way_mean", "tvd_1way_mean", "c2st_auroc"),
    ),
    "histories": Family(
        title="Histories: do the rows of a person belong together?",
        lead="Of several linked tables: how many rows there are for each row above, what ties a row to those above it, "
        "to its place and to the next one, and what sums up a person. Distances are those of fidelity; fresh real "
        "persons reach the baseline.",
        telling=("transition_distance_mean", "parent_distance_mean", "children_distance"),
        linked=True,
    ),
    "utility": Family(
        title="Utility: do models trained on it work on real people?",
        lead="A model is trained on synthetic rows only and tested on real ones.",
        telling=("utility_gap", "tstr_auroc", "utility_auc"),
    ),
    "membership": Family(
        title="Membership: can an attacker tell who was in the data?",
        lead="An AUC of 0.5 is a coin toss. The guarantee, where there is one, is stated above; these attacks try to "
        "break it. An attack that fails says nothing about attacks that were not tried.",
        telling=("membership_headline", "epsilon_lower_bound_one_run", "epsilon_lower_bound", "membership_auc"),
    ),
    "disclosure": Family(
        title="Disclosure: singling out, linking, inferring",
        lead="Attacks on individuals, each beside the same attack on people who were not in the data.",
        telling=("singling_out", "inference", "linkability", "attribute_inference"),
    ),
    "bias": Family(
        title="Bias: are groups treated alike?",
        lead="Each group of synthetic rows is compared with the same group of real rows. Groups with too few rows to "
        "judge are listed as such.",
        telling=("true_positive_rate_gap", "selection_rate_gap", "base_rate_gap", "representation"),
    ),
    "rules": Family(
        title="Rules: does every row make sense?",
        lead="Every synthetic row was checked against the declared rules.",
        telling=("rule_violations",),
    ),
    "alarms": Family(
        title="Alarms",
        lead="Many copies or near copies of real rows are a sign of a fault. Few of them are no evidence of safety.",
        telling=("exact_copies", "near_copies"),
    ),
    "coverage": Family(
        title="Coverage: what is missing?",
        lead="Which kinds of real rows have no counterpart among the synthetic ones, and the reverse.",
        telling=("recall", "coverage", "missing_combinations"),
    ),
    "decay": Family(
        title="Decay: what is lost, generation after generation?",
        lead="Generators trained on their own output lose what is rare. Each curve is shown beside plain resampling "
        "of the release, which loses something too.",
        telling=("decay_half_life", "decay_tail_mass"),
    ),
    "pii": Family(
        title="Identifiers",
        lead="A screen for direct identifiers among the real columns and in the synthetic cells.",
        telling=("pii_columns", "pii_synthetic_columns"),
    ),
}


def families(*, linked: bool) -> dict[str, Family]:
    """Return the families that are asked of one table, or of several linked ones."""
    return {name: family for name, family in FAMILIES.items() if linked or not family.linked}
