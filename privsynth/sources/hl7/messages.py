"""Messages of HL7 v2, segment by segment. Source: HL7 version 2.5.1, chapter 2 (delimiters, escapes, batches, MLLP).

A line that begins no segment belongs to the one before: systems leave line breaks in texts. Only one segment of a file
is in memory.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from privsynth.errors import SourceError
from privsynth.sources.protocol import SkippedCells, SourceOptions
from privsynth.sources.text.text_file import decoded, open_text, physical_lines

MAX_FIELDS = 80  # of a segment that are told apart (own): PV1 has 54, and none that is read has more
_FRAME = "\x0b\x1c"  # begin and end of a message in MLLP
_HEADERS = ("MSH", "FHS", "BHS")  # the character after their name is the delimiter of fields
_TRAILERS = {"FHS": ("FTS",), "BHS": ("BTS", "FTS")}  # what a file that begins with the header ends with
_USUAL = "|^~\\&"
# Table 0211, as Python calls it; UTF-8 for all others, ASCII among them, which it includes.
_CHARSETS = {
    **{f"8859/{part}": f"iso8859-{part}" for part in (1, 2, 3, 4, 5, 6, 7, 8, 9, 15)},
    "ISO IR14": "iso2022-jp",
    "ISO IR87": "iso2022-jp",
    "ISO IR159": "iso2022-jp-1",
    "GB 18030-2000": "gb18030",
    "BIG-5": "big5",
    "KS X 1001": "euc-kr",
}


@dataclass(frozen=True)
class Delimiters:
    """The characters of MSH-1 and MSH-2, and the character set of MSH-18; "" where the text is decoded already."""

    field: str
    component: str
    repetition: str
    escape: str
    subcomponent: str
    charset: str

    @classmethod
    def of(cls, header: str, encoding: str | None) -> Delimiters | None:
        """Return those of a header segment; None if it says none that could be."""
        parts = header.split(header[3], MAX_FIELDS) if len(header) > 3 else []
        if len(parts) < 2:
            return None
        signs = (header[3] + parts[1] + _USUAL[len(parts[1]) + 1 :])[:5]  # what is left out is as usual
        if len(set(signs)) < 5 or any(sign.isalnum() or sign.isspace() or not sign.isprintable() for sign in signs):
            return None
        said = parts[17].partition(signs[2])[0].strip() if len(parts) > 17 else ""
        field, component, repetition, escape, subcomponent = tuple(signs)
        return cls(field, component, repetition, escape, subcomponent, "" if encoding else _CHARSETS.get(said, "utf-8"))

    def unescaped(self, text: str) -> str:
        """Return a text with its escape sequences resolved; marks of formatting are left out."""
        return _sequences(self.escape).sub(self._meant, text) if self.escape in text else text

    def _meant(self, sequence: re.Match[str]) -> str:
        name = sequence[1]
        if name.startswith("X"):
            return decoded(bytes.fromhex(name[1:]), self.charset or "utf-8")
        signs = {"F": self.field, "S": self.component, "R": self.repetition, "E": self.escape, "T": self.subcomponent}
        return signs.get(name, "\n" if name in (".br", ".sp") else "")


@lru_cache(maxsize=100)
def _sequences(escape: str) -> re.Pattern[str]:
    """Return what matches the sequences of section 2.7; a sign of escape that begins none of them stands for itself."""
    sign = re.escape(escape)
    return re.compile(
        rf"{sign}([FSTREHN]|X(?:[0-9A-Fa-f]{{2}}){{1,64}}|\.[a-z]{{2}}[+\- 0-9]{{0,5}}|[CMZ]\w{{1,12}}){sign}"
    )


@dataclass(frozen=True)
class Segment:
    """A segment of a message: its name, and its fields by their numbers."""

    name: str
    fields: list[str]
    signs: Delimiters

    def value(self, field: int, component: int) -> str | None:
        """Return the first part of a component; "" where the sender deletes it (`""`), None where it says nothing."""
        parts = self.components(field)
        text = parts[component - 1] if component <= len(parts) else ""
        text = text.partition(self.signs.subcomponent)[0].strip()
        return None if not text else "" if text == '""' else self.signs.unescaped(text)

    def components(self, field: int) -> list[str]:
        """Return the components of a field as they are written: of its first repetition, or the one that counts."""
        text = self.fields[field] if field < len(self.fields) else ""
        found = text.split(self.signs.repetition, MAX_FIELDS)
        parts = [repetition.split(self.signs.component, MAX_FIELDS) for repetition in found]
        return _medical_record(parts) if (self.name, field) == ("PID", 3) else parts[0]


def _medical_record(identifiers: list[list[str]]) -> list[str]:
    """Return of a patient's identifiers the medical record number (table 0203: MR, PI), else the first."""
    valued = [parts for parts in identifiers if parts[0].strip()]
    for kind in ("MR", "PI"):
        for parts in valued:
            if len(parts) > 4 and parts[4].strip() == kind:
                return parts
    return valued[0] if valued else identifiers[0]


def segments(path: Path, wanted: Collection[str], skipped: SkippedCells, options: SourceOptions) -> Iterator[Segment]:
    """Yield the segments of a file that have one of the wanted names, and each message's header before them.

    A message whose header says no delimiters is left out and counted.

    Raises:
      SourceError: the file holds no messages, ends inside an MLLP frame, or begins a batch and does not end with one.
    """
    signs: Delimiters | None = None
    for line in _lines(path, skipped, options):
        name = line[:3]
        if name == "MSH":
            signs = Delimiters.of(line, options.encoding)
            skipped.unusable_records += signs is None
            if signs is not None:
                yield Segment(name, [], signs)
        elif signs is not None and name in wanted:
            text = decoded(line.encode("latin-1"), signs.charset) if signs.charset else line
            yield Segment(name, text.split(signs.field, MAX_FIELDS), signs)


def _lines(path: Path, skipped: SkippedCells, options: SourceOptions) -> Iterator[str]:
    """Yield the segments of a file as text: of its encoding if one was chosen, else bytes as Latin-1.

    Any line but the first and the last may be somebody's text. So these two alone say whether a batch is whole.
    """
    current = delimiter = first = last = ""
    framed = in_frame = False
    with open_text(path, replace(options, encoding=options.encoding or "latin-1")) as text:
        for line in physical_lines(text, options.max_record_chars):
            is_cut = len(line) > options.max_record_chars
            skipped.long_lines += is_cut
            framed = framed or (not first and line.startswith(_FRAME[0]))  # as the file begins
            ends_frame = _FRAME[1] in line or is_cut  # what was cut may have held the end
            in_frame = framed and (in_frame or line.startswith(_FRAME[0])) and not ends_frame
            line = line.strip(f"\r\n {_FRAME}").removeprefix("\ufeff").removeprefix("ï»¿")
            if not line:
                continue
            if not first and not (line[:3] in _HEADERS and len(line) > 3):
                raise SourceError(f"{path} does not begin with a message header (MSH); it holds no HL7 v2 messages")
            begins_message = _begins_message(line, delimiter)
            if not first or (begins_message and Delimiters.of(line, options.encoding)):
                delimiter = line[3]
            if begins_message or (_is_name(line[:3]) and line[3:4] in ("", delimiter)):
                if current:
                    yield current
                current = line
            elif len(current) + len(line) < options.max_record_chars:
                current += f"\n{line}"
            last = line[:3]
            first = first or last
    if in_frame:
        raise SourceError(f"{path} ends inside a message; it is not whole, export it again")
    if first in _TRAILERS and last not in _TRAILERS[first]:
        raise SourceError(f"{path} begins a batch ({first}) that does not end; it is not whole, export it again")
    if current:
        yield current


def _begins_message(line: str, delimiter: str) -> bool:
    """Return whether a line is a message's header, of which `Delimiters.of` may still say that it is unusable.

    `MSH pending`, `MSH2` and `MSH: 3` are somebody's text: a header has the delimiter before it, or its own repeatedly.
    """
    sign = line[3:4]
    if not line.startswith("MSH") or not sign or sign.isalnum() or sign.isspace():
        return False
    return sign == delimiter or line.count(sign) > 1


def _is_name(text: str) -> bool:
    return len(text) == 3 and text.isascii() and text.isalnum() and text.isupper() and text[0].isalpha()
