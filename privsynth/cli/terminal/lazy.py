"""`Lazy`: a command whose module is imported when it runs."""

from __future__ import annotations

from importlib import import_module
from typing import NamedTuple

import click


class Lazy(NamedTuple):
    """A command that is not imported yet.

    Attributes:
      target: "module:attribute".
      help: its line in the table of commands.
      extra: what must be installed for it; empty if nothing is beyond privsynth itself.
      spends: whether it spends budget on this machine.
    """

    target: str
    help: str
    extra: str = ""
    spends: bool = False

    def load(self) -> click.Command:
        """Import the command."""
        module, _, attribute = self.target.partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command
