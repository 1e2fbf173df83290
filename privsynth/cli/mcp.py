"""`privsynth mcp`: public releases for a language model, by the Model Context Protocol."""

from __future__ import annotations

from pathlib import Path

import click

from privsynth.cli.trust.keyrings import keyring_option, keyrings_of
from privsynth.extras import needs


@click.command()
@click.argument("folders", metavar="FOLDER...", nargs=-1, required=True, type=click.Path(path_type=Path))
@keyring_option
def command(folders: tuple[Path, ...], keyring_files: tuple[Path, ...]) -> None:
    """Let a language model verify, explain, sample and question the public releases below FOLDER, and plan new ones.

    Speaks the Model Context Protocol on standard input and output: name this command in the settings of the program
    that runs the model. It cannot spend budget, opens nothing outside FOLDER, and refuses officers' parts.

    Example: privsynth mcp releases --keyring st-mary.json
    """
    from privsynth.assistants.tools import Shelf

    shelf = Shelf(folders, tuple(keyrings_of(keyring_files)))
    with needs("mcp"):
        from privsynth.assistants.server import create_server
    create_server(shelf).run()
