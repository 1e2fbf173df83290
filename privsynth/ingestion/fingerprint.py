"""A keyed fingerprint of the rows of a table, so that the ledger knows a table under another name."""

from __future__ import annotations

import hashlib
import hmac

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
    if len(key) < 16:
        raise ValueError("key must have at least 16 bytes")
    total = squares = np.uint64(0)
    names = sorted(table.names)
    with np.errstate(over="ignore"):
        for batch in table.data.to_batches(max_chunksize=_BATCH_ROWS):
            rows = np.zeros(batch.num_rows, np.uint64)
            for name in names:
                rows += _cell_hashes(batch.column(name), _subkey(key, name))
            rows = _mixed(rows)
            total += rows.sum(dtype=np.uint64)
            squares += (rows * rows).sum(dtype=np.uint64)
    digest = hmac.new(key, b"privsynth content fingerprint 1", hashlib.sha256)
    for number in (table.n_rows, int(total), int(squares), len(names)):
        digest.update(number.to_bytes(8, "big"))
    for name in names:
        digest.update(len(name.encode()).to_bytes(8, "big") + name.encode())
    return digest.digest()


def _subkey(key: bytes, name: str) -> str:
    """Return the SipHash key of a column: 16 characters, as pandas wants them, so that a name is mixed in."""
    return hmac.new(key, b"column " + name.encode(), hashlib.sha256).hexdigest()[:16]


def _cell_hashes(cells: pa.Array, subkey: str) -> np.ndarray:
    """Return (n,) uint64 hashes of the cells as text; a null hashes as no text can."""
    from pandas.util import hash_array

    codes = cells.cast(pa.string()).dictionary_encode()
    # A missing cell is a text with a NUL, which ingestion lets into no cell.
    texts = [*codes.dictionary.to_pylist(), "\0missing"]
    hashes = hash_array(np.array(texts, dtype=object), hash_key=subkey, categorize=False)
    rows: np.ndarray = hashes[pc.fill_null(codes.indices, len(texts) - 1).to_numpy(zero_copy_only=False)]
    return rows


def _mixed(rows: np.ndarray) -> np.ndarray:
    """Return the SplitMix64 finaliser of each value: without it, swapping cells between rows could go unseen."""
    rows = (rows ^ (rows >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    rows = (rows ^ (rows >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    rows ^= rows >> np.uint64(31)
    return rows
