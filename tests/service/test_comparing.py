"""Who decides sees the last release of the dataset beside the new one; what failed is not on record as done."""

from __future__ import annotations

import shutil
from datetime import timedelta

import pytest
from service.deciders import RUN

from privsynth.errors import KeyFileError
from privsynth.service.decisions.deciding import TypedProof
from privsynth.service.decisions.publishing import publish
from privsynth.service.decisions.sheet import decision_page
from privsynth.service.states import RunState


def test_the_last_release_stands_beside_the_new_one(deciders):
    assert decision_page(deciders.service, deciders.ann, RUN).compared == []
    for name in ("ann", "bob"):
        deciders.decide(name, "approved")
    assert deciders.post("ann", f"/runs/{RUN}/publish").status_code == 303
    shutil.copytree(deciders.draft, deciders.service.release_folder("run-2") / "draft")
    shutil.rmtree(deciders.service.release_folder("run-2") / "draft" / "approvals")
    deciders.add_run("run-2", 1, made_at=deciders.clock() + timedelta(days=1))
    page = deciders.institution.browser("ann").get("/runs/run-2/decide").text
    assert "Beside the last release of admissions" in page
    rows = {row.what: row for row in decision_page(deciders.service, deciders.ann, "run-2").compared}
    assert (rows["Epsilon"].now, rows["Epsilon"].before) == ("3", "3")
    assert rows["Unit"].before == "patient"
    assert rows["Findings: fail"].now == rows["Findings: fail"].before != "not known"
    shutil.rmtree(deciders.draft / "officer")
    rows = {row.what: row for row in decision_page(deciders.service, deciders.ann, "run-2").compared}
    assert rows["Findings: fail"].before == "not known" != rows["Findings: fail"].now
    assert rows["Epsilon"].before == "3"


def test_what_failed_is_not_on_record_as_done(deciders, monkeypatch):
    for name in ("ann", "bob"):
        deciders.decide(name, "approved")

    def broken(*_told, **_more):
        raise KeyFileError("the key does not open")

    with monkeypatch.context() as patch:
        patch.setattr("privsynth.editions.publishing.publish", broken)
        with pytest.raises(KeyFileError):
            publish(deciders.service, deciders.again("ann"), RUN, comments=False, proof=TypedProof())
    assert deciders.acts("publish") == []
    assert [act.person_id for act in deciders.acts("begin_publish")] == [deciders.ann.person_id]
    publish(deciders.service, deciders.again("ann"), RUN, comments=False, proof=TypedProof())
    assert [act.person_id for act in deciders.acts("publish")] == [deciders.ann.person_id]
    assert deciders.acts("enter_edition") == []
    deciders.post("ann", f"/runs/{RUN}/revoke", reason="a mistake in the source")
    assert deciders.run().state == RunState.REVOKED
    assert [act.person_id for act in deciders.acts("revoke")] == [deciders.ann.person_id]
