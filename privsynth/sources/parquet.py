"""Parquet files, with the types that the file declares, brought to the six of the package."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from privsynth.errors import SourceError
from privsynth.sources.arrow_types import format_of, most_bytes, plain_array, plain_type, types_of
from privsynth.sources.container_limits import refuse_parquet_bomb
from privsynth.sources.header_checks import check_names, chosen_positions, refuse_unreadable
from privsynth.sources.protocol import Adapter, SkippedCells, SourceOptions

_BATCH_BYTES = 64 << 20  # read at once (own)


class ParquetSource:
    """One Parquet file.

    Attributes:
      fields: all columns of the file, with the types that it states.
    """

    names_are_public = True

    def __init__(self, path: Path, options: SourceOptions, label: str | None = None) -> None:
        self.label = label or str(path)
        refuse_unreadable(path, self.label)
        self._path = path
        self._options = options
        with self._opened() as file:
            self.fields = fields = list(file.schema_arrow)
            self._rows_per_batch = _rows_per_batch(file.metadata, options)
        header = [field.name for field in fields]
        check_names(header, self.label, options)
        chosen = [fields[position] for position in chosen_positions(header, self.label, options)]
        self.names = [field.name for field in chosen]
        self.arrow_schema = pa.schema([(field.name, plain_type(field.type)) for field in chosen])
        self.source_format, self.stated_types = format_of(chosen), types_of(chosen)

    def __repr__(self) -> str:
        return f"ParquetSource({self.label}, {len(self.names)} columns)"

    def _opened(self) -> pq.ParquetFile:
        """Open the file. Texts that it keeps as dictionaries stay so: one long text may stand in millions of rows."""
        try:
            metadata = pq.read_metadata(self._path)
            refuse_parquet_bomb(metadata, self.label)
            return pq.ParquetFile(self._path, pre_buffer=False, read_dictionary=_dictionaries(metadata))
        except SourceError:
            raise
        except (pa.ArrowException, OSError):  # the message of Arrow may quote bytes of the file
            raise SourceError(
                f"{self.label} is no Parquet file, or a damaged or encrypted one; copy it again"
            ) from None

    def batches(self, skipped: SkippedCells) -> Iterator[pa.RecordBatch]:
        """Yield the rows with plain types."""
        with self._opened() as file:
            # All columns are decoded and then chosen: to `columns=` the name "a.b" is a path into a struct.
            for batch in file.iter_batches(batch_size=self._rows_per_batch, use_threads=False):
                for part in self._parts(batch):
                    arrays = [plain_array(part.column(name), skipped, self._options) for name in self.names]
                    yield pa.RecordBatch.from_arrays(arrays, schema=self.arrow_schema)

    def _parts(self, batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        """Yield slices of a batch that stay small once their dictionaries are looked up."""
        row_bytes = sum(most_bytes(batch.column(name), self._options) for name in self.names)
        n_rows = max(1, _BATCH_BYTES // max(1, row_bytes))
        for start in range(0, batch.num_rows, n_rows):
            yield batch.slice(start, n_rows)


def _dictionaries(metadata: pq.FileMetaData) -> list[str]:
    """Return the columns of texts and bytes of which some chunk has a dictionary."""
    kinds = {field.name: field.type for field in metadata.schema.to_arrow_schema()}
    found = set()
    for group in range(metadata.num_row_groups):
        for column in range(metadata.num_columns):
            chunk = metadata.row_group(group).column(column)
            is_text = kinds.get(chunk.path_in_schema) in (
                pa.string(),
                pa.large_string(),
                pa.binary(),
                pa.large_binary(),
            )
            if is_text and {"PLAIN_DICTIONARY", "RLE_DICTIONARY"} & set(chunk.encodings):
                found.add(chunk.path_in_schema)
    return sorted(found)


def _rows_per_batch(metadata: pq.FileMetaData, options: SourceOptions) -> int:
    """Return how many rows to decode at once: fewer where the rows of the file are wide."""
    n_bytes = sum(int(metadata.row_group(i).total_byte_size) for i in range(metadata.num_row_groups))
    bytes_per_row = max(1, n_bytes // max(1, int(metadata.num_rows)))
    return max(1, min(options.rows_per_batch(metadata.num_columns), _BATCH_BYTES // bytes_per_row))


SOURCE = Adapter(what="a Parquet file", open=ParquetSource, suffixes=(".parquet",))
