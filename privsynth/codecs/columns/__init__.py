"""Codecs of columns: one column to discrete attributes and back, from declared facts and released numbers alone."""

from privsynth.codecs.columns.category import OTHER, CategoryCodec, following_codec
from privsynth.codecs.columns.derived import ComputedCodec, DerivedCodec, computed_codec
from privsynth.codecs.columns.elapsed import DAY, ElapsedScale
from privsynth.codecs.columns.endings import Endings, declared_endings
from privsynth.codecs.columns.number import NumberCodec
from privsynth.codecs.columns.personal import PersonalCodec, invented_codec
from privsynth.codecs.columns.protocol import Attribute, ColumnCodec, Drawn, InventedCodec
from privsynth.codecs.columns.saved import codec_from_json, codec_to_json
from privsynth.codecs.columns.surrogate import SurrogateCodec, surrogate_codec
from privsynth.codecs.columns.tied import TiedCodec
from privsynth.codecs.columns.time import FIRST_SECOND, LAST_SECOND, TimeCodec, join_week, split_week

__all__ = [
    "DAY",
    "FIRST_SECOND",
    "LAST_SECOND",
    "OTHER",
    "Attribute",
    "CategoryCodec",
    "ColumnCodec",
    "ComputedCodec",
    "DerivedCodec",
    "Drawn",
    "ElapsedScale",
    "Endings",
    "InventedCodec",
    "NumberCodec",
    "PersonalCodec",
    "SurrogateCodec",
    "TiedCodec",
    "TimeCodec",
    "codec_from_json",
    "codec_to_json",
    "computed_codec",
    "declared_endings",
    "following_codec",
    "invented_codec",
    "join_week",
    "split_week",
    "surrogate_codec",
]
