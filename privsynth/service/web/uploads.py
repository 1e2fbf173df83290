"""Files that are sent to become a source: a form of a browser, and the body of a program's request."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import RedirectResponse, Response
from starlette.concurrency import run_in_threadpool

from privsynth.errors import InputError
from privsynth.service.roles import Act
from privsynth.service.sources.registry import NewSource
from privsynth.service.sources.uploads import Upload
from privsynth.service.web.api import api_router
from privsynth.service.web.routes.sources import SourceFacts, facts_of, sources_answer
from privsynth.service.web.streamed_form import StreamedForm, read_form
from privsynth.service.web.visitors import Program, ServiceHere, Visitor, require_form

router = APIRouter(include_in_schema=False)
api = api_router("Sources")
UPLOAD_OPTIONS = ("sheet", "columns", "encoding", "delimiter")
_BODY = {"requestBody": {"required": True, "content": {"application/octet-stream": {"schema": {"type": "string"}}}}}


@router.post("/sources/upload")
async def upload_form(request: Request, service: ServiceHere, caller: Visitor) -> Response:
    """Take a file that is sent with a form; who sends it is known before the first byte of it is kept."""
    caller.require(Act.REGISTER_SOURCE)
    kind = request.headers.get("content-type", "")
    if not kind.startswith("multipart/form-data"):
        require_form(caller, "")  # it carries no token of a page
    with ExitStack() as until_kept:
        uploads: list[Upload] = []
        typed: dict[str, str] = {}

        def begin(fields: dict[str, str], file_name: str) -> Callable[[bytes], None]:
            typed.update(fields)
            require_form(caller, fields.get("form_token", ""))
            uploads.append(until_kept.enter_context(Upload(service, caller, file_name)))
            return uploads[0].write

        try:
            form = StreamedForm(kind, begin)
            await read_form(request, form)
            told = {name: form.fields.get(name, "").strip() for name in UPLOAD_OPTIONS}
            new = NewSource(
                name=form.fields.get("name", "").strip(), dataset=form.fields.get("dataset", "").strip(),
                kind="upload", place="", options={name: text for name, text in told.items() if text},
            )  # fmt: skip
            source = await run_in_threadpool(uploads[0].keep, new)
        except InputError as problem:
            return await run_in_threadpool(partial(sources_answer, service, caller, problem, sent=typed))
    return RedirectResponse(f"/sources/{source.id}", 303)


def _read_by(
    encoding: Annotated[str, Query(max_length=40, description="Encoding of a text file; empty: utf-8.")] = "",
    delimiter: Annotated[str, Query(max_length=3, description="Of a CSV file: one character, or the word tab.")] = "",
    sheet: Annotated[str, Query(max_length=200, description="Sheet of a workbook.")] = "",
    columns: Annotated[str, Query(max_length=9000, description="Only these columns, separated by commas.")] = "",
) -> dict[str, str]:
    """Return how a file that is sent is to be read, by `UPLOAD_OPTIONS`."""
    told = {"sheet": sheet, "columns": columns, "encoding": encoding, "delimiter": delimiter}
    return {name: text.strip() for name, text in told.items() if text.strip()}


@api.post("/sources/upload", operation_id="upload_source", status_code=201, openapi_extra=_BODY)
async def upload_facts(
    request: Request,
    service: ServiceHere,
    caller: Program,
    name: Annotated[str, Query(min_length=1, max_length=80)],
    dataset: Annotated[str, Query(min_length=1, max_length=200, description="Its name in the ledger.")],
    file_name: Annotated[str, Query(min_length=1, max_length=200, description="Its suffix says what it is.")],
    read_by: Annotated[dict[str, str], Depends(_read_by)],
) -> SourceFacts:
    """Register the file in the body of the request as a source; only the names of its columns are read."""
    with Upload(service, caller, file_name) as upload:
        async for part in request.stream():
            await run_in_threadpool(upload.write, part)
        new = NewSource(name=name.strip(), dataset=dataset.strip(), kind="upload", place="", options=read_by)
        return facts_of(await run_in_threadpool(upload.keep, new))
