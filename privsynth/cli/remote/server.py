"""Which service a command asks, with which token, and how its answers are printed."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from privsynth.cli.terminal.output import emit_json, output_mode, print_table, say
from privsynth.errors import ConfigError
from privsynth.extras import needs

if TYPE_CHECKING:
    from privsynth.remote.connection import Connection

TOKEN_VARIABLE = "PRIVSYNTH_TOKEN"
MOST_TOKEN = 1_000  # characters of a file with a token (own): it has some fifty
# Whether it was typed stands in `output_mode`, since an error before the command is JSON as well.
json_option = click.option("--json", is_flag=True, expose_value=False, help="Print one JSON object.")
once_option = click.option(
    "--once", default="", metavar="KEY", help="A text of your own for this request: sent again, it is done once."
)


def _run_name(_ctx: click.Context, _param: click.Parameter, name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9-]{1,40}", name):
        raise click.BadParameter("a run has a name such as run-0123456789abcdef")
    return name


run_argument = click.argument("run", callback=_run_name)
new_file_argument = click.argument("out", type=click.Path(dir_okay=False, path_type=Path))
MOST_OF_A_FILE = 64_000_000  # bytes of a report or a statement (own), as many as of a report that is verified


def connected() -> Connection:
    """Return the service of `--server`, which is asked with the first request."""
    with needs("client"):
        from privsynth.remote.connection import Connection, ServerAddress

    chosen = click.get_current_context().find_root().params
    return Connection(
        ServerAddress(chosen["server"]), lambda: token_of(chosen["token_file"]),
        lambda text: say(f"Note: {text}.", err=True),
    )  # fmt: skip


def token_of(file: Path | None) -> str:
    """Return the token: of a file, else of the environment, else of the person at the keyboard.

    Raises:
      ConfigError: there is none, or it is no token.
    """
    token = _from_file(file) if file is not None else os.environ.get(TOKEN_VARIABLE, "")
    if not token and file is None:
        if not sys.stdin.isatty():
            raise ConfigError(f"say who you are: name a file with --token-file, or set {TOKEN_VARIABLE} to the token")
        token = click.prompt("Token", hide_input=True, err=True)
    token = token.strip()
    if not token.startswith("psy_") or not token.isascii() or not token.isprintable() or " " in token:
        raise ConfigError(
            "this is no token of privsynth, which begins with psy_; a person makes one on the page Tokens"
        )
    return token


def _from_file(file: Path) -> str:
    try:
        with file.open(encoding="utf-8") as opened:
            if os.name == "posix" and os.fstat(opened.fileno()).st_mode & 0o077:
                say(f"Note: others on this machine may read {file}: chmod 600 {file}", err=True)
            return opened.read(MOST_TOKEN)
    except (OSError, UnicodeDecodeError) as problem:
        raise ConfigError(
            f"the token in {file} cannot be read: {getattr(problem, 'strerror', 'it is no text')}"
        ) from None


def text_of(file: Path) -> str:
    """Return the text of a file that is sent.

    Raises:
      ConfigError: it cannot be read as a text.
    """
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise ConfigError(f"{file} cannot be read as a text") from None


def save(path: str, out: Path) -> None:
    """Write a file that the service sends into a new one, whole or not at all.

    Raises:
      OutputError: it is there already or cannot be written, or is larger than is allowed.
    """
    connected().download(path, out, MOST_OF_A_FILE)
    say(f"Written into {out}.")


def print_rows(found: Any, names: Iterable[str], row: Callable[[dict[str, Any]], tuple[object, ...]]) -> None:
    """Print a list that the service sent: as one JSON object, or as a table."""
    if output_mode().as_json:
        emit_json({"found": found})
        return
    print_table(names, [[_cell(cell) for cell in row(one)] for one in found])


def print_facts(found: dict[str, Any], names: Iterable[str]) -> None:
    """Print one thing that the service sent: as JSON, or its facts line by line, those that are empty left out."""
    if output_mode().as_json:
        emit_json(found)
        return
    for name in names:
        if (told := _cell(found.get(name))) != "":
            say(f"{name.replace('_', ' '):<16} {told}")


def _cell(value: object) -> str:
    if value is None or value == "":
        return ""
    if isinstance(value, list):
        return ", ".join(_cell(one) for one in value)
    text = str(value)
    return text[:19].replace("T", " ") if text[10:11] == "T" and text[:4].isdigit() else text
