"""A form with a file, read as it comes: nothing is kept in memory or written before it is known who sends it."""

from __future__ import annotations

from collections.abc import Callable
from email.message import Message

from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser
from starlette.concurrency import run_in_threadpool

from privsynth.errors import InputError

LONGEST_FIELD = 20_000  # bytes of all fields before the file (own)
NOT_A_FORM = "this is not a form with a file: send it from the page"


class StreamedForm:
    """Fields of a form, and then its one file.

    Args:
      begin: called with the fields and the name of the file when that begins; returns what takes its parts.
    """

    def __init__(self, content_type: str, begin: Callable[[dict[str, str], str], Callable[[bytes], None]]) -> None:
        told = Message()
        told["content-type"] = content_type
        boundary = told.get_param("boundary")
        if told.get_content_type() != "multipart/form-data" or not isinstance(boundary, str):
            raise InputError(NOT_A_FORM)
        self.fields: dict[str, str] = {}
        self._begin = begin
        self._take: Callable[[bytes], None] | None = None
        self._header, self._value, self._headers = b"", b"", Message()
        self._name, self._text, self._size = "", b"", 0
        self._parser = MultipartParser(
            boundary.encode(),
            {
                "on_part_begin": self._part_begins, "on_header_field": self._header_field,
                "on_header_value": self._header_value, "on_header_end": self._header_ends,
                "on_headers_finished": self._headers_end, "on_part_data": self._data, "on_part_end": self._part_ends,
            },
        )  # fmt: skip

    def feed(self, part: bytes) -> None:
        """Read on.

        Raises:
          InputError: it is no such form, or its fields are too long.
        """
        try:
            self._parser.write(part)
        except FormParserError:
            raise InputError(NOT_A_FORM) from None

    def finish(self) -> None:
        """Return if the form has come to its end, with a file.

        Raises:
          InputError: it has not.
        """
        try:
            self._parser.finalize()
        except FormParserError:
            raise InputError("the file did not come to its end: send it again") from None
        if self._take is None:
            raise InputError("choose a file")

    def _part_begins(self) -> None:
        self._headers, self._name, self._text = Message(), "", b""

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_ends(self) -> None:
        self._headers[self._header.decode("latin-1")] = self._value.decode("utf-8", "replace")
        self._header, self._value = b"", b""

    def _headers_end(self) -> None:
        self._name = str(self._headers.get_param("name", "", "content-disposition"))
        file = self._headers.get_param("filename", None, "content-disposition")
        if file is not None:
            if self._take is not None:
                raise InputError("send one file at a time")
            self._name = ""
            self._take = self._begin(dict(self.fields), str(file))

    def _data(self, data: bytes, start: int, end: int) -> None:
        if not self._name:
            if self._take is not None:
                self._take(data[start:end])
            return
        self._size += end - start
        if self._size > LONGEST_FIELD:
            raise InputError("a field of this form is too long")
        self._text += data[start:end]

    def _part_ends(self) -> None:
        if self._name:
            self.fields[self._name] = self._text.decode("utf-8", "replace")


async def read_form(request: Request, form: StreamedForm) -> None:
    """Read the form of a request to its end."""
    async for part in request.stream():
        await run_in_threadpool(form.feed, part)
    form.finish()
