"""JSON from outside, read strictly: no repeated names, no NaN or infinity, nothing too big or too deep.

Readers differ in which of two equal names they believe, so a document that has them means two things at once.
"""

from __future__ import annotations

import json
import math
from typing import Any

from privsynth.errors import PrivsynthError


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    if len(names) != len(set(names)):
        raise ValueError("a name occurs twice in one object")
    return dict(pairs)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number is not finite")
    return number


def _no_constant(text: str) -> float:
    raise ValueError(f"{text} is not JSON")


def loads(data: bytes, *, what: str, max_bytes: int, error: type[PrivsynthError]) -> Any:
    """Return the JSON value of UTF-8 bytes.

    Args:
      data: the document.
      what: how to call it in a message, for example "manifest.json".
      max_bytes: refuse anything longer, before it is parsed.
      error: the class to raise.
    Raises:
      error: if it is too long, not UTF-8, not JSON, has a name twice in one object, NaN, infinity or half a
        surrogate pair, or is nested too deeply.
    """
    if len(data) > max_bytes:
        raise error(f"{what} has {len(data):,} bytes; more than {max_bytes:,} are not read")
    try:
        value = json.loads(
            data.decode("utf-8"), object_pairs_hook=_unique, parse_float=_finite, parse_constant=_no_constant
        )
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeError:
        raise error(f"{what} is not UTF-8 text") from None
    except json.JSONDecodeError as problem:
        raise error(
            f"{what} is not valid JSON (line {problem.lineno})" if data.strip() else f"{what} is empty"
        ) from None
    except RecursionError:
        raise error(f"{what} is not valid JSON: it is nested too deeply") from None
    except ValueError as problem:
        raise error(f"{what} is not valid JSON: {problem}") from None
    return value


def dumps(value: Any, *, indent: int | None = None) -> bytes:
    """Return JSON as ASCII bytes, names sorted; the same value gives the same bytes.

    Raises:
      TypeError, ValueError: if the value has no JSON form (NaN and infinity have none).
    """
    separators = (",", ":") if indent is None else (",", ": ")
    text = json.dumps(value, sort_keys=True, allow_nan=False, indent=indent, separators=separators)
    return text.encode("ascii")
