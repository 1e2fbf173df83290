"""`ReleaseRequest`: what a submitter asks for; and the configuration of the pipeline that it becomes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from privsynth.errors import InputError

if TYPE_CHECKING:
    from privsynth.pipeline.config import SynthesizeConfig


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
        first = problem.errors()[0]
        raise InputError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}".replace("_", " ")) from None


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
