"""Names of findings, sections and words for people."""

from __future__ import annotations

import re

from privsynth.findings.finding import Finding

TITLES = {
    "tvd_1way_mean": "Mean distance, single columns",
    "tvd_2way_mean": "Mean distance, pairs of columns",
    "tvd_3way_mean": "Mean distance, triples of columns",
    "tvd_1way": "Distance of each column",
    "tvd_2way": "Distance of each pair of columns",
    "tvd_1way_worst": "Worst column",
    "tvd_2way_worst": "Worst pair of columns",
    "tvd_3way_worst": "Worst triple of columns",
    "tvd_1way_excess": "Distance beyond chance, single columns",
    "tvd_2way_excess": "Distance beyond chance, pairs",
    "tvd_3way_excess": "Distance beyond chance, triples",
    "wasserstein": "Shape of a number (Wasserstein distance)",
    "correlation_difference": "Difference in correlation",
    "association_difference": "Difference in association",
    "association_difference_mean": "Mean difference in association",
    "association_shift": "Shift in the association of group and outcome",
    "association_difference_excess": "Difference in association beyond chance",
    "correlation_difference_mean": "Mean difference in correlation",
    "subsample_equivalence_1way": "As good as this share of the real rows, single columns",
    "subsample_equivalence_2way": "As good as this share of the real rows, pairs",
    "subsample_equivalence_3way": "As good as this share of the real rows, triples",
    "quantile_error": "Error of the 1 % and 99 % points",
    "tail_share": "Share of values in the tails",
    "tail_weight": "Weight of the tails, as a multiple of the real ones",
    "calendar_distance": "Distance of months, weekdays and hours",
    "c2st_column": "Columns that give synthetic rows away",
    "utility_average_precision": "Finding rare cases (average precision)",
    "utility_average_precision_gap": "Utility lost for rare cases",
    "utility_r2": "Predicting a number (R²)",
    "utility_r2_gap": "Utility lost for a number (R²)",
    "utility_rmse": "Predicting a number (typical error)",
    "utility_rmse_gap": "Utility lost for a number (typical error)",
    "importance_agreement": "Do the same columns matter to a model?",
    "bias_amplification": "Bias amplification",
    "equalized_odds_gap": "Equalised odds: gap between groups",
    "worst_group_accuracy": "Accuracy for the group served worst",
    "calibration_by_group": "Calibration error in a group",
    "calibration_gap": "Gap of calibration between groups",
    "missing_share_difference": "Difference in the share of missing values",
    "c2st_auroc": "Can a model tell synthetic rows from real ones? (AUROC)",
    "tstr_auroc": "Trained on synthetic, tested on real (AUROC)",
    "trtr_auroc": "Trained on real, tested on real (AUROC)",
    "utility_auc": "Trained on synthetic, tested on real (AUROC)",
    "utility_gap": "Utility lost against training on real rows",
    "membership_auc": "Membership attacks (AUC)",
    "membership_tpr": "Membership attacks: hits at few false alarms",
    "membership_headline": "The best of all membership attacks (AUC)",
    "membership_auc_vulnerable": "Membership attacks on the rows that stand out most (AUC)",
    "membership_auc_by_group": "Membership attack within a group (AUC)",
    "membership_tpr_by_group": "Membership attack within a group: hits at few false alarms",
    "membership_blind_auc": "Check of the test: members and others look alike",
    "epsilon_lower_bound": "Lower bound on epsilon, from attacks",
    "epsilon_lower_bound_one_run": "Lower bound on epsilon, from guessing in one run",
    "mu_lower_bound": "Lower bound on mu, under a Gaussian model",
    "mu_lower_bound_one_run": "Lower bound on mu, from guessing in one run, under a Gaussian model",
    "epsilon_credible": "Epsilon of the best attack, credible interval",
    "membership_shadow_auc": "Membership attack by shadow models (AUC)",
    "singling_out": "Singling out a person",
    "linkability": "Linking two parts of a person's record",
    "inference": "Inferring a sensitive value from the nearest synthetic row",
    "attribute_inference": "Inferring a sensitive value with a model",
    "attribute_inference_by_group": "Inferring a sensitive value, within a group",
    "precision": "Synthetic rows among the real ones (precision)",
    "recall": "Real rows among the synthetic ones (improved recall)",
    "density": "Density of real rows around synthetic ones",
    "coverage": "Real rows with a synthetic row near by (coverage)",
    "missing_combinations": "Fresh real rows in combinations that the synthetic table lacks",
    "unseen_combinations": "Synthetic rows in combinations that no real row has",
    "missing_slices": "Slices of the real table that are lacking",
    "missing_slice": "Worst lacking slices",
    "unseen_slices": "Combinations that the synthetic table makes up",
    "unseen_slice": "Worst combinations made up",
    "ranges_lacking": "Columns with stretches that the synthetic rows leave out",
    "ranges_without_evidence": "Columns with stretches without a real row",
    "range_lacking": "Stretches of a number that the synthetic rows leave out",
    "range_without_evidence": "Stretches of a number without a real row",
    "decay_tail_mass": "Rare cells kept after the last generation",
    "decay_support": "Cells still occupied after the last generation",
    "decay_entropy": "Entropy kept after the last generation",
    "decay_distance": "Distance of pairs from the release",
    "decay_minority_share": "Share of the smallest group kept",
    "decay_half_life": "Generations until half of the rare cells are gone, beside resampling",
    "pii_columns": "Columns that look like identifiers",
    "pii_column": "Identifiers among the real columns",
    "pii_synthetic_columns": "Synthetic columns that look like identifiers",
    "pii_synthetic_column": "Identifiers among the synthetic columns",
    "representation": "Share of each group",
    "base_rate": "Rate of the outcome in each group",
    "base_rate_gap": "Gap of outcome rates between groups",
    "subgroup_fidelity": "Distance within a group",
    "subgroup_fidelity_gap": "Gap of distances between groups",
    "downstream_auroc": "Utility within a group (AUROC)",
    "downstream_gap": "Gap of utility between groups",
    "selection_rate": "Selection rate in a group",
    "selection_rate_gap": "Gap of selection rates between groups",
    "true_positive_rate": "True positive rate in a group",
    "true_positive_rate_gap": "Gap of true positive rates between groups",
    "false_positive_rate": "False positive rate in a group",
    "false_positive_rate_gap": "Gap of false positive rates between groups",
    "calibration": "Calibration: outcome rates in bins of the score",
    "calibration_error": "Mean error of calibration",
    "promised_epsilon": "Epsilon of the promise",
    "promised_delta": "Delta of the promise",
    "rule_violations": "Rows that break a rule",
    "undecodable_cells": "Cells whose text did not decode",
    "exact_copies": "Exact copies of real rows",
    "near_copies": "Rows nearer to training rows than to holdout rows",
    "missing_share": "Share of missing values",
}
_ATTACK = re.compile(r"mia_(?P<attack>[a-z0-9_]+?)(?:_tpr_at_(?P<rate>\d+)pct(?:_fpr)?)?")


def title(name: str) -> str:
    """Return the human title of a finding's name; an unknown name is spelled out."""
    if name in TITLES:
        return TITLES[name]
    attack = _ATTACK.fullmatch(name)
    if attack is None:
        words = name.replace("_", " ").strip()
        return words[:1].upper() + words[1:]
    kind, rate = attack["attack"].replace("_", " "), attack["rate"]
    if rate is None:
        return f"Membership attack by {kind} (AUC)"
    shown = f"0.{rate[1:]}" if rate.startswith("0") else rate
    return f"Membership attack by {kind}: hits at {shown} % false alarms"


def title_of(finding: Finding) -> str:
    """Return a finding's title for people."""
    return title(finding.name)


VERDICTS = {
    "fail": "Fail",
    "review": "Needs review",
    "insufficient": "Insufficient evidence",
    "pass": "Pass",
    "info": "For information",
}

STATUSES = {"addressed": "addressed", "partly": "in part", "open": "open"}

GLOSSARY = (
    ("Accountant", "The method that adds up the cost of several releases."),
    ("AUROC, AUC", "How well a ranking works: the chance that a true case scores above another. 0.5 is a coin."),
    ("Baseline", "The figure to compare with: chance, the holdout, or the real rows."),
    ("Delta (δ)", "The total probability of outcomes in which epsilon may not hold."),
    (
        "Differential privacy",
        "A promise about a procedure: whoever sees its result learns almost the same whether or not one unit's rows "
        "were in the data.",
    ),
    ("Distance (total variation)", "The share of rows that would have to change for two distributions to be the same."),
    ("Epsilon (ε)", "A limit on how much the odds of any conclusion about a unit can change: a factor of e to the ε."),
    ("False positive rate", "The share of people who were not in the data whom an attack wrongly names."),
    ("Holdout", "Real rows kept from training, to compare with."),
    ("Insufficient evidence", "Too few rows, or too much noise, to say anything. It is neither a pass nor a fail."),
    (
        "Interval",
        "A range made so that it holds the true figure in 95 of 100 cases, unless another confidence is named; of a "
        "paid figure it includes the noise.",
    ),
    ("Ledger", "The account of a dataset's budget; every release is entered before it looks at a row."),
    ("Mu (μ)", "The strength of the promise as Gaussian differential privacy; smaller is stronger."),
    ("Needs review", "A figure is outside what its threshold expects; a person has to judge why."),
    ("Neighbouring tables", "The two tables that the promise compares: with and without one unit's rows."),
    ("Noise", "Random numbers added to counts so that no single unit can be read off them."),
    (
        "Policy",
        "A person's list of figures, thresholds and their sources. Its verdicts are evidence, not a conclusion.",
    ),
    ("Paid release", "A figure about real rows that was given noise and charged to the budget."),
    ("Synthetic row", "A row drawn from a model. It is no person's, even where it looks like one."),
    ("Unit", "Whose privacy is protected: a person, an account, or a row."),
)
