"""How many threads torch may use here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch work in one thread, and give the caller's number back, whatever happens.

    The network's operations take well under a millisecond. Where another process works on the same cores, torch's
    threads wait for each other, spinning, after every one of them, and two of them take twice as long as one.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
