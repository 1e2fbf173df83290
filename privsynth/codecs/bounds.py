"""Values outside declared bounds."""

from __future__ import annotations

import numpy as np


def clip_steps(steps: np.ndarray, low: int | None, high: int | None) -> np.ndarray:
    """Return grid steps moved into the declared bounds."""
    return steps if low is None and high is None else np.clip(steps, low, high)
