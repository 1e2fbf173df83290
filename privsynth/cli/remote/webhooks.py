"""`privsynth --server URL webhooks`: the addresses that a service tells of what happens."""

from __future__ import annotations

import sys
from typing import Any

import click

from privsynth.cli.remote.server import connected, json_option, print_facts, print_rows
from privsynth.cli.terminal.output import emit_json, output_mode

_FACTS = ("id", "label", "host", "events", "state", "sentence", "failing_since", "secret")
_MESSAGE = ("id", "message", "event", "at", "tries", "next_at", "delivered_at", "reason")
_STATES = {"enable": "active", "disable": "disabled", "remove": "removed"}
_number = click.argument("number", type=int)


@click.group()
def command() -> None:
    """List, register, try out, disable and remove webhooks, replace their secrets, and send messages again.

    Example: privsynth --server https://privsynth.example.org webhooks list
    """


@command.command("list")
@json_option
def list_() -> None:
    """List webhooks.

    Example: privsynth --server https://privsynth.example.org webhooks list
    """
    print_rows(
        connected().get("/webhooks"), ("no.", "label", "host", "events", "state", "remarks"),
        lambda one: tuple(one[key] for key in _FACTS[:6]),
    )  # fmt: skip


@command.command()
@_number
@json_option
def show(number: int) -> None:
    """Show the newest messages of the webhook of a NUMBER, and what became of them.

    Example: privsynth --server https://privsynth.example.org webhooks show 7
    """
    found = connected().get(f"/webhooks/{number}")
    if output_mode().as_json:
        emit_json(found)
        return
    print_facts(found, _FACTS)
    print_rows(found["messages"], ("no.", *_MESSAGE[1:]), lambda one: tuple(one[key] for key in _MESSAGE))


@command.command()
@click.argument("label")
@click.argument("url")
@click.option("--event", "events", multiple=True, required=True, help="As run.to_decide; repeat it for more.")
@json_option
def register(label: str, url: str, events: tuple[str, ...]) -> None:
    """Register a webhook under a LABEL; the secret that signs its messages is printed once.

    A URL that holds a secret does not belong on a command line: give - and pipe it in.

    Example: privsynth --server https://privsynth.example.org webhooks register board https://example.org/hook
    --event run.to_decide
    """
    url = sys.stdin.readline().strip() if url == "-" else url
    print_facts(connected().send("POST", "/webhooks", {"label": label, "url": url, "events": list(events)}), _FACTS)


@command.command()
@_number
@json_option
def secret(number: int) -> None:
    """Replace the secret of the webhook of a NUMBER; the new one is printed once, and for a day both sign.

    Example: privsynth --server https://privsynth.example.org webhooks secret 7
    """
    print_facts(connected().send("POST", f"/webhooks/{number}/secret"), _FACTS)


@command.command()
@_number
@click.argument("what", type=click.Choice(list(_STATES)))
@json_option
def switch(number: int, what: str) -> None:
    """Enable, disable or remove the webhook of a NUMBER; one that is removed does not come back.

    Example: privsynth --server https://privsynth.example.org webhooks switch 7 disable
    """
    print_facts(connected().send("PUT", f"/webhooks/{number}/state", {"state": _STATES[what]}), _FACTS)


@command.command("test")
@_number
@json_option
def try_out(number: int) -> None:
    """Send the webhook of a NUMBER a message that tells nothing.

    Example: privsynth --server https://privsynth.example.org webhooks test 7
    """
    _print(connected().send("POST", f"/webhooks/{number}/test"))


@command.command()
@_number
@json_option
def again(number: int) -> None:
    """Send the message of a NUMBER, as `webhooks show` lists it, again.

    Example: privsynth --server https://privsynth.example.org webhooks again 41
    """
    _print(connected().send("POST", f"/deliveries/{number}/again"))


def _print(message: dict[str, Any]) -> None:
    print_facts(message, _MESSAGE)
