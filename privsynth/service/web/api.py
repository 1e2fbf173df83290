"""What every part of the API shares: where it is, what it answers when it says no, and how a program says who it is."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Header, Path
from pydantic import BaseModel, ConfigDict, Field

LARGEST = 2**31 - 1  # number of a row: the databases' integers
Number = Annotated[int, Path(ge=1, le=LARGEST)]
RunId = Annotated[str, Path(max_length=40, pattern=r"^[A-Za-z0-9-]+$")]


class Sent(BaseModel):
    """What a program sends: known fields only, so that a misspelled one is not passed over."""

    model_config = ConfigDict(extra="forbid")


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
    429: "There were too many requests; the header Retry-After says in how many seconds they are served again.",
    503: "The database, the ledger, the log of releases or the disk cannot be used now; the sentence says why.",
}
PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "description": meaning} for status, meaning in _MEANINGS.items()
}


def api_router(tag: str) -> APIRouter:
    """Return a router for the part of the API with this heading; its paths stand below /api/v1."""
    return APIRouter(prefix="/api/v1", tags=[tag], responses=PROBLEMS)
