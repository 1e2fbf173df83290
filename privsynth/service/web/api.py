"""What every part of the API shares: where it is, what it answers when it says no, and how a program says who it is."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Header
from pydantic import BaseModel, Field


class Problem(BaseModel):
    """Why a request was refused."""

    error: str = Field(description="A sentence: what is wrong, and what to do.")
    exit_code: int = Field(description="With which the command line ends for the same reason.")


Once = Annotated[
    str, Header(alias="idempotency-key", max_length=100, description="Sent again with the same, it is done once.")
]


_MEANINGS = {
    400: "The request is not one of HTTP.",
    401: "Nobody is known to send this token: it is none, it ended or was revoked.",
    403: "The person may not do this, or the token is not for it.",
    404: "There is no such thing.",
    409: "It cannot be done now; the sentence says why.",
    422: "What was sent cannot be used.",
    503: "The database or the ledger does not answer now; nothing was changed.",
}
PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "description": meaning} for status, meaning in _MEANINGS.items()
}


def api_router(tag: str) -> APIRouter:
    """Return a router for the part of the API with this heading; its paths stand below /api/v1."""
    return APIRouter(prefix="/api/v1", tags=[tag], responses=PROBLEMS)
