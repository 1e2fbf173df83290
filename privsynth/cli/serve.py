"""`privsynth serve`: the service of an institution, in a browser."""

from __future__ import annotations

from pathlib import Path

import click

from privsynth.extras import needs


@click.command()
@click.option("--settings", "file", type=click.Path(path_type=Path), help="Settings (TOML); see docs/service.md.")
def serve(file: Path | None) -> None:
    """Serve the pages and the API: people ask for releases, others decide, recipients download.

    Without settings it runs on this machine alone, with its database in privsynth's folder, and prints a link with
    which the first administrator signs in. PRIVSYNTH_SERVICE_… in the environment stands above the file.

    Example: privsynth serve --settings service.toml
    """
    with needs("service"):
        from privsynth.service.web.server import run
    from privsynth.service.settings import read_settings
    from privsynth.workspace import privsynth_home

    run(read_settings(file), privsynth_home(), click.echo)
