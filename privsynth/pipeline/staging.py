"""Files of a release that is being written: reports, JSON, and the rights and the one time that all of them carry."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from privsynth.report.render import render
from privsynth.report.report_data import ReportData


def write_json(path: Path, data: Mapping[str, Any]) -> None:
    """Write a mapping as JSON; numbers of numpy become plain ones."""
    path.write_text(json.dumps(data, indent=1, default=_plain_number) + "\n", encoding="utf-8")


def _plain_number(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else str(value)


def write_report(folder: Path, report: ReportData) -> None:
    """Write a report as JSON and as a page."""
    (folder / "report.json").write_text(report.to_json_text(), encoding="utf-8")
    (folder / "report.html").write_text(render(report), encoding="utf-8")


def set_permissions(folder: Path, now: datetime) -> None:
    """Set rights and times: the public folder is for everyone whom the umask allows; the officer's is for its owner.

    Every file carries the one time of the release: when it was written would tell how long the run took.
    """
    mask = os.umask(0)
    os.umask(mask)
    for root, _dirs, names in os.walk(folder, topdown=False):
        private = Path(root) == folder / "officer"
        for name in names:
            os.chmod(Path(root) / name, 0o600 if private else 0o666 & ~mask)
            os.utime(Path(root) / name, (now.timestamp(), now.timestamp()))
        os.chmod(root, 0o700 if private else 0o777 & ~mask)
        os.utime(root, (now.timestamp(), now.timestamp()))
