"""Names of findings and sections for people."""

from __future__ import annotations

from privsynth.audit.finding import Family

TITLES = {
    "tvd_1way_mean": "Mean distance, single columns",
    "tvd_2way_mean": "Mean distance, pairs of columns",
    "tvd_3way_mean": "Mean distance, triples of columns",
    "tvd_1way": "Distance of a column",
    "tvd_2way": "Distance of a pair",
    "tvd_1way_worst": "Worst column",
    "tvd_2way_worst": "Worst pair",
    "tvd_3way_worst": "Worst triple",
    "tvd_1way_excess": "Distance beyond chance, single columns",
    "tvd_2way_excess": "Distance beyond chance, pairs",
    "tvd_3way_excess": "Distance beyond chance, triples",
    "wasserstein": "Shape of a number (W1)",
    "correlation_difference": "Correlation, difference",
    "association_difference": "Association, difference",
    "association_difference_mean": "Association, mean difference",
    "association_shift": "Association with a group, shift",
    "missing_share_difference": "Missing values, difference",
    "tstr_auroc": "Trained on synthetic, tested on real (AUROC)",
    "trtr_auroc": "Trained on real, tested on real (AUROC)",
    "utility_auc": "Trained on synthetic, tested on real (AUROC)",
    "utility_gap": "Utility lost against training on real rows",
    "membership_auc": "Membership attack (AUC)",
    "membership_tpr": "Membership attack, hits at few false alarms",
    "membership_blind_auc": "Check: members and non-members are alike",
    "membership_auc_by_group": "Membership attack in a group (AUC)",
    "epsilon_lower_bound": "Lower bound on epsilon, from attacks",
    "epsilon_lower_bound_one_run": "Lower bound on epsilon, from one run",
    "representation": "Share of a group",
    "base_rate": "Rate of the target in a group",
    "base_rate_gap": "Gap of rates between groups",
    "subgroup_fidelity": "Distance within a group",
    "subgroup_fidelity_gap": "Gap of distances between groups",
    "downstream_auroc": "Utility within a group (AUROC)",
    "selection_rate": "Selection rate in a group",
    "selection_rate_gap": "Gap of selection rates",
    "true_positive_rate": "True positive rate in a group",
    "true_positive_rate_gap": "Gap of true positive rates",
    "false_positive_rate": "False positive rate in a group",
    "false_positive_rate_gap": "Gap of false positive rates",
    "rule_violations": "Rows that break a rule",
    "exact_copies": "Exact copies of real rows",
    "near_copies": "Rows nearer to training than to holdout",
}

FAMILY_TITLES: dict[Family, tuple[str, str]] = {
    "fidelity": (
        "Fidelity: are the distributions alike?",
        "A distance of 0 is a perfect match, 1 shares nothing. The holdout's distance, where it is known, is what "
        "chance alone would give two samples of the same people.",
    ),
    "utility": (
        "Utility: do models trained on it work on real people?",
        "A model is trained on synthetic rows alone and tested on real ones.",
    ),
    "membership": (
        "Membership: can an attacker tell who was in the data?",
        "An AUC of 0.5 is a coin. No attack that was tried says nothing about attacks that were not: the promise "
        "is the guarantee above, and this is the attempt to break it.",
    ),
    "disclosure": ("Disclosure: singling out, linking, inferring", ""),
    "bias": (
        "Bias: are groups treated alike?",
        "Each group is compared with itself among the real rows. Groups with too few rows are listed as such.",
    ),
    "rules": ("Rules: does every row make sense?", "Declared rules hold in every synthetic row by construction."),
    "alarms": (
        "Alarms",
        "Copies and near copies are a sign of a bug when they are many; when they are few they are no evidence of "
        "safety.",
    ),
    "coverage": ("Coverage: what is missing?", ""),
    "pii": ("Identifiers", ""),
}

VERDICTS = {
    "pass": "pass",
    "fail": "FAIL",
    "review": "review",
    "insufficient": "insufficient evidence",
    "info": "information",
}

GLOSSARY = (
    ("AUROC", "How well a model ranks: the chance that a positive case scores above a negative one. 0.5 is a coin."),
    ("Delta", "The total probability of outcomes in which epsilon may not hold."),
    (
        "Differential privacy",
        "A promise about a procedure: whoever sees its result learns almost the same whether or not one unit's rows "
        "were in the data.",
    ),
    ("Distance (total variation)", "The share of rows that would have to change for two distributions to be the same."),
    ("Epsilon", "How much the odds of any conclusion about a unit can change: by a factor of at most e to the epsilon."),
    ("Gaussian noise", "Random numbers added to counts so that no single unit can be read off them."),
    ("Holdout", "Real rows kept from training, to compare with."),
    ("Interval", "The range that holds the true figure with 95 % confidence; in the public report it contains the noise."),
    ("Paid release", "A figure about real rows that was given noise and charged to the budget."),
    ("Unit", "Whose privacy is protected: a person, an account, or a row."),
)
