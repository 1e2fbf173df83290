"""What the reports and the terminal say of a prior."""

from __future__ import annotations

from privsynth.pipeline.learning.from_prior import CHECK_OF_DOMAIN
from privsynth.pipeline.learning.request import PriorUse
from privsynth.pipeline.prior.known import KnownTable
from privsynth.report.records.promise import PriorRecord
from privsynth.sampling.origin import PriorOrigin


def named(origin: PriorOrigin) -> str:
    """Return a prior in words."""
    if origin.kind == "release":
        promise = "" if origin.epsilon is None else f", which itself cost epsilon {origin.epsilon:g}"
        return f"the release '{origin.name}'{promise}"
    return f"the table '{origin.name}', which is public by the word of whoever made this release"


def prior_record(use: PriorUse | None) -> PriorRecord | None:
    """Return what the report says of a prior; a function of what may leave."""
    if use is None:
        return None
    origin = use.origin
    return PriorRecord(
        kind=origin.kind,
        name=origin.name,
        digest=origin.digest,
        epsilon=origin.epsilon,
        unit=origin.unit,
        columns=use.columns,
        bought=use.bought,
        agreement=use.agreement,
    )


def prior_sentence(use: PriorUse | None) -> str | None:
    """Return what a release has of its prior."""
    if use is None:
        return None
    total = len(use.columns) + len(use.bought)
    agreed = "" if use.agreement is None else f"; its ties hold here to {use.agreement:.0%}"
    told = f"{len(use.columns)} of {total} columns are coded as there, at no cost"
    return f"{named(use.origin)}: {told}{agreed}. What it tells was free; the budget bought how this table differs"


def planned_sentence(known: KnownTable, columns: int) -> str:
    """Return what a prior would bring to a release of so many columns."""
    told = f"the categories or bins of {len(known.columns)} of {columns} columns"
    return (
        f"Prior: {named(known.prior.origin)}. It would tell {told}, and which columns depend on each other. "
        f"{CHECK_OF_DOMAIN:.0%} of part 'domain' checks how far it suits; what is then not needed goes to the tables."
    )
