"""A small source of a service, and requests for releases of it that take a few seconds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from threading import Event

import yaml
from pipeline.admissions import admissions, schema

from privsynth.service.caller import Caller
from privsynth.service.context import Service, now_utc
from privsynth.service.maker_key import ensure_maker_key
from privsynth.service.roles import Role
from privsynth.service.runs.request import ReleaseRequest
from privsynth.service.sources.registry import NewSource, declare_schema, register_source
from privsynth.service.store.runs import SourceRow
from privsynth.service.worker.worker import RunWorker

SMALL = ReleaseRequest(epsilon=1.0, audit="none", generator="marginal", anyway=True)


@dataclass(frozen=True)
class Desk:
    """A service with a folder of sources, one source in it, and who registered it and who asks for releases."""

    service: Service
    admin: Caller
    submitter: Caller
    source: SourceRow


def desk(institution, tmp_path, **settings) -> Desk:
    """Return a service with a source, a person who registered it, and one who asks for releases."""
    folder = tmp_path / "drop"
    folder.mkdir()
    (folder / "admissions.csv").write_text(admissions())
    told = institution.service.settings.model_copy(update={"source_folder": str(folder), **settings})
    service = replace(institution.service, settings=told)
    institution.app.state.service = service
    admin = institution.person("ada", Role.ADMINISTRATOR)
    submitter = institution.person("sam", Role.SUBMITTER)
    new = NewSource(name="Admissions 2024", dataset="admissions", kind="file", place="admissions.csv")
    source = register_source(service, admin, new)
    declare_schema(service, admin, source.id, yaml.safe_dump(schema()))
    ensure_maker_key(replace(service, now=now_utc))  # a process looks at the real clock
    return Desk(service, admin, submitter, source)


def worker_of(service: Service, stop: Event | None = None, **more) -> RunWorker:
    """Return a worker that a test lets work once."""
    return RunWorker(service, 1, stop or Event(), **more)
