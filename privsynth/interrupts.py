"""Signals that ask a process to end: all of them act as Ctrl-C does, so that what must be cleaned up is."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

_POLITE = ("SIGTERM", "SIGHUP")  # `docker stop`, a shutdown; a terminal that is closed. Windows has no SIGHUP.


@contextmanager
def signals_as_interrupts() -> Iterator[None]:
    """Raise `KeyboardInterrupt` on SIGTERM and SIGHUP inside the block.

    A signal that is ignored (as SIGHUP under `nohup`) or handled by somebody else is left alone. A closed terminal may
    send SIGHUP twice, by the kernel and by the shell: the second one must not stop the clean-up of the first.
    """

    def stop(number: int, _frame: FrameType | None) -> NoReturn:
        if number == getattr(signal, "SIGHUP", None):
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    with _handlers(stop, _POLITE, instead_of=signal.SIG_DFL):
        yield


@contextmanager
def no_interrupts() -> Iterator[None]:
    """Drop what asks the process to end inside the block: for a short work that is better finished than stopped."""
    with _handlers(lambda _number, _frame: None, ("SIGINT", *_POLITE)):
        yield


@contextmanager
def _handlers(handler: object, names: tuple[str, ...], *, instead_of: object = None) -> Iterator[None]:
    """Handle signals inside the block, of those that have the handler `instead_of` if it is given, else of all.

    Only the main thread may set handlers, and only there do signals interrupt Python; elsewhere this does nothing.
    """
    before = {}
    if threading.current_thread() is threading.main_thread():
        known = [getattr(signal, name) for name in names if hasattr(signal, name)]
        before = {n: h for n in known if (h := signal.getsignal(n)) is not None and instead_of in (None, h)}
    for number in before:
        signal.signal(number, handler)  # type: ignore[arg-type]
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)
