"""What webhooks are told: which events there are, and the message of one, in the transaction of what it tells.

A message says what changed, to which state and when. Names, purposes, sentences and figures are not in it: whoever
receives it asks the API for what they may know.
"""

from __future__ import annotations

import json
import secrets
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from privsynth.service.states import RunState
from privsynth.service.store.webhooks import DeliveryRow, WebhookRow, WebhookState

TEST = "webhook.test"
SCHEDULE_PAUSED = "schedule.paused"
EVENTS = (*(f"run.{state}" for state in RunState), SCHEDULE_PAUSED)


def tell(session: Session, event: str, data: dict[str, str | int], at: datetime) -> None:
    """Write down a message for each webhook that is active and wants such an event."""
    for webhook in session.scalars(select(WebhookRow).where(WebhookRow.state == WebhookState.ACTIVE)):
        if event in webhook.events.split():
            add_message(session, webhook, event, data, at)


def tell_paused(session: Session, schedule_id: int, at: datetime) -> None:
    """Write down a message that a schedule is paused."""
    tell(session, SCHEDULE_PAUSED, {"schedule": schedule_id, "state": "paused"}, at)


def add_message(
    session: Session, webhook: WebhookRow, event: str, data: dict[str, str | int], at: datetime
) -> DeliveryRow:
    """Write down a message, due at once."""
    body = json.dumps({"type": event, "timestamp": at.isoformat(), "data": data})
    new = DeliveryRow(
        webhook_id=webhook.id, message=f"msg_{secrets.token_hex(16)}", event=event, body=body, at=at, next_at=at
    )  # fmt: skip
    session.add(new)
    return new
