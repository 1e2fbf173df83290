"""Lines at long intervals where nobody watches: what they say, and that a run does not depend on them."""

from __future__ import annotations

import threading

import pytest

from privsynth.cli.terminal import heartbeat as module
from privsynth.cli.terminal import output
from privsynth.cli.terminal.heartbeat import Heartbeat, beating


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.mark.parametrize(
    ("step", "share", "after_s", "line"),
    [
        ("reading", 0.0, 30, "reading: 40 s so far"),
        ("fitting", 0.5, 300, "fitting: 5 min so far"),  # its share is no measure of time
        ("training", 0.25, 300, "training: 5 min so far, 25% of this step done, about 15 min of it left"),
        ("training", 0.01, 300, "training: 5 min so far"),
        ("training", 1.0, 300, "training: 5 min so far"),
        ("sampling", 0.5, 4 * 3600, "sampling: 4 h so far, 50% of this step done, about 4 h of it left"),
    ],
)
def test_a_line_says_the_step_the_time_and_an_estimate_only_where_it_is_honest(step, share, after_s, line):
    clock = Clock()
    beat = Heartbeat(clock)
    assert beat.line() == ""
    clock.now += 10  # of another step: no part of the pace of this one
    beat(step, 0.0)
    clock.now += after_s
    beat(step, share)
    assert beat.line() == line


def test_lines_come_at_the_pauses_and_stop_with_the_block(monkeypatch):
    monkeypatch.setattr(module, "PAUSES_S", (0.0, 0.0, 3600.0))
    beat, said, twice = Heartbeat(), [], threading.Event()
    beat("reading", 0.0)

    def say(line):
        said.append(line)
        if len(said) == 2:
            twice.set()
        raise OSError("nobody reads")

    with beating(beat, say):
        assert twice.wait(60)
    assert len(said) == 2
    assert not [t for t in threading.enumerate() if t.name == "heartbeat" and t.join(60) is None and t.is_alive()]


def test_a_closed_stderr_ends_no_run(monkeypatch):
    def closed(*args, **more):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(output.click, "echo", closed)
    steps = output.Steps(None, lines=True)
    steps("reading")
    steps("training", 1, 2)
