"""The public names, and what importing them costs."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from dataclasses import MISSING, fields

import pandas as pd
import pytest

import privsynth
from privsynth import errors

OURS = ("privsynth.api", "privsynth.errors")
FUNCTIONS = (
    privsynth.synthesize, privsynth.plan, privsynth.audit_table, privsynth.sample, privsynth.impute, privsynth.verify,
    privsynth.answer,
)  # fmt: skip

HEAVY = {"numpy", "opacus", "pandas", "pyarrow", "pydantic", "scipy", "sklearn", "sqlalchemy", "torch"}


def loaded_by(statement: str) -> set[str]:
    """Return the top-level modules that a fresh interpreter has loaded after a statement."""
    code = f"import json, sys\n{statement}\nprint(json.dumps(sorted({{m.split('.')[0] for m in sys.modules}})))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout))


def test_the_list_is_sorted_and_complete():
    assert list(privsynth.__all__) == sorted(privsynth.__all__)
    assert len(set(privsynth.__all__)) == len(privsynth.__all__)
    own = {name for name, value in vars(privsynth).items() if getattr(value, "__module__", "").startswith(OURS)}
    assert own - {"TYPE_CHECKING"} | set(privsynth._LAZY) | {"__version__"} == set(privsynth.__all__)


def test_every_error_and_every_result_is_public():
    raised = {name for name, e in vars(errors).items() if isinstance(e, type) and issubclass(e, Exception | Warning)}
    assert raised <= set(privsynth.__all__)
    for function in FUNCTIONS:
        result = str(inspect.signature(function).return_annotation)
        assert result in privsynth.__all__, result


@pytest.mark.parametrize("function", [*FUNCTIONS, privsynth.Synthesizer], ids=lambda function: function.__name__)
def test_every_option_is_a_typed_parameter_that_the_documentation_explains(function):
    parameters = [p for p in inspect.signature(function).parameters.values() if p.name != "keyrings"]
    assert {p.kind for p in parameters} <= {inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY}
    for parameter in parameters:
        assert parameter.annotation not in (inspect.Parameter.empty, "Any"), parameter.name
        assert parameter.name in inspect.getdoc(function), parameter.name


@pytest.mark.parametrize("name", privsynth.__all__)
def test_every_public_name_exists_and_says_what_it_is(name):
    found = getattr(privsynth, name)
    assert name in dir(privsynth)
    if name != "__version__":
        assert inspect.getdoc(found)


@pytest.mark.parametrize("name", [name for name in privsynth.__all__ if name != "__version__"])
def test_no_part_of_the_package_can_take_the_place_of_a_public_name(name):
    # `import privsynth.audit` binds the module to the package, so a function may not be called `audit`.
    from importlib.util import find_spec

    assert find_spec(f"privsynth.{name}") is None


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="synthesise"):
        privsynth.synthesise  # noqa: B018


def test_importing_the_package_loads_nothing_heavy():
    assert not loaded_by("import privsynth") & HEAVY


def test_a_lazy_class_is_the_class_itself():
    from privsynth.release.folder import Release
    from privsynth.schema import Schema

    assert privsynth.Release is Release
    assert privsynth.Schema is Schema


def test_options_of_the_functions_are_the_fields_of_the_configuration_with_the_same_defaults():
    from privsynth.pipeline.audits.outside_audit import AuditConfig
    from privsynth.pipeline.config import SynthesizeConfig

    for function, config, own in (
        (privsynth.synthesize, SynthesizeConfig, {"passphrase"}),
        (privsynth.audit_table, AuditConfig, {"passphrase"}),
        (privsynth.Synthesizer, SynthesizeConfig, {"passphrase", "out"}),
        (privsynth.plan, SynthesizeConfig, {"rate"}),
    ):
        known = {field.name: field.default for field in fields(config)}
        options = {name: p.default for name, p in inspect.signature(function).parameters.items() if name not in own}
        assert options.keys() <= known.keys()
        for name, default in options.items():
            required = default is inspect.Parameter.empty
            assert (known[name] is MISSING) if required else (known[name] == default), name
        if function in (privsynth.synthesize, privsynth.audit_table):
            assert options.keys() == known.keys()


def test_plan_reads_the_header_only_and_spends_nothing(tmp_path, privsynth_home):
    source = tmp_path / "visits.csv"
    source.write_text("ward,age\nICU,40\n", encoding="utf-8")
    made = privsynth.plan(source, unit="row", epsilon=1, expect_rows=500)
    assert (made.dataset, made.epsilon, made.unit) == ("visits", 1, "row")
    assert [outlook.rows for outlook in made.outlooks] == [500]
    assert not (privsynth_home / "ledger.db").exists()


def test_errors_of_the_functions_are_sentences(tmp_path):
    source = tmp_path / "visits.csv"
    source.write_text("ward,age\nICU,40\n", encoding="utf-8")
    with pytest.raises(privsynth.PrivsynthError, match="whose privacy"):
        privsynth.plan(source, epsilon=1)
    with pytest.raises(privsynth.PrivsynthError, match="no model"):
        privsynth.sample(tmp_path, out=tmp_path / "more")
    with pytest.raises(privsynth.PrivsynthError, match="no format"):
        privsynth.sample(tmp_path, out=tmp_path / "more", format="xlsx")
    with pytest.raises(privsynth.PrivsynthError, match="no release"):
        privsynth.Release.open(tmp_path)


def test_tables_to_audit_may_be_data_frames(tmp_path):
    frame = pd.DataFrame({"ward": ["ICU", "ER"] * 60, "age": range(120)})
    audited = privsynth.audit_table(real=frame, synthetic=frame[::-1], out=tmp_path / "audit", level="quick")
    assert (audited.folder / "report.html").exists()


def test_verify_takes_a_folder_a_page_and_keyrings(tmp_path, privsynth_home):
    from datetime import UTC, datetime

    from privsynth.errors import UnknownSigner, VerificationError
    from privsynth.signing.keyring import Keyring
    from privsynth.signing.release import EMPTY_ELEMENT, sign_folder
    from privsynth.signing.store import NewKey, create_key, open_key

    now = datetime.now(UTC).replace(microsecond=0)
    create_key(privsynth_home, "office", NewKey("Data office"), passphrase=None, now=now)
    key, entry = open_key(privsynth_home, "office", None, now=now)
    folder = tmp_path / "public"
    folder.mkdir()
    element = EMPTY_ELEMENT if isinstance(EMPTY_ELEMENT, bytes) else EMPTY_ELEMENT.encode()
    (folder / "report.html").write_bytes(b"<html>" + element + b"</html>")
    predicate = {"kind": "public", "dataset": "d"}
    sign_folder(folder, predicate=predicate, signer=key, holder="Data office", signed_at=now)

    ring = tmp_path / "ring.json"
    ring.write_bytes(Keyring(keys=(entry,)).to_json())
    assert privsynth.verify(folder).holder == "Data office"
    assert privsynth.verify(str(folder), ring).fingerprint == entry.fingerprint
    assert privsynth.verify(folder / "report.html", Keyring(keys=(entry,))).unchecked > 0
    assert privsynth.verify(folder, Keyring()).holder == "Data office"  # the own keyring counts as well
    (privsynth_home / "keyring.json").unlink()
    with pytest.raises(UnknownSigner):
        privsynth.verify(folder, Keyring())
    (folder / "data.csv").write_text("a\n1\n", encoding="utf-8")
    with pytest.raises(VerificationError, match=r"data\.csv"):
        privsynth.verify(folder, ring)


SECRET = "anna.meier@x.org"


def leaky() -> pd.DataFrame:
    """Return a table whose text would show a person, in the place of any argument."""
    return pd.DataFrame({"mail": [SECRET] * 3, SECRET: [1, 2, 3]})


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
def test_no_message_holds_a_table_that_stands_in_the_place_of_another_argument(function, tmp_path):
    """Put tables and bytes in the place of each argument in turn, with usual values elsewhere."""
    source = tmp_path / "visits.csv"
    source.write_text("ward,age\nICU,40\n", encoding="utf-8")
    usual = {"source": source, "epsilon": 1, "unit": "row", "out": tmp_path / "out", "real": source}
    usual |= {"synthetic": source, "model": tmp_path, "path": tmp_path, "release": tmp_path, "question": "count"}
    usual |= {"out": tmp_path / "out.csv"} if function is privsynth.impute else {}
    names = inspect.signature(function).parameters
    given = {name: usual[name] for name in names if name in usual}
    for name in names:
        if name in ("source", "real", "synthetic", "holdout", "passphrase"):
            continue
        for odd in (leaky(), leaky()["mail"], [leaky()], SECRET.encode()):
            arguments = {**given, name: odd}
            positional = [arguments.pop("path")] if "path" in arguments else []
            positional += [arguments.pop("keyrings")] if "keyrings" in arguments else []
            with pytest.raises(privsynth.PrivsynthError, match=name) as caught:
                function(*positional, **arguments)
            assert SECRET not in str(caught.value), name
            assert "mail" not in str(caught.value), name


@pytest.mark.parametrize("stored", ["paths", "frames"])
def test_an_audit_takes_tables_in_memory_and_says_the_same_of_them(tmp_path, monkeypatch, stored):
    from privsynth.audit.common.audit_tables import AuditTables
    from privsynth.findings.finding import Finding
    from privsynth.pipeline.audits import outside_audit as module

    seen: list[AuditTables] = []

    def one_finding(tables, settings, **_):
        seen.append(tables)
        return [Finding(family="alarms", name="exact_copies", value=1.0, visibility="officer", meaning="m")]

    monkeypatch.setattr(module, "run_audits", one_finding)
    frames = {side: pd.DataFrame({"ward": ["ICU", "ER"] * 5, "age": range(n, n + 10)}) for side, n in
              (("real", 1), ("synthetic", 2), ("holdout", 3))}  # fmt: skip
    given = dict(frames)
    if stored == "paths":
        given = {side: tmp_path / f"{side}.csv" for side in frames}
        for side, frame in frames.items():
            frame.to_csv(given[side], index=False)
    schema = {"columns": {"ward": {"kind": "categorical"}, "age": {"kind": "integer"}}}
    made = privsynth.audit_table(**given, out=tmp_path / "audit", schema=schema, dataset="stays")
    (tables,) = seen
    assert tables.train["age"].tolist() == list(range(1, 11))
    assert tables.holdout["age"].tolist() == list(range(3, 13))
    assert (made.dataset, made.claimed, len(made.findings)) == ("stays", None, 1)
    assert json.loads((made.folder / "report.json").read_text())["dataset"] == "stays"


def test_a_claim_that_is_absurd_is_refused(tmp_path):
    with pytest.raises(privsynth.ConfigError, match="claimed_delta"):
        privsynth.audit_table(real="a.csv", synthetic="b.csv", out=tmp_path / "audit", claimed=(1.0, 2.0))


def test_options_of_a_source_are_an_object_or_its_names(tmp_path):
    source = tmp_path / "visits.csv"
    source.write_text("ward;age\nICU;40\n", encoding="utf-8")
    for options in (privsynth.SourceOptions(delimiter=";"), {"delimiter": ";"}):
        assert len(privsynth.plan(source, unit="row", epsilon=1, source_options=options).outlooks[0].columns) == 2
    with pytest.raises(privsynth.ConfigError, match="source_options can be delimiter, encoding"):
        privsynth.plan(source, unit="row", epsilon=1, source_options={"delimeter": ";"})
    with pytest.raises(privsynth.ConfigError, match="a list of names"):
        privsynth.SourceOptions(columns="ward")


def test_a_passphrase_comes_from_the_environment_or_from_a_function(tmp_path, privsynth_home, monkeypatch):
    """Without either the error names both; the audit's key is opened before a table is read."""
    from datetime import UTC, datetime

    from privsynth.signing.store import NewKey, create_key

    now = datetime.now(UTC).replace(microsecond=0)
    create_key(privsynth_home, "office", NewKey("Office"), passphrase=lambda: b"correct horse battery", now=now)
    missing = {"real": tmp_path / "no.csv", "synthetic": tmp_path / "no.csv", "out": tmp_path / "audit"}
    monkeypatch.delenv("PRIVSYNTH_PASSPHRASE", raising=False)
    with pytest.raises(privsynth.KeyFileError, match="give its passphrase with passphrase=…"):
        privsynth.audit_table(**missing, key="office")
    with pytest.raises(privsynth.ConfigError, match="passphrase must be a function"):
        privsynth.audit_table(**missing, key="office", passphrase="correct horse battery")
    with pytest.raises(privsynth.SourceError):
        privsynth.audit_table(**missing, key="office", passphrase=lambda: b"correct horse battery")
    monkeypatch.setenv("PRIVSYNTH_PASSPHRASE", "correct horse battery")
    with pytest.raises(privsynth.SourceError):
        privsynth.audit_table(**missing, key="office")
