"""What commands about decisions share: which log is meant."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from privsynth.transparency.log import TransparencyLog

log_option = click.option(
    "--log", "folder", type=click.Path(path_type=Path), help="Folder of the log. [default: PRIVSYNTH_LOG, else yours]"
)


def chosen_log(folder: Path | None) -> TransparencyLog | None:
    """Return the log in a folder, else the person's own; None if there is none."""
    from privsynth.transparency.log import TransparencyLog, configured_log
    from privsynth.transparency.seen import SeenLogs
    from privsynth.workspace import privsynth_home

    home = privsynth_home()
    return configured_log(home) if folder is None else TransparencyLog(folder, SeenLogs(home))
