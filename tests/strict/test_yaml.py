"""Schemas and policies are read by one reader, which takes codes for texts and refuses what is ambiguous or grows."""

from __future__ import annotations

import datetime as dt
import math
from pathlib import Path

import pytest
import yaml

from privsynth.errors import ConfigError, SchemaError
from privsynth.policy.files import SHIPPED, parse_policy
from privsynth.schema.definition import Schema
from privsynth.schema.files import load_schema
from privsynth.schema.linked import LinkedSchema, linked_schema
from privsynth.strict.yaml import loads

ROOT = Path(__file__).parents[2]
SCHEMAS = sorted([*ROOT.glob("sample_data/*.schema.yaml"), *ROOT.glob("experiments/schemas/*.yaml")])
POLICIES = [ROOT / "privsynth" / "policy" / "shipped" / f"{name}.yaml" for name in SHIPPED]
CODES = ("yes", "No", "on", "OFF", "y", "010", "-007", "00.5", "12:30", "1_000", "0x1F", "0o7")
GROWING = "\n".join(["a0: &a0 [1]", *(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 9))])


def read(text):
    return loads(text.encode(), what="f.yaml", error=ConfigError).value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *((word, word) for word in CODES),
        ("[true, False]", [True, False]),
        ("[0, 10, -3, +4]", [0, 10, -3, 4]),
        ("[0.5, -1., 1.5e+3, .5]", [0.5, -1.0, 1500.0, 0.5]),
        (".inf", math.inf),
        ("[~, null]", [None, None]),
        ("2024-12-31", dt.date(2024, 12, 31)),
        ("", None),
        ("a: &x [1]\nb: *x", {"a": [1], "b": [1]}),
        ("a: &x {k: 1}\nb: {<<: *x, l: 2}", {"a": {"k": 1}, "b": {"k": 1, "l": 2}}),
    ],
)  # fmt: skip
def test_plain_words_mean_what_people_mean(text, value):
    assert read(text) == value


@pytest.mark.parametrize("text", ["yes", "010", "12:30", "1_000", "1e-5", "1.5", "true", "2024-12-31", "~", "0o7"])
def test_a_text_that_another_writer_wrote_stays_a_text(text):
    assert read(yaml.safe_dump([text])) == [text]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: 1\nb: {c: 1, c: 2}", "line 2: the key 'c' stands twice"),
        ("? [a]\n: 1", "line 1: a key is no text"),
        ("a: !!python/object/apply:os.system [ls]", "cannot read (line 1)"),
        ("a: 2024-13-01", "cannot read"),
        ("a: [", "is not valid YAML (line 1)"),
        ("a\n--- \nb", "is not valid YAML"),
        ("[" * 600, "is not valid YAML"),
        ("[" * 40 + "]" * 40, "line 1: no deep nesting"),
        ("a: &x [*x]", "line 1: no deep nesting"),
        (GROWING, "no alias that repeats very much"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("error", [ConfigError, SchemaError])
def test_what_is_ambiguous_or_grows_is_refused_with_its_line(text, words, error):
    with pytest.raises(error) as caught:
        loads(text.encode(), what="f.yaml", error=error)
    assert words in str(caught.value)
    assert str(caught.value).startswith("f.yaml")


def test_the_line_of_a_place_is_that_of_its_deepest_part():
    document = loads(b"a: 1\nb:\n  - c: 1\n    d: 2\n", what="f.yaml", error=ConfigError)
    assert [document.line(place) for place in ((), ("b",), ("b", 0), ("b", 0, "d"), ("b", 7), ("x",))] == [
        1, 2, 3, 4, 2, 1,
    ]  # fmt: skip


@pytest.mark.parametrize("path", SCHEMAS, ids=lambda path: path.name)
def test_the_schemas_of_the_repository_say_what_they_said(path):
    """They hold no word that YAML 1.1 and 1.2 read differently."""
    told = yaml.safe_load(path.read_text(encoding="utf-8"))
    if "tables" in told:
        assert linked_schema(path) == LinkedSchema.model_validate(told)
    else:
        assert load_schema(path) == Schema.model_validate(told)


@pytest.mark.parametrize("path", POLICIES, ids=lambda path: path.name)
def test_the_shipped_policies_say_what_they_said(path):
    raw = path.read_bytes()
    assert loads(raw, what="p", error=ConfigError).value == yaml.safe_load(raw)
    assert parse_policy(raw, "p").policy.checks


def test_a_schema_and_a_policy_take_and_refuse_the_same(tmp_path):
    for text in ("a: 1\na: 2\n", "? [a]\n: 1\n", "a: [\n"):
        path = tmp_path / "f.yaml"
        path.write_text(text)
        with pytest.raises(SchemaError) as schema:
            load_schema(path)
        with pytest.raises(ConfigError) as policy:
            parse_policy(text.encode(), str(path))
        assert str(schema.value) == str(policy.value)
