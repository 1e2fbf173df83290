"""`privsynth --server URL people`, `keys` and `tokens`: who works with a service, and whose signature counts."""

from __future__ import annotations

import click

from privsynth.cli.remote.server import connected, json_option, once_option, print_facts, print_rows
from privsynth.cli.terminal.output import say
from privsynth.errors import InputError

_FACTS = ("id", "name", "display", "roles", "active", "made_at", "link")
_roles = click.option("--role", "roles", multiple=True, required=True, help="A role, as submitter; repeat it for more.")


@click.group()
def command() -> None:
    """List people, invite them, change their roles, and end their access.

    Example: privsynth --server https://privsynth.example.org people list
    """


@command.command("list")
@json_option
def list_() -> None:
    """List everybody.

    Example: privsynth --server https://privsynth.example.org people list
    """
    names = ("no.", "name", "full name", "roles", "active")
    print_rows(connected().get("/people"), names, lambda one: tuple(one[key] for key in _FACTS[:5]))


@command.command()
@click.argument("name")
@click.option("--display", required=True, metavar="NAME", help="Their full name.")
@_roles
@once_option
@json_option
def add(name: str, display: str, roles: tuple[str, ...], once: str) -> None:
    """Add a person who signs in with NAME; the link by which they choose a password is printed once.

    Example: privsynth --server https://privsynth.example.org people add rita --display "Rita Roth" --role reviewer
    """
    sent = {"name": name, "display": display, "roles": list(roles)}
    print_facts(connected().send("POST", "/people", sent, once=once), _FACTS)


@command.command()
@click.argument("number", type=int)
@_roles
@json_option
def roles(number: int, roles: tuple[str, ...]) -> None:
    """Give the person of a NUMBER these roles, and no others; their tokens end.

    Example: privsynth --server https://privsynth.example.org people roles 7 --role auditor
    """
    print_facts(connected().send("PUT", f"/people/{number}/roles", {"roles": list(roles)}), _FACTS)


@command.command()
@click.argument("number", type=int)
@once_option
@json_option
def invite(number: int, once: str) -> None:
    """Make a new link for the person of a NUMBER; earlier ones end.

    Example: privsynth --server https://privsynth.example.org people invite 7
    """
    print_facts(connected().send("POST", f"/people/{number}/invitation", once=once), _FACTS)


@command.command()
@click.argument("number", type=int)
@json_option
def deactivate(number: int) -> None:
    """End the access of the person of a NUMBER at once.

    Example: privsynth --server https://privsynth.example.org people deactivate 7
    """
    print_facts(connected().send("POST", f"/people/{number}/deactivation"), _FACTS)


@click.group()
def keys() -> None:
    """List the keys of people, enter them in the keyring of the service, and revoke them.

    Example: privsynth --server https://privsynth.example.org keys list
    """


@keys.command("list")
@json_option
def list_keys() -> None:
    """List all keys, with what the keyring says of them.

    Example: privsynth --server https://privsynth.example.org keys list
    """
    print_rows(
        connected().get("/keys"), ("name", "person", "fingerprint", "holder", "roles", "problem"),
        lambda one: (
            one["name"], one["person"], one["fingerprint"],
            *((one["entry"] or {}).get(key) for key in ("holder", "roles")), one["problem"],
        ),
    )  # fmt: skip


@keys.command()
@json_option
def mine() -> None:
    """Show your own key, with what the keyring says of it.

    Example: privsynth --server https://privsynth.example.org keys mine
    """
    found = connected().get("/my-key")
    if found is None:
        raise InputError("you have no key on this service: make or attach one on the page Your key")
    print_facts({**(found["entry"] or {}), **found}, ("name", "fingerprint", "holder", "roles", "ends_at", "problem"))


@keys.command()
@click.argument("person", type=int)
@click.argument("digits")
@json_option
def enter(person: int, digits: str) -> None:
    """Enter the key of the PERSON of a number; DIGITS are the first eight of its fingerprint, as they read them out.

    Example: privsynth --server https://privsynth.example.org keys enter 7 0a1b2c3d
    """
    print_facts(
        connected().send("POST", "/keys", {"person": person, "told": digits}), ("name", "fingerprint", "problem")
    )


@keys.command()
@click.argument("keyid")
@click.option("--reason", required=True, help="Why, in one line; readers of the keyring see it.")
@json_option
def revoke(keyid: str, reason: str) -> None:
    """Revoke the key of a KEYID: nothing that it signed verifies any more.

    Example: privsynth --server https://privsynth.example.org keys revoke 0a1b2c3d --reason lost
    """
    sent = {"reason": reason}
    print_facts(connected().send("POST", f"/keys/{keyid}/revocation", sent), ("name", "fingerprint", "problem"))


@click.group()
def tokens() -> None:
    """List your tokens, and end them; a new one is made on the page Tokens.

    Example: privsynth --server https://privsynth.example.org tokens list
    """


@tokens.command("list")
@json_option
def list_tokens() -> None:
    """List your tokens.

    Example: privsynth --server https://privsynth.example.org tokens list
    """
    print_rows(
        connected().get("/tokens"), ("no.", "label", "begins", "made", "ends", "last used", "scopes"),
        lambda one: tuple(one[key] for key in ("id", "label", "prefix", "made_at", "ends_at", "used_at", "scopes")),
    )  # fmt: skip


@tokens.command("revoke")
@click.argument("number", type=int)
def revoke_token(number: int) -> None:
    """End the token of a NUMBER at once.

    Example: privsynth --server https://privsynth.example.org tokens revoke 7
    """
    connected().send("POST", f"/tokens/{number}/revoke")
    say(f"Ended the token {number}.")
