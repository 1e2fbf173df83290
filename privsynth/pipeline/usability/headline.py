"""`usability`: which columns and ties of a release are worth something, from paid figures and public facts alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from privsynth.codecs.columns import CategoryCodec, ColumnCodec
from privsynth.codecs.columns.category import OTHER
from privsynth.findings.finding import Finding
from privsynth.findings.usability import Usability
from privsynth.generators.registry import PublicFacts
from privsynth.pipeline.learning.request import Public, Request
from privsynth.pipeline.usability.outlook import Status, status_of
from privsynth.pipeline.usability.resolution import unresolved
from privsynth.privacy.budget import SpendingPlan
from privsynth.public_figures.fidelity import kept

MOSTLY_OTHER = 0.5  # share of OTHER from which a column says less than it hides (own)
OPEN_ENDS: Sequence[Status] = ("resolved", "coarse", "lost")


def usability(public: Public, request: Request, plan: SpendingPlan) -> Usability:
    """Return what is worth something.

    A column is judged by the worst of: whether any value stood out, how much became OTHER, the noise that its codes got
    (`Generator.expected_errors`, at the number of rows that was bought), and its distance, if the report has it.

    Args:
      plan: as the run has spent it.
    """
    errors = _expected(public, request, plan)
    distances = _lowest_distances(public.findings)
    found: dict[str, Status] = {}
    for codec in public.model.codec.codecs:
        if not codec.attributes():
            continue  # an identifier, or what follows from other columns
        names = [attribute.name for attribute in codec.attributes()]
        judged = [status_of(max(errors[name], distances.get(name, 0.0))) for name in names]
        if unresolved(codec, request.schema.column(codec.name)) or _mostly_other(codec, public):
            judged.append("lost")
        found[codec.name] = max(judged, key=OPEN_ENDS.index)
    ties = {tie.group: kept(tie) for tie in public.findings if tie.name == "tie_distance"}
    return Usability(
        **{status: tuple(name for name, of in found.items() if of == status) for status in OPEN_ENDS},
        kept=tuple(name for name, is_kept in ties.items() if is_kept),
        missed=tuple(name for name, is_kept in ties.items() if is_kept is False),
        unclear=tuple(name for name, is_kept in ties.items() if is_kept is None),
    )


def _expected(public: Public, request: Request, plan: SpendingPlan) -> Mapping[str, float]:
    """Return attribute -> the distance that noise makes in its one-way table."""
    attributes = public.model.codec.attributes
    facts = PublicFacts(
        n_rows=public.scale.rows,
        sizes=tuple(attribute.size for attribute in attributes),
        max_rows_per_unit=request.budget.max_rows_per_unit,
        rows_per_unit=public.scale.usual_rows(request.budget),
    )
    errors = request.generator.expected_errors(facts, plan).one_way
    return {attribute.name: error for attribute, error in zip(attributes, errors, strict=True)}


def _lowest_distances(findings: Sequence[Finding]) -> dict[str, float]:
    """Return attribute -> the least distance that the report's figure allows."""
    return {f.group: f.low for f in findings if f.name == "tvd_1way" and f.low is not None}


def _mostly_other(codec: ColumnCodec, public: Public) -> bool:
    """Return whether most synthetic rows have OTHER."""
    if not isinstance(codec, CategoryCodec) or not codec.other:
        return False
    cells = public.rows.frame({codec.name})[codec.name]
    return float((cells == OTHER).mean()) > MOSTLY_OTHER
