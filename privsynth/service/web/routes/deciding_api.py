"""The API of decisions and deliveries: the acts of the pages, for programs with a token."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field

from privsynth.approvals.deciding import SaidWords
from privsynth.service.decisions.deciding import TypedProof, decide
from privsynth.service.decisions.handing_out import hand_out_page
from privsynth.service.decisions.publishing import publish, revoke
from privsynth.service.decisions.reports import officer_report, public_report
from privsynth.service.decisions.sheet import approvals_of, decision_page
from privsynth.service.delivery.archive import begin_own_download
from privsynth.service.delivery.offers import LONGEST_DAYS, LONGEST_TERMS, WantedOffer, make_offer, withdraw_offer
from privsynth.service.states import RunState
from privsynth.service.store.runs import Offer, RunRow
from privsynth.service.web.api import Number, Once, RunId, Sent, api_router
from privsynth.service.web.routes.decisions import report_answer
from privsynth.service.web.routes.delivery import archive_answer
from privsynth.service.web.visitors import Program, ServiceHere, address_of, base_address

api: APIRouter = api_router("Decisions")
_REPORT: dict[int | str, dict[str, Any]] = {200: {"content": {"text/html": {}}}}


class SentDecision(Sent):
    """What a person decides; the passphrase opens their key for this once, and is not kept."""

    meaning: Literal["reviewed", "changes", "approved", "rejected"]
    comment: str = Field("", max_length=2_000)
    against_policy: bool = Field(False, description="Approve although the policy refuses it; the comment says why.")
    passphrase: str = Field("", max_length=1_000)


class SentPublication(Sent):
    """How an edition is made."""

    comments: bool = Field(False, description="Whether recipients read what people wrote.")


class SentRevocation(Sent):
    """Why a release must not be used any more; everybody may read it."""

    reason: str = Field(min_length=1, max_length=500)


class SentOffer(Sent):
    """To whom an edition is offered, on which terms, and for how long."""

    recipient: str = Field(min_length=1, max_length=200)
    terms: str = Field(min_length=1, max_length=LONGEST_TERMS)
    days: int = Field(ge=1, le=LONGEST_DAYS)


class DecisionFacts(BaseModel):
    """A decision."""

    person: str
    meaning: str
    comment: str
    at: datetime
    file: str | None = Field(description="SHA-256 of the signed file; null where somebody asked for changes.")


class DecidedRelease(BaseModel):
    """Where a release stands."""

    run: str
    dataset: str
    state: RunState
    needed: int
    approvals: int
    decisions: list[DecisionFacts]
    manifest: str | None
    edition: str | None


class CheckedRelease(DecidedRelease):
    """Where a release stands, after its files, its decisions and the log were verified."""

    problem: str = Field(description="Why they do not verify, or empty.")
    policy: str | None = Field(description="What the policy says: fail, review, insufficient or pass.")
    uncounted: list[str] = Field(description="Signed files that do not count.")


class OfferFacts(BaseModel):
    """An offer, without its link."""

    id: int
    run: str
    recipient: str
    made_at: datetime
    ends_at: datetime
    accepted_at: datetime | None
    withdrawn_at: datetime | None


class NewOffer(OfferFacts):
    """An offer, with its link, which is told once."""

    link: str


def decision_facts_of(run: RunRow) -> list[DecisionFacts]:
    """Return what people decided about a release."""
    return [
        DecisionFacts(person=one.person.display, meaning=one.meaning, comment=one.comment, at=one.at, file=one.file)
        for one in run.decisions
    ]


def decided_facts(run: RunRow) -> dict[str, object]:
    """Return what `DecidedRelease` says of a run."""
    return {
        "run": run.id, "dataset": run.dataset, "state": run.state, "needed": run.needed,
        "approvals": approvals_of(run), "decisions": decision_facts_of(run), "manifest": run.manifest,
        "edition": run.edition,
    }  # fmt: skip


def _offer(offer: Offer) -> dict[str, object]:
    return {
        "id": offer.id, "run": offer.run_id, "recipient": offer.recipient, "made_at": offer.made_at,
        "ends_at": offer.ends_at, "accepted_at": offer.accepted_at, "withdrawn_at": offer.withdrawn_at,
    }  # fmt: skip


@api.get("/runs/{run_id}/decision", operation_id="decision")
def decision_facts(service: ServiceHere, caller: Program, run_id: RunId) -> CheckedRelease:
    """Verify a release and say where it stands."""
    told = decision_page(service, caller, run_id)
    policy = None if told.verdicts is None or told.verdicts.policy is None else told.verdicts.policy.verdict
    uncounted = [one.name for one in told.uncounted]
    return CheckedRelease.model_validate(
        {**decided_facts(told.run), "problem": told.problem, "policy": policy, "uncounted": uncounted}
    )


@api.post("/runs/{run_id}/decision", operation_id="decide")
def decide_by_program(
    request: Request, service: ServiceHere, caller: Program, run_id: RunId, sent: SentDecision
) -> DecidedRelease:
    """Sign a decision with the person's key, and enter it; or ask for changes, which nobody signs."""
    words = SaidWords(sent.meaning, sent.comment.strip(), sent.against_policy)
    run = decide(service, caller, run_id, words, TypedProof(sent.passphrase, "", address_of(request)))
    return DecidedRelease.model_validate(decided_facts(run))


@api.get("/runs/{run_id}/reports/officer", operation_id="officer_report", response_class=Response, responses=_REPORT)
def officer_report_file(service: ServiceHere, caller: Program, run_id: RunId) -> Response:
    """Send the officer's report; that it was read is on record."""
    return report_answer(officer_report(service, caller, run_id))


@api.get("/runs/{run_id}/reports/public", operation_id="public_report", response_class=Response, responses=_REPORT)
def public_report_file(service: ServiceHere, caller: Program, run_id: RunId) -> Response:
    """Send the public report."""
    return report_answer(public_report(service, caller, run_id))


@api.post("/runs/{run_id}/publication", operation_id="publish")
def publish_by_program(service: ServiceHere, caller: Program, run_id: RunId, sent: SentPublication) -> DecidedRelease:
    """Publish the approved edition."""
    run = publish(service, caller, run_id, comments=sent.comments, proof=TypedProof())
    return DecidedRelease.model_validate(decided_facts(run))


@api.post("/runs/{run_id}/revocation", operation_id="revoke")
def revoke_by_program(service: ServiceHere, caller: Program, run_id: RunId, sent: SentRevocation) -> DecidedRelease:
    """Revoke a release. This is not taken back."""
    run = revoke(service, caller, run_id, sent.reason, TypedProof())
    return DecidedRelease.model_validate(decided_facts(run))


@api.get(
    "/runs/{run_id}/edition", operation_id="edition", response_class=Response,
    responses={200: {"description": "The edition.", "content": {"application/zip": {}}}},
)  # fmt: skip
def edition_file(service: ServiceHere, caller: Program, run_id: RunId) -> Response:
    """Send the published edition as a ZIP archive; that it was downloaded is on record."""
    return archive_answer(*begin_own_download(service, caller, run_id))


@api.get("/runs/{run_id}/offers", operation_id="offers")
def offer_facts(service: ServiceHere, caller: Program, run_id: RunId) -> list[OfferFacts]:
    """List to whom a release was offered."""
    return [OfferFacts.model_validate(_offer(one)) for one in hand_out_page(service, caller, run_id).offers]


@api.post("/runs/{run_id}/offers", operation_id="offer")
def offer_by_program(
    request: Request, service: ServiceHere, caller: Program, run_id: RunId, sent: SentOffer, once: Once = ""
) -> NewOffer:
    """Offer a published edition to a recipient; the link is told once."""
    offer, secret = make_offer(service, caller, run_id, WantedOffer(**sent.model_dump(), once=once))
    link = f"{base_address(request, service)}/download/{secret}"
    return NewOffer.model_validate({**_offer(offer), "link": link})


@api.post("/offers/{offer_id}/withdrawal", operation_id="withdraw_offer")
def withdraw_by_program(service: ServiceHere, caller: Program, offer_id: Number) -> OfferFacts:
    """End an offer at once."""
    return OfferFacts.model_validate(_offer(withdraw_offer(service, caller, offer_id)))
