"""The command line's frame: help without heavy imports, and errors as sentences that quote nothing."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
import types
import warnings
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from privsynth import cli, errors
from privsynth.cli import COMMANDS, Lazy, main
from privsynth.cli.terminal.output import bar, emit_json, plain, print_findings, progress, say
from privsynth.findings.finding import Finding
from privsynth.pipeline.writing.report_records import report_title

ROOT = Path(__file__).parents[2]
CELL = "Mrs-Needle-1947"


@pytest.fixture(autouse=True)
def no_debugging(monkeypatch):
    monkeypatch.delenv("PRIVSYNTH_DEBUG", raising=False)


@pytest.fixture
def run(monkeypatch):
    """Return a function that runs a body as the command `boom` and gives click's result."""

    def go(body, *args, spends=False):
        @click.command()
        @click.option("--json", "as_json", is_flag=True)
        @click.option("--number", type=int)
        def command(as_json, number):
            body()

        module = types.ModuleType("privsynth_boom")
        module.command = command
        monkeypatch.setitem(sys.modules, "privsynth_boom", module)
        monkeypatch.setitem(COMMANDS, "boom", Lazy("privsynth_boom:command", "Fail.", spends=spends))
        return CliRunner().invoke(main, ["boom", *args])

    return go


def throw(error):
    def body():
        raise error

    return body


def python(code, *args, **more):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **more}
    return subprocess.run(
        [sys.executable, "-c", code, *args], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300
    )


# --- help ---------------------------------------------------------------------------------------------------------


def test_help_imports_nothing_heavy():
    heavy = "{'torch', 'pandas', 'sklearn', 'numpy', 'pyarrow', 'rich', 'sqlalchemy', 'privsynth.privacy'}"
    code = (
        "import sys\nfrom privsynth.cli import main\nmain(['--help'], standalone_mode=False)\n"
        f"sys.exit(sorted({heavy} & set(sys.modules)) or 0)"
    )
    done = python(code)
    assert done.returncode == 0, done.stderr
    assert all(name in done.stdout for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_commands_help_imports_nothing_heavy(name):
    code = (
        "import sys\nfrom privsynth.cli import main\nmain([sys.argv[1], '--help'], standalone_mode=False)\n"
        "sys.exit(sorted({'torch', 'pandas', 'sklearn'} & set(sys.modules)) or 0)"
    )
    done = python(code, name)
    assert done.returncode == 0, done.stderr
    assert "Usage:" in done.stdout


def every_command(command, path):
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            yield from every_command(command.get_command(context, name), f"{path} {name}")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_says_what_it_is(name):
    for path, command in every_command(main.get_command(click.Context(main), name), name):
        assert command.help, path
        assert "Example: privsynth " + path.split()[0] in command.help, path
        for option in command.params:
            assert isinstance(option, click.Argument) or option.help, f"{path}: {option.name} has no help"


def test_the_table_of_commands_is_in_the_help_with_one_line_each():
    text = CliRunner().invoke(main, ["--help"]).stdout
    for name, lazy in COMMANDS.items():
        assert f"{name} " in text
        assert lazy.help.endswith(".")
        assert len(lazy.help) < 70


def test_version_is_the_packages():
    from privsynth import __version__

    assert CliRunner().invoke(main, ["--version"]).stdout == f"privsynth {__version__}\n"


def test_a_typing_error_gets_a_suggestion_and_exit_code_2():
    result = CliRunner().invoke(main, ["bugdet"])
    assert result.exit_code == 2
    assert "Did you mean 'budget'?" in result.stderr


def test_python_m_privsynth_is_the_command(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "privsynth", "budget", "show", "--json"],
        cwd=ROOT, env={**os.environ, "PRIVSYNTH_HOME": str(tmp_path)}, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert (done.returncode, json.loads(done.stdout), done.stderr) == (0, {"accounts": []}, "")


# --- errors -------------------------------------------------------------------------------------------------------

TREE = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, errors.PrivsynthError) and kind is not errors.PrivsynthError
]


@pytest.mark.parametrize("kind", TREE, ids=lambda kind: kind.__name__)
def test_an_error_of_ours_is_a_sentence_and_its_exit_code(run, kind):
    result = run(throw(kind("The file is empty. Give another one.")))
    assert result.exit_code == kind.exit_code
    assert result.stderr == "Error: The file is empty. Give another one.\n"
    assert result.stdout == ""


@pytest.mark.parametrize("args", [("--json",), ("--number", "1", "--json")])
def test_with_json_an_error_is_one_object_on_stdout_too(run, args):
    result = run(throw(errors.BudgetExceeded("Too much.")), *args)
    assert json.loads(result.stdout) == {"error": "Too much.", "exit_code": 4}
    assert result.stderr == "Error: Too much.\n"
    assert result.exit_code == 4


def test_wrong_usage_with_json_is_an_object_too_and_keeps_exit_code_2(run):
    result = run(lambda: None, "--number", "many", "--json")
    assert result.exit_code == 2
    assert json.loads(result.stdout)["exit_code"] == 2


def test_json_after_two_dashes_is_not_an_option(run):
    result = run(lambda: None, "--", "--json")
    assert (result.exit_code, result.stdout) == (2, "")


def test_after_the_object_of_a_command_no_second_one_follows(run):
    def body():
        emit_json({"rows": 3})
        raise errors.CheckFailed("A check failed.")

    result = run(body, "--json")
    assert (json.loads(result.stdout), result.exit_code) == ({"rows": 3}, 3)


def cause_trouble():
    warnings.warn(f"odd cell {CELL}", UserWarning, stacklevel=1)
    logging.getLogger("some.library").error("cannot parse %s", CELL)
    thread = threading.Thread(target=lambda: int(CELL))
    thread.start()
    thread.join()
    try:
        raise ValueError(CELL)
    except ValueError as error:
        raise KeyError(CELL) from error


@pytest.mark.parametrize("args", [(), ("--json",)])
def test_an_unexpected_error_quotes_nothing(args):
    """In a process of its own, so that everything that reaches the terminal is seen."""
    code = f"""
import sys, types
sys.path.insert(0, {str(Path(__file__).parent)!r})
import click, test_frame
from privsynth.cli import COMMANDS, Lazy, main
command = click.Command("boom", callback=lambda json: test_frame.cause_trouble(),
                        params=[click.Option(["--json"], is_flag=True)])
sys.modules["boom"] = types.SimpleNamespace(command=command)
COMMANDS["boom"] = Lazy("boom:command", "Fail.")
main(["boom", *sys.argv[1:]])
"""
    done = python(code, *args)
    assert done.returncode == 70
    assert CELL not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("Error: privsynth met an error that it did not expect (KeyError at ")
    assert done.stderr.count("\n") == 1
    if args:
        assert json.loads(done.stdout)["exit_code"] == 70
    shown = python(code, *args, PRIVSYNTH_DEBUG="1")
    assert "Traceback" in shown.stderr
    assert CELL in shown.stderr


def test_an_unexpected_error_says_where_in_privsynth_it_arose(run):
    result = run(lambda: emit_json({"value": float("nan")}))
    assert result.exit_code == 70
    assert "(ValueError at privsynth/cli/terminal/output.py:" in result.stderr


def test_only_the_main_job_spends():
    assert [name for name, lazy in COMMANDS.items() if lazy.spends] == ["synthesize"]


def test_a_module_that_is_not_installed_is_named(run):
    result = run(throw(ModuleNotFoundError("No module named 'sdv'", name="sdv")))
    assert result.exit_code == 2
    assert "'sdv'" in result.stderr


@pytest.mark.parametrize("error", [KeyboardInterrupt(), click.Abort()])
@pytest.mark.parametrize("spends", [True, False])
def test_stopping_says_what_stays_spent(run, error, spends):
    result = run(throw(error), spends=spends)
    assert result.exit_code == 130
    assert result.stderr == cli.STOPPED_SENTENCES[spends] + "\n"
    assert ("stays spent" in result.stderr) is spends
    assert json.loads(run(throw(error), "--json").stdout)["exit_code"] == 130


def test_a_reader_that_goes_away_is_no_error(tmp_path):
    """`privsynth ... | head -1`, with more output than a pipe holds."""
    code = """
import sys, types
import click
from privsynth.cli import COMMANDS, Lazy, main
def speak():
    for _ in range(100_000):
        click.echo("a line of output")
sys.modules["boom"] = types.SimpleNamespace(command=click.Command("boom", callback=speak))
COMMANDS["boom"] = Lazy("boom:command", "Speak.")
main(["boom"])
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=60) == 141


def test_our_own_warnings_are_sentences(run):
    def body():
        warnings.warn("The key expires in 3 days.", errors.PrivsynthWarning, stacklevel=1)

    result = run(body)
    assert (result.exit_code, result.stderr) == (0, "Warning: The key expires in 3 days.\n")


def test_names_cannot_drive_the_terminal(run):
    result = run(throw(errors.SchemaError("column 'a\x1b[2Jb\x07' is unknown")))
    assert "\x1b" not in result.stderr
    assert "\x07" not in result.stderr
    assert plain("é 日\n") == "é 日\n"


# --- output -------------------------------------------------------------------------------------------------------


def test_with_json_sentences_leave_stdout_alone(run):
    def body():
        say("a sentence")
        emit_json({"ok": True})

    result = run(body, "--json")
    assert json.loads(result.stdout) == {"ok": True}
    assert result.stderr == "a sentence\n"
    assert "a sentence\n" in run(lambda: say("a sentence")).stdout


def test_progress_is_silent_unless_stderr_is_a_terminal(run):
    def body():
        with progress() as step:
            step("reading")
            step("training", 1, 10)

    assert run(body).output == ""
    loud = CliRunner().invoke(main, ["-v", "boom"])
    assert (loud.stdout, loud.stderr) == ("", "reading\ntraining\n")


def finding(visibility, name):
    return Finding(
        family="fidelity", name=name, value=0.98, low=0.97, high=0.99, n=4321, baseline=0.977, baseline_label="holdout",
        visibility=visibility, verdict="pass", meaning="Close.",
    )  # fmt: skip


def test_findings_for_the_officer_are_printed_only_if_asked(capsys):
    both = [finding("public", "pairs_[red]"), finding("officer", "worst_record")]
    print_findings(both)
    public = capsys.readouterr().out
    print_findings(both, officer=True)
    officer = capsys.readouterr().out
    assert "Pairs [red]" in public
    assert "0.97 to 0.99 (95%)" in public
    assert report_title("worst_record") not in public
    assert report_title("worst_record") in officer


@pytest.mark.parametrize(
    ("share", "picture"), [(0, "...."), (0.01, "#..."), (0.5, "##.."), (0.99, "###."), (1, "####"), (7, "####")]
)
def test_a_bar_is_full_only_when_all_is_spent(share, picture):
    assert bar(share, width=4, fancy=False) == picture
