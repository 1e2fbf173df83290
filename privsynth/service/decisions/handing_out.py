"""`HandOutPage`: a release after the decision: published, offered, revoked."""

from __future__ import annotations

from dataclasses import dataclass

from privsynth.errors import PrivsynthError
from privsynth.service.caller import Caller
from privsynth.service.context import Service
from privsynth.service.decisions.deciding import asks_password
from privsynth.service.decisions.release import alone, released, seen_release
from privsynth.service.decisions.settling import settle
from privsynth.service.delivery.offers import offers_in
from privsynth.service.roles import Act
from privsynth.service.store.runs import Offer, RunRow


@dataclass(frozen=True)
class HandOutPage:
    """A release, and to whom it was offered.

    Attributes:
      problem: why its files do not verify, or "".
      asks_password: whether it has to be typed again.
    """

    run: RunRow
    offers: list[Offer]
    problem: str
    asks_password: bool


def hand_out_page(service: Service, caller: Caller, run_id: str) -> HandOutPage:
    """Return what is to be known; what was made and not entered yet is entered first.

    Raises:
      InputError: there is no such release that the person may see.
    """
    caller.require(Act.SEE_OFFERS)
    with service.database.reading() as session:
        seen_release(session, caller, run_id)
    problem = ""
    try:
        with alone(service, run_id):
            settle(service, run_id)
    except PrivsynthError as found:
        problem = str(found)
    with service.database.reading() as session:
        run, offers = released(session, run_id), offers_in(session, run_id)
    return HandOutPage(run, offers, problem, asks_password(service, caller))
