"""Servers, workers and runs that are killed at random moments; `experiments/service_kill.py` does it 300 times."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_a_service_that_is_killed_at_random_moments_loses_and_repeats_nothing():
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PRIVSYNTH_")}
    line = [sys.executable, ROOT / "experiments" / "service_kill.py", "--moments", "10", "--seed", "3"]
    done = subprocess.run(
        line, capture_output=True, text=True, env=environ | {"PYTHONPATH": str(ROOT)}, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert sum(json.loads(done.stdout)["found"].values()) == 10
