"""Pages about people, for administrators."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from privsynth.errors import InputError
from privsynth.service.caller import Caller
from privsynth.service.context import Service
from privsynth.service.people import add_person, change_roles, deactivate, everybody, reinvite
from privsynth.service.roles import Role
from privsynth.service.web.pages import page
from privsynth.service.web.visitors import FormVisitor, ServiceHere, Visitor, base_address

router = APIRouter(include_in_schema=False)
Roles = Annotated[list[Role], Form()]


def welcome_link(request: Request, service: Service, secret: str) -> str:
    """Return the link by which a person chooses a password."""
    return f"{base_address(request, service)}/welcome/{secret}"


def _people(service: Service, caller: Caller, *, link: str = "", problem: str = "", status: int = 200) -> Response:
    people = everybody(service, caller)
    return page("people.html", caller, status=status, people=people, roles=list(Role), link=link, problem=problem)


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
        return _people(service, caller, problem=str(problem), status=422)
    return _people(service, caller, link=welcome_link(request, service, secret))


@router.post("/people/{person_id}/roles")
def roles_form(service: ServiceHere, caller: FormVisitor, person_id: int, roles: Roles) -> Response:
    """Change what a person is."""
    change_roles(service, caller, person_id, set(roles))
    return RedirectResponse("/people", 303)


@router.post("/people/{person_id}/invite")
def invite_form(request: Request, service: ServiceHere, caller: FormVisitor, person_id: int) -> Response:
    """Make a new link for a person, and show it once."""
    return _people(service, caller, link=welcome_link(request, service, reinvite(service, caller, person_id)))


@router.post("/people/{person_id}/deactivate")
def deactivate_form(service: ServiceHere, caller: FormVisitor, person_id: int) -> Response:
    """End a person's access."""
    deactivate(service, caller, person_id)
    return RedirectResponse("/people", 303)
