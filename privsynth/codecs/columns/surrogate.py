"""Columns of identifiers, which are replaced by surrogates.

All identifiers that a format can write stand in one fixed order, the same for every model and shuffled by a permutation
that anybody can compute. A draw takes as many of them as it has rows, one after the other, from a place that follows
from its key. So the identifiers of a draw differ from each other for certain, and two draws of n and m rows share none,
except with probability below (n + m) / room: whether they are of one model or of two, of one table or of two.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from privsynth.codecs.columns.protocol import InventedCodec
from privsynth.codecs.columns.saved_fields import column_name
from privsynth.codecs.loaded import Malformed, flag, only, require, text
from privsynth.schema.definition import IDENTIFIER_KINDS, Column
from privsynth.schema.identifier_format import MAX_CHARACTERS, IdentifierFormat, identifier_format

USUAL_FORMAT = "S{12 hex}"  # S for surrogate; among 2.8e14, two draws of a million rows share one with odds of 7e-9
# Where the source has whole numbers. A billion are few for two draws not to meet, but more do not fit 32 bits.
USUAL_NUMBER, SHORT_NUMBER = "{12 digits}", "{9 digits}"
USUAL_NATIONAL_ID = "X{9 digits}"  # no country's; what a country's looks like has to be declared
_ROUNDS = 6  # of the permutation; four make every character depend on every other (Luby & Rackoff 1988), six to be sure
_HALF = 1 << 62  # the most values that half an identifier may have: sums of two still fit 64 bits


@dataclass(frozen=True)
class SurrogateCodec(InventedCodec):
    """A surrogate for each row, or for each synthetic unit; nothing of the real identifiers is kept.

    Attributes:
      format: what they look like.
      integer: whether they are whole numbers; the format then consists of digits.
    """

    type: ClassVar[str] = "surrogate"
    name: str
    format: IdentifierFormat = field(default_factory=lambda: identifier_format(USUAL_FORMAT))
    integer: bool = False

    @property
    def arrow_type(self) -> pa.DataType:
        """int64 for whole numbers, else strings."""
        return pa.int64() if self.integer else pa.string()

    @property
    def pattern(self) -> IdentifierFormat:
        """The format; of whole numbers without those that begin with a zero."""
        return self.format.without_leading_zero() if self.integer else self.format

    def invent(self, numbers: np.ndarray, key: int) -> pa.Array:
        """Return (n,) identifiers, different for different numbers, in `arrow_type`.

        Args:
          numbers: (n,) int64 from 0, below the format's room: of the rows, or of the units that they belong to.
          key: of the draw, see `privsynth.sampling.draw.draw_key`.
        """
        written = self._permutation.written(numbers, key)
        if self.integer:
            value = np.zeros(len(written), dtype=np.int64)
            for digits in written.T:
                value = value * 10 + (digits - ord("0"))
            return pa.array(value, pa.int64())
        ends = np.arange(len(written) + 1, dtype=np.int64) * written.shape[1]
        buffers = [None, pa.py_buffer(ends), pa.py_buffer(np.ascontiguousarray(written))]
        return pa.Array.from_buffers(pa.large_string(), len(written), buffers).cast(pa.string())

    @cached_property
    def _permutation(self) -> _Permutation:
        return _Permutation.of(self.pattern)

    def to_json(self) -> dict[str, Any]:
        """Return JSON-able data."""
        return {"format": self.format.text, "integer": self.integer}

    @classmethod
    def from_json(cls, data: Any) -> SurrogateCodec:
        """Return the codec that `to_json` wrote.

        Raises:
          Malformed: a field is missing or wrong.
        """
        found = only(data, {"name", "format", "integer"}, "a column of identifiers")
        declared = text(found["format"], "the format of a column", at_most=MAX_CHARACTERS)
        try:
            format_ = identifier_format(declared)
        except ValueError:
            raise Malformed("the format of a column writes no identifiers") from None
        integer = flag(found["integer"], "a field of a column")
        require(format_.is_number or not integer, "the format of a column writes no whole numbers")
        return cls(column_name(found["name"]), format_, integer)


def surrogate_codec(name: str, column: Column, kind: pa.DataType) -> SurrogateCodec:
    """Return the codec of a column of identifiers, from what was declared and the container's type.

    Whole numbers stay whole numbers, if the declared format writes digits only.
    """
    whole = pa.types.is_integer(kind)
    if column.format is not None and column.kind in IDENTIFIER_KINDS:
        format_ = identifier_format(column.format)
        return SurrogateCodec(name, format_, whole and format_.is_number)
    if column.kind == "national_id":
        return SurrogateCodec(name, identifier_format(USUAL_NATIONAL_ID))
    usual = USUAL_FORMAT if not whole else USUAL_NUMBER if kind.bit_width == 64 else SHORT_NUMBER
    return SurrogateCodec(name, identifier_format(usual), whole)


@dataclass(frozen=True)
class _Permutation:
    """All identifiers of a format in their fixed order: a Feistel network over two halves of their characters.

    Attributes:
      alphabets: those of the format, one for each character.
      left, right: the places in an identifier of each half's characters. What stands before both, where a format has
        more room than two halves can number, is a hash of them.
      keys: one 64-bit word a round.
    """

    alphabets: tuple[str, ...]
    left: tuple[int, ...]
    right: tuple[int, ...]
    keys: tuple[int, ...]

    @classmethod
    def of(cls, pattern: IdentifierFormat) -> _Permutation:
        """Return the permutation of a format; it follows from the format alone."""
        alphabets = pattern.alphabets
        free = [at for at, alphabet in enumerate(alphabets) if len(alphabet) > 1]
        right = _last(free, alphabets, min(_HALF, 1 << (pattern.room.bit_length() // 2)))
        left = _last(free[: len(free) - len(right)], alphabets, _HALF)
        digest = hashlib.blake2b(repr(alphabets).encode("utf-8"), digest_size=8 * _ROUNDS).digest()
        return cls(alphabets, left, right, tuple(np.frombuffer(digest, "<u8").tolist()))

    def written(self, numbers: np.ndarray, key: int) -> np.ndarray:
        """Return (n, bytes) uint8 identifiers in UTF-8: those at the places key + number, modulo the room."""
        n_left, n_right = np.uint64(self._values(self.left)), np.uint64(self._values(self.right))
        start_left, start_right = divmod(key % (int(n_left) * int(n_right)), int(n_right))
        # Sums stay below 2**64: a half has 2**62 values at most, and a table far fewer rows.
        right: np.ndarray = np.uint64(start_right) + numbers.astype(np.uint64)
        left: np.ndarray = (np.uint64(start_left) + right // n_right % n_left) % n_left
        right = right % n_right
        for round_, word in enumerate(self.keys):
            if round_ % 2:
                left = (left + mixed(right, word) % n_left) % n_left
            else:
                right = (right + mixed(left, word) % n_right) % n_right
        return self._bytes(left, right)

    def _values(self, places: tuple[int, ...]) -> int:
        found = 1
        for at in places:
            found *= len(self.alphabets[at])
        return found

    def _bytes(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        rest = mixed(left ^ mixed(right, self.keys[0]), self.keys[1])
        halves = {**dict.fromkeys(self.left, 0), **dict.fromkeys(self.right, 1)}
        values, columns = [left, right], []
        for at in range(len(self.alphabets) - 1, -1, -1):
            letters = np.frombuffer(self.alphabets[at].encode("utf-8"), dtype=np.uint8)
            size = np.uint64(len(self.alphabets[at]))
            if size == 1:  # it may take several bytes
                columns += [np.broadcast_to(byte, len(left)) for byte in letters[::-1]]
                continue
            if at in halves:
                values[halves[at]], index = np.divmod(values[halves[at]], size)
            else:
                index, rest = rest % size, mixed(rest, self.keys[2])
            columns.append(letters[index.astype(np.intp)])
        return np.column_stack(columns[::-1])


def _last(places: list[int], alphabets: tuple[str, ...], most: int) -> tuple[int, ...]:
    """Return as many of the last places as have at most so many values together, but one at least, if there is one."""
    found: list[int] = []
    values = 1
    for at in reversed(places):
        values *= len(alphabets[at])
        if found and values > most:
            break
        found.append(at)
    return tuple(reversed(found))


def mixed(words: np.ndarray, key: int) -> np.ndarray:
    """Return (n,) uint64 words that look random, a function of each word and the key.

    Source: the output function of SplitMix64 (Steele, Lea & Flood 2014, figure 16).
    """
    with np.errstate(over="ignore"):
        found: np.ndarray = words + np.uint64(key)
        found = (found ^ (found >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        found = (found ^ (found >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return found ^ (found >> np.uint64(31))
