"""What an answer says, in sentences that are true of every release they stand beside."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from privsynth.report.explain_epsilon import membership_sentence, risk_cards
from privsynth.report.format_numbers import number, power
from privsynth.service.states import RunState

NOT_SEARCHED = (
    "Nobody can look the person up in a release that makes a promise: its rows were drawn from a model of noisy "
    "figures. None was copied from the data or is linked to a row of it, and identifiers are new. Whether a row "
    "resembles the person says little about them; how much it can say is what the promise limits.",
    "Making the release again without the person and comparing the two does not help either: each release has noise of "
    "its own, and spends the budget of everybody in the dataset.",
)
CAN = (
    "Uploaded files and the officers' parts of releases, which hold or were made of exact data, can be deleted, with a "
    "signed certificate, on the page Retention.",
    "The person can be taken out of a source that is not an upload where it is kept; later releases do not read their "
    "rows then. The service does not change sources.",
)
CANNOT = (
    "The ledger: it holds names of datasets, amounts and run ids, and no row. Without it, what is promised to "
    "everybody else in the dataset would not hold.",
    "The log of releases, the record of acts and signed decisions: digests, times and names of staff, and no row. Each "
    "entry carries the digest of the one before.",
    "Copies that recipients have, and backups of the service: whoever has them deletes them.",
)
REVOCATION = (
    "An approver can revoke a release. It is then on the signed list that recipients ask for, its links end, and the "
    "service hands it out no more.",
    "Revocation does not delete copies, does not make anybody forget what they learnt, and gives no budget back. It is "
    "not taken back; the promise of the release holds with it and without it.",
)
LEGAL = (
    "Whether a release is personal data, and whether this answers the request, are legal questions. This statement "
    "says what was done and what is promised, and not that a release is anonymous."
)
OUTSIDE_UNKNOWN = (
    "the ledger cannot be read now: whether there are other releases of this dataset, which the service did not make, "
    "is not known"
)
_UNREAD = (
    "The public part of this release is not there, or is not the one that the run made: what it promised cannot be "
    "read. Take it that nothing is promised."
)
_NONE = "This release makes no promise of differential privacy: nothing limits what it may tell of one person."


def promise_words(guarantee: Mapping[str, Any] | None) -> list[str]:
    """Return what a guarantee says of one person.

    Args:
      guarantee: of a public report; None where that cannot be read, empty where it makes none.
    """
    if guarantee is None:
        return [_UNREAD]
    try:
        epsilon, delta, unit = float(guarantee["epsilon"]), float(guarantee["delta"]), str(guarantee["unit"])
        most, neighbours = guarantee.get("max_rows_per_unit"), str(guarantee["neighbours"])
        mu = None if guarantee.get("mu") is None else float(guarantee["mu"])
        mu_delta = float(guarantee.get("mu_delta") or 0.0)
    except (KeyError, TypeError, ValueError):
        return [_NONE]
    if not (math.isfinite(epsilon) and epsilon > 0):
        return [_NONE]
    rows = "" if most is None else f" At most {most:,} rows of each were used."
    told = [
        f"(ε = {number(epsilon)}, δ = {power(delta)})-differentially private for each {unit}: it compares two tables "
        f"that differ by one change, {neighbours}.{rows}",
        _whose(unit),
    ]
    for_whom = "a person with one row" if unit == "row" else f"a person who is one {unit}"
    (card,) = risk_cards(epsilon=epsilon, delta=delta, mu=mu, mu_delta=mu_delta, priors=(0.10,))
    membership = membership_sentence(epsilon=epsilon, delta=delta, mu=mu, mu_delta=mu_delta)
    told.append(f"For {for_whom}: {membership} {card.sentence}")
    return told


def _whose(unit: str) -> str:
    if unit == "row":
        return (
            "The unit is a row, so that only single rows are protected. If the person has several rows, this is no "
            "promise for the person: for k rows, ε is k times as large, and δ grows more than that."
        )
    return (
        f"All rows of one {unit} are protected together. If the person is several of them, as with two identifiers, or "
        f"if {unit} does not stand for persons, this is no promise for the person: for k of them, ε is k times as "
        "large, and δ grows more than that."
    )


def state_words(state: RunState, accepted: int) -> str:
    """Return where a release is, and with how many recipients."""
    if state == RunState.PUBLISHED:
        told = "published: it may be with others"
    elif state == RunState.REVOKED:
        told = "revoked: whoever asks the signed list is told not to use it; copies remain"
    else:
        told = "a draft inside the institution: it was not published"
    if accepted:
        told += f". {accepted} recipient{'' if accepted == 1 else 's'} accepted its terms"
    return told
