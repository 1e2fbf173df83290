"""Offers of a published edition to named recipients, who have a link and no account."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from privsynth.errors import InputError, NotAllowed
from privsynth.service.caller import Caller
from privsynth.service.context import Service
from privsynth.service.decisions.release import released
from privsynth.service.decisions.settling import is_listed
from privsynth.service.record import record
from privsynth.service.roles import Act
from privsynth.service.secret_texts import digest_of
from privsynth.service.states import WHEN, RunState
from privsynth.service.store.runs import Offer

LONGEST_DAYS = 90  # (own) a link that is good for longer is forgotten, and found by others
LONGEST_TERMS = 20_000  # characters (own): some pages of a data use agreement
_GONE = "this link was never made, has ended, or was withdrawn: ask whoever sent it"


@dataclass(frozen=True, kw_only=True)
class WantedOffer:
    """To whom an edition is offered, on which terms, and for how long.

    Attributes:
      once: a text that the caller chose for this request: sent again, it is the same offer with the same link.
    """

    recipient: str
    terms: str
    days: int
    once: str = ""


def make_offer(service: Service, caller: Caller, run_id: str, wanted: WantedOffer) -> tuple[Offer, str]:
    """Offer the edition of a release to a recipient, and return the secret of the link; it is shown once.

    Raises:
      InputError: it is not published, or recipient, terms or days make no sense.
    """
    caller.require(Act.OFFER)
    recipient, terms, days, now = wanted.recipient.strip(), wanted.terms.strip(), wanted.days, service.now()
    if not recipient or len(recipient) > 200 or not recipient.isprintable():
        raise InputError("name the recipient, in one line of at most 200 characters")
    if not terms or len(terms) > LONGEST_TERMS:
        raise InputError(f"an offer needs terms that the recipient accepts, of at most {LONGEST_TERMS:,} characters")
    if not 1 <= days <= LONGEST_DAYS:
        raise InputError(f"an offer is good for 1 to {LONGEST_DAYS} days")
    secret = service.vault.link_secret(f"offer of {run_id} by {caller.person_id}", wanted.once)
    with service.database.writing() as session:
        before = session.scalars(select(Offer).where(Offer.digest == digest_of(secret))).first()
        if before is not None:
            if (before.recipient, before.terms, before.ends_at - before.made_at) != (recipient, terms, timedelta(days)):
                raise InputError("another offer was sent with this key before: choose a new one")
            return before, secret
        run = released(session, run_id)
        if RunState(run.state) not in WHEN[Act.OFFER] or is_listed(service, run):
            raise InputError("only a published release that is not revoked can be offered")
        offer = Offer(
            run_id=run_id, recipient=recipient, terms=terms, digest=digest_of(secret), made_by=caller.person_id,
            made_at=now, ends_at=now + timedelta(days=days), run=run,
        )  # fmt: skip
        session.add(offer)
        session.flush()
        record(
            session, "offer", f"run {run_id}", person_id=caller.person_id, at=now, offer=offer.id, recipient=recipient,
            days=days,
        )  # fmt: skip
    return offer, secret


def withdraw_offer(service: Service, caller: Caller, offer_id: int) -> Offer:
    """End an offer at once. What was downloaded cannot be called back.

    Raises:
      InputError: there is no such offer, or it is withdrawn already.
    """
    caller.require(Act.OFFER)
    now = service.now()
    with service.database.writing() as session:
        offer = session.get(Offer, offer_id)
        if offer is None or offer.withdrawn_at is not None:
            raise InputError("there is no such offer, or it is withdrawn already")
        offer.withdrawn_at = now
        record(session, "withdraw_offer", f"run {offer.run_id}", person_id=caller.person_id, at=now, offer=offer.id)
    return offer


def offers_in(session: Session, run_id: str) -> list[Offer]:
    """Return the offers of a release, the newest first; the caller has asked whether the person may see them."""
    return list(session.scalars(select(Offer).where(Offer.run_id == run_id).order_by(Offer.id.desc())))


def offered(service: Service, secret: str) -> Offer:
    """Return what a link offers.

    Raises:
      NotAllowed: nothing, or nothing any more; every reason reads the same.
    """
    with service.database.reading() as session:
        return _good(service, session, secret)


def accept_terms(service: Service, secret: str) -> None:
    """Put on record that whoever holds the link accepts the terms.

    Raises:
      NotAllowed: as `offered`.
    """
    now = service.now()
    with service.database.writing() as session:
        offer = _good(service, session, secret)
        if offer.accepted_at is None:
            offer.accepted_at = now
            record(session, "accept_terms", f"run {offer.run_id}", person_id=None, at=now, offer=offer.id)


def begin_download(service: Service, secret: str) -> Offer:
    """Put a download on record, before its first byte is sent, and return the offer.

    Raises:
      NotAllowed: as `offered`, or nobody accepted the terms.
    """
    with service.database.writing() as session:
        offer = _good(service, session, secret)
        require_accepted(offer)
        record(session, "download", f"run {offer.run_id}", person_id=None, at=service.now(), offer=offer.id)
    return offer


def require_accepted(offer: Offer) -> None:
    """Return if somebody accepted the terms.

    Raises:
      NotAllowed: nobody did.
    """
    if offer.accepted_at is None:
        raise NotAllowed("accept the terms first, on the page of the link")


def _good(service: Service, session: Session, secret: str) -> Offer:
    offer = session.scalars(select(Offer).where(Offer.digest == digest_of(secret))).first()
    if offer is None or offer.withdrawn_at is not None or offer.ends_at <= service.now():
        raise NotAllowed(_GONE)
    if RunState(offer.run.state) != RunState.PUBLISHED or is_listed(service, offer.run):
        raise NotAllowed("this release was revoked: do not use it, and delete what you have of it")
    return offer
