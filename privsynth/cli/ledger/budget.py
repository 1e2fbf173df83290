"""`privsynth budget`: what each dataset may spend and has spent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from privsynth.cli.ledger.places import COMMANDS, chosen_ledger
from privsynth.cli.terminal.output import bar, emit_json, print_table, say, speaks_unicode
from privsynth.errors import ConfigError

if TYPE_CHECKING:
    from privsynth.ledger.account import Account
    from privsynth.ledger.events import Event

_WORDS = {
    "cap": "cap set",
    "reserved": "reserved",
    "bound": "content recognised",
    "drawn": "noise drawn: spent",
    "completed": "released",
    "failed": "failed: stays spent",
    "stopped": "stopped early: part of it stays spent",
    "refunded": "given back",
    "accepted": "older or damaged ledger accepted",
    "moved": "ledger moved to another place",
    "continued": "ledger moved to this place",
}


@click.group()
def command() -> None:
    """Show what each dataset has spent, and set its cap; share, back up, restore and move the ledger.

    The costs of all releases of one dataset add up. A reservation counts as spent unless the run is known to have drawn
    no noise; a killed run stays spent. Spending cannot be undone, and no command undoes it.

    Example: privsynth budget show
    """


for _one in COMMANDS:
    command.add_command(_one)


@command.command()
@click.argument("dataset", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def show(dataset: str | None, as_json: bool) -> None:
    """Show the cap, and what is spent and left, for one DATASET or for all.

    Example: privsynth budget show admissions
    """
    from privsynth.ledger.account import several_units_text

    known = _known(chosen_ledger().accounts(), dataset)
    # A run that was given back whole, such as one under a second name of the same table, is in the history alone.
    accounts = [account for account in known if dataset is not None or account.is_used]
    if as_json:
        emit_json({"accounts": [account.to_json() for account in accounts]})
    elif not accounts:
        say("Nothing has been spent yet, and no cap is set. Unless set, a dataset's cap is epsilon 10, delta 1e-5.")
    else:
        print_table(
            ("dataset", "unit", "cap", "spent", "left", "", "releases", "released nothing"), [_row(a) for a in accounts]
        )
        for account in accounts:
            if len(account.units) > 1:
                say(f"Warning: {several_units_text(account.dataset, account.units)}", err=True)


@command.command("set")
@click.argument("dataset")
@click.option("--epsilon", type=float, help="Cap on epsilon, over all releases. [default: as it is]")
@click.option("--delta", type=float, help="Cap on delta, over all releases. [default: as it is]")
def set_(dataset: str, epsilon: float | None, delta: float | None) -> None:
    """Set the cap of a DATASET; zero closes it. A cap below what has been spent is refused.

    Example: privsynth budget set admissions --epsilon 3
    """
    from privsynth.ledger.account import amount_text

    if epsilon is None and delta is None:
        raise ConfigError("Give --epsilon, --delta or both.")
    account = chosen_ledger().set_cap(dataset, epsilon, delta)
    cap, left = (
        amount_text((getattr(account, f"{what}_epsilon_units"), getattr(account, f"{what}_delta_units")))
        for what in ("cap", "left")
    )
    say(f"The cap of {dataset!r} is {cap}; left: {left}.")


@command.command()
@click.argument("dataset")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def history(dataset: str, as_json: bool) -> None:
    """List everything that the ledger recorded about a DATASET, oldest first.

    Example: privsynth budget history admissions
    """
    ledger = chosen_ledger()
    _known(ledger.accounts(), dataset)
    events = ledger.history(dataset)
    if as_json:
        emit_json({"dataset": dataset, "events": [event.to_json() for event in events]})
    else:
        print_table(("no.", "time (UTC)", "run", "event", "epsilon", "delta"), [_line(event) for event in events])


@command.command("accept-restored")
@click.option("--reason", prompt="Why may this ledger be trusted as it is", help="Why, in one line; it is recorded.")
def accept_restored(reason: str) -> None:
    """Continue with a ledger that was restored from an older copy, or is damaged.

    Restore the newest copy first if you can. Spending that is no longer listed is charged again, as far as the ledger
    can still tell. The history of every dataset records that the ledger was accepted, and why.

    Example: privsynth budget accept-restored --reason "disk replaced, backup of 1 May"
    """
    event = chosen_ledger().accept_restored(reason)
    say(f"Accepted as event {event.seq}. It was: {event.payload['problem']}.")
    again = ", ".join(repr(name) for name in sorted(event.payload["carried"]))
    say(f"Charged again, because the ledger had lost it: {again}." if again else "Nothing had to be charged again.")
    say("See `privsynth budget show`. Lower a cap with `privsynth budget set` if releases may be missing.")


def _known(accounts: list[Account], dataset: str | None) -> list[Account]:
    """Return the accounts that were asked for; refuse a name that the ledger does not know."""
    from privsynth.ledger.names import identity

    found = [a for a in accounts if dataset is None or identity(dataset) == identity(a.dataset)]
    if dataset is not None and not found:
        names = ", ".join(repr(account.dataset) for account in accounts) or "none yet"
        raise ConfigError(f"The ledger knows no dataset {dataset!r}. It knows: {names}.")
    return found


def _row(account: Account) -> tuple[str, ...]:
    from privsynth.ledger.events import delta_text, epsilon_text

    def pair(what: str) -> str:
        epsilon, delta = (getattr(account, f"{what}_{name}_units") for name in ("epsilon", "delta"))
        return f"ε {epsilon_text(epsilon)}  δ {delta_text(delta)}"

    pairs = (
        (account.spent_epsilon_units, account.cap_epsilon_units),
        (account.spent_delta_units, account.cap_delta_units),
    )
    share = max(spent / cap if cap else 1.0 for spent, cap in pairs)
    picture = f"{bar(share, width=12, fancy=speaks_unicode())} {share:.0%}"
    units = ", ".join(account.units) or "none yet"
    return (
        account.dataset,
        units,
        pair("cap"),
        pair("spent"),
        pair("left"),
        picture,
        str(account.n_completed),
        _unreleased(account),
    )


def _unreleased(account: Account) -> str:
    """Return how many runs cost something and released nothing; "" where none did."""
    return str(account.n_unreleased) if account.n_unreleased else ""


def _line(event: Event) -> tuple[str, ...]:
    from privsynth.ledger.events import delta_text, epsilon_text

    amounts = (epsilon_text(event.epsilon_units), delta_text(event.delta_units))
    epsilon, delta = amounts if event.kind in ("cap", "reserved") else ("", "")
    words = _WORDS[event.kind] + (f": {event.payload['reason']}" if "reason" in event.payload else "")
    return (str(event.seq), event.time[:19].replace("T", " "), event.run_id, words, epsilon, delta)
