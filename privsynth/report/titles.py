"""Words for people: titles of findings, verdicts, and the glossary of the page."""

from __future__ import annotations

from collections.abc import Callable, Mapping

Titles = Callable[[str], str]  # from the name of a finding to its title

# Metrics of a policy that no audit measures.
_PROMISES = {"promised_epsilon": "Promised epsilon", "promised_delta": "Promised delta"}


def titles_by(names: Mapping[str, str]) -> Titles:
    """Return a function from the name of a finding to its title for people; an unknown name is spelled out.

    Args:
      names: name -> title, from those that emit the findings: a report knows no audit.
    """

    def title(name: str) -> str:
        words = name.replace("_", " ").strip()
        return names.get(name) or _PROMISES.get(name) or words[:1].upper() + words[1:]

    return title


VERDICTS = {
    "fail": "Fail",
    "review": "Needs review",
    "insufficient": "Insufficient evidence",
    "pass": "Pass",
    "info": "For information",
}

# Part of the budget -> what it bought, as short as the label of a bar.
_PARTS = {
    "votes": "what kind each column has",
    "rows": "how many rows there are",
    "domain": "which categories and bins there are",
    "one_way": "each column by itself",
    "selection": "which columns depend on each other",
    "measurement": "how columns occur together",
    "training": "training of the network",
    "report": "figures of this report",
}


def plain_part(label: str) -> str:
    """Return what a part of the budget bought; of one of several tables, "table/part", the table goes first."""
    table, sign, part = label.rpartition("/")
    words = _PARTS.get(part, part.replace("_", " "))
    return f"{table}: {words}" if sign else words


STATUSES = {"addressed": "addressed", "partly": "in part", "open": "open"}

GLOSSARY = (
    ("Accountant", "The method that adds up the privacy cost of several releases."),
    (
        "AUROC, AUC",
        "How well a ranking works: the chance that a positive case scores above a negative one. 0.5 is a coin toss.",
    ),
    ("Baseline", "The figure to compare with: chance, the holdout, or the real rows."),
    ("Delta (δ)", "The total probability of outcomes for which the bound by epsilon may not hold."),
    (
        "Differential privacy",
        "A promise about a procedure: its result is almost as likely without one unit's rows as with them. Epsilon "
        "and delta say how nearly.",
    ),
    ("Distance (total variation)", "The share of rows that would have to change for two distributions to be the same."),
    ("Epsilon (ε)", "A limit on how much the odds of any conclusion about a unit can change: a factor of e to the ε."),
    (
        "False positive rate",
        "The share of negative cases that are taken for positive ones. Of a membership attack: the share of people "
        "who were not in the data whom it wrongly names.",
    ),
    ("Holdout", "Real rows that training never sees, kept to compare with."),
    ("Insufficient evidence", "Too few rows, or too much noise, to say anything. It is neither a pass nor a fail."),
    (
        "Interval",
        "A range built to contain the true figure in 95 of 100 cases, unless another confidence is named. For a "
        "noisy figure it includes the noise.",
    ),
    ("Ledger", "The account of a dataset's budget; every release is entered before it reads a row."),
    ("Mu (μ)", "The strength of the promise as Gaussian differential privacy; smaller is stronger."),
    ("Needs review", "A figure is outside what its threshold expects; a person has to judge why."),
    ("Neighbouring tables", "The two tables that the promise compares: with and without one unit's rows."),
    ("Noise", "Random numbers added to figures so that they reveal little about any one unit."),
    ("Noisy release", "A figure about real rows that had noise added and was charged to the budget."),
    (
        "Policy",
        "A person's list of figures, thresholds and their sources. Its verdicts are evidence, not a conclusion.",
    ),
    ("Synthetic row", "A row drawn from a model. It belongs to no person, even if it looks like somebody's."),
    ("Unit", "Whose privacy is protected: a person, an account, or a row."),
)
