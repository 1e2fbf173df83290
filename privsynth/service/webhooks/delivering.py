"""Telling webhooks what is to be told: at least once, again after a while where it failed, and not for ever."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from privsynth.errors import ConfigError
from privsynth.service.context import Service
from privsynth.service.record import record
from privsynth.service.settings import ServiceSettings
from privsynth.service.store.webhooks import DeliveryRow, WebhookRow, WebhookState
from privsynth.service.webhooks.posting import GONE, ReceiverAnswer, post
from privsynth.service.webhooks.signing import signed_headers

# From each attempt to the next (own): quick for a restart, and then over more than a day for what takes a person.
WAITS = (
    timedelta(seconds=5), timedelta(minutes=1), timedelta(minutes=10), timedelta(hours=1), timedelta(hours=4),
    timedelta(hours=10), timedelta(hours=14),
)  # fmt: skip
LEASE = timedelta(minutes=2)  # for one attempt (own): a worker that is lost in it leaves it to be made again
LONG_FAILURE = timedelta(days=3)  # without one success (own), after which a webhook is disabled: longer than a weekend
KEPT = timedelta(days=30)  # of delivered messages (own), to look up what was told
MOST = 10  # messages in one look (own): then schedules have their turn
Post = Callable[[ServiceSettings, str, Mapping[str, str], str], ReceiverAnswer]


@dataclass(frozen=True)
class Attempt:
    """One attempt to deliver a message."""

    delivery_id: int
    webhook_id: int
    number: int
    message: str
    url: str
    body: str
    keys: tuple[str, ...]
    at: datetime


class BusyReceivers:
    """The webhooks to which threads of this process are sending: each gets one message at a time.

    So a receiver that does not answer keeps one thread waiting, and the others serve the others.
    """

    def __init__(self) -> None:
        self._busy: set[int] = set()
        self._lock = Lock()

    @contextmanager
    def next_due(self, service: Service) -> Iterator[Attempt | None]:
        """Begin the attempt that is due longest of a webhook that is not busy, which it is inside the block."""
        with self._lock:
            attempt = _take(service, self._busy)
            if attempt is not None:
                self._busy.add(attempt.webhook_id)
        try:
            yield attempt
        finally:
            if attempt is not None:
                with self._lock:
                    self._busy.discard(attempt.webhook_id)


def deliver_due(
    service: Service, send: Post = post, *, stopped: Callable[[], bool] = lambda: False,
    busy: BusyReceivers | None = None,
) -> None:  # fmt: skip
    """Send the messages that are due.

    Args:
      stopped: says whether to leave the rest to another look.
      busy: shared by the threads that deliver; None where there is one.

    Guarantee: a message is sent until the receiver takes it, the attempts are used up, or the webhook is disabled; one
      that was sent when the worker was lost is sent again, under the same name.
    """
    busy = busy or BusyReceivers()
    for _ in range(MOST):
        if stopped():
            return
        with busy.next_due(service) as attempt:
            if attempt is None:
                return
            headers = signed_headers(attempt.message, attempt.body, attempt.at, attempt.keys)
            _write_down(service, attempt, send(service.settings, attempt.url, headers, attempt.body))


def _take(service: Service, busy: Collection[int]) -> Attempt | None:
    """Begin the attempt that is due longest, but for webhooks that are busy, and keep others off it for a while."""
    now = service.now()
    due = (
        select(DeliveryRow)
        .join(WebhookRow)
        .where(DeliveryRow.next_at <= now, WebhookRow.state == WebhookState.ACTIVE, WebhookRow.id.not_in(busy))
        .order_by(DeliveryRow.next_at, DeliveryRow.id)
        .limit(1)
    )
    with service.database.reading() as session:  # most looks find nothing, and writers exclude each other
        if session.scalars(due).first() is None:
            return None
    with service.database.writing() as session:
        row = session.scalars(due).first()
        if row is None:
            return None
        try:
            url, keys = url_of(service, row.webhook), keys_of(service, row.webhook, now)
        except ConfigError as problem:  # restored with another secret: no later attempt could do better
            row.next_at, row.reason = None, f"{str(problem)[:1].upper()}{str(problem)[1:]}."
            return None
        row.tries, row.next_at = row.tries + 1, now + LEASE
        return Attempt(row.id, row.webhook_id, row.tries, row.message, url, row.body, keys, now)


def url_of(service: Service, webhook: WebhookRow) -> str:
    """Return the address of a webhook."""
    return service.vault.open(webhook.place, f"webhook address {webhook.label}")


def keys_of(service: Service, webhook: WebhookRow, now: datetime) -> tuple[str, ...]:
    """Return the secrets that sign now: the newest, and the one before for a while."""
    about = f"webhook secret {webhook.label}"
    keys = [service.vault.open(webhook.secret, about)]
    if webhook.old_secret is not None and webhook.old_until is not None and now < webhook.old_until:
        keys.append(service.vault.open(webhook.old_secret, about))
    return tuple(keys)


def _write_down(service: Service, attempt: Attempt, answer: ReceiverAnswer) -> None:
    now = service.now()
    with service.database.writing() as session:
        row = session.get_one(DeliveryRow, attempt.delivery_id)
        if row.tries != attempt.number or row.delivered_at is not None:
            return  # it took so long that another worker made the next attempt
        if answer.taken:
            row.delivered_at, row.next_at, row.reason, row.webhook.failing_since = now, None, "", None
            session.execute(delete(DeliveryRow).where(DeliveryRow.delivered_at < now - KEPT))
            return
        row.reason = answer.sentence
        row.next_at = now + WAITS[row.tries - 1] if row.tries <= len(WAITS) else None
        _may_disable(session, row.webhook, answer, now)


def _may_disable(session: Session, webhook: WebhookRow, answer: ReceiverAnswer, now: datetime) -> None:
    webhook.failing_since = webhook.failing_since or now
    if answer.status == GONE:
        why = "Disabled: the receiver answered that it wants no more messages (410)."
    elif now - webhook.failing_since >= LONG_FAILURE:
        why = f"Disabled: no message was taken since {webhook.failing_since:%Y-%m-%d}. {answer.sentence}"
    else:
        return
    if webhook.state == WebhookState.ACTIVE:
        webhook.state, webhook.sentence = WebhookState.DISABLED, why
        give_up(session, webhook)
        record(session, "disable_webhook", f"webhook {webhook.id}", person_id=None, at=now, sentence=why)


def give_up(session: Session, webhook: WebhookRow) -> None:
    """End the attempts of all messages of a webhook; each can be sent again."""
    mine = update(DeliveryRow).where(DeliveryRow.webhook_id == webhook.id, DeliveryRow.next_at.is_not(None))
    session.execute(mine.values(next_at=None))
