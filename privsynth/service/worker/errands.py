"""What workers do beside making runs, so that a run of hours holds none of it up: schedules and webhooks."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from functools import partial

from privsynth.service.context import Service
from privsynth.service.schedules.firing import fire_due
from privsynth.service.webhooks.delivering import BusyReceivers, deliver_due

POLL_S = 1.0  # between two looks for what is due, or for a run that waits (own)
WEBHOOK_THREADS = 4  # messages on their way at once (own): so many receivers may be slow until others wait
Errand = Callable[[Service], None]
_log = logging.getLogger(__name__)


def errands_of(stop: threading.Event) -> list[tuple[str, Errand]]:
    """Return name and errand of each thread beside the runs; none of them holds up another."""
    deliver = partial(deliver_due, stopped=stop.is_set, busy=BusyReceivers())
    return [("schedules", fire_due), *[("webhooks", deliver)] * WEBHOOK_THREADS]


def run_errand(service: Service, stop: threading.Event, errand: Errand) -> None:
    """Do what is due until the service ends. Whatever goes wrong with one look, the next one is made."""
    while not stop.is_set():
        _once(service, errand)
        stop.wait(POLL_S)


def errands_once(service: Service, stop: threading.Event) -> None:
    """Ask for the runs of schedules that are due, and tell webhooks what is to be told."""
    for errand in (fire_due, partial(deliver_due, stopped=stop.is_set)):
        _once(service, errand)


def _once(service: Service, errand: Errand) -> None:
    try:
        errand(service)
    except Exception as problem:  # a message may hold a value: its kind is enough to find the place
        _log.warning("an errand met %s and goes on", type(problem).__name__)
