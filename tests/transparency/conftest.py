"""A log in a folder of its own."""

import pytest

from privsynth.transparency.log import TransparencyLog
from privsynth.transparency.seen import SeenLogs


@pytest.fixture
def seen(tmp_path):
    (tmp_path / "home").mkdir()
    return SeenLogs(tmp_path / "home")


@pytest.fixture
def log(tmp_path, seen):
    return TransparencyLog.create(tmp_path / "log", seen, "st-mary.example/releases")
