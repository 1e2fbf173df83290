"""Codecs as JSON: what a released model holds of its columns."""

from __future__ import annotations

from typing import Any

from privsynth.codecs.columns.category import CategoryCodec
from privsynth.codecs.columns.derived import ComputedCodec, DerivedCodec
from privsynth.codecs.columns.number import NumberCodec
from privsynth.codecs.columns.personal import PersonalCodec
from privsynth.codecs.columns.protocol import ColumnCodec
from privsynth.codecs.columns.surrogate import SurrogateCodec
from privsynth.codecs.columns.tied import TiedCodec
from privsynth.codecs.columns.time import TimeCodec
from privsynth.codecs.loaded import require

_CODECS = {
    codec.type: codec
    for codec in (
        *(CategoryCodec, NumberCodec, TimeCodec, SurrogateCodec, PersonalCodec, DerivedCodec, ComputedCodec, TiedCodec),
    )
}


def codec_to_json(codec: ColumnCodec) -> dict[str, Any]:
    """Return a codec as JSON-able data, its type and name included."""
    return {"type": codec.type, "name": codec.name, **codec.to_json()}


def codec_from_json(data: dict[str, Any]) -> ColumnCodec:
    """Return the codec that `codec_to_json` wrote.

    Raises:
      Malformed: an unknown type, or a part that `codec_to_json` would not write. What codecs say of each other is
        judged by `TableCodec.from_json`.
    """
    require(isinstance(data, dict), "a column is no object")
    kind = data.get("type")
    require(isinstance(kind, str) and kind in _CODECS, "a column is of an unknown type")
    codec: ColumnCodec = _CODECS[str(kind)].from_json({key: value for key, value in data.items() if key != "type"})
    return codec
