"""Where a passphrase comes from: a variable of the environment, else the person at the keyboard."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

import click

from privsynth.errors import ConfigError
from privsynth.signing.keys import PASSPHRASE_VARIABLE

NEW_PASSPHRASE_VARIABLE = "PRIVSYNTH_NEW_PASSPHRASE"


def ask_passphrase(
    *, confirm: bool = False, variable: str = PASSPHRASE_VARIABLE, prompt: str = "Passphrase of the key, or PIN"
) -> Callable[[], bytes]:
    """Return a function that gives the passphrase: from a variable of the environment, else from a prompt.

    Args:
      confirm: have it typed twice, for a new passphrase.
    """

    def ask() -> bytes:
        given = os.environ.get(variable)
        if given == "":
            raise ConfigError(f"{variable} is set but empty; give a passphrase or unset it")
        if given is None and not _has_terminal():
            given = _piped(confirm)
        if given == "":
            leave = ", or leave the key unencrypted with --no-passphrase" if confirm else ""
            raise ConfigError(f"there is no terminal to ask for the passphrase; set {variable}{leave}")
        text = given or click.prompt(prompt, hide_input=True, confirmation_prompt=confirm, err=True)
        return str(text).encode("utf-8")

    return ask


def _piped(twice: bool) -> str:
    """Return the passphrase that was piped in; "" if none was. A new one may be given twice, and is compared."""
    first = sys.stdin.readline().removesuffix("\n")
    again = sys.stdin.readline().removesuffix("\n") if twice else ""
    if again and again != first:
        raise ConfigError("the two passphrases that were piped in differ; nothing was made")
    return first


def _has_terminal() -> bool:
    """Say whether a person can be asked: by the standard input, or past it, as the standard library asks."""
    try:
        with open("/dev/tty", "rb"):
            return True
    except OSError:
        return sys.stdin.isatty()
