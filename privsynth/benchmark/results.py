"""What a benchmark knows: its runs, and their means. The JSON twin of the page; its schema is published beside it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from privsynth.errors import ConfigError, Option
from privsynth.strict.complaints import in_plain_words

WATERMARK = "INTERNAL: exact figures about real people, measured outside the privacy ledger. Do not share."
NOT_PRIVATE = "NOT PRIVATE: a reference without any guarantee"
MAX_BYTES = 64 << 20  # 64 MiB: a benchmark of thousands of runs has a few (own)


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Run(_Strict):
    """One run of one generator, here or elsewhere.

    Attributes:
      generator: its name, also in the page.
      private: whether (epsilon, delta) covers its rows. What is not private is marked as such wherever it is shown.
      epsilon, delta: the promise; None without privacy.
      seed: of what is published; None where it is not known.
      status: "done", or "failed" with a `reason`.
      figures: by name, see `privsynth.benchmark.judge` and `privsynth.benchmark.linked.judge`.
      rows: of the synthetic table; of linked tables persons.
      fit_s, sample_s, peak_mib: what it cost; None where nobody measured it.
      fit_cpu_s: seconds of the processor in `fit_s`, of all threads together.
      epsilon_spent: by our accountant.
      origin: "here", or "elsewhere" for a run of another program.
      judge: who measured the figures: "privsynth", or another program that `note` names.
      note: where a run from elsewhere comes from, and with which settings.
      rows_file: a run from elsewhere whose rows are still to be judged; relative to the file that names it. A folder of
        linked tables.
    """

    generator: str = Field(min_length=1, max_length=100)
    private: bool
    epsilon: float | None = Field(default=None, gt=0)
    delta: float | None = Field(default=None, ge=0, lt=1)
    seed: int | None = None
    status: Literal["done", "failed"] = "done"
    reason: str = ""
    figures: dict[str, float] = Field(default_factory=dict)
    rows: int | None = Field(default=None, ge=0)
    fit_s: float | None = Field(default=None, ge=0)
    fit_cpu_s: float | None = Field(default=None, ge=0)
    sample_s: float | None = Field(default=None, ge=0)
    peak_mib: int | None = Field(default=None, ge=0)
    epsilon_spent: float | None = None
    origin: Literal["here", "elsewhere"] = "here"
    judge: str = "privsynth"
    note: str = ""
    rows_file: str | None = None

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.private != (self.epsilon is not None):
            raise ValueError("a private run needs an epsilon, and a run without privacy has none")
        if self.status == "failed" and not self.reason:
            raise ValueError("a failed run needs a reason")
        return self


class Spread(_Strict):
    """A figure over the seeds: mean, standard deviation (None for one run) and how many runs had it."""

    mean: float
    sd: float | None
    n: int


class Summary(_Strict):
    """The runs of one generator at one epsilon, put together."""

    generator: str
    private: bool
    epsilon: float | None
    delta: float | None
    origin: Literal["here", "elsewhere"]
    judge: str
    note: str
    done: int
    failed: int
    figures: dict[str, Spread]
    fit_s: Spread | None
    fit_cpu_s: Spread | None = None  # twins that are older have none
    sample_s: Spread | None
    peak_mib: Spread | None


class TableInfo(_Strict):
    """What was judged: counts of real rows, so for the officer alone.

    Attributes:
      name: of the table, or of the folder of linked ones.
      columns, train_rows, holdout_rows: of all tables together.
      targets: columns that are predicted.
      tables: of linked tables, that of the persons first; none of one table.
      train_persons, holdout_persons: of linked tables.
    """

    name: str
    columns: int
    train_rows: int
    holdout_rows: int
    targets: tuple[str, ...]
    tables: tuple[str, ...] = ()
    train_persons: int | None = None
    holdout_persons: int | None = None


class Document(_Strict):
    """A whole benchmark.

    Attributes:
      format: of this file.
      visibility: always "internal": nothing of a benchmark may leave.
      warning: the watermark.
      created: time of the last run, ISO 8601, UTC.
      versions: of privsynth and of what it stands on.
      machine: cores, memory and system, for whoever reads the seconds.
      settings: as asked for.
      table: what was judged; None before the first run.
      ceiling: the figures of real rows or persons.
      planned: how many runs were asked for.
      runs: those that are there, failed ones included, in the order of the cases; then those from elsewhere.
      summary: means and spreads over the seeds.
    """

    format: Literal["privsynth-benchmark-2"] = "privsynth-benchmark-2"
    visibility: Literal["internal"] = "internal"
    warning: str = WATERMARK
    created: str
    versions: dict[str, str]
    machine: dict[str, str]
    settings: dict[str, Any]
    table: TableInfo | None
    ceiling: dict[str, float]
    planned: int
    runs: tuple[Run, ...]
    summary: tuple[Summary, ...]

    def to_json_text(self) -> str:
        """Return the document as JSON text."""
        return json.dumps(self.model_dump(mode="json"), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def summarise(runs: Iterable[Run]) -> tuple[Summary, ...]:
    """Return a summary for each generator and epsilon, in the order in which they first occur, small epsilons first."""
    groups: dict[tuple[Any, ...], list[Run]] = {}
    for run in runs:
        # The same name measured by another judge or at another delta is another line.
        groups.setdefault((run.generator, run.origin, run.judge, run.delta, run.epsilon), []).append(run)
    names = list(dict.fromkeys(key[:4] for key in groups))
    ordered = sorted(groups, key=lambda key: (names.index(key[:4]), math.inf if key[4] is None else key[4]))
    return tuple(_summary(groups[key]) for key in ordered)


def _summary(runs: Sequence[Run]) -> Summary:
    first, done = runs[0], [run for run in runs if run.status == "done"]
    names = list(dict.fromkeys(name for run in done for name in run.figures))

    def over(field: str) -> Spread | None:
        return spread([value for run in done if (value := getattr(run, field)) is not None])

    figures = {name: spread([run.figures[name] for run in done if name in run.figures]) for name in names}
    return Summary(
        generator=first.generator,
        private=first.private,
        epsilon=first.epsilon,
        delta=first.delta,
        origin=first.origin,
        judge=first.judge,
        note=first.note,
        done=len(done),
        failed=len(runs) - len(done),
        figures={name: found for name, found in figures.items() if found is not None},
        fit_s=over("fit_s"),
        fit_cpu_s=over("fit_cpu_s"),
        sample_s=over("sample_s"),
        peak_mib=over("peak_mib"),
    )


def spread(values: Sequence[float]) -> Spread | None:
    """Return mean and sample standard deviation of some values, or None for none."""
    if not values:
        return None
    return Spread(mean=fmean(values), sd=stdev(values) if len(values) > 1 else None, n=len(values))


def read_json(path: Path) -> Any:
    """Return what a JSON file holds.

    Raises:
      ConfigError: it cannot be read, is too large or is not JSON.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ConfigError(f"{path} is too large for the results of a benchmark")
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}; check ", Option("compare")) from None
    except (ValueError, RecursionError):
        raise ConfigError(f"{path} is not JSON; write it again") from None


def load_runs(path: Path) -> list[Run]:
    """Return the runs of a file: a document of `privsynth benchmark`, one run, or `{"runs": [...]}`.

    Of a folder, all its JSON files are read. All runs count as made elsewhere; a `rows_file` is found beside its file.
    Raises:
      ConfigError: a file is none of these; says what is wrong and where.
    """
    if path.is_dir():
        return [run for file in sorted(path.glob("*.json")) for run in load_runs(file)]
    data = read_json(path)
    listed = data.get("runs", [data]) if isinstance(data, Mapping) else None
    if not isinstance(listed, list):
        raise ConfigError(f"{path} holds no runs; it needs a list under 'runs'")
    try:
        found = [Run.model_validate(item) for item in listed]
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"{path} holds a run that cannot be used: {place} {in_plain_words(first)}".strip()) from None
    return [_from_elsewhere(run, path) for run in found]


def _from_elsewhere(run: Run, path: Path) -> Run:
    rows = None if run.rows_file is None else str(path.absolute().parent / run.rows_file)
    return run.model_copy(update={"origin": "elsewhere", "rows_file": rows})


def document_schema() -> dict[str, Any]:
    """Return the JSON Schema of a document; `benchmark.schema.json` holds the same."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Document.model_json_schema(mode="serialization"),
    }
