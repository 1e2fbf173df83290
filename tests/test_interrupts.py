"""Signals that ask a process to end act as Ctrl-C does; some short works are not stopped by them."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from privsynth.interrupts import no_interrupts, signals_as_interrupts

POLITE = [signal.SIGTERM, signal.SIGHUP]


@pytest.fixture(autouse=True)
def default_handlers():
    before = {number: signal.signal(number, signal.SIG_DFL) for number in POLITE}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", POLITE)
def test_a_polite_signal_is_an_interrupt_inside_the_block_only(number):
    with pytest.raises(KeyboardInterrupt), signals_as_interrupts():
        os.kill(os.getpid(), number)
    assert signal.getsignal(number) == signal.SIG_DFL


def test_a_second_hang_up_does_not_stop_the_clean_up_of_the_first():
    cleaned = []

    def run():
        try:
            os.kill(os.getpid(), signal.SIGHUP)
        finally:
            os.kill(os.getpid(), signal.SIGHUP)
            cleaned.append(True)

    with pytest.raises(KeyboardInterrupt), signals_as_interrupts():
        run()
    assert cleaned


def test_what_is_ignored_stays_ignored():
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as `nohup` does
    with signals_as_interrupts():
        os.kill(os.getpid(), signal.SIGHUP)
    assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN


@pytest.mark.parametrize("number", [signal.SIGINT, *POLITE])
def test_no_signal_stops_what_is_better_finished(number):
    with signals_as_interrupts():
        with no_interrupts():
            os.kill(os.getpid(), number)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)


def test_another_thread_sets_no_handlers():
    def work():
        with signals_as_interrupts(), no_interrupts():
            done.append(signal.getsignal(signal.SIGTERM))

    done = []
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [signal.SIG_DFL]
