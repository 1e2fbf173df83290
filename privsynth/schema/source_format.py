"""`SourceFormat`: how the table of a release was written, so that what is drawn can be written alike. All public."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

MAX_NAMES = 20_000  # columns of a model file that it may speak of (own), as many as the file may have
MAX_ZONE = 100  # characters of the name of a time zone (own): the longest of the IANA list has 32


class SourceFormat(BaseModel):
    """What the header, the options, the container's types and the schema say of how cells are written.

    Nothing in it comes from a row: a decimal comma was declared or bought with the column's facts.

    Attributes:
      delimiter: one character between the cells of a delimited file; "," where the source is none.
      quote_all: whether every cell is quoted, as all names of the header line are.
      decimal_commas: the columns whose numbers have a decimal comma.
      whole_numbers: the columns whose type states whole numbers, also where these turn out to be codes.
      time_zones: column of instants -> name of the time zone that its type states, such as "Europe/Berlin". Cells are
        read, and values are drawn, in UTC.
      types: column -> its Arrow type as the container states it, such as "int32"; those that are not known to
        `privsynth.codecs.written.types` say nothing.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    delimiter: str = Field(default=",", min_length=1, max_length=1)
    quote_all: bool = False
    decimal_commas: tuple[str, ...] = Field(default=(), max_length=MAX_NAMES)
    whole_numbers: tuple[str, ...] = Field(default=(), max_length=MAX_NAMES)
    time_zones: dict[str, str] = Field(default_factory=dict, max_length=MAX_NAMES)
    types: dict[str, str] = Field(default_factory=dict, max_length=MAX_NAMES)

    @model_validator(mode="after")
    def _writable(self) -> Self:
        if self.delimiter in '"\r\n\0':
            raise ValueError("delimiter must be neither a quote nor a line break")
        if not all(0 < len(zone) <= MAX_ZONE and zone.isprintable() for zone in self.time_zones.values()):
            raise ValueError("a time zone has a name of printable characters")
        return self
