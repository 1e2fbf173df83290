"""The API of webhooks: the acts of the pages, for programs with a token."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, Field

from privsynth.service.store.webhooks import DeliveryRow, WebhookRow, WebhookState
from privsynth.service.web.api import Number, Sent, api_router
from privsynth.service.web.visitors import Program, ServiceHere
from privsynth.service.webhooks.acts import (
    one_webhook,
    register_webhook,
    replace_secret,
    send_again,
    switch_webhook,
    try_out,
    webhooks,
)

api = api_router("Webhooks")


class SentWebhook(Sent):
    """Where to send what."""

    label: str = Field(min_length=1, max_length=200)
    url: str = Field(min_length=1, max_length=2000, description="https://…")
    events: list[str] = Field(min_length=1, max_length=100, description="As run.to_decide, run.failed …")


class SentState(Sent):
    """Whether a webhook is told anything; a removed one does not come back."""

    state: WebhookState


class WebhookFacts(BaseModel):
    """A webhook, without its address and its secret."""

    id: int
    label: str
    host: str
    events: list[str]
    state: WebhookState
    sentence: str
    failing_since: datetime | None


class NewWebhook(WebhookFacts):
    """A webhook with its secret, which is told once."""

    secret: str


class MessageFacts(BaseModel):
    """A message, and what became of it."""

    id: int
    message: str = Field(description="The header webhook-id of every attempt.")
    event: str
    at: datetime
    tries: int
    next_at: datetime | None
    delivered_at: datetime | None
    reason: str


class WebhookWithMessages(WebhookFacts):
    """A webhook and its newest messages."""

    messages: list[MessageFacts]


def _facts(row: WebhookRow) -> dict[str, object]:
    return {
        "id": row.id, "label": row.label, "host": row.host, "events": row.events.split(), "state": row.state,
        "sentence": row.sentence, "failing_since": row.failing_since,
    }  # fmt: skip


def _message(row: DeliveryRow) -> MessageFacts:
    return MessageFacts(
        id=row.id, message=row.message, event=row.event, at=row.at, tries=row.tries, next_at=row.next_at,
        delivered_at=row.delivered_at, reason=row.reason,
    )  # fmt: skip


@api.get("/webhooks", operation_id="webhooks")
def list_webhooks(service: ServiceHere, caller: Program) -> list[WebhookFacts]:
    """List webhooks."""
    return [WebhookFacts.model_validate(_facts(row)) for row in webhooks(service, caller)]


@api.post("/webhooks", operation_id="register_webhook", status_code=201)
def register(service: ServiceHere, caller: Program, sent: SentWebhook) -> NewWebhook:
    """Register a webhook; its secret is told once. A second one of the same label is refused."""
    row, secret = register_webhook(service, caller, label=sent.label, url=sent.url, events=sent.events)
    return NewWebhook.model_validate({**_facts(row), "secret": secret})


@api.get("/webhooks/{webhook_id}", operation_id="webhook")
def show(service: ServiceHere, caller: Program, webhook_id: Number) -> WebhookWithMessages:
    """Show a webhook, and what became of its messages."""
    row, messages = one_webhook(service, caller, webhook_id)
    return WebhookWithMessages.model_validate({**_facts(row), "messages": [_message(one) for one in messages]})


@api.post("/webhooks/{webhook_id}/secret", operation_id="replace_webhook_secret")
def replace(service: ServiceHere, caller: Program, webhook_id: Number) -> NewWebhook:
    """Replace the secret; the new one is told once, and for a day both sign."""
    row, secret = replace_secret(service, caller, webhook_id)
    return NewWebhook.model_validate({**_facts(row), "secret": secret})


@api.put("/webhooks/{webhook_id}/state", operation_id="switch_webhook")
def switch(service: ServiceHere, caller: Program, webhook_id: Number, sent: SentState) -> WebhookFacts:
    """Disable, enable or remove a webhook."""
    return WebhookFacts.model_validate(_facts(switch_webhook(service, caller, webhook_id, sent.state)))


@api.post("/webhooks/{webhook_id}/test", operation_id="try_webhook")
def try_webhook(service: ServiceHere, caller: Program, webhook_id: Number) -> MessageFacts:
    """Send a message that tells nothing."""
    return _message(try_out(service, caller, webhook_id))


@api.post("/deliveries/{delivery_id}/again", operation_id="send_again")
def again(service: ServiceHere, caller: Program, delivery_id: Number) -> MessageFacts:
    """Send a message again that was given up."""
    return _message(send_again(service, caller, delivery_id))
