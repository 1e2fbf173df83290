"""A generator from another package: the worked example of CONTRIBUTING.md, found through its entry point."""

from __future__ import annotations

import json
import shutil
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from outside import install
from pipeline.admissions import run, write

from privsynth.errors import ConfigError, SourceError
from privsynth.extensions import Extension
from privsynth.generators.registry import generator_info, load_generator, load_restore
from privsynth.sampling.synthetic_model import SyntheticModel
from privsynth.testing.generators import check_generator

EXAMPLE = Path(__file__).parent.parent.parent / "docs/examples/generator"


@pytest.fixture
def site(tmp_path, monkeypatch) -> Iterator[Path]:
    """Install the example into a folder of its own, and forget it afterwards."""
    folder = tmp_path / "site"
    shutil.copytree(EXAMPLE / "acme_independent", folder / "acme_independent")
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]
    install(monkeypatch, folder, project["entry-points"], package=project["name"])
    yield folder
    for module in [name for name in sys.modules if name.startswith("acme_")]:
        del sys.modules[module]


def table(n: int = 200) -> pd.DataFrame:
    return pd.DataFrame({"colour": ["red", "green", "red", "blue"] * (n // 4), "size": list(range(10)) * (n // 10)})


def test_the_example_keeps_the_contract(site):
    info = generator_info("independent")
    assert info.extension == Extension("generator", "independent", "acme-independent", "1.2")
    check_generator(load_generator("independent"), load_restore(info))


def test_a_release_names_the_package_everywhere_and_its_model_is_restored(site, tmp_path, monkeypatch):
    source = write(tmp_path, "t.csv", table().to_csv(index=False))
    out = tmp_path / "out"
    args = ("--unit", "row", "--epsilon", 5, "--generator", "independent", "--audit", "none", "--out", out)
    done = run("synthesize", source, "--anyway", *args)
    assert done.exit_code in (0, 3), done.output
    for folder in ("public", "officer"):
        report = json.loads((out / folder / "report.json").read_text())
        assert (report["generator"]["name"], report["generator"]["version"]) == ("independent", "1.2")
        extension = {"kind": "generator", "name": "independent", "distribution": "acme-independent", "version": "1.2"}
        assert report["extensions"] == [extension]
        hazard = next(h for h in report["hazards"] if "not part of privsynth" in h["name"])
        assert hazard["status"] == "open"
        assert "own proof" in hazard["residual"]
        page = (out / folder / "report.html").read_text()
        assert "the generator <bdi>independent</bdi> of the package <bdi>acme-independent 1.2</bdi>" in page
    model = out / "public" / "model"
    assert json.loads((model / "model.json").read_text())["package"] == {"name": "acme-independent", "version": "1.2"}
    assert SyntheticModel.load(model).fitted.name == "independent"
    plan = json.loads(
        run("plan", source, "--unit", "row", "--epsilon", 5, "--generator", "independent", "--json").stdout
    )
    assert plan["outlooks"][0]["pair_tvd"] is None
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry != str(site)])
    with pytest.raises(SourceError, match="another package, which is not installed; the report names it"):
        SyntheticModel.load(model)


def test_the_list_names_the_package(site):
    listed = json.loads(run("generators", "--json").stdout)["independent"]
    assert (listed["package"], listed["version"], listed["private"]) == ("acme-independent", "1.2", True)
    assert "package acme-independent 1.2, not part of privsynth" in " ".join(run("generators").stdout.split())


def test_a_name_in_a_model_imports_nothing_that_is_not_registered(site, tmp_path):
    from privsynth.generators.registry import restore_generator

    for name, package in [("acme_independent.generator", "acme-independent"), ("independent", "other"), ("os", "os")]:
        with pytest.raises(ConfigError, match="which is not installed"):
            restore_generator(name, {}, {}, package=package)
    with pytest.raises(ConfigError, match="does not know"):
        restore_generator("independent", {}, {})
    assert "acme_independent.generator" not in sys.modules


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("acme_nowhere:INFO", r"cannot be imported \(ModuleNotFoundError\)"),
        ("acme_independent:__name__", "is no GeneratorInfo"),
        ("acme_independent:INFO", "another than its entry point"),
    ],
)
@pytest.mark.usefixtures("site")
def test_a_package_that_does_not_keep_to_it_is_named_and_the_others_work(target, said, tmp_path, monkeypatch):
    install(monkeypatch, tmp_path / "other", {"privsynth.generators": {"broken": target}}, package="acme-other")
    with pytest.raises(ConfigError, match=f"acme-other.*{said}"):
        load_generator("broken")
    shown = run("generators")
    assert shown.exit_code == 0
    assert "unusable" in shown.stdout
    assert "independent" in shown.stdout
    assert load_generator("marginal").name == "marginal"


def test_no_package_takes_the_name_of_a_generator_of_ours(site, tmp_path, monkeypatch):
    points = {"privsynth.generators": {"marginal": "acme_independent:INFO"}}
    install(monkeypatch, tmp_path / "other", points, package="acme-other")
    assert generator_info("marginal").extension is None
    with pytest.raises(ConfigError, match="takes a name that is built in"):
        generator_info("independent")


def test_a_generator_that_breaks_the_contract_makes_no_release(site, tmp_path):
    module = site / "acme_independent" / "generator.py"
    text = module.read_text()
    module.write_text(text.replace("return max_rows_per_unit * math.sqrt(columns)", "return 1.0"))
    source = write(tmp_path, "t.csv", table().to_csv(index=False))
    args = ("--unit", "row", "--epsilon", 5, "--generator", "independent", "--out", tmp_path / "out")
    done = run("synthesize", source, "--anyway", *args)
    assert done.exit_code == 2
    assert "fails 'moves_within_its_sensitivities'" in " ".join(done.output.split())
    assert not (tmp_path / "out").exists()
