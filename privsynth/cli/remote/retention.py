"""`privsynth --server URL retention` and `erasure`: the end of data, and what is signed about it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from privsynth.cli.remote.server import connected, json_option, new_file_argument, print_facts, print_rows, save
from privsynth.cli.terminal.output import emit_json, output_mode

_DELETION = ("id", "item", "what", "dataset", "rule", "reason", "asked_by", "begun_at", "done_at", "certificate")
_HOLD = ("id", "item", "reason", "placed_by", "placed_at", "lifted_at")
_ERASURE = ("id", "case", "datasets", "answered_by", "at", "statement")
_number = click.argument("number", type=int)
_reason = click.option("--reason", required=True, help="Why, in one line.")


@click.group()
def retention() -> None:
    """List what is kept and until when, hold it, delete it early, and fetch certificates of deletions.

    Example: privsynth --server https://privsynth.example.org retention list
    """


@retention.command("list")
@json_option
def list_() -> None:
    """List what can be deleted and when a rule does, what is due first before the rest.

    With --json, the rules, the holds and the deletions stand beside.

    Example: privsynth --server https://privsynth.example.org retention list
    """
    found = connected().get("/retention")
    if output_mode().as_json:
        emit_json(found)
        return
    print_rows(
        found["kept"], ("item", "what", "dataset", "deleted", "hold", "in use"),
        lambda one: (one["item"], one["what"], one["dataset"], one["due_at"], one["hold"], "yes" * one["busy"]),
    )  # fmt: skip


@retention.command()
@json_option
def holds() -> None:
    """List what is and was held, and why.

    Example: privsynth --server https://privsynth.example.org retention holds
    """
    names = ("no.", "item", "why", "by", "since", "lifted")
    print_rows(connected().get("/retention")["holds"], names, lambda one: tuple(one[key] for key in _HOLD))


@retention.command()
@json_option
def deletions() -> None:
    """List what was deleted, when, and by which rule or at whose request.

    Example: privsynth --server https://privsynth.example.org retention deletions
    """
    print_rows(
        connected().get("/retention")["deleted"], ("no.", "what", "dataset", "why", "by", "done"),
        lambda one: (one["id"], one["what"], one["dataset"], one["reason"] or one["rule"], one["asked_by"],
                     one["done_at"]),
    )  # fmt: skip


@retention.command()
@click.argument("item")
@_reason
@json_option
def hold(item: str, reason: str) -> None:
    """Hold an ITEM back from deletion, whatever a rule says.

    Example: privsynth --server https://privsynth.example.org retention hold upload-3f9a --reason "a court asks for it"
    """
    print_facts(connected().send("POST", "/retention/holds", {"item": item, "reason": reason}), _HOLD)


@retention.command()
@_number
@_reason
@json_option
def lift(number: int, reason: str) -> None:
    """End the hold of a NUMBER.

    Example: privsynth --server https://privsynth.example.org retention lift 7 --reason "the case is closed"
    """
    print_facts(connected().send("POST", f"/retention/holds/{number}/lift", {"reason": reason}), _HOLD)


@retention.command()
@click.argument("item")
@_reason
@json_option
def delete(item: str, reason: str) -> None:
    """Delete an ITEM now; its certificate shows why. This is not taken back.

    Example: privsynth --server https://privsynth.example.org retention delete upload-3f9a --reason "sent by mistake"
    """
    print_facts(connected().send("POST", "/retention/deletions", {"item": item, "reason": reason}), _DELETION)


@retention.command()
@_number
@new_file_argument
def certificate(number: int, out: Path) -> None:
    """Write the certificate of the deletion of a NUMBER into the new file OUT; `privsynth verify` checks it.

    Example: privsynth --server https://privsynth.example.org retention certificate 7 deletion-7.dsse.json
    """
    save(f"/retention/certificates/{number}", out)


@click.group()
def erasure() -> None:
    """Answer requests for erasure (GDPR, Article 17), list the answers, and fetch them signed.

    Example: privsynth --server https://privsynth.example.org erasure list
    """


@erasure.command("list")
@json_option
def list_answers() -> None:
    """List what was answered.

    Example: privsynth --server https://privsynth.example.org erasure list
    """
    names = ("no.", "case", "datasets", "answered by", "at")
    print_rows(connected().get("/erasure"), names, lambda one: tuple(one[key] for key in _ERASURE[:5]))


@erasure.command()
@click.argument("case")
@click.option("--dataset", "datasets", multiple=True, required=True, metavar="NAME", help="Repeat it for more.")
@click.option("--entered", metavar="DAY", help="When the person's data came into the sources, if it is known.")
@click.option("--removed", metavar="DAY", help="When it left them, if it did and it is known.")
@json_option
def answer(case: str, datasets: tuple[str, ...], entered: str | None, removed: str | None) -> None:
    """Say which releases a person may be in and what can be done; the answer is signed, and on record.

    CASE is a reference of your own files, and never a name. With --json, what the statement says stands beside.

    Example: privsynth --server https://privsynth.example.org erasure answer 2026-117 --dataset admissions
    """
    sent: dict[str, Any] = {"case": case, "datasets": list(datasets), "entered": entered, "removed": removed}
    print_facts(connected().send("POST", "/erasure", sent), _ERASURE)


@erasure.command()
@_number
@new_file_argument
def statement(number: int, out: Path) -> None:
    """Write the signed answer of a NUMBER into the new file OUT; `privsynth verify` checks it.

    Example: privsynth --server https://privsynth.example.org erasure statement 7 answer-7.dsse.json
    """
    save(f"/erasure/{number}", out)
