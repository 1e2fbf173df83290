"""An audit of another package runs after ours, is the officer's whatever it says, and takes no name of ours."""

import numpy as np
import pytest
from outside import install

from privsynth.audit import registry
from privsynth.audit.common.settings import AuditSettings
from privsynth.errors import ConfigError
from privsynth.extensions import Extension

TOY = """
from privsynth.audit.common.audit import Audit
from privsynth.findings.finding import Finding

def look(tables, *, rng, context):
    figure = dict(family="coverage", visibility="public", meaning="A toy.")
    return [Finding(name="{emitted}", value=float(rng.random()), **figure)]

AUDIT = Audit(name="{name}", family="coverage", run=look, titles={"{title}": "A toy figure"})
"""


@pytest.fixture
def toy(monkeypatch, tmp_path):
    """Return a function that installs an audit `toy`, with the names that are given."""
    registry._installed.cache_clear()

    def put(name="toy", title="toy_figure", emitted="toy_figure"):
        text = TOY.replace("{name}", name).replace("{title}", title).replace("{emitted}", emitted)
        points = {"privsynth.audits": {"toy": "toy_audit:AUDIT"}}
        install(monkeypatch, tmp_path / "site", points, modules={"toy_audit": text})

    yield put
    registry._installed.cache_clear()


def test_it_runs_after_ours_and_changes_none_of_their_draws(toy, people, tables_of):
    settings = AuditSettings(seed=3, names=("fidelity", "alarms"))
    alone = registry.run_audits(tables_of(*people), settings)
    toy()
    registry._installed.cache_clear()
    assert list(registry.all_audits()) == [*registry.AUDITS, "toy"]
    assert registry.finding_titles()["toy_figure"] == "A toy figure"
    among = registry.run_audits(tables_of(*people), AuditSettings(seed=3, names=("fidelity", "alarms", "toy")))
    assert among[:-1] == alone
    assert among[-1].name == "toy_figure"


def test_its_findings_are_for_the_officer_alone(toy, people, tables_of):
    toy()
    (found,) = registry.run_audits(tables_of(*people), AuditSettings(seed=3, names=("toy",)))
    assert found.visibility == "officer"
    assert registry.audit_extensions() == (Extension("audit", "toy", "toys", "1.2"),)


def test_a_finding_under_another_name_is_a_failure_of_the_audit(toy, people, tables_of):
    toy(emitted="tvd_2way_mean")  # a policy would believe it
    (found,) = registry.run_audits(tables_of(*people), AuditSettings(seed=3, names=("toy",)))
    assert (found.name, found.verdict) == ("toy_failed", "insufficient")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ({"name": "other"}, "calls itself 'other'"),
        ({"title": "tvd_2way_mean"}, "has a finding of a name that is taken, 'tvd_2way_mean'"),
    ],
)
def test_a_name_of_somebody_else_is_refused(names, message, toy):
    toy(**names)
    with pytest.raises(ConfigError, match=message):
        registry.all_audits()


def test_a_built_in_name_is_refused(monkeypatch, tmp_path, toy):
    points = {"privsynth.audits": {"fidelity": "toy_audit:AUDIT"}}
    install(monkeypatch, tmp_path / "clash", points, package="clash")
    with pytest.raises(ConfigError, match=r"'fidelity' of the package clash 1\.2 takes a name that is built in"):
        registry.all_audits()


def test_what_a_run_began_with_it_ends_with(toy, monkeypatch):
    toy()
    assert "toy" in registry.all_audits()
    monkeypatch.setattr("privsynth.audit.registry.load_all", lambda *_, **__: np.nan)
    assert "toy" in registry.all_audits()
