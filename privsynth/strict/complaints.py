"""What pydantic found wrong with a value, in plain words for who wrote the file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from privsynth.errors import meant

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

# Type of an error, as pydantic names it -> what the value has to be; what stands in braces comes with the error.
_WORDS: Mapping[str, str] = {
    "int_type": "it must be a whole number, such as 2",
    "int_parsing": "it must be a whole number, such as 2",
    "int_from_float": "it must be a whole number, such as 2",
    "float_type": "it must be a number, such as 0.1",
    "float_parsing": "it must be a number, such as 0.1",
    "finite_number": "it must be a number, neither infinite nor .nan",
    "string_type": 'it must be a text; write it between quotes, as in "2"',
    "string_too_short": "it must not be empty",
    "string_too_long": "it has more than {max_length} characters",
    "bool_type": "it must be true or false",
    "bool_parsing": "it must be true or false",
    "greater_than": "it must be above {gt}",
    "greater_than_equal": "it must be at least {ge}",
    "less_than": "it must be below {lt}",
    "less_than_equal": "it must be at most {le}",
    "tuple_type": "it must be a list",
    "list_type": "it must be a list",
    "too_long": "it has more than {max_length} entries",
    "too_short": "it has fewer than {min_length} entries",
    "dict_type": "it must hold keys with values",
    "model_type": "it must hold keys with values",
    "model_attributes_type": "it must hold keys with values",
}


def in_plain_words(error: ErrorDetails | Mapping[str, Any]) -> str:
    """Return what is wrong, as a phrase without the place; it quotes no value but one that a choice was expected for.

    >>> in_plain_words({"type": "greater_than_equal", "msg": "Input should be …", "ctx": {"ge": 1}})
    'it must be at least 1'
    """
    context = error.get("ctx", {})
    if error["type"] == "literal_error":
        expected = str(context["expected"]).replace("'", "")
        given = error.get("input")
        near = meant(given, expected.replace(" or ", ", ").split(", ")) if isinstance(given, str) else ""
        return f"it can be {expected}{near}"
    if error["type"] in _WORDS:
        return _WORDS[error["type"]].format(**context)
    return str(error["msg"]).removeprefix("Value error, ")
