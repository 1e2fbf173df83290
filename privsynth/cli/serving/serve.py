"""`privsynth serve` and `privsynth worker`: the service of an institution, in a browser, and who makes its releases."""

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


@click.command()
@click.option("--settings", "file", type=click.Path(path_type=Path), help="Settings (TOML); see docs/service.md.")
def worker(file: Path | None) -> None:
    """Make the releases that people ask a service for, beside `privsynth serve` with `workers = 0`.

    It needs the same settings, database and home. Ctrl-C stops it: a run that is being made ends, and its page says
    what it cost.

    Example: privsynth worker --settings service.toml
    """
    with needs("service"):
        from privsynth.service.context import open_service
        from privsynth.service.maker_key import ensure_maker_key
        from privsynth.service.worker.worker import Workers
    from privsynth.service.settings import read_settings
    from privsynth.workspace import privsynth_home

    settings = read_settings(file)
    service = open_service(settings, privsynth_home())
    ensure_maker_key(service)
    click.echo("Waiting for runs (stop it with Ctrl-C)")
    try:
        with Workers(service, max(1, settings.workers)) as stop:
            stop.wait()
    finally:
        service.database.close()
