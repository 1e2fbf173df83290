"""A source whose name means another machine after it was checked: what was checked is what is connected to."""

from __future__ import annotations

import socket
import sys
from types import SimpleNamespace

import pytest
import yaml
from pipeline.admissions import admissions, schema
from postgresql_server import PASSWORD, execute
from service.releases import SMALL, desk, worker_of

from privsynth.errors import InputError
from privsynth.service.runs.look_up import one_run
from privsynth.service.runs.submit import plan_release, submit_release
from privsynth.service.sources import places
from privsynth.service.sources.registry import NewSource, declare_schema, register_source
from privsynth.service.states import RunState

NAME = "db.clinic.example"  # RFC 2606: the process of a run, which is not patched, finds no address for it
NEAR = "127.0.0.9"


class Rebinding:
    """A resolver that tells the address of the tests' server first, and afterwards a near one."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._real, self.asked = socket.getaddrinfo, 0
        patch.setattr(socket, "getaddrinfo", self._resolve)

    def _resolve(self, host, *args, **named):
        if host == NAME:
            self.asked += 1
            host = "127.0.0.1" if self.asked == 1 else NEAR
        return self._real(host, *args, **named)


@pytest.fixture
def rebinding(monkeypatch):
    """Begin anew with what the resolver tells; the server of the tests counts as one that is far."""
    monkeypatch.setattr(places, "is_near", lambda address: str(address) == NEAR)
    return lambda: Rebinding(monkeypatch)


@pytest.fixture
def at(institution, tmp_path):
    return desk(institution, tmp_path)


@pytest.mark.slow
def test_a_source_is_drafted_planned_and_released_from_the_address_that_was_checked(at, postgresql, rebinding):
    here = f"postgresql://anna:{PASSWORD}@127.0.0.1:{postgresql}/postgres"
    header, *rows = admissions().splitlines()
    cells = ", ".join("({})".format(", ".join(f"'{cell}'" for cell in row.split(","))) for row in rows)
    execute(here, f"CREATE TABLE pinned ({', '.join(f'{name} text' for name in header.split(','))})",
            f"INSERT INTO pinned VALUES {cells}")  # fmt: skip
    new = NewSource(name="Pinned", dataset="pinned", kind="database", place=here.replace("127.0.0.1", NAME),
                    options={"table": "pinned"})  # fmt: skip
    told = rebinding()
    source = register_source(at.service, at.admin, new)
    assert told.asked == 1
    declare_schema(at.service, at.admin, source.id, yaml.safe_dump(schema()))
    told = rebinding()
    assert all(found.plan for found in plan_release(at.service, at.submitter, source.id, SMALL))
    assert told.asked == 1
    rebinding()
    run = submit_release(at.service, at.submitter, source.id, SMALL, purpose="a test")
    told = rebinding()
    assert worker_of(at.service).once()
    found = one_run(at.service, at.submitter, run.id)
    assert (found.state, told.asked) == (RunState.TO_DECIDE, 1), found.sentence
    with pytest.raises(InputError, match="own machine"):  # the second answer, by itself
        plan_release(at.service, at.submitter, source.id, SMALL)


def test_a_driver_that_would_look_the_name_up_again_is_refused(at, rebinding, monkeypatch):
    stub = SimpleNamespace(__version__="2.2.0", paramstyle="format", version_info=(2, 2, 0), Error=Exception)
    monkeypatch.setitem(sys.modules, "MySQLdb", stub)
    rebinding()
    new = NewSource(name="N", dataset="n", kind="database", place=f"mysql+mysqldb://anna:hunter22@{NAME}/clinic",
                    options={"table": "t"})  # fmt: skip
    with pytest.raises(InputError, match="mysqldb would look up the host of the database again"):
        register_source(at.service, at.admin, new)
