"""Write and sign the folders of a release."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from privsynth.errors import OutputError
from privsynth.exports.documents import names_of_documents
from privsynth.partitions.marks import HELD_OUT, ROW, SIDE, UNUSED, values
from privsynth.partitions.rows import PrivateRows
from privsynth.pipeline.job import Job, Made
from privsynth.pipeline.writing.documents import data_file, steward_of, write_documents, write_noisy
from privsynth.pipeline.writing.public_schema import public_schema
from privsynth.pipeline.writing.report_records import officer_report, public_report
from privsynth.pipeline.writing.staging import Seal, set_permissions, write_json, write_report
from privsynth.release.csvw import companion, companion_name
from privsynth.release.folder import write_rows
from privsynth.release.label import Label, model_digest
from privsynth.sampling.origin import Origin

# The smallest release, one column and no audit, takes 0.2 MB; a disk with less than this left counts as full (own).
LEAST_BYTES = 1 << 20
# A CSV cell is a character and a separator or more; Parquet may hold a column of one value in next to nothing.
LEAST_BYTES_OF_CELL = {"csv": 2.0, "parquet": 0.0}


def least_bytes(job: Job) -> int:
    """Return a lower bound of the release's size, from public facts alone."""
    rows = job.config.rows or job.request.schema.rows or 0
    columns = sum(job.request.schema.column(name).kind != "text" for name in job.source.names)
    return LEAST_BYTES + int(rows * columns * LEAST_BYTES_OF_CELL[job.config.format])


def _origin(job: Job) -> Origin:
    """Return what the model and its rows say of the release: the promise, and whose key is about to sign it."""
    budget = job.request.budget
    return Origin(
        epsilon=budget.epsilon,
        delta=budget.delta,
        unit=budget.unit,
        max_rows_per_unit=budget.max_rows_per_unit,
        signer="" if job.key is None else job.key.public.fingerprint,
    )


def write_release(job: Job, made: Made, folder: Path, *, signed: bool = True) -> Path:
    """Write and sign both folders in a new one and return that; or leave their signatures out."""
    public, private, bill, officer = made.public, made.private, made.bill, made.officer
    created = job.env.now.isoformat()
    data = "data.csv" if job.config.format == "csv" else "data.parquet"
    try:
        (folder / "public" / "model").mkdir(parents=True)
        (folder / "officer").mkdir(mode=0o700)
        model = replace(public.model, origin=_origin(job))
        model.save(folder / "public" / "model")
        label = Label.of(model, model_digest(folder / "public" / "model"), seed=job.request.seed)
        write_rows(public.rows, folder / "public" / data, label.parquet())
        (folder / "public" / "schema.yaml").write_text(public_schema(public, job.request), encoding="utf-8")
        noisy = write_noisy(folder / "public", public.noisy, label.parquet())
        files = [
            data,
            *noisy,
            "model/model.json",
            "model/model.safetensors",
            "report.html",
            "report.json",
            "schema.yaml",
        ]
        if job.config.format == "csv":
            files.insert(1, companion_name([data]))
            beside = companion(public.rows, [data], label.facts)
            (folder / "public" / companion_name([data])).write_text(beside, encoding="utf-8")
        report = public_report(
            public,
            job.request,
            bill,
            report_id=job.env.report_id,
            created=created,
            signing=job.signing,
            files=[*files, *names_of_documents(catalogued=job.request.schema.catalogue is not None)],
            policy=job.policy,
        )
        report = replace(report, extensions=job.extensions, earlier=made.earlier, language=job.config.language)
        write_report(folder / "public", report)
        delimiter = public.rows.source_format.delimiter
        written = data_file(folder / "public", data, rows=public.rows.n_rows, delimiter=delimiter)
        write_documents(folder / "public", report, (written,), steward_of(job.request.schema))
        seal = Seal(job.request.dataset, job.key if signed else None, job.holder, job.env.now)
        officer = replace(officer, release=seal.sign(folder / "public", "public"))
        inside = replace(report, files=("report.html", "report.json", "run.json"))
        exact = officer_report(inside, made.findings, officer, made.judgement, job.policy)
        write_report(folder / "officer", exact)
        run = {
            "report_id": job.env.report_id,
            "durations_s": dict(officer.durations),
            "skipped": dict(officer.skipped),
            "pool": {
                "holdout_rows": held_out_rows(private.rows),
                "rows_not_used": private.rows.add_up(_unused, [SIDE]),
            },
            "bill": [s.__dict__ for s in bill.spends],
        }
        write_json(folder / "officer" / "run.json", run)
    except OSError as error:
        raise OutputError(f"the release cannot be prepared: {error.strerror}") from None
    seal.sign(folder / "officer", "officer", release=officer.release)
    set_permissions(folder, job.env.now)
    return folder


def held_out_rows(rows: PrivateRows) -> list[int]:
    """Return the numbers of the rows that are held out, ascending. Private."""
    found = [values(part, ROW)[values(part, SIDE) == HELD_OUT] for part in rows.load([SIDE, ROW])]
    return sorted(np.concatenate(found).tolist())


def _unused(part: pa.Table) -> int:
    return int((values(part, SIDE) == UNUSED).sum())
