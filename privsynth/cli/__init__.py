"""The command line: the table of commands, and the one place where errors become sentences.

A command's module is imported when it runs, so that `privsynth --help` needs neither torch nor pandas. Exit codes are
those of `privsynth.errors`; besides: 2 wrong usage (click's own), 70 an error that nobody expected, 130 stopped by a
person or the system (Ctrl-C, SIGTERM, SIGHUP), 141 the reader of the output went away.
"""

from __future__ import annotations

import difflib
import logging
import os
import sys
import threading
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn

import click
from click.core import ParameterSource

from privsynth.cli.remote import SERVER_COMMANDS
from privsynth.cli.terminal.lazy import Lazy
from privsynth.cli.terminal.output import OutputMode, emit_json, output_mode, plain
from privsynth.errors import STOPPED, UNEXPECTED, PrivsynthError, PrivsynthWarning, unexpected_sentence
from privsynth.extras import missing_package
from privsynth.interrupts import signals_as_interrupts

COMMANDS: dict[str, Lazy] = {
    "synthesize": Lazy(
        "privsynth.cli.synthesize:command",
        "Make a release: synthetic table, model, signed reports.",
        "synthesize",
        spends=True,
    ),
    "plan": Lazy(
        "privsynth.cli.plan:command", "Show what a release would cost and how accurate it would be.", "synthesize"
    ),
    "verify": Lazy("privsynth.cli.verify:verify", "Check who signed a release, and that not a byte was changed."),
    "approve": Lazy(
        "privsynth.cli.decisions.approve:approve", "Sign a decision on a release: reviewed, approved or rejected."
    ),
    "status": Lazy(
        "privsynth.cli.decisions.status:status", "Show who decided what on a release, and whether it may leave."
    ),
    "publish": Lazy(
        "privsynth.cli.decisions.publish:publish",
        "Make the approved edition of a release: decisions on page one.",
        "synthesize",
    ),
    "revoke": Lazy(
        "privsynth.cli.decisions.revoke:revoke", "Revoke a release, in a signed list that recipients ask for."
    ),
    "log": Lazy(
        "privsynth.cli.decisions.log:log", "Keep a log of releases and decisions that nobody can rewrite unseen."
    ),
    "timestamp": Lazy(
        "privsynth.cli.decisions.timestamp:timestamp", "Have an authority say when a signature existed (RFC 3161)."
    ),
    "sign": Lazy(
        "privsynth.cli.decisions.sign:sign", "Sign a release that a device failed to sign at its end.", "synthesize"
    ),
    "pdf": Lazy("privsynth.cli.pdf:command", "Make a tagged PDF of a report, with the signed page attached.", "pdf"),
    "audit": Lazy("privsynth.cli.audit:command", "Audit a synthetic table against the real one.", "synthesize"),
    "sample": Lazy("privsynth.cli.sample:command", "Draw more rows from a released model; costs no budget.", "sample"),
    "answer": Lazy(
        "privsynth.cli.reading.answer:command",
        "Answer a question from the noisy tables of a release, with intervals.",
        "sample",
    ),
    "impute": Lazy(
        "privsynth.cli.impute:command", "Fill the gaps of your own table from a released model.", "synthesize"
    ),
    "schema": Lazy("privsynth.cli.schema:command", "Write a schema to fill in, or check one.", "synthesize"),
    "keys": Lazy("privsynth.cli.keys:keys", "Make, list, revoke and export signing keys."),
    "budget": Lazy(
        "privsynth.cli.ledger.budget:command", "Show what each dataset has spent, and set its cap.", "synthesize"
    ),
    "serve": Lazy(
        "privsynth.cli.serving.serve:serve", "Serve an institution's releases, decisions and downloads.", "service"
    ),
    "worker": Lazy("privsynth.cli.serving.serve:worker", "Make the releases that people ask a service for.", "service"),
    "service": Lazy(
        "privsynth.cli.serving.service:command", "Migrate, back up and restore what a service keeps.", "service"
    ),
    "mcp": Lazy("privsynth.cli.mcp:command", "Let a language model read public releases, and plan new ones.", "mcp"),
    "generators": Lazy("privsynth.cli.generators:command", "List the generators and what each is for.", "synthesize"),
    "benchmark": Lazy(
        "privsynth.cli.benchmark:command", "Compare generators on a table over seeds and budgets.", "synthesize"
    ),
}

READER_GONE = 141  # of a closed pipe: 128 + SIGPIPE, as shells report it
# Said when a command is stopped: of one that spends, and of the others.
STOPPED_SENTENCES = {
    True: "Stopped. Nothing was released; if any noise had been drawn, the reserved budget stays spent.",
    False: "Stopped. Nothing was spent.",
}

STOPPED_ASKING = "Stopped. What the service was asked for may be done all the same."
STOPPED_WITHOUT = "Stopped. Nothing was released."
STOPPED_LATE = "Stopped after the release was made: it is complete."


class Main(click.Group):
    """The group of all commands; see `COMMANDS`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the table: the main job first."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command, or return None if there is none of that name."""
        found = _meant(ctx, cmd_name)
        return None if found is None else found.load()

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that was typed, or say which one was perhaps meant."""
        if _meant(ctx, args[0]) is None and not args[0].startswith("-"):
            if args[0] in COMMANDS:
                ctx.fail(f"{args[0]!r} works on this machine alone: leave out --server.")
            if args[0] in SERVER_COMMANDS:
                ctx.fail(f"{args[0]!r} asks a service: say which one, as privsynth --server URL {args[0]}.")
            near = difflib.get_close_matches(args[0], COMMANDS | SERVER_COMMANDS, n=1)
            ctx.fail(f"No such command {args[0]!r}." + "".join(f" Did you mean {name!r}?" for name in near))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table of commands without importing one."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, lazy.help) for name, lazy in COMMANDS.items()])
        with formatter.section("Commands of a service, with --server URL"):
            formatter.write_dl([(name, lazy.help) for name, lazy in SERVER_COMMANDS.items()])

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Note `--json` wherever it stands, so that an error before or in a command is JSON as well."""
        typed = args[: args.index("--")] if "--" in args else args
        ctx.obj = OutputMode(as_json="--json" in typed)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; turn what goes wrong into one sentence on stderr and an exit code."""
        with suppress(AttributeError):
            sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
        try:
            with quiet_libraries(), signals_as_interrupts():
                result = super().invoke(ctx)
                sys.stdout.flush()
                return result
        except (click.exceptions.Exit, SystemExit):
            raise
        except BrokenPipeError:
            _leave_pipe()
            ctx.exit(READER_GONE)
        except (click.Abort, KeyboardInterrupt) as error:
            _fail(ctx, _stopped_sentence(error, _meant(ctx, ctx.invoked_subcommand)), STOPPED, prefix="")
        except click.ClickException as error:
            if output_mode().as_json and not output_mode().printed:
                emit_json({"error": plain(error.format_message()), "exit_code": error.exit_code})
            raise
        except PrivsynthError as error:
            _show_trace()
            _fail(ctx, error.in_shell(), error.exit_code)
        except Exception as error:
            _show_trace()
            command = _meant(ctx, ctx.invoked_subcommand)
            missing = missing_package(error, command.extra if command else "")
            if missing is not None:
                _fail(ctx, missing.in_shell(), missing.exit_code)
            _fail(ctx, unexpected_sentence(error), UNEXPECTED)


def _meant(ctx: click.Context, name: str | None) -> Lazy | None:
    """Return the command of that name: of a service if one was named, else of this machine; None if there is none.

    A server that the environment names leaves the commands that only work here as they are.
    """
    typed = ctx.get_parameter_source("server") == ParameterSource.COMMANDLINE
    if ctx.params.get("server") and (name in SERVER_COMMANDS or typed):
        return SERVER_COMMANDS.get(str(name))
    return COMMANDS.get(str(name))


def _version(ctx: click.Context, option: click.Parameter, asked: bool) -> None:
    if asked and not ctx.resilient_parsing:
        from privsynth import __version__

        click.echo(f"privsynth {__version__}")
        ctx.exit()


@click.group(cls=Main, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Print the version."
)
@click.option(
    "--server",
    metavar="URL",
    envvar="PRIVSYNTH_SERVER",
    show_envvar=True,
    help="Let the service there do what the command says; see docs/programs.md.",
)
@click.option(
    "--token-file", type=click.Path(path_type=Path), envvar="PRIVSYNTH_TOKEN_FILE", show_envvar=True,
    help="File with your token for the service; else PRIVSYNTH_TOKEN holds it, or you are asked.",
)  # fmt: skip
@click.option("-v", "--verbose", is_flag=True, help="Report progress in more detail; never a private value.")
@click.pass_context
def main(ctx: click.Context, verbose: bool, server: str | None, token_file: Path | None) -> None:
    """Share a differentially private copy of a sensitive table, with signed reports.

    Example: privsynth synthesize admissions.csv --unit patient_id --epsilon 1 --out out/

    \b
    Exit codes: 0 done, 2 bad input or usage, 3 a check failed, 4 refused by the
    budget, 5 does not verify, 6 intact but the signer is unknown, 7 the ledger, the
    log or the service cannot be used now, 8 little can be learned at this budget,
    9 intact but revoked, 10 the service says no, 130 stopped by a person or the
    system.
    """
    del server, token_file  # of the commands of a service, which read them from the context
    ctx.obj.verbose = verbose


def _stopped_sentence(error: BaseException, command: Lazy | None) -> str:
    """Return what became of a command that was stopped, and of its budget, which the ledger has noted on the error."""
    if output_mode().released:
        return STOPPED_LATE
    if command is not None and command in SERVER_COMMANDS.values():
        return STOPPED_ASKING
    spends = command is not None and command.spends
    notes = getattr(error, "__notes__", [])
    return f"{STOPPED_WITHOUT} {notes[-1]}" if spends and notes else STOPPED_SENTENCES[spends]


def _fail(ctx: click.Context, message: str, code: int, *, prefix: str = "Error: ") -> NoReturn:
    message = plain(message)
    click.echo(f"{prefix}{message}", err=True)
    if output_mode().as_json and not output_mode().printed:
        emit_json({"error": message, "exit_code": code})
    ctx.exit(code)


def _debugging() -> bool:
    return os.environ.get("PRIVSYNTH_DEBUG") == "1"


def _show_trace() -> None:
    if _debugging():
        traceback.print_exc()


def _leave_pipe() -> None:
    """Point stdout at nothing, so that Python's own flush at exit has nobody to complain about."""
    with suppress(OSError, ValueError), open(os.devnull, "w") as nothing:
        os.dup2(nothing.fileno(), sys.stdout.fileno())


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Keep the warnings, logs and stray tracebacks of libraries, which may quote a cell, off the terminal.

    privsynth's own warnings are sentences and are printed as such. With PRIVSYNTH_DEBUG=1 everything is let through.
    """
    if _debugging():
        yield
        return
    hooks, level = (threading.excepthook, sys.unraisablehook), logging.root.manager.disable
    threading.excepthook = lambda _: None
    sys.unraisablehook = lambda _: None
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("always", PrivsynthWarning)
            warnings.showwarning = _show_warning
            yield
    finally:
        threading.excepthook, sys.unraisablehook = hooks
        logging.disable(level)


def _show_warning(message: Warning | str, *place: Any, **more: Any) -> None:
    click.echo(f"Warning: {plain(str(message))}", err=True)
