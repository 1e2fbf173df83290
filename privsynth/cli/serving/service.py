"""`privsynth service`: its tables brought up to date, its data kept safe and brought back."""

from __future__ import annotations

from pathlib import Path

import click

from privsynth.extras import needs

_SETTINGS = click.option(
    "--settings", "file", type=click.Path(path_type=Path), help="Settings (TOML); see docs/service.md."
)


@click.group()
def command() -> None:
    """Keep the data of a service: bring its tables up to date, back them up and restore them.

    Example: privsynth service backup /backup/privsynth-2026-12-01
    """


@command.command()
@_SETTINGS
def migrate(file: Path | None) -> None:
    """Bring the tables of a shared database to what this version expects. Make a backup first.

    Example: privsynth service migrate --settings service.toml
    """
    with needs("service"):
        from privsynth.service.oversight.backup import migrate as bring_up
    from privsynth.service.settings import read_settings
    from privsynth.workspace import privsynth_home

    bring_up(read_settings(file), privsynth_home())
    click.echo("The tables are those that this version expects.")


@command.command()
@click.argument("folder", type=click.Path(path_type=Path))
@_SETTINGS
def backup(folder: Path, file: Path | None) -> None:
    """Write people, runs, decisions, acts, uploads and releases into a new FOLDER, readable by you only.

    It may be done while the service runs. The ledger and its key have commands of their own: `privsynth budget backup`
    and `copy-key`. Of a shared database, pg_dump makes the copy.

    Example: privsynth service backup /backup/privsynth-2026-12-01
    """
    with needs("service"):
        from privsynth.service.oversight.backup import back_up
    from privsynth.service.settings import read_settings
    from privsynth.workspace import privsynth_home

    click.echo(back_up(read_settings(file), privsynth_home(), folder))


@command.command()
@click.argument("folder", type=click.Path(path_type=Path))
def restore(folder: Path) -> None:
    """Bring back what `backup` wrote into FOLDER, where no service is yet.

    What was spent since then is in the ledger, which does not go back with it: a run that the backup does not know
    stays spent.

    Example: privsynth service restore /backup/privsynth-2026-12-01
    """
    with needs("service"):
        from privsynth.service.oversight.backup import bring_back
    from privsynth.workspace import privsynth_home

    click.echo(bring_back(privsynth_home(), folder))
