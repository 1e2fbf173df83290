"""A keyed fingerprint of the rows of a table, so that the ledger knows a table under another name."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from privsynth.table import Table

_BATCH_ROWS = 50_000


def content_fingerprint(table: Table, key: bytes) -> bytes:
    """Return a 32-byte fingerprint of the rows as a multiset, whatever their order and the order of the columns.

    Each cell is hashed with SipHash under a key of its own column; a row is the mixed sum of its cells; the table
    is the sum of its rows and of their squares, both modulo 2^64, under HMAC-SHA256. Cells count as text, so that 7
    in a Parquet file and "7" in a CSV file are the same.

    Guarantee: none; it is a function of the exact rows. It belongs in the ledger and with the officer, and tells
    nothing to somebody without the key. With the key, a guess of the whole table can be confirmed.

    Args:
      table: the rows; read in batches, so that memory does not grow with them.
      key: secret of the installation, at least 16 bytes.
    """
    return content_fingerprints(table, [key])[0]


def content_fingerprints(table: Table, keys: Sequence[bytes]) -> list[bytes]:
    """Return `content_fingerprint` under each of the keys, for one reading of the rows."""
    if any(len(key) < 16 for key in keys):
        raise ValueError("a key must have at least 16 bytes")
    names = sorted(table.names)
    subkeys = {name: [_subkey(key, name) for key in keys] for name in names}
    sums = np.zeros((len(keys), 2), np.uint64)  # of the rows, and of their squares
    with np.errstate(over="ignore"):
        for batch in table.data.to_batches(max_chunksize=_BATCH_ROWS):
            rows = np.zeros((len(keys), batch.num_rows), np.uint64)
            for name in names:
                _add_cell_hashes(rows, batch.column(name), subkeys[name])
            rows = _mixed(rows)
            sums += np.stack([rows.sum(axis=1, dtype=np.uint64), (rows * rows).sum(axis=1, dtype=np.uint64)], axis=1)
    table.let_go()
    return [_digest(table, names, key, sums[at].tolist()) for at, key in enumerate(keys)]


def _digest(table: Table, names: Sequence[str], key: bytes, sums: Sequence[int]) -> bytes:
    digest = hmac.new(key, b"privsynth content fingerprint 1", hashlib.sha256)
    for number in (table.n_rows, *sums, len(names)):
        digest.update(number.to_bytes(8, "big"))
    for name in names:
        digest.update(len(name.encode()).to_bytes(8, "big") + name.encode())
    return digest.digest()


def _subkey(key: bytes, name: str) -> str:
    """Return the SipHash key of a column: 16 characters, as pandas wants them, so that a name is mixed in."""
    return hmac.new(key, b"column " + name.encode(), hashlib.sha256).hexdigest()[:16]


def _add_cell_hashes(rows: np.ndarray, cells: pa.Array, subkeys: Sequence[str]) -> None:
    """Add to (keys, n) uint64 the hashes of the cells as text; a null hashes as no text can."""
    from pandas.util import hash_array

    codes = cells.cast(pa.string()).dictionary_encode()
    # A missing cell is a text with a NUL, which ingestion lets into no cell.
    texts = np.array([*codes.dictionary.to_pylist(), "\0missing"], dtype=object)
    indices = pc.fill_null(codes.indices, len(texts) - 1).to_numpy(zero_copy_only=False)
    for row, subkey in zip(rows, subkeys, strict=True):
        row += hash_array(texts, hash_key=subkey, categorize=False)[indices]


def _mixed(rows: np.ndarray) -> np.ndarray:
    """Return the SplitMix64 finaliser of each value: without it, swapping cells between rows could go unseen."""
    rows = (rows ^ (rows >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    rows = (rows ^ (rows >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    rows ^= rows >> np.uint64(31)
    return rows
