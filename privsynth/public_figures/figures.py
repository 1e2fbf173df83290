"""The figures of the public report: each from one noisy release, or from the synthetic rows alone.

Neighbouring tables differ by one unit, and the number of rows is a released constant N̂. So *sums*, with simple
sensitivities, are released, and all figures are computed from them afterwards:

* ½·Σ|c − N̂·s| over the bins of a contingency table, c real counts and s synthetic shares: a row moves one bin by one,
  so a unit of k rows moves the sum by at most k/2, and a mean of such sums over a fixed list by at most k/2 too.
* contingency tables score × label, score × label × group, and nearness × side (training or holdout). Scores and
  nearness are functions of the row itself and of synthetic rows, in exact arithmetic, so no other row can move them: a
  unit moves a table by at most k in L2. AUROC, calibration, rates, gaps and the membership curve follow from the
  tables. The holdout is counted in the same sums and has the same guarantee.

The report's budget is split by `WEIGHTS` among the figures that public facts allow: a target, protected columns, a
holdout. Intervals include the noise, and for rates the sampling error. A figure that is lost in noise becomes
'insufficient evidence'.
"""

from __future__ import annotations

import numpy as np

from privsynth.findings.finding import Finding
from privsynth.privacy.mechanisms import Mechanisms
from privsynth.public_figures.fidelity import column_findings, mean_findings, tie_findings
from privsynth.public_figures.groups import group_findings
from privsynth.public_figures.inputs import PaidInputs
from privsynth.public_figures.membership import membership_findings
from privsynth.public_figures.utility import score_rows, utility_findings

# Relative shares of the report's μ² (own): means over many tables need least, the small counts of groups most.
WEIGHTS = {"means": 0.15, "columns": 0.15, "ties": 0.15, "utility": 0.15, "groups": 0.25, "membership": 0.15}

# Name of every finding that may be released -> its title. One with an exact twin among the officer's audits has the
# twin's name and title, so that the report shows the two together.
TITLES = {
    "tvd_1way_mean": "Mean distance, single columns",
    "tvd_2way_mean": "Mean distance, pairs of columns",
    "tvd_3way_mean": "Mean distance, triples of columns",
    "tvd_1way": "Distance of each column",
    "tie_distance": "Distance of the strongest ties between columns",
    "tstr_auroc": "Trained on synthetic, tested on real (AUROC)",
    "calibration": "Calibration: outcome rates in bins of the score",
    "calibration_error": "Mean calibration error",
    "representation": "Share of each group",
    "base_rate": "Rate of the outcome in each group",
    "downstream_auroc": "Utility within a group (AUROC)",
    "selection_rate": "Selection rate in a group",
    "selection_rate_gap": "Gap in selection rates between groups",
    "true_positive_rate": "True positive rate in a group",
    "true_positive_rate_gap": "Gap in true positive rates between groups",
    "false_positive_rate": "False positive rate in a group",
    "false_positive_rate_gap": "Gap in false positive rates between groups",
    "membership_auc": "Membership attacks (AUC)",
}


def allocation(inputs: PaidInputs, mu_squared: float) -> dict[str, float]:
    """Return kind of figure -> μ², by public facts; the sum is at most `mu_squared`."""
    if not inputs.data.sizes:
        return {}
    there = {
        "means": True,
        "columns": True,
        "ties": len(inputs.data.sizes) > 1,
        "utility": bool(inputs.target and inputs.single_attribute((inputs.target,))),
        "groups": bool(inputs.single_attribute(inputs.protected)),
        "membership": inputs.has_holdout,
    }
    total = sum(WEIGHTS[name] for name, wanted in there.items() if wanted)
    # Slightly less, so that rounding cannot lift the sum above the whole.
    return {name: mu_squared * (1 - 1e-9) * WEIGHTS[name] / total for name, wanted in there.items() if wanted}


def paid_findings(
    inputs: PaidInputs, mechanisms: Mechanisms, *, mu_squared: float, rng: np.random.Generator
) -> list[Finding]:
    """Return the public findings.

    Guarantee: spends at most `mu_squared` of the part "report"; every other input is public.
    Args:
      rng: published randomness, for the choice of triples, the models of scores and the intervals.
    """
    budget = allocation(inputs, mu_squared)
    if not budget:
        return []
    data, synthetic = inputs.data, inputs.synthetic
    found = mean_findings(data, synthetic, mechanisms, mu_squared=budget["means"], rng=rng)
    found += column_findings(data, synthetic, mechanisms, mu_squared=budget["columns"])
    if "ties" in budget:
        found += tie_findings(inputs, mechanisms, mu_squared=budget["ties"], rng=rng)
    scores = score_rows(inputs, rng)
    if "utility" in budget:
        found += utility_findings(inputs, scores, mechanisms, mu_squared=budget["utility"], rng=rng)
    if "groups" in budget:
        found += group_findings(inputs, scores, mechanisms, mu_squared=budget["groups"], rng=rng)
    if "membership" in budget:
        found += membership_findings(inputs, mechanisms, mu_squared=budget["membership"], rng=rng)
    return found
