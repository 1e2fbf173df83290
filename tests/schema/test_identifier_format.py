"""The pattern language of identifiers: what it writes, what it refuses, which formats can never meet."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from privsynth.schema.definition import Schema
from privsynth.schema.identifier_format import MAX_CHARACTERS, identifier_format


@pytest.mark.parametrize(
    ("text", "room", "length"),
    [
        ("P{8 digits}", 10**8, 9),
        ("{3 letters}-{1 digit}", 26**3 * 10, 5),
        ("{12 hex}", 16**12, 12),
        ("{uuid}", 2**122, 36),
        ("a{{{2 digits}}}z", 100, 6),
        ("Ä {1 letter}", 26, 3),
    ],
)
def test_a_format_has_room_and_length(text, room, length):
    found = identifier_format(text)
    assert (found.room, len(found.alphabets), found.text) == (room, length, text)


@pytest.mark.parametrize(
    "text",
    ["", "P", "{8 digit", "8 digits}", "{0 digits}", "{digits}", "{8 cats}", "{-1 digits}", "{999 digits}", "{ }",
     "{8 digits}\n", "x" * (MAX_CHARACTERS + 1), "{100 digits}{100 hex}", "{{8 digits}}", "{08 digits}"],
)  # fmt: skip
def test_what_is_no_format_is_refused(text):
    with pytest.raises(ValueError, match=r"format|identifier"):
        identifier_format(text)


@given(st.text(max_size=60))
def test_any_text_is_a_format_or_is_refused(text):
    try:
        found = identifier_format(text)
    except ValueError:
        return
    assert found.room > 1


@pytest.mark.parametrize(
    ("one", "other", "meet"),
    [
        ("P{8 digits}", "Q{8 digits}", False),
        ("P{8 digits}", "P{7 digits}", False),
        ("{8 digits}", "{8 hex}", True),
        ("{8 letters}", "{8 hex}", False),
        ("{2 letters}{2 digits}", "{2 hex}{2 hex}", False),
        ("A{2 hex}", "{1 letter}{2 digits}", True),
        ("{uuid}", "{36 hex}", False),
    ],
)
def test_two_formats_meet_if_an_identifier_fits_both(one, other, meet):
    first, second = identifier_format(one), identifier_format(other)
    assert first.overlaps(second) is second.overlaps(first) is meet


def schema(**columns):
    return Schema.model_validate({"columns": columns})


def test_columns_of_a_schema_cannot_write_the_same_identifier():
    schema(a={"kind": "id", "format": "P{8 digits}"}, b={"kind": "id", "format": "P{8 digits}"})  # shared out
    schema(a={"kind": "id", "format": "P{8 digits}"}, b={"kind": "national_id", "format": "Q{8 digits}"})
    with pytest.raises(ValidationError, match="an identifier of 'a' could equal one of 'b'"):
        schema(a={"kind": "id", "format": "{8 digits}"}, b={"kind": "id", "format": "{8 hex}"})


@pytest.mark.parametrize(
    ("column", "words"),
    [
        ({"kind": "id", "format": "%Y"}, "one identifier only"),
        ({"kind": "date", "format": "{8 digits}"}, "strptime"),
        ({"kind": "email", "format": "{8 digits}"}, "has no format"),
        ({"kind": "id", "locale": "de_DE"}, "locale needs"),
        ({"kind": "name", "locale": "../../etc"}, "locale"),
        ({"kind": "person"}, "kind"),
    ],
)
def test_a_format_and_a_locale_belong_to_their_kinds(column, words):
    with pytest.raises(ValidationError, match=words):
        schema(a=column)
