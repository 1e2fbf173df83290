"""Two looks at open columns of texts: what the first explains is not paid for again."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest
from buying import codecs_of, parsed_everyone
from doubles import RecordingMechanisms

from privsynth.codecs.column_facts import ColumnFacts
from privsynth.codecs.parse import as_categories
from privsynth.codecs.parsed_table import ParsedTable
from privsynth.domain.categories import UNEXPLAINED, OpenCategories
from privsynth.privacy.unit_weights import Weighting
from privsynth.schema.definition import Schema

N = 4_000


def table(**columns: list[str | None]) -> ParsedTable:
    return ParsedTable({name: as_categories(pa.chunked_array([pa.array(cells)])) for name, cells in columns.items()}, N)


def kinds(parsed: ParsedTable, nulls: float = 0.0) -> dict[str, ColumnFacts]:
    return {name: ColumnFacts(kind="categorical", null_share=nulls) for name in parsed.columns}


def halves() -> list[str | None]:
    return ["odd", "even"] * (N // 2)


def codes() -> list[str | None]:
    return [f"code {i % 100 if i % 2 else 0}" for i in range(N)]


@pytest.mark.parametrize("seed", range(3))
def test_a_second_look_is_at_what_the_first_left_unexplained(seed):
    parsed = table(a=halves(), b=halves(), c=codes(), d=halves())
    facts, schema, mechanisms = kinds(parsed), Schema(), RecordingMechanisms(seed)
    codecs = codecs_of(
        parsed, schema, facts, mechanisms, n_rows=float(N), mu_squared=0.1, delta=1e-7, bins=8,
    )  # fmt: skip
    first, again = mechanisms.calls
    # Noise in what is explained brings in one of six columns more.
    assert [first.l2_sensitivity**2, round(again.l2_sensitivity**2)] in ([4, 1], [4, 2])
    assert again.l2_sensitivity == len(again.given) ** 0.5
    at = next(i for i, given in enumerate(again.given) if "code 0" in given)
    assert first.public[3] + again.public[3] <= 0.1
    assert math.isclose(first.public[4] + again.public[4], 1e-7)
    assert again.gave.threshold < first.gave.threshold
    found = {codec.name: codec.values for codec in codecs}
    assert found["a"] == found["b"] == found["d"] == ("even", "odd")
    assert set(found["c"]) == {*first.gave.counts[2], *again.gave.counts[at]}


def test_where_all_is_explained_there_is_one_look_and_the_rest_is_for_numbers():
    parsed = table(a=halves(), b=[None, "yes"] * (N // 2))
    facts = kinds(parsed) | {"b": ColumnFacts(kind="categorical", null_share=0.5)}
    mechanisms = RecordingMechanisms(1)
    texts = OpenCategories(parsed_everyone(parsed), facts, mechanisms, Weighting(1), float(N))
    texts.release(list("ab"), mu_squared=0.01, delta=1e-7)
    assert texts.unexplained(list("ab"), price=lambda columns: 0.01 * columns, delta=1e-7) == []
    assert texts.found()["a"] == ("even", "odd")
    assert texts.found()["b"] == ("yes",)
    texts.release([], mu_squared=0.01, delta=1e-7)
    assert len(mechanisms.calls) == 1


def test_a_column_is_left_where_as_many_rows_are_missing_as_a_category_needs():
    """By what all of the columns would need, since nothing tells before that some will be left out."""
    parsed = table(a=halves(), b=[None] * N)
    texts = OpenCategories(parsed_everyone(parsed), kinds(parsed), RecordingMechanisms(2), Weighting(1), float(N))
    texts.release(list("ab"), mu_squared=1.0, delta=1e-7)

    def left(mu_squared: float) -> list[str]:
        return texts.unexplained(list("ab"), price=lambda columns: mu_squared, delta=1e-7)

    price = next(
        p for p in np.geomspace(1e-7, 1, 2_000) if UNEXPLAINED * Weighting(1).smallest_released(2, p, 1e-7) < N
    )
    assert left(price) == ["b"]
    assert left(price / 1.1) == left(0.0) == []


def test_two_looks_at_a_text_of_the_public_list_know_it_better_than_one():
    """Forty rows are too few for the noise of one look, and more often enough for what is known from four."""
    parsed = table(a=["yes"] * 40 + ["no"] * (N - 40))

    def found(looks: int, seed: int) -> tuple[str, ...]:
        texts = OpenCategories(
            parsed_everyone(parsed), kinds(parsed), RecordingMechanisms(seed), Weighting(1), float(N)
        )
        for _ in range(looks):
            texts.release(["a"], mu_squared=0.0025, delta=1e-7)
        return texts.found()["a"]

    once, often = (sum("yes" in found(looks, seed) for seed in range(40)) for looks in (1, 4))
    assert often > once + 10


DIAGNOSES = Schema.model_validate({"columns": {"d": {"hierarchy": "icd10"}}})


def diagnoses(n: int) -> list[str | None]:
    """Return two frequent codes, and rare ones of two chapters: 40 of each, one row each, and a text that is none."""
    rare = [f"O{number}" for number in range(10, 50)] + [f"P{number}" for number in range(10, 50)]
    cells = ["I21", "J18"] * (n // 2)
    return [*cells[: n - len(rare) - 1], *rare, "unclear"]


@pytest.mark.parametrize("seed", range(3))
def test_a_code_that_is_not_released_falls_to_its_chapter_and_not_to_other(seed):
    cells = diagnoses(N)
    parsed = table(d=cells)
    bought = {"n_rows": float(N), "mu_squared": 0.1, "delta": 1e-7, "bins": 8}
    (codec,) = codecs_of(parsed, DIAGNOSES, kinds(parsed), RecordingMechanisms(seed), **bought)
    assert {"I21", "J18", "O00-O99", "P00-P96", "A00-B99"} <= set(codec.values)
    assert not {"O36", "P36", "unclear"} & set(codec.values)
    (codes,) = codec.encode(parsed.columns["d"])
    kept = [codec.texts[code] for code in codes]
    fallen = {"O": "O00-O99", "P": "P00-P96", "I": "I21", "J": "J18", "u": "OTHER"}
    assert kept == [fallen[cell[0]] for cell in cells]
    (chapters,) = codec.groups().values()
    assert chapters[codec.values.index("I21")] == chapters[codec.values.index("I00-I99")]
    assert chapters[codec.values.index("I21")] != chapters[codec.values.index("J18")]
    other, null = chapters[-2:]
    assert len({int(other), int(null), *map(int, chapters[:-2])}) == 22 + 2


def test_the_names_of_parents_depend_on_no_row():
    """Two tables with quite other codes, neither of which passes: the same values."""
    bought = {"n_rows": float(N), "mu_squared": 0.001, "delta": 1e-7, "bins": 8}
    found = []
    for letter in "IO":
        parsed = table(d=[f"{letter}{i % 100:02d}" for i in range(N)])
        (codec,) = codecs_of(parsed, DIAGNOSES, kinds(parsed), RecordingMechanisms(7), **bought)
        found.append(codec.values)
    assert found[0] == found[1]
    assert len(found[0]) == 22


def test_finer_parents_are_taken_where_each_could_hold_enough_rows():
    """A million rows of codes that are all rare: blocks hold thousands each."""
    n = 200_000
    cells = [f"{letter}{number:02d}.{digit}" for letter in "ABCDEFGHIJ" for number in range(100) for digit in range(10)]
    parsed = ParsedTable({"d": as_categories(pa.chunked_array([pa.array(cells * (n // len(cells)))]))}, n)
    (codec,) = codecs_of(
        parsed, DIAGNOSES, kinds(parsed), RecordingMechanisms(0), n_rows=float(n), mu_squared=1e-3, delta=1e-7, bins=8
    )
    assert "I20-I25" in codec.values
    assert not any("." in value for value in codec.values)
    (codes,) = codec.encode(parsed.columns["d"])
    assert (codes < len(codec.values)).all()
    assert codec.texts[codes[cells.index("I21.0")]] == "I20-I25"


def test_a_declared_parent_takes_the_codes_that_are_not_declared():
    schema = Schema.model_validate(
        {"columns": {"d": {"hierarchy": "icd10", "categories": ["O36", "O30-O48", "O00-O99"]}}}
    )
    parsed = table(d=(["O36", "O42", "O80", "I21"] * N)[:N])
    (codec,) = codecs_of(
        parsed, schema, kinds(parsed), RecordingMechanisms(0), n_rows=float(N), mu_squared=1.0, delta=0.0, bins=8
    )
    assert codec.encode(parsed.columns["d"])[0][:4].tolist() == [0, 1, 2, 3]
