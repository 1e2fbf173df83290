"""Pages: HTML templates, with what every page needs to know."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from fastapi import Request
from fastapi.responses import HTMLResponse, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from privsynth.errors import (
    InputError,
    LedgerUnavailable,
    LogUnavailable,
    NotAllowed,
    OutputError,
    PrivsynthError,
    ServiceUnavailable,
    TooManyRequests,
)
from privsynth.pages.templates import templates_dir
from privsynth.service.caller import Caller
from privsynth.service.roles import Act
from privsynth.service.runs.request import LABELS, in_browser

# What the service cannot use now: its database, its ledger, its log, its disk. Nothing that was sent is to blame.
AWAY = (ServiceUnavailable, LedgerUnavailable, LogUnavailable, OutputError)
# An absolute path in a sentence; a folder's name may hold blanks, the last part of a path does not here.
_PLACE = re.compile(r"(?<![^\s(])/(?:[^/;:(),\n]+/)*[^\s/;:,()]+")
# What went wrong -> the status of the answer; the first that fits counts.
STATUS: tuple[tuple[type[PrivsynthError] | tuple[type[PrivsynthError], ...], int], ...] = (
    (NotAllowed, 403), (TooManyRequests, 429), (AWAY, 503), (InputError, 422), (PrivsynthError, 409),
)  # fmt: skip


def status_of(problem: Exception) -> int:
    """Return the status of an answer that says so."""
    return next((status for kind, status in STATUS if isinstance(problem, kind)), 500)


@cache
def _templates() -> Environment:
    found = Environment(
        loader=FileSystemLoader(templates_dir() / "service"), autoescape=select_autoescape(default=True),
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    found.filters |= {"when": _when, "local": _local, "sentence": _sentence, "words": _words, "in_browser": in_browser}
    found.globals["labels"] = LABELS
    return found


def _when(moment: datetime) -> Markup:
    moment = moment.astimezone(UTC)
    told = f"{moment.day} {moment:%b %Y, %H:%M} UTC"
    return Markup('<time datetime="{}">{}</time>').format(moment.isoformat(timespec="seconds"), told)


def _local(moment: datetime, zone: str) -> Markup:
    """Return a moment by the clocks of a time zone, with the day of the week."""
    moment = moment.astimezone(ZoneInfo(zone))
    told = f"{moment:%a} {moment.day} {moment:%b %Y, %H:%M %Z}"
    return Markup('<time datetime="{}">{}</time>').format(moment.isoformat(timespec="seconds"), told)


def _sentence(text: object) -> str:
    """Return what an error says with a capital and a full stop."""
    told = str(text)
    first = told[:1].upper() if told[:1].isascii() else told[:1]  # ε stays small
    return first + told[1:] + ("" if told.endswith((".", "?", "!")) else ".")


def _words(name: object) -> str:
    """Return the name of a state, a role or an act as words."""
    return str(name).replace("_", " ")


def told_of(problem: Exception) -> str:
    """Return what an error says to who asks the service: where its files are is not for them."""
    return _PLACE.sub("its folder", str(problem)) if isinstance(problem, AWAY) else str(problem)


def said_of(problem: Exception | None) -> tuple[int, str]:
    """Return the status of a page that says what is wrong, and the words; 200 and "" where nothing is."""
    return (200, "") if problem is None else (status_of(problem), told_of(problem))


def page(name: str, caller: Caller | None = None, *, status: int = 200, **facts: Any) -> HTMLResponse:
    """Return a page from its template; the caller, `me` in it, decides what the menu offers, `token` is for forms."""
    token = Markup('<input type="hidden" name="form_token" value="{}">').format(caller.form_token) if caller else ""
    text = _templates().get_template(name).render(me=caller, token=token, Act=Act, **facts)
    return HTMLResponse(text, status)


def error_page(request: Request, status: int, sentence: str) -> Response:
    """Return a page that says what is wrong, and leads back."""
    del request
    return page("error.html", status=status, sentence=sentence)


def is_api(request: Request) -> bool:
    """Say whether a program asks, which wants JSON."""
    return request.url.path.startswith("/api/")


def json_file(name: str, data: bytes) -> Response:
    """Return JSON as a file to keep."""
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return Response(data, media_type="application/json", headers=headers)


def stylesheet() -> Response:
    """Return the one style sheet of all pages."""
    return _static("style.css", "text/css")


def icon() -> Response:
    """Return the picture that browsers show beside the title of a page."""
    return _static("favicon.svg", "image/svg+xml")


def _static(name: str, media_type: str) -> Response:
    text = (templates_dir() / "service" / name).read_text(encoding="utf-8")
    return Response(text, media_type=media_type, headers={"cache-control": "max-age=3600"})
