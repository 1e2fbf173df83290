"""More rows from a released model: post-processing, free.

A table is made part by part, each with its own randomness from the seed and the part's number, and one or several of
them make a file. The bytes are therefore the same however many workers share the files, in whatever order they finish,
and whether a run was stopped on the way. Of linked tables persons are drawn with all their rows, and each table has one
file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from privsynth import __version__
from privsynth.errors import ConfigError, Option
from privsynth.notebook import card
from privsynth.parallel import processors
from privsynth.progress import Progress, no_progress
from privsynth.release.csvw import COMPANION, arrow_companion, companion, companion_name, linked_companion
from privsynth.release.database.write import Target
from privsynth.release.label import ALTERED, Label, model_digest
from privsynth.release.layouts.fhir import write_fhir
from privsynth.release.layouts.omop import as_omop
from privsynth.release.linked import linked_label, write_linked
from privsynth.release.out_folder import check_out, filled
from privsynth.release.parts.journal import Files, Journal, stored_plan
from privsynth.release.parts.opening import opened
from privsynth.release.parts.places import Destination, is_url, local_path
from privsynth.release.parts.running import run
from privsynth.release.parts.writing import MAX_WORKERS, FileTasks, Writing
from privsynth.release.tables import DrawnTables, Wanted, draw_tables, order_rows, write_table
from privsynth.sampling.draw import Order
from privsynth.sampling.linked.persons import draw_persons, order_persons
from privsynth.sampling.linked.saved import is_linked, linked_digest, load_linked
from privsynth.sampling.synthetic_model import SyntheticModel
from privsynth.workspace import privsynth_home

FORMULAS = (
    "texts are as the model has them: one that begins with =, +, - or @ is a formula to a spreadsheet; import such "
    "columns as text"
)


@dataclass(frozen=True, repr=False)
class SampleResult:
    """What was written.

    Attributes:
      rows, seed, files: number of rows, seed and files; those of an object store by their URLs.
      given: the conditions that every row meets.
      groups: rows of each balanced group; empty where nothing was balanced.
      tables: rows of each table; empty where the release is of one table.
      place: where they are, if that is a database or an object store.
    """

    rows: int
    seed: int
    files: tuple[str | Path, ...]
    given: tuple[str, ...] = ()
    groups: dict[str, int] = field(default_factory=dict)
    tables: dict[str, int] = field(default_factory=dict)
    place: str = ""

    def __repr__(self) -> str:
        return f"SampleResult(rows={self.rows}, seed={self.seed}, files={len(self.files)})"

    def _repr_html_(self) -> str:
        return card(
            f"{self.rows:,} synthetic rows",
            [
                ("Place", self.place) if self.place else ("Files", ", ".join(str(path) for path in self.files)),
                ("Seed", str(self.seed)),
                ("Conditions", " and ".join(self.given)),
                ("Tables", ", ".join(f"{name}: {rows:,} rows" for name, rows in self.tables.items())),
                ("Balanced", ", ".join(f"{group}: {rows:,} rows" for group, rows in self.groups.items())),
            ],
            note=self.altered or "Sampling costs no budget.",
        )

    @property
    def altered(self) -> str:
        """A warning that base rates were altered; empty if they are the model's."""
        return ALTERED if self.given or self.groups else ""


def model_folder(path: Path) -> Path:
    """Return the model folder, given that folder, a public folder or a release."""
    places = (path, path / "model", path / "public" / "model")
    return next((p for p in places if (p / "model.json").exists() or is_linked(p)), path)


def sample(
    model: Path,
    out: str | Path,
    wanted: Wanted,
    writing: Writing | None = None,
    *,
    progress: Progress = no_progress,
) -> SampleResult:
    """Write rows of a model into a new folder, file by file, with a label that says what they are.

    Args:
      model: the folder `model` of a release, or the release's folder.
      out: a folder of this machine, in which all files appear at once; or the URL of one in an object store, where the
        label comes last.
      writing: how the table is cut into files, and whether to go on with a stopped run.
    Raises:
      SourceError: there is no model. OutputError: the folder exists or cannot be written.
      ConfigError: a condition cannot be read, (nearly) no row of the model meets it, or a stopped run that is to be
        resumed had other options.
    """
    writing = writing or Writing()
    if not is_url(out):
        check_out(local_path(out))
    folder = model_folder(model)
    if is_linked(folder):
        writing.refuse_files("linked tables")
        return _sample_linked(folder, local_path(out), wanted, suffix=writing.suffix, progress=progress)
    loaded = SyntheticModel.load(folder)
    writing.check(loaded)
    with opened(out, privsynth_home()) as place:
        if writing.resume and wanted.seed is None and isinstance(before := stored_plan(place).get("seed"), int):
            wanted = replace(wanted, seed=before)
        order, seed = order_rows(loaded, wanted)
        facts = Label.of(loaded, model_digest(folder), seed=seed, altered=wanted.altered)
        plan = _plan(facts, order, wanted, writing)
        journal = (Journal.resume if writing.resume else Journal.begin)(place, plan)
        try:
            tasks = FileTasks(loaded, order, writing, seed, facts)
            found = run(tasks, journal, writing.workers or available_cores(), progress)
            _describe(place, tasks, wanted, found)
            place.finish()
        except BaseException:
            if not (writing.resume and journal.kept):
                place.drop()
            raise
    files = tuple(f"{place.shown}/{name}" if is_url(out) else local_path(out) / name for name in found)
    groups = order.counts if wanted.balance is not None else {}
    return SampleResult(order.n_rows, seed, files, wanted.given, groups, place=place.shown if is_url(out) else "")


def _plan(facts: Label, order: Order, wanted: Wanted, writing: Writing) -> dict[str, Any]:
    """Return all that the bytes of the files depend on."""
    return {
        "version": __version__,
        "model_sha256": facts.facts["model_sha256"],
        "seed": int(facts.facts["seed"]),
        "rows": order.n_rows,
        "given": list(wanted.given),
        "balance": wanted.balance,
        "format": writing.suffix,
        "rows_per_file": writing.rows_each,
        "partition_by": writing.partition_by,
    }


def _describe(place: Destination, tasks: FileTasks, wanted: Wanted, found: Files) -> None:
    """Write what says of the files what they are, when all of them are there."""
    order, names, facts = tasks.order, list(found), tasks.label.facts
    if tasks.writing.suffix == "csv":
        beside = companion(tasks.model.written(order, (), seed=tasks.seed), names, facts)
        place.write(companion_name(names), beside)
    label = _label(facts, order.n_rows, tasks.seed, names) | {"contents": found}
    if tasks.writing.partition_by is not None:
        label["partition_by"] = tasks.writing.partition_by
    if wanted.altered:
        groups = order.counts if wanted.balance is not None else {}
        label |= {"given": list(wanted.given), "balance": wanted.balance, "groups": groups, "base_rates": ALTERED}
    place.write("_label.json", label_text(label))


def _sample_linked(folder: Path, out: Path, wanted: Wanted, *, suffix: str, progress: Progress) -> SampleResult:
    """Write persons of a model of linked tables with all their rows into a new folder, each table in a file."""
    wanted.refuse_balance()
    loaded, digest, seed = load_linked(folder), linked_digest(folder), wanted.chosen_seed()
    order = order_persons(loaded, loaded.n_persons if wanted.rows is None else wanted.rows, wanted.given)
    with filled(out, privsynth_home(), "the rows") as staged:
        drawn = draw_persons(loaded, order, seed=seed, progress=progress)
        facts = linked_label(loaded, digest, seed=seed) | ({"base_rates": ALTERED} if wanted.given else {})
        names = write_linked(loaded, drawn, staged, suffix=suffix, seed=seed, label=facts)
        if suffix == "csv":
            (staged / COMPANION).write_text(linked_companion(loaded, drawn, facts), encoding="utf-8")
        tables = {name: table.n_rows for name, table in drawn.items()}
        label = _label(facts, sum(tables.values()), seed, names) | {"tables": tables}
        _write_label(label | ({"given": list(wanted.given)} if wanted.given else {}), staged)
    return SampleResult(sum(tables.values()), seed, tuple(out / n for n in names), wanted.given, tables=tables)


def sample_as(
    model: Path, out: str | Path, wanted: Wanted, layout: str, *, suffix: str, progress: Progress = no_progress
) -> SampleResult:
    """Write rows of a model of linked tables into a new folder, in a layout that others have agreed on.

    Args:
      layout: "omop", whole tables of the CDM, or "fhir", resources (see `privsynth.release.layouts`).
      suffix: "parquet" or "csv"; of FHIR "ndjson" or "ndjson.gz".
    Raises:
      SourceError: there is no model. OutputError: the folder exists or cannot be written.
      ConfigError: the tables are not such as the layout has, or a condition cannot be met.
    """
    out = local_path(out)
    check_out(out)
    drawn = draw_tables(model_folder(model), wanted, progress=progress)
    with filled(out, privsynth_home(), "the rows") as staged:
        names, counts = _write_layout(drawn, staged, layout, suffix)
        label = _label(drawn.facts, sum(counts.values()), drawn.seed, names) | {"tables": counts, "layout": layout}
        _write_label(label | ({"given": list(wanted.given)} if wanted.given else {}), staged)
    return SampleResult(
        sum(counts.values()), drawn.seed, tuple(out / name for name in names), wanted.given, tables=counts
    )


def _write_layout(drawn: DrawnTables, folder: Path, layout: str, suffix: str) -> tuple[list[str], dict[str, int]]:
    """Return the names of the files, and how many rows or resources each table or type has."""
    if layout == "fhir":
        counts = write_fhir([table for table in drawn.tables if not table.is_reference], folder, suffix)
        return [f"{kind}.{suffix}" for kind in counts], counts
    tables = laid_out(drawn, layout).tables
    counts = {table.name: write_table(table, folder, suffix, drawn.facts) for table in tables}
    if suffix == "csv":
        headers = {f"{table.name}.csv": table.schema for table in tables}
        (folder / COMPANION).write_text(arrow_companion(headers, drawn.facts), encoding="utf-8")
    return [f"{table.name}.{suffix}" for table in tables], counts


def suffix_of(format_: str | None, layout: str | None) -> str:
    """Return the suffix of the files for a format that was asked for, or the usual one.

    Raises:
      ConfigError: the layout has no such files.
    """
    known = ("ndjson", "ndjson.gz") if layout == "fhir" else ("parquet", "csv")
    if format_ is not None and format_ not in known:
        raise ConfigError(Option("format", format_), f" is not for these files; they can be {' or '.join(known)}")
    return format_ or known[0]


def laid_out(drawn: DrawnTables, layout: str | None) -> DrawnTables:
    """Return tables in a layout that others have agreed on; as they are for None.

    Raises:
      ConfigError: they are not such as the layout has.
    """
    if layout is None:
        return drawn
    if layout == "fhir":
        raise ConfigError("resources of FHIR are written to files; give ", Option("out"), " instead of ", Option("to"))
    return replace(drawn, tables=as_omop([table for table in drawn.tables if not table.is_reference]))


def sample_to(
    model: Path, target: Target, wanted: Wanted, layout: str | None = None, *, progress: Progress = no_progress
) -> SampleResult:
    """Write rows of a model into a new schema of a database: all of them, or nothing.

    Reference tables of the release are copied. Types, keys and what is never missing are as in the source.

    Raises:
      SourceError: there is no model. OutputError: the schema exists, or cannot be written.
      ConfigError: a condition cannot be read, or (nearly) no row of the model meets it.
    """
    drawn = laid_out(draw_tables(model_folder(model), wanted, progress=progress), layout)
    counts = target.write(drawn, privsynth_home(), progress=progress)
    synthetic = {table.name: counts[table.name] for table in drawn.tables if not table.is_reference}
    return SampleResult(
        sum(synthetic.values()),
        drawn.seed,
        (),
        wanted.given,
        dict(drawn.groups),
        tables=counts if drawn.is_linked else {},
        place=target.shown,
    )


def label_text(label: Mapping[str, Any]) -> str:
    """Return the content of `_label.json`."""
    return json.dumps(label, indent=1, ensure_ascii=False) + "\n"


def _write_label(label: Mapping[str, Any], folder: Path) -> None:
    (folder / "_label.json").write_text(label_text(label), encoding="utf-8")


def _label(facts: Mapping[str, str], rows: int, seed: int, files: list[str]) -> dict[str, Any]:
    """Return what sampled rows say of themselves."""
    label: dict[str, Any] = {"synthetic": True, **facts, "rows": rows, "seed": seed, "files": files}
    if files[0].endswith(".csv"):
        label["spreadsheets"] = FORMULAS
    return label


def available_cores() -> int:
    """Return how many cores this process may use, at most `MAX_WORKERS`."""
    return min(processors(), MAX_WORKERS)
