"""`create_app`: the pages and the API of one service."""

from __future__ import annotations

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException

from privsynth import __version__
from privsynth.errors import InputError, NotAllowed, PrivsynthError, ServiceUnavailable, TooManyRequests
from privsynth.service.context import Service
from privsynth.service.runs.request import LABELS, why_wrong
from privsynth.service.web import uploads
from privsynth.service.web.pages import AWAY, error_page, icon, is_api, status_of, stylesheet, told_of
from privsynth.service.web.protection import Protection
from privsynth.service.web.rates import AddressLimit, RateLimit
from privsynth.service.web.routes import ROUTERS
from privsynth.service.web.visitors import SignInFirst

UNKNOWN_TOKEN = "send a valid token (Authorization: Bearer psy_…); a browser makes one"

LOST_FORM = "/sign-in?lost=true"


def create_app(service: Service) -> FastAPI:
    """Return the application that serves pages and API."""
    app = FastAPI(
        title="privsynth", version=__version__, docs_url=None, redoc_url=None, openapi_url="/api/openapi.json"
    )
    app.state.service = service
    app.state.person_limit = RateLimit(service.settings.person_requests_per_minute)
    app.add_middleware(AddressLimit, settings=service.settings)
    app.add_middleware(Protection, settings=service.settings)
    app.add_api_route("/style.css", stylesheet, include_in_schema=False)
    app.add_api_route("/favicon.svg", icon, include_in_schema=False)
    for router in (*ROUTERS, uploads.router, uploads.api):
        app.include_router(router)
    app.add_exception_handler(PrivsynthError, _refused)
    app.add_exception_handler(SignInFirst, _sign_in_first)
    app.add_exception_handler(HTTPException, _not_served)
    app.add_exception_handler(RequestValidationError, _not_understood)
    return app


def _answer(request: Request, status: int, sentence: str, exit_code: int = InputError.exit_code) -> Response:
    if is_api(request):
        return JSONResponse({"error": sentence, "exit_code": exit_code}, status)
    return error_page(request, status, sentence)


def _refused(request: Request, problem: Exception) -> Response:
    assert isinstance(problem, PrivsynthError)
    away = isinstance(problem, AWAY)  # who asks a service cannot free its disk: the same request can succeed later
    code = ServiceUnavailable.exit_code if away else problem.exit_code
    response = _answer(request, status_of(problem), told_of(problem), code)
    if isinstance(problem, TooManyRequests):
        response.headers["retry-after"] = str(problem.retry_after_s)
    return response


def _sign_in_first(request: Request, problem: Exception) -> Response:
    del problem
    if is_api(request):
        response = _answer(request, 401, UNKNOWN_TOKEN, NotAllowed.exit_code)
        response.headers["www-authenticate"] = "Bearer"
        return response
    lost = request.method == "POST" and request.url.path != "/sign-out"
    return RedirectResponse(LOST_FORM if lost else "/sign-in", 303)


def _not_served(request: Request, problem: Exception) -> Response:
    assert isinstance(problem, HTTPException)
    sentence = "there is no such page" if problem.status_code == 404 else str(problem.detail)
    response = _answer(request, problem.status_code, sentence)
    response.headers.update(problem.headers or {})
    return response


def _not_understood(request: Request, problem: Exception) -> Response:
    assert isinstance(problem, RequestValidationError)
    # Where and why, and never what was given: it may be a password.
    told = {".".join(str(part) for part in one["loc"][1:]) or "the request": why_wrong(one) for one in problem.errors()}
    if not is_api(request):
        told = {LABELS.get(place, place.replace("_", " ")): why for place, why in told.items()}
    return _answer(request, 422, "; ".join(f"'{place}' {why}" for place, why in told.items()))
