"""`ReleaseRequest`: what a submitter asks for; and the configuration of the pipeline that it becomes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from privsynth.errors import InputError, PrivsynthError
from privsynth.ledger.account import HOW_TO_RAISE

if TYPE_CHECKING:
    from privsynth.pipeline.config import SynthesizeConfig


# Field of a form -> what pages call it.
LABELS = {
    "epsilon": "Epsilon", "delta": "Delta", "unit": "Whose privacy is protected",
    "max_rows_per_unit": "Most rows per person or account", "rows": "Synthetic rows",
    "expect_rows": "Your guess of the number of rows", "generator": "Generator", "audit": "Audit",
    "format": "Format of the table", "language": "Language of page one",
    "anyway": "Make it even if little can be learned", "every": "Every", "first": "First on", "at": "At",
    "schema": "Schema (YAML)",
}  # fmt: skip
ASK_FOR_MORE = "Ask for less, or ask whoever runs the service to raise the dataset's cap."


def in_browser(problem: PrivsynthError | str) -> str:
    """Return what an error says to who sees pages and types no command."""
    told = problem if isinstance(problem, str) else problem.in_words(LABELS)
    return told.replace(HOW_TO_RAISE, ASK_FOR_MORE)


def what_is_wrong(problem: ValidationError) -> str:
    """Return what is wrong with the first field that is; its value is not repeated."""
    first = problem.errors()[0]
    name = str(first["loc"][0]) if first["loc"] else "the form"
    return f"'{LABELS.get(name, name.replace('_', ' '))}' {why_wrong(first)}"


def why_wrong(error: Mapping[str, Any]) -> str:
    """Return what is wrong with a field by one of pydantic's errors, as the end of a sentence."""
    bounds = {
        "greater_than": ("gt", "more than"), "greater_than_equal": ("ge", "at least"), "less_than": ("lt", "less than"),
        "less_than_equal": ("le", "at most"),
    }  # fmt: skip
    kinds = {
        "missing": "is missing", "float_parsing": "has to be a number", "int_parsing": "has to be a whole number",
        "int_from_float": "has to be a whole number", "finite_number": "has to be a number",
    }  # fmt: skip
    kind, told = str(error["type"]), error.get("ctx") or {}
    if kind in bounds:
        name, words = bounds[kind]
        return f"has to be {words} {told[name]}"
    if kind == "literal_error":
        return f"has to be one of {told['expected']}"
    if kind == "string_too_long":
        return f"has to have at most {told['max_length']} characters"
    if kind.startswith(("date", "time")):
        return "has to be a date, as 2026-12-31" if kind.startswith("date") else "has to be a time, as 06:00"
    return kinds.get(kind, f"is not right: {error['msg']}")


class ReleaseRequest(BaseModel):
    """What a submitter asks for; the names are those of the command line."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    epsilon: float = Field(gt=0, le=1e6, description="Total privacy budget of the release, everything included.")
    delta: float = Field(1e-6, gt=0, lt=1, description="Total delta.")
    unit: str | None = Field(None, max_length=200, description="Whose privacy is protected: a column, or 'row'.")
    max_rows_per_unit: int | None = Field(None, ge=1, le=10**9, description="Use at most so many rows of each unit.")
    rows: int | None = Field(None, ge=1, le=10**10, description="Synthetic rows; the noisy number if left out.")
    expect_rows: int | None = Field(None, ge=1, le=10**12, description="A guess of the number of rows.")
    generator: str = Field("auto", max_length=80, description="auto, or the name of a generator.")
    audit: Literal["quick", "standard", "deep", "none"] = Field("standard", description="How thorough the audit is.")
    format: Literal["parquet", "csv"] = Field("parquet", description="Format of the synthetic table.")
    language: Literal["en", "de"] = Field("en", description="Language of page one of the reports.")
    anyway: bool = Field(False, description="Make the release even if little can be learned.")
    from_last_release: bool = Field(
        False, description="Start from the dataset's newest published release, if there is one: what it tells is free."
    )


def generators_to_choose() -> list[tuple[str, str]]:
    """Return value and name of each generator that is private; the empty value stands for the default."""
    from privsynth.generators.registry import AUTO, GENERATORS

    return [("", f"auto: {AUTO}"), *((name, name) for name, info in GENERATORS.items() if info.private)]


def request_of(told: Mapping[str, str]) -> ReleaseRequest:
    """Return what the fields of a form ask for; an empty field asks for nothing.

    Raises:
      InputError: a field is missing or absurd; its value is not repeated.
    """
    try:
        return ReleaseRequest.model_validate({name: text.strip() for name, text in told.items() if text.strip()})
    except ValidationError as problem:
        raise InputError(what_is_wrong(problem)) from None


def fields_of(request: ReleaseRequest) -> dict[str, str]:
    """Return what the fields of a form hold that asks for this; what is as usual stays empty."""
    told = request.model_dump(exclude_defaults=True)
    return {name: "true" if value is True else f"{value:.15g}" if isinstance(value, float) else str(value)
            for name, value in told.items()}  # fmt: skip


class SourcePlace(BaseModel):
    """Where the rows of a run are, and what is declared about them. It holds a secret, and is never printed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    place: str = Field(repr=False)
    options: dict[str, Any]
    dataset: str
    schema_text: str


def config_of(origin: SourcePlace, request: ReleaseRequest, out: Path, **more: Any) -> SynthesizeConfig:
    """Return the configuration of the pipeline.

    Args:
      more: what the institution decides: policy and key; and the prior.
    Raises:
      ConfigError, SchemaError: something is absurd or contradicts something else.
    """
    from privsynth.pipeline.config import SynthesizeConfig
    from privsynth.service.sources.schema_text import declared_schema

    asked = request.model_dump(exclude={"from_last_release"})
    return SynthesizeConfig(
        source=origin.place, source_options=origin.options, dataset=origin.dataset,
        schema=declared_schema(origin.schema_text), out=out, **asked, **more,
    )  # fmt: skip
