"""What other packages bring is found by its entry point, imported when it is asked for, and never takes a name."""

from __future__ import annotations

import sys

import pytest
from outside import install

from privsynth import extensions
from privsynth.errors import ConfigError, SourceError
from privsynth.extensions import Extension
from privsynth.sources import SourceOptions, open_source, read_table
from privsynth.sources.registry import extension_of, has_header
from privsynth.workspace import Workspace

GROUP = "privsynth.sources"
# A source of one row.
TOY = """
import pyarrow as pa
from privsynth.sources import Adapter

class Toy:
    names_are_public = True
    arrow_schema = pa.schema([("a", pa.{type}())])
    def __init__(self, origin, options):
        self.label, self.names = str(origin), ["a"]
    def batches(self, skipped):
        yield pa.record_batch([pa.array(["x"])], names=["{column}"])

SOURCE = Adapter(what="a toy", open=Toy, suffixes=(".toy",), schemes=("toy",), options=("sheet",), has_header=False)
"""


def toy(type_="string", column="a"):
    return TOY.replace("{type}", type_).replace("{column}", column)


@pytest.fixture
def toys(monkeypatch, tmp_path):
    """Install a source for .toy and toy://."""
    points = {GROUP: {".toy": "toy_source:SOURCE", "toy": "toy_source:SOURCE"}}
    install(monkeypatch, tmp_path / "site", points, modules={"toy_source": toy()})


@pytest.mark.usefixtures("toys")
@pytest.mark.parametrize(("origin", "name"), [("t.TOY", ".toy"), ("toy://somewhere/t", "toy")])
def test_a_source_of_another_package_is_read_and_named(origin, name, tmp_path):
    with Workspace(tmp_path / "home") as workspace:
        table, _ = read_table(open_source(origin, SourceOptions(sheet="s")), workspace)
    assert table.column("a").to_pylist() == ["x"]
    assert extension_of(origin) == Extension("source", name, "toys", "1.2")
    assert not has_header(origin)
    with pytest.raises(ConfigError, match=f"encoding means nothing to a toy .{name}"):
        open_source(origin, SourceOptions(encoding="ascii"))


@pytest.mark.usefixtures("toys")
def test_nothing_is_imported_until_it_is_asked_for(tmp_path):
    (tmp_path / "t.csv").write_text("a\n1\n")
    assert extension_of(tmp_path / "t.csv") is None
    open_source(tmp_path / "t.csv")
    assert extensions.names("source", builtin=()) == [".toy", "toy"]
    with pytest.raises(SourceError, match="is a Stata table"):
        open_source(tmp_path / "t.dta")
    assert "toy_source" not in sys.modules


def test_what_is_built_in_is_read_without_a_look_at_other_packages(tmp_path, monkeypatch):
    def unwanted(**_):
        raise AssertionError("metadata was read")

    monkeypatch.setattr(extensions, "entry_points", unwanted)
    (tmp_path / "t.csv").write_text("a\n1\n")
    assert open_source(tmp_path / "t.csv").names == ["a"]
    with pytest.raises(ConfigError, match="name a table"):
        open_source("sqlite:///" + str(tmp_path / "t.csv"))


@pytest.mark.parametrize("name", [".csv", ".sqlite", "postgresql"])
def test_a_built_in_name_is_not_to_be_had(name, monkeypatch, tmp_path):
    install(monkeypatch, tmp_path / "site", {GROUP: {name: "toy_source:SOURCE"}})
    with pytest.raises(ConfigError, match=rf"the source '{name}' of the package toys 1\.2 takes a name that is built"):
        open_source("t.toy")


def test_two_packages_with_one_name_are_refused(monkeypatch, tmp_path):
    for package in ("toys", "others"):
        points = {GROUP: {".toy": "toy_source:SOURCE"}}
        install(monkeypatch, tmp_path / package, points, modules={"toy_source": toy()}, package=package)
    with pytest.raises(ConfigError, match="uninstall one of them"):
        open_source("t.toy")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("raise ImportError('SECRET')", r"toys 1\.2 cannot be imported \(ImportError\)"),
        ("1 +", r"cannot be imported \(SyntaxError\)"),
        ("SOURCE = 1", "is no Adapter"),
        (toy().replace('(".toy",)', '(".other",)'), "says itself that it is another one"),
    ],
)
def test_what_is_no_source_is_refused_in_a_sentence(text, message, monkeypatch, tmp_path):
    install(monkeypatch, tmp_path / "site", {GROUP: {".toy": "toy_source:SOURCE"}}, modules={"toy_source": text})
    with pytest.raises(ConfigError, match=message) as caught:
        open_source("t.toy")
    assert "SECRET" not in str(caught.value)


def test_a_source_keeps_to_the_types_and_columns_that_a_source_may_have(monkeypatch, tmp_path):
    points = {GROUP: {".toy": "toy_source:SOURCE"}}
    install(monkeypatch, tmp_path / "one", points, modules={"toy_source": toy("binary")})
    with pytest.raises(SourceError, match="of a type that a source may not"):
        open_source("t.toy")


def test_rows_of_other_columns_than_the_header_are_refused(monkeypatch, tmp_path):
    points = {GROUP: {".toy": "toy_source:SOURCE"}}
    install(monkeypatch, tmp_path / "one", points, modules={"toy_source": toy(column="b")})
    with Workspace(tmp_path / "home") as workspace, pytest.raises(SourceError, match="gives rows of other columns"):
        read_table(open_source("t.toy"), workspace)


def test_all_are_loaded_in_the_order_of_their_names(monkeypatch, tmp_path):
    points = {"privsynth.generators": {"b": "toy_numbers:B", "a": "toy_numbers:A"}}
    install(monkeypatch, tmp_path / "site", points, modules={"toy_numbers": "A, B = 1, 2"})
    found = extensions.load_all("generator", int, builtin=())
    assert [(loaded.value, loaded.extension.name) for loaded in found] == [(1, "a"), (2, "b")]
    assert extensions.load("generator", "c", int, builtin=()) is None
