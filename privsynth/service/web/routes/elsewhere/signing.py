"""Attaching a key that a person has elsewhere, and deciding with it."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response
from pydantic import BaseModel, Field

from privsynth.approvals.deciding import SaidWords
from privsynth.approvals.offline import DecisionRequest, KeyChallenge
from privsynth.errors import PrivsynthError
from privsynth.service.decisions.deciding import TypedProof
from privsynth.service.decisions.offline import decision_request, enter_signed
from privsynth.service.keys.attaching import attach_key, challenge
from privsynth.service.keys.people import own_key
from privsynth.service.web.api import RunId, Sent, api_router
from privsynth.service.web.pages import json_file, page, said_of
from privsynth.service.web.routes.deciding_api import DecidedRelease, decided_facts
from privsynth.service.web.routes.decisions import decision_page_answer
from privsynth.service.web.visitors import FormVisitor, Program, ServiceHere, Visitor, address_of

router = APIRouter(include_in_schema=False)
api = api_router("Decisions")
LONGEST = 200_000  # characters of what was signed (own): a comment and digests take a few thousand
Signed = Annotated[str, Form(max_length=LONGEST)]
Secret = Annotated[str, Form(max_length=1_000)]


def _file(name: str, asked: KeyChallenge | DecisionRequest) -> Response:
    return json_file(name, (json.dumps(asked.to_json(), indent=2) + "\n").encode())


@router.get("/my-key/challenge")
def challenge_page(service: ServiceHere, caller: Visitor) -> Response:
    """Send a file whose signature shows that somebody holds a key."""
    return _file("key-challenge.json", challenge(service, caller))


@router.post("/my-key/attach")
def attach_form(service: ServiceHere, caller: FormVisitor, proof: Signed) -> Response:
    """Attach the key that signed it."""
    try:
        attach_key(service, caller, proof)
    except PrivsynthError as problem:
        status, said = said_of(problem)
        return page("my_key.html", caller, status=status, key=own_key(service, caller), problem=said)
    return RedirectResponse("/my-key", 303)


@router.post("/runs/{run_id}/decision-request")
def request_form(
    service: ServiceHere,
    caller: FormVisitor,
    run_id: str,
    meaning: Annotated[str, Form(max_length=20)],
    comment: Annotated[str, Form(max_length=4_000)] = "",
    against_policy: Annotated[bool, Form()] = False,
) -> Response:
    """Send the decision as a file, to be signed elsewhere."""
    words = SaidWords(meaning, comment.strip(), against_policy)
    try:
        return _file(f"decision-{run_id}.json", decision_request(service, caller, run_id, words))
    except PrivsynthError as problem:
        return decision_page_answer(service, caller, run_id, problem=problem, comment=comment)


@router.post("/runs/{run_id}/signed-decision")
def signed_form(
    request: Request, service: ServiceHere, caller: FormVisitor, run_id: str, signed: Signed, password: Secret = ""
) -> Response:
    """Enter a decision that was signed elsewhere."""
    try:
        enter_signed(service, caller, run_id, signed, TypedProof("", password, address_of(request)))
    except PrivsynthError as problem:
        return decision_page_answer(service, caller, run_id, problem=problem)
    return RedirectResponse(f"/runs/{run_id}/decide", 303)


class WantedDecision(Sent):
    """What a person decides, and signs elsewhere."""

    meaning: Literal["reviewed", "approved", "rejected"]
    comment: str = Field("", max_length=2_000)
    against_policy: bool = Field(False, description="Approve although the policy refuses it; the comment says why.")


class ToSign(BaseModel):
    """What `privsynth keys sign` takes as its file."""

    ask: Literal["decision"]
    meaning: str
    comment: str
    release: tuple[str, str] = Field(description="SHA-256 of the manifests of the public part and of the officer's.")
    policy: dict[str, Any] | None
    dataset: str


class SignedDecision(Sent):
    """What `privsynth keys sign` wrote."""

    signed: str = Field(max_length=LONGEST)


@api.post("/runs/{run_id}/decision-request", operation_id="decision_request")
def request_fact(service: ServiceHere, caller: Program, run_id: RunId, sent: WantedDecision) -> ToSign:
    """Say what is to be signed elsewhere, to decide."""
    words = SaidWords(sent.meaning, sent.comment.strip(), sent.against_policy)
    return ToSign.model_validate(decision_request(service, caller, run_id, words).to_json())


@api.post("/runs/{run_id}/signed-decision", operation_id="enter_signed")
def signed_fact(
    request: Request, service: ServiceHere, caller: Program, run_id: RunId, sent: SignedDecision
) -> DecidedRelease:
    """Enter a decision that was signed elsewhere, with the person's own key."""
    run = enter_signed(service, caller, run_id, sent.signed, TypedProof("", "", address_of(request)))
    return DecidedRelease.model_validate(decided_facts(run))
