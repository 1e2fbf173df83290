"""The documentation says what is so: every command line in it parses, every file that it names exists.

`PRIVSYNTH_UPDATE_DOCS=1 pytest tests/test_docs.py` writes the help of all commands into docs/cli.md.
"""

from __future__ import annotations

import ast
import inspect
import os
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pandas as pd
import pytest
import yaml
from click.testing import CliRunner

import privsynth
from privsynth.cli import COMMANDS, main
from privsynth.cli.remote import SERVER_COMMANDS
from privsynth.schema import Schema
from privsynth.schema.files import dump_schema, load_schema
from privsynth.schema.linked import LinkedSchema, LinkedTable

ROOT = Path(__file__).parent.parent
SERVER = "https://privsynth.example.org"
CLI_PAGE = ROOT / "docs" / "cli.md"
MARK = "<!-- written by tests/test_docs.py from here on -->\n"
PAGES = [ROOT / name for name in ("README.md", "SECURITY.md", "CONTRIBUTING.md")] + sorted(ROOT.glob("docs/**/*.md"))
TEXTS = {page.relative_to(ROOT).as_posix(): page.read_text(encoding="utf-8") for page in PAGES}


def commands(group: click.Group, names: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Yield the words and the command of a group and of everything below it, the group first."""
    yield names, group
    context = click.Context(group, info_name=" ".join(("privsynth", *names)))
    context.params["server"] = SERVER if names[:1] == ("--server",) else None
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, (*names, name))
        else:
            yield (*names, name), command
    if group is main:
        for name, lazy in SERVER_COMMANDS.items():
            command, words = lazy.load(), ("--server", SERVER, name)
            yield from commands(command, words) if isinstance(command, click.Group) else [(words, command)]


def blocks(text: str, language: str) -> list[str]:
    """Return the fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.M | re.S)


def command_lines(text: str) -> list[list[str]]:
    """Return the words of every privsynth command line in the shell blocks of a page."""
    found = []
    for block in blocks(text, "sh"):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            words = words[: words.index(">")] if ">" in words else words
            while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
                words = words[1:]
            if words[:1] == ["privsynth"]:
                found.append(words[1:])
    return found


def parse(words: list[str]) -> None:
    """Parse a command line down to its last command without running it; a usage error is raised.

    Files need not exist.
    """
    command: click.Command = main
    name, context = "privsynth", None
    while True:
        try:
            context = command.make_context(name, list(words), parent=context)
        except click.BadParameter as error:
            if "does not exist" in error.message:
                return
            raise
        if not isinstance(command, click.Group):
            return
        _, rest, _ = command.make_parser(context).parse_args(list(words))  # a group leaves what belongs to a command
        found_name, found, words = command.resolve_command(context, rest)
        assert found_name is not None
        assert found is not None
        name, command = found_name, found


def all_options() -> set[str]:
    """Return every option of every command, as it is typed."""
    found = {"--help"}
    for _, command in commands(main):
        for parameter in command.params:
            found |= {*parameter.opts, *parameter.secondary_opts}
    return found


# --- docs/cli.md --------------------------------------------------------------------------------------------------


def help_pages() -> str:
    """Return the help of every command, as Markdown."""
    parts = []
    for names, command in commands(main):
        command._help_option = None  # Click keeps that of the first call, which a test may have made without the group
        title = " ".join(("privsynth", *names))
        result = CliRunner().invoke(main, [*names, "--help"], prog_name="privsynth", terminal_width=100)
        assert result.exit_code == 0, result.output
        parts.append(f"\n## {title}\n\n```text\n{result.stdout.rstrip()}\n```\n")
    return "".join(parts)


def test_the_page_of_commands_is_their_help():
    head, mark, written = CLI_PAGE.read_text(encoding="utf-8").partition(MARK)
    assert mark, f"docs/cli.md needs the line {MARK!r}"
    expected = help_pages()
    if os.environ.get("PRIVSYNTH_UPDATE_DOCS") == "1":
        CLI_PAGE.write_text(head + mark + expected, encoding="utf-8")
        return
    assert written == expected, "help has changed: PRIVSYNTH_UPDATE_DOCS=1 pytest tests/test_docs.py"


@pytest.mark.parametrize(("names", "command"), list(commands(main)), ids=lambda value: " ".join(value) or "privsynth"
                         if isinstance(value, tuple) else "")  # fmt: skip
def test_every_command_has_an_example_that_parses(names, command):
    assert command.help, "no help"
    found = re.search(r"Example: (privsynth .*)", re.sub(r"\n(?!\n)\s*", " ", command.help))
    assert found, "no example"
    words = shlex.split(found.group(1))
    words = words[1 : words.index(">")] if ">" in words else words[1:]
    if names:
        assert tuple(words[: len(names)]) == names
    parse(words)


def test_every_option_has_a_help_text():
    bare = [
        f"{' '.join(names)} {parameter.opts[0]}"
        for names, command in commands(main)
        for parameter in command.params
        if isinstance(parameter, click.Option) and not parameter.help and parameter.opts[0] != "--version"
    ]
    assert not bare


# --- all pages ----------------------------------------------------------------------------------------------------


def test_the_parser_of_command_lines_refuses_what_the_commands_refuse():
    with pytest.raises(click.UsageError):
        parse(["verify", "out", "--key-ring", "x.json"])
    with pytest.raises(click.UsageError):
        parse(["synthesise", "a.csv"])
    with pytest.raises(click.UsageError):
        parse(["synthesize", "a.csv", "--out", "out"])
    assert command_lines("```sh\nA=b privsynth keys list # c\nls\nprivsynth schema \\\n  init a > b\n```\n") == [
        ["keys", "list"],
        ["schema", "init", "a"],
    ]


@pytest.mark.parametrize("page", TEXTS)
def test_command_lines_parse(page):
    for words in command_lines(TEXTS[page]):
        parse(words)


@pytest.mark.parametrize("page", TEXTS)
def test_options_in_the_text_exist(page):
    foreign = {"--require-hashes", "--no-deps", "--no-compile", "--upgrade", "--index-url"}  # of pip
    foreign |= {"--tables", "--cpu-seconds", "--cpu-minutes"}  # these and the next but one of programs in experiments/
    foreign |= {"--profiles-dir", "--select"}  # of dbt
    foreign |= {"--peers", "--peers-only", "--take", "--moments", "--seed", "--seconds", "--real"}
    # Of PostgreSQL, adduser's relatives, apt, kubectl and helm, with which a service is installed.
    foreign |= {"--yes", "--pwprompt", "--owner", "--encoding", "--template", "--system", "--create-home", "--home-dir"}
    foreign |= {"--from-literal", "--set"}
    text = TEXTS[page].partition(MARK)[0]
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text)) <= all_options() | foreign


@pytest.mark.parametrize("page", TEXTS)
def test_links_and_named_files_exist(page):
    text, folder = TEXTS[page].partition(MARK)[0], (ROOT / page).parent
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[\w-]+)?\)", text):
        assert target.startswith("https://") or (folder / target).exists(), target
    for name in re.findall(r"`((?:privsynth|tests|sample_data|docs|templates)/[\w./-]+)`", text):
        assert (ROOT / name).exists(), name


@pytest.mark.parametrize("page", TEXTS)
def test_named_functions_exist(page):
    # `privsynth/privacy/rounded_gaussian.py::rounded_gaussian` and `tests/x/test_y.py::test_z`
    for file, name in re.findall(r"`([\w./]+\.py)::(\w+)`", TEXTS[page]):
        tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
        defined = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)}
        assert name in defined, f"{file} has no {name}"


def test_functions_that_the_guarantee_names_beside_their_file_exist():
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "privsynth").rglob("*.py")]
    defined = {name for source in sources for name in re.findall(r"^\s*(?:def|class) (\w+)", source, re.MULTILINE)}
    named = re.findall(r"\(`(\w+_\w+)`\)", TEXTS["docs/guarantee.md"])
    assert named
    assert [name for name in named if name not in defined] == []


@pytest.mark.parametrize("page", TEXTS)
def test_examples_of_schemas_are_schemas(page):
    for block in blocks(TEXTS[page], "yaml"):
        declared = yaml.safe_load(block)
        (LinkedSchema if "tables" in declared else Schema).model_validate(declared)


@pytest.mark.parametrize("page", TEXTS)
def test_lines_are_not_too_long(page):
    text = TEXTS[page].partition(MARK)[0]
    assert [line for line in text.splitlines() if len(line) > 120 and not line.startswith("|")] == []


def test_every_finding_is_explained():
    from privsynth.pipeline.writing.report_records import report_titles
    from privsynth.report.titles import VERDICTS

    page = TEXTS["docs/report.md"]
    measured = set(report_titles())
    explained = set(re.findall(r"`([a-z0-9_]+)`", page))
    assert not measured - explained
    assert not [n for n in explained if re.match(r"(tvd|membership|epsilon|utility|decay)_", n) and n not in measured]
    for verdict in VERDICTS.values():
        assert f"| {verdict} |".lower() in page.lower(), verdict


def test_every_section_of_the_report_is_explained():
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "templates").glob("*.html")]
    headings = {heading for text in texts for heading in re.findall(r"<h2[^>]*>([^<{]+)</h2>", text)}
    headings |= {name for text in texts for name in re.findall(r'call part\("[^"]+", "([^"]+)"', text)}  # of the annex
    assert "Decision" in headings
    for heading in headings:
        assert f"| {heading} |" in TEXTS["docs/report.md"]


def test_every_key_of_a_schema_is_explained():
    from privsynth.schema.definition import Column

    page = TEXTS["docs/schema.md"]
    for name in (*Schema.model_fields, *Column.model_fields):
        assert f"`{name}`" in page, name


# --- README -------------------------------------------------------------------------------------------------------


def test_the_table_of_commands_is_complete():
    listed = re.findall(r"^\| `privsynth (\w+)` \|", TEXTS["README.md"], flags=re.M)
    assert listed == list(COMMANDS)


def test_the_table_of_exit_codes_is_that_of_the_errors():
    from privsynth import errors
    from privsynth.cli import STOPPED

    listed = {int(code) for code in re.findall(r"^\| (\d+) \|", TEXTS["README.md"], flags=re.M)}
    raised = {e.exit_code for e in vars(errors).values() if isinstance(e, type) and issubclass(e, Exception)
              and hasattr(e, "exit_code")}  # fmt: skip
    assert listed == raised | {0, STOPPED}


def test_the_table_of_generators_is_complete():
    from privsynth.generators.registry import AUTO, GENERATORS

    section = TEXTS["README.md"].partition("## Generators")[2].partition("##")[0]
    assert re.findall(r"^\| `([\w:]+)` \|", section, flags=re.M) == [*GENERATORS, "auto"]
    assert f"| `auto` | the default: `{AUTO}`" in section


def test_the_list_of_sources_is_complete():
    from privsynth.sources.registry import SOURCES

    section = TEXTS["README.md"].partition("## Sources")[2].partition("##")[0]
    listed = set(re.findall(r"`(\.[a-z0-9.]+)`", section)) | set(re.findall(r"`(\w+:(?://)?)", section))
    assert listed == {key for source in SOURCES for key in source.keys if key != "://"}


def test_extras_are_installed_from_this_folder():
    """No page sends anybody to an index of packages for privsynth itself."""
    for page, text in TEXTS.items():
        assert not re.findall(r"pip install[^\n]*privsynth", text.partition(MARK)[0]), page


def test_make_targets_exist():
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.M))
    for page, text in TEXTS.items():
        for target in re.findall(r"^make (\w+)|`make (\w+)`", text, flags=re.M):
            assert "".join(target) in targets, page


def test_python_examples_call_what_exists():
    for text in TEXTS.values():
        for block in blocks(text, "python"):
            for node in ast.walk(ast.parse(block)):
                if isinstance(node, ast.Attribute) and getattr(node.value, "id", "") == "privsynth":
                    assert node.attr in privsynth.__all__


def test_versions_agree():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == privsynth.__version__
    newest = re.search(r"^## (\d\S*)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), flags=re.M)
    assert newest is not None
    assert newest.group(1) == privsynth.__version__


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """Return a folder with a small admissions.csv, as the reader of the README has one."""
    rows = (ROOT / "sample_data" / "hospital.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    (tmp_path / "admissions.csv").write_text("".join(rows[:2501]), encoding="utf-8")
    _some_patients(ROOT / "sample_data" / "hospital", tmp_path / "hospital")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PRIVSYNTH_PASSPHRASE", "a passphrase for the test only")
    return tmp_path


def _some_patients(source: Path, place: Path) -> None:
    """Write the first patients of the linked sample, with all their rows."""
    place.mkdir()
    (place / "schema.yaml").write_text((source / "schema.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    tables = {name: pd.read_csv(source / f"{name}.csv", dtype=str) for name in ("patients", "stays", "tests", "wards")}
    tables["patients"] = tables["patients"].head(1_000)
    tables["stays"] = tables["stays"][tables["stays"]["patient_id"].isin(tables["patients"]["patient_id"])]
    tables["tests"] = tables["tests"][tables["tests"]["stay_id"].isin(tables["stays"]["stay_id"])]
    for name, table in tables.items():
        table.to_csv(place / f"{name}.csv", index=False)


def filled_in() -> str:
    """Return the sample's code book as the schema of admissions.csv."""
    schema = load_schema(ROOT / "sample_data" / "hospital.schema.yaml")
    return dump_schema(schema.model_copy(update={"dataset": None, "unit": None, "max_rows_per_unit": None}))


@pytest.mark.slow
def test_the_readme_runs_as_it_stands(desk):
    """Run every privsynth line of the README in order, then its Python."""
    lines = [line for block in blocks(TEXTS["README.md"], "sh") for line in block.replace("\\\n", " ").splitlines()]
    ran = 0
    for line in lines:
        words = shlex.split(line, comments=True)
        if words[:1] != ["privsynth"]:
            continue
        target = words[words.index(">") + 1] if ">" in words else None
        result = CliRunner().invoke(main, words[1 : words.index(">")] if target else words[1:])
        # A table of 2,500 rows may fail a check of the audit; everything else has to end well.
        allowed = (0, 3) if words[1] == "synthesize" else (0,)
        assert result.exit_code in allowed, f"{line}\n{result.output}"
        if target:
            Path(target).write_text(result.stdout, encoding="utf-8")
        if words[1:3] == ["schema", "init"]:
            Path("schema.yaml").write_text(filled_in(), encoding="utf-8")
        ran += 1
    assert ran >= 12
    assert {"data.parquet", "report.html", "schema.yaml", "model"} <= {p.name for p in (desk / "out/public").iterdir()}
    (program,) = blocks(TEXTS["README.md"], "python")
    exec(compile(program, "README.md", "exec"), {"__name__": "readme"})  # noqa: S102
    assert (desk / "again" / "public" / "report.json").exists()


@pytest.mark.slow
def test_the_page_of_python_runs_as_it_stands(desk):
    """Run the blocks of docs/python.md in order, each after the names that those before it made."""
    (desk / "schema.yaml").write_text(filled_in(), encoding="utf-8")
    assert CliRunner().invoke(main, ["keys", "init", "--name", "office"]).exit_code == 0
    names: dict[str, object] = {"__name__": "page"}
    for block in blocks(TEXTS["docs/python.md"], "python"):
        exec(compile(block, "docs/python.md", "exec"), names)  # noqa: S102
    assert (desk / "kept" / "public" / "report.html").exists()
    assert (desk / "filled.csv").exists()
    assert not (desk / "never").exists()


def test_every_key_of_a_linked_table_is_explained():
    for name in LinkedTable.model_fields:
        assert f"`{name}`" in TEXTS["docs/linked-tables.md"], name


def test_the_page_of_python_names_every_public_function_result_and_error():
    for name in privsynth.__all__:
        value = getattr(privsynth, name)
        if inspect.isfunction(value) or name.endswith(("Result", "Plan", "Synthesizer")):
            assert f"`{name}`" in TEXTS["docs/python.md"], name
        if isinstance(value, type) and issubclass(value, privsynth.InputError | privsynth.BudgetError):
            assert f"`{name}`" in TEXTS["docs/python.md"], name


@pytest.mark.slow
def test_the_folders_hold_what_the_readme_lists(desk):
    (desk / "schema.yaml").write_text(filled_in(), encoding="utf-8")
    privsynth.synthesize(
        "admissions.csv", schema="schema.yaml", unit="row", dataset="small", epsilon=1, out="out", audit="none"
    )
    picture = next(block for block in blocks(TEXTS["README.md"], "text") if block.startswith("out/public/"))
    for folder in ("public", "officer"):
        for path in (desk / "out" / folder).iterdir():
            assert path.name in picture, path.name
