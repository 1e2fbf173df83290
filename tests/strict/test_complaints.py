"""Errors of validation in plain words: no word of pydantic's reaches who wrote a file."""

from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from privsynth.strict.complaints import in_plain_words


class Sample(BaseModel):
    model_config = ConfigDict(strict=True)

    whole: int = Field(default=1, ge=1, le=10)
    number: float = Field(default=0.1, gt=0, lt=1, allow_inf_nan=False)
    text: Annotated[str, Field(min_length=1, max_length=3)] = "a"
    yes: bool = True
    listed: list[int] = Field(default=[1], max_length=2)
    paired: tuple[int, ...] = (1,)
    held: dict[str, int] = {}
    inside: BaseModel | None = None
    chosen: Literal["interval", "estimate"] = "interval"


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("whole", "two", "it must be a whole number, such as 2"),
        ("whole", 1.5, "it must be a whole number, such as 2"),
        ("whole", 0, "it must be at least 1"),
        ("whole", 11, "it must be at most 10"),
        ("number", "low", "it must be a number, such as 0.1"),
        ("number", float("nan"), "it must be a number, neither infinite nor .nan"),
        ("number", 0.0, "it must be above 0.0"),
        ("number", 1.0, "it must be below 1.0"),
        ("text", 2, 'it must be a text; write it between quotes, as in "2"'),
        ("text", "", "it must not be empty"),
        ("text", "abcd", "it has more than 3 characters"),
        ("yes", "ja", "it must be true or false"),
        ("listed", "a", "it must be a list"),
        ("listed", [1, 2, 3], "it has more than 2 entries"),
        ("paired", "a", "it must be a list"),
        ("held", "a", "it must hold keys with values"),
        ("inside", 3, "it must hold keys with values"),
        ("chosen", "intervals", "it can be interval or estimate; did you mean 'interval'?"),
        ("chosen", 3, "it can be interval or estimate"),
    ],
)
def test_what_is_wrong_is_said_in_plain_words(key, value, words):
    with pytest.raises(ValidationError) as error:
        Sample.model_validate({key: value})
    assert [in_plain_words(item) for item in error.value.errors()] == [words]
