"""Which cases of slow tests CI leaves out, so that it ends within half an hour; `make test-all` runs every one."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import pytest


def left_out(items: Sequence[pytest.Item]) -> list[pytest.Item]:
    """Return two cases of three, by the checksums of their names, of slow tests with several; never a test's first."""
    seen: set[str] = set()
    gone = []
    for item in items:
        test = item.nodeid.partition("[")[0]
        first = test not in seen
        seen.add(test)
        if not first and item.get_closest_marker("slow") and zlib.crc32(item.nodeid.encode()) % 3:
            gone.append(item)
    return gone
