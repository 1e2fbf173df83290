"""Acts on webhooks: register, replace the secret, disable, enable, remove, try out, see, and send again."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from privsynth.errors import InputError
from privsynth.service.caller import Caller
from privsynth.service.context import Service
from privsynth.service.record import record
from privsynth.service.roles import Act
from privsynth.service.store.webhooks import DeliveryRow, WebhookRow, WebhookState
from privsynth.service.webhooks.delivering import give_up
from privsynth.service.webhooks.events import EVENTS, TEST, add_message
from privsynth.service.webhooks.posting import checked_address
from privsynth.service.webhooks.signing import new_signing_secret

BOTH_SIGN = timedelta(hours=24)  # after a secret is replaced (own): time to bring the new one to the receiver
MOST = 200  # messages on one page (own)


def register_webhook(
    service: Service, caller: Caller, *, label: str, url: str, events: list[str]
) -> tuple[WebhookRow, str]:
    """Register an address that is told of these events, and return the secret that signs; it is shown once.

    Raises:
      InputError: there is one of that label, no event is known, or the address may not be one.
    """
    caller.require(Act.MANAGE_WEBHOOKS)
    label, url = label.strip(), url.strip()
    if not 1 <= len(label) <= 200 or not label.isprintable():
        raise InputError("say what the webhook is for, in one line of at most 200 characters")
    if not events or not set(events) <= set(EVENTS):
        raise InputError(f"choose at least one of the events {', '.join(EVENTS)}")
    if len(url) > 2000:
        raise InputError("the address of a webhook has at most 2,000 characters")
    parts, _ = checked_address(service.settings, url)
    secret, now = new_signing_secret(), service.now()
    row = WebhookRow(
        label=label, place=service.vault.seal(url, f"webhook address {label}"), host=parts.netloc[:300],
        secret=service.vault.seal(secret, f"webhook secret {label}"), made_by=caller.person_id, made_at=now,
        events=" ".join(one for one in EVENTS if one in events), state=WebhookState.ACTIVE,
    )  # fmt: skip
    with service.database.writing() as session:
        if any(one.label == label for one in _all(session)):
            raise InputError("there is already a webhook of that label: remove it first, or choose another label")
        session.add(row)
        session.flush()
        record(
            session, "register_webhook", f"webhook {row.id}", person_id=caller.person_id, at=now, label=label,
            host=row.host, events=row.events,
        )  # fmt: skip
    return row, secret


def replace_secret(service: Service, caller: Caller, webhook_id: int) -> tuple[WebhookRow, str]:
    """Return a new secret; for a day both sign, so that a receiver that knows either goes on.

    Raises:
      InputError: there is no such webhook.
    """
    caller.require(Act.MANAGE_WEBHOOKS)
    secret, now = new_signing_secret(), service.now()
    with service.database.writing() as session:
        row = _known(session, webhook_id)
        row.old_secret, row.old_until = row.secret, now + BOTH_SIGN
        row.secret = service.vault.seal(secret, f"webhook secret {row.label}")
        record(session, "replace_webhook_secret", f"webhook {row.id}", person_id=caller.person_id, at=now)
    return row, secret


def switch_webhook(service: Service, caller: Caller, webhook_id: int, state: WebhookState) -> WebhookRow:
    """Disable, enable or remove a webhook; what happens while it is disabled is not told later.

    Raises:
      InputError: there is no such webhook, or it is so already.
    """
    caller.require(Act.MANAGE_WEBHOOKS)
    now = service.now()
    act = {WebhookState.ACTIVE: "enable", WebhookState.DISABLED: "disable", WebhookState.REMOVED: "remove"}[state]
    with service.database.writing() as session:
        row = _known(session, webhook_id)
        if row.state == state:
            raise InputError(f"this webhook is {state} already")
        row.state, row.failing_since = state, None
        row.sentence = "" if state == WebhookState.ACTIVE else f"{state.capitalize()} by {caller.display}."
        if state != WebhookState.ACTIVE:
            give_up(session, row)
        if state == WebhookState.REMOVED:  # nothing of it is sent any more: what opens the receiver goes
            row.place, row.secret, row.old_secret = b"", b"", None
        record(session, f"{act}_webhook", f"webhook {row.id}", person_id=caller.person_id, at=now)
    return row


def try_out(service: Service, caller: Caller, webhook_id: int) -> DeliveryRow:
    """Send a message that tells nothing.

    Raises:
      InputError: there is no such webhook, or it is disabled.
    """
    caller.require(Act.MANAGE_WEBHOOKS)
    now = service.now()
    with service.database.writing() as session:
        row = _active(session, webhook_id)
        made = add_message(session, row, TEST, {}, now)
        record(session, "try_webhook", f"webhook {row.id}", person_id=caller.person_id, at=now)
    return made


def send_again(service: Service, caller: Caller, delivery_id: int) -> DeliveryRow:
    """Send a message again that was given up, under the same name.

    Raises:
      InputError: there is no such message, it was delivered or waits for its next attempt, or its webhook is disabled.
    """
    caller.require(Act.MANAGE_WEBHOOKS)
    now = service.now()
    with service.database.writing() as session:
        row = session.get(DeliveryRow, delivery_id)
        if row is None or row.delivered_at is not None or row.next_at is not None:
            raise InputError("there is no such message that was given up")
        _active(session, row.webhook_id)
        row.tries, row.next_at = 0, now  # a new round of attempts
        record(
            session, "send_again", f"webhook {row.webhook_id}", person_id=caller.person_id, at=now, message=row.message
        )
    return row


def webhooks(service: Service, caller: Caller) -> list[WebhookRow]:
    """Return the webhooks that were not removed, by label."""
    caller.require(Act.MANAGE_WEBHOOKS)
    with service.database.reading() as session:
        return _all(session)


def one_webhook(service: Service, caller: Caller, webhook_id: int) -> tuple[WebhookRow, list[DeliveryRow]]:
    """Return a webhook and its newest messages.

    Raises:
      InputError: there is no such webhook.
    """
    caller.require(Act.MANAGE_WEBHOOKS)
    newest = select(DeliveryRow).where(DeliveryRow.webhook_id == webhook_id).order_by(DeliveryRow.id.desc()).limit(MOST)
    with service.database.reading() as session:
        return _known(session, webhook_id), list(session.scalars(newest))


def _all(session: Session) -> list[WebhookRow]:
    wanted = select(WebhookRow).where(WebhookRow.state != WebhookState.REMOVED).order_by(WebhookRow.label)
    return list(session.scalars(wanted))


def _known(session: Session, webhook_id: int) -> WebhookRow:
    row = session.get(WebhookRow, webhook_id)
    if row is None or row.state == WebhookState.REMOVED:
        raise InputError("there is no such webhook")
    return row


def _active(session: Session, webhook_id: int) -> WebhookRow:
    row = _known(session, webhook_id)
    if row.state != WebhookState.ACTIVE:
        raise InputError("this webhook is disabled: enable it first")
    return row
