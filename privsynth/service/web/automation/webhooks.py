"""Pages about webhooks: where messages go, what became of them, and their secrets."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form
from fastapi.responses import RedirectResponse, Response

from privsynth.errors import InputError
from privsynth.service.caller import Caller
from privsynth.service.context import Service
from privsynth.service.store.webhooks import WebhookState
from privsynth.service.web.api import Number
from privsynth.service.web.pages import page, said_of
from privsynth.service.web.visitors import FormVisitor, ServiceHere, Visitor
from privsynth.service.webhooks.acts import (
    one_webhook,
    register_webhook,
    replace_secret,
    send_again,
    switch_webhook,
    try_out,
    webhooks,
)
from privsynth.service.webhooks.events import EVENTS

router = APIRouter(include_in_schema=False)


def _list(
    service: Service, caller: Caller, told: dict[str, object] | None = None, problem: Exception | None = None
) -> Response:
    facts = {"label": "", "url": "", "chosen": [], **(told or {})}
    found = webhooks(service, caller)
    status, said = said_of(problem)
    return page(
        "webhooks.html", caller, status=status, webhooks=found, events=EVENTS, problem=said,
        networks=service.settings.webhook_networks, **facts,
    )  # fmt: skip


def _one(service: Service, caller: Caller, webhook_id: int, *, secret: str = "") -> Response:
    row, messages = one_webhook(service, caller, webhook_id)
    return page("webhook.html", caller, one=row, messages=messages, secret=secret, now=service.now())


@router.get("/webhooks")
def webhooks_page(service: ServiceHere, caller: Visitor) -> Response:
    """Show webhooks, and a form for a new one."""
    return _list(service, caller)


@router.post("/webhooks")
def register_form(
    service: ServiceHere,
    caller: FormVisitor,
    label: Annotated[str, Form(max_length=400)] = "",
    url: Annotated[str, Form(max_length=4000)] = "",
    events: Annotated[list[str] | None, Form()] = None,
) -> Response:
    """Register a webhook, and show its secret once."""
    try:
        row, secret = register_webhook(service, caller, label=label, url=url, events=events or [])
    except InputError as problem:
        return _list(service, caller, {"label": label, "url": url, "chosen": events or []}, problem)
    return _one(service, caller, row.id, secret=secret)


@router.get("/webhooks/{webhook_id}")
def webhook_page(service: ServiceHere, caller: Visitor, webhook_id: Number) -> Response:
    """Show a webhook, and what became of its messages."""
    return _one(service, caller, webhook_id)


@router.post("/webhooks/{webhook_id}/secret")
def secret_form(service: ServiceHere, caller: FormVisitor, webhook_id: Number) -> Response:
    """Replace the secret, and show the new one once."""
    row, secret = replace_secret(service, caller, webhook_id)
    return _one(service, caller, row.id, secret=secret)


@router.post("/webhooks/{webhook_id}/state")
def state_form(
    service: ServiceHere, caller: FormVisitor, webhook_id: Number, state: Annotated[WebhookState, Form()]
) -> Response:
    """Disable, enable or remove a webhook."""
    switch_webhook(service, caller, webhook_id, state)
    return RedirectResponse("/webhooks" if state == WebhookState.REMOVED else f"/webhooks/{webhook_id}", 303)


@router.post("/webhooks/{webhook_id}/test")
def test_form(service: ServiceHere, caller: FormVisitor, webhook_id: Number) -> Response:
    """Send a message that tells nothing."""
    try_out(service, caller, webhook_id)
    return RedirectResponse(f"/webhooks/{webhook_id}", 303)


@router.post("/deliveries/{delivery_id}/again")
def again_form(service: ServiceHere, caller: FormVisitor, delivery_id: Number) -> Response:
    """Send a message again."""
    row = send_again(service, caller, delivery_id)
    return RedirectResponse(f"/webhooks/{row.webhook_id}", 303)
