"""Every random number comes from here.

Two kinds, never mixed:

* *Secret* randomness, for noise, Poisson masks, the draw of a unit's rows and the pool's coins: a ChaCha20 stream keyed
  by the operating system, or AES as a keyed function of a unit's id. It has no seed, is never stored, printed or
  pickled, and is re-keyed after a fork.
* *Published* randomness, for sampling synthetic rows from a fitted model: numpy's PCG64 with a seed that the report
  prints. It touches nothing private.
"""

from __future__ import annotations

import os
from typing import NoReturn, Protocol

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

_REKEY_BYTES = 1 << 30  # a fresh key after 1 GiB, far below the 256 GiB of one ChaCha20 nonce (RFC 8439)
_PAIRS_AT_ONCE = 1 << 18  # encrypted at once: 4 MiB of blocks (own)
_ZEROS = memoryview(bytes(1 << 16))  # the key stream is what zeros are encrypted to


class BitSource(Protocol):
    """A source of uniform 64-bit words."""

    def uint64(self, count: int) -> np.ndarray:
        """Return (count,) independent uniform uint64."""
        ...


class SecureStream:
    """A ChaCha20 key stream, keyed by `os.urandom`; a new key after a fork and after each GiB."""

    __slots__ = ("_encryptor", "_left", "_pid")

    def __init__(self) -> None:
        self._rekey()

    def _rekey(self) -> None:
        cipher = Cipher(algorithms.ChaCha20(os.urandom(32), b"\0" * 4 + os.urandom(12)), mode=None)
        self._encryptor = cipher.encryptor()
        self._left = _REKEY_BYTES
        self._pid = os.getpid()

    def bytes(self, count: int) -> bytes:
        """Return `count` uniform bytes."""
        return self._fill(np.empty(count, dtype=np.uint8)).tobytes()

    def uint64(self, count: int) -> np.ndarray:
        """Return (count,) independent uniform uint64."""
        return self._fill(np.empty(8 * count, dtype=np.uint8)).view("<u8").astype(np.uint64, copy=False)

    def _fill(self, out: np.ndarray) -> np.ndarray:
        """Fill (n,) uint8 with the key stream, and return it."""
        view, at = out.data, 0
        while at < len(out):
            if self._left <= 0 or self._pid != os.getpid():
                self._rekey()
            take = min(len(out) - at, self._left, len(_ZEROS))
            self._encryptor.update_into(_ZEROS[:take], view[at : at + take])
            self._left -= take
            at += take
        return out

    def __repr__(self) -> str:
        return "SecureStream()"

    def __reduce__(self) -> NoReturn:
        raise TypeError("secret randomness is never pickled")


class KeyedFunction:
    """AES-256 under a key of the operating system, as a pseudo-random function of pairs of 64-bit words.

    The same pair always gets the same word, so the coins of a unit do not depend on who else is in the table; without
    the key, which never leaves the process, the words are uniform and independent.
    """

    __slots__ = ("_key",)

    def __init__(self) -> None:
        self._key = os.urandom(32)

    def words(self, first: np.ndarray, second: np.ndarray | int, *, purpose: int) -> np.ndarray:
        """Return (n,) uint64 words for (n,) pairs; different purposes give independent words.

        Args:
          first: (n,) uint64, for example the hash of a unit's id.
          second: (n,) or scalar uint64 below 2**56, for example the occurrence of an equal row.
          purpose: 0..255, which coin is meant.
        """
        # One block a pair: ECB over distinct blocks is exactly the block cipher as a function.
        encryptor = Cipher(algorithms.AES(self._key), modes.ECB()).encryptor()
        second = np.broadcast_to(np.asarray(second, dtype=np.uint64), len(first))
        out = np.empty(len(first), dtype=np.uint64)
        for start in range(0, len(first), _PAIRS_AT_ONCE):
            some = slice(start, start + _PAIRS_AT_ONCE)
            block = np.empty((len(out[some]), 2), dtype="<u8")
            block[:, 0] = first[some]
            block[:, 1] = (second[some] << np.uint64(8)) | np.uint64(purpose)
            out[some] = np.frombuffer(encryptor.update(block.tobytes()), dtype="<u8")[::2]
        return out

    def hash_texts(self, texts: list[bytes]) -> np.ndarray:
        """Return (n,) uint64 keyed hashes of byte strings (BLAKE2b under the same key)."""
        from hashlib import blake2b

        key = self._key
        joined = b"".join(blake2b(text, digest_size=8, key=key).digest() for text in texts)
        return np.frombuffer(joined, dtype="<u8").astype(np.uint64)

    def __repr__(self) -> str:
        return "KeyedFunction()"

    def __reduce__(self) -> NoReturn:
        raise TypeError("secret randomness is never pickled")


def uniform_from_words(words: np.ndarray) -> np.ndarray:
    """Return (n,) float64 in [0, 1) from uint64 words, 53 bits each."""
    return (words >> np.uint64(11)).astype(np.float64) * 2.0**-53


def poisson_mask(count: int, rate: float, bits: BitSource) -> np.ndarray:
    """Return (count,) booleans, each true with probability `rate` (to 2**-64, rounded down), independently."""
    limit = min(int(rate * 2.0**64), 2**64 - 1)
    mask: np.ndarray = bits.uint64(count) < np.uint64(limit)
    return mask


def sampling_rng(seed: int, part: int = 0) -> np.random.Generator:
    """Return the published generator of one part of what a seed stands for; parts are independent."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, part])))


def new_sampling_seed() -> int:
    """Return a fresh 53-bit seed for sampling; it is printed in the report."""
    return int.from_bytes(os.urandom(8), "little") >> 11
