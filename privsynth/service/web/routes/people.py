"""Pages and API about people, for administrators."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response
from pydantic import BaseModel, Field

from privsynth.errors import InputError
from privsynth.service.caller import Caller
from privsynth.service.context import Service
from privsynth.service.people import add_person, change_roles, deactivate, everybody, one_person, reinvite
from privsynth.service.roles import Role
from privsynth.service.store.people import Person
from privsynth.service.web.api import Number, Once, Sent, api_router
from privsynth.service.web.pages import page, said_of
from privsynth.service.web.visitors import FormVisitor, Program, ServiceHere, Visitor, base_address

router = APIRouter(include_in_schema=False)
api = api_router("People")
Roles = Annotated[list[Role], Form()]


def welcome_link(request: Request, service: Service, secret: str) -> str:
    """Return the link by which a person chooses a password."""
    return f"{base_address(request, service)}/welcome/{secret}"


def _people(service: Service, caller: Caller, *, link: str = "", problem: Exception | None = None) -> Response:
    people = everybody(service, caller)
    status, said = said_of(problem)
    return page("people.html", caller, status=status, people=people, roles=list(Role), link=link, problem=said)


@router.get("/people")
def people_page(service: ServiceHere, caller: Visitor) -> Response:
    """Show everybody, and a form for somebody new."""
    return _people(service, caller)


@router.post("/people")
def add_form(
    request: Request,
    service: ServiceHere,
    caller: FormVisitor,
    name: Annotated[str, Form(max_length=200)],
    display: Annotated[str, Form(max_length=400)],
    roles: Roles,
) -> Response:
    """Add a person, and show the link once."""
    try:
        _, secret = add_person(service, caller, name, display, set(roles))
    except InputError as problem:
        return _people(service, caller, problem=problem)
    return _people(service, caller, link=welcome_link(request, service, secret))


@router.post("/people/{person_id}/roles")
def roles_form(service: ServiceHere, caller: FormVisitor, person_id: Number, roles: Roles) -> Response:
    """Change what a person is."""
    change_roles(service, caller, person_id, set(roles))
    return RedirectResponse("/people", 303)


@router.post("/people/{person_id}/invite")
def invite_form(request: Request, service: ServiceHere, caller: FormVisitor, person_id: Number) -> Response:
    """Make a new link for a person, and show it once."""
    return _people(service, caller, link=welcome_link(request, service, reinvite(service, caller, person_id)))


@router.post("/people/{person_id}/deactivate")
def deactivate_form(service: ServiceHere, caller: FormVisitor, person_id: Number) -> Response:
    """End a person's access."""
    deactivate(service, caller, person_id)
    return RedirectResponse("/people", 303)


class SentRoles(Sent):
    """What a person is from now on."""

    roles: set[Role] = Field(min_length=1)


class SentPerson(SentRoles):
    """A person to invite."""

    name: str = Field(min_length=1, max_length=80, description="What they type to sign in.")
    display: str = Field(min_length=1, max_length=200, description="What others read.")


class PersonFacts(BaseModel):
    """A person. Who was deactivated stays in the list, for the record."""

    id: int
    name: str
    display: str
    roles: list[Role]
    active: bool
    made_at: datetime


class InvitedPerson(PersonFacts):
    """A person, with the link by which they choose a password; it is told once, and is for them alone."""

    link: str


def _facts(person: Person) -> dict[str, object]:
    return {
        "id": person.id, "name": person.name, "display": person.display, "roles": sorted(person.roles),
        "active": person.active, "made_at": person.made_at,
    }  # fmt: skip


@api.get("/people", operation_id="people")
def people_facts(service: ServiceHere, caller: Program) -> list[PersonFacts]:
    """List everybody."""
    return [PersonFacts.model_validate(_facts(person)) for person in everybody(service, caller)]


@api.post("/people", operation_id="add_person", status_code=201)
def add_by_program(
    request: Request, service: ServiceHere, caller: Program, sent: SentPerson, once: Once = ""
) -> InvitedPerson:
    """Add a person, and tell the link by which they choose a password."""
    person, secret = add_person(service, caller, sent.name, sent.display, sent.roles, once=once)
    return InvitedPerson.model_validate({**_facts(person), "link": welcome_link(request, service, secret)})


@api.put("/people/{person_id}/roles", operation_id="change_roles")
def roles_by_program(service: ServiceHere, caller: Program, person_id: Number, sent: SentRoles) -> PersonFacts:
    """Give a person these roles, and no others; their tokens end."""
    change_roles(service, caller, person_id, sent.roles)
    return PersonFacts.model_validate(_facts(one_person(service, caller, person_id)))


@api.post("/people/{person_id}/invitation", operation_id="invite_person")
def invite_by_program(
    request: Request, service: ServiceHere, caller: Program, person_id: Number, once: Once = ""
) -> InvitedPerson:
    """Make a new link for a person; earlier ones end."""
    secret = reinvite(service, caller, person_id, once=once)
    person = one_person(service, caller, person_id)
    return InvitedPerson.model_validate({**_facts(person), "link": welcome_link(request, service, secret)})


@api.post("/people/{person_id}/deactivation", operation_id="deactivate_person")
def deactivate_by_program(service: ServiceHere, caller: Program, person_id: Number) -> PersonFacts:
    """End a person's access at once: sessions, tokens and password."""
    deactivate(service, caller, person_id)
    return PersonFacts.model_validate(_facts(one_person(service, caller, person_id)))
