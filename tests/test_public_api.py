"""The public names, and what importing them costs."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from dataclasses import fields

import pytest

import privsynth

HEAVY = {"numpy", "opacus", "pandas", "pyarrow", "pydantic", "scipy", "sklearn", "sqlalchemy", "torch"}


def loaded_by(statement: str) -> set[str]:
    """Return the top-level modules that a fresh interpreter has loaded after a statement."""
    code = f"import json, sys\n{statement}\nprint(json.dumps(sorted({{m.split('.')[0] for m in sys.modules}})))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout))


def test_the_list_is_sorted_and_complete():
    assert list(privsynth.__all__) == sorted(privsynth.__all__)
    assert len(set(privsynth.__all__)) == len(privsynth.__all__)
    own = {
        name
        for name, value in vars(privsynth).items()
        if not name.startswith("_") and inspect.isfunction(value) and value.__module__ == "privsynth"
    }
    assert own | set(privsynth._LAZY) | {"PrivsynthError", "__version__"} == set(privsynth.__all__)


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
    from privsynth.pipeline.release import Release
    from privsynth.schema import Schema

    assert privsynth.Release is Release
    assert privsynth.Schema is Schema


def test_options_of_the_functions_are_fields_of_the_configuration():
    from privsynth.pipeline.audit import AuditConfig
    from privsynth.pipeline.config import SynthesizeConfig

    known = {field.name for field in fields(SynthesizeConfig)}
    for function, own in ((privsynth.synthesize, {"passphrase"}), (privsynth.plan, {"expect_rows"})):
        named = {p.name for p in inspect.signature(function).parameters.values() if p.kind != p.VAR_KEYWORD}
        assert named - own <= known
        for option in known - named:
            assert option in (privsynth.synthesize.__doc__ or "")
    named = set(inspect.signature(privsynth.audit_table).parameters) - {"passphrase"}
    assert named == {field.name for field in fields(AuditConfig)}


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


def words_of_error(function, arguments):
    """Return what a function says when it fails; nothing when it does not."""
    try:
        function(**arguments)
    except Exception as error:
        return f"{function.__name__}: {error}"
    return ""


def test_no_message_shows_an_object_that_was_given(tmp_path):
    """A DataFrame in the wrong place must not print its rows, nor anything else its cells."""
    import pandas as pd

    frame = pd.DataFrame({"name": ["SECRET"] * 3})
    source = tmp_path / "visits.csv"
    source.write_text("ward,age\nICU,40\n", encoding="utf-8")
    right = {
        privsynth.plan: {"source": source, "epsilon": 1, "unit": "row"},
        privsynth.audit_table: {"real": source, "synthetic": source, "out": tmp_path / "a", "model": tmp_path},
        privsynth.sample: {"model": tmp_path, "out": tmp_path / "b"},
        privsynth.impute: {"model": tmp_path, "source": source, "out": tmp_path / "c.csv"},
        privsynth.verify: {"path": tmp_path},
    }
    said = []
    for function, arguments in right.items():
        named = [p.name for p in inspect.signature(function).parameters.values() if p.kind != p.VAR_POSITIONAL]
        if function is privsynth.plan:
            named += [
                "delta",
                "max_rows_per_unit",
                "schema",
                "dataset",
                "generator",
                "format",
                "audit",
                "policy",
                "key",
            ]
        for name in named:
            for wrong in (frame, frame["name"], ["SECRET"], b"SECRET"):
                said.append(words_of_error(function, {**arguments, name: wrong}))
    assert not [words for words in said if "SECRET" in words]
    assert sum(bool(words) for words in said) > 100


def test_tables_to_audit_may_be_data_frames(tmp_path):
    import pandas as pd

    frame = pd.DataFrame({"ward": ["ICU", "ER"] * 60, "age": range(120)})
    audited = privsynth.audit_table(real=frame, synthetic=frame[::-1], out=tmp_path / "audit", level="quick")
    assert (audited.folder / "report.html").exists()


def test_verify_takes_a_folder_a_page_and_keyrings(tmp_path, privsynth_home):
    from datetime import UTC, datetime

    from privsynth.errors import UnknownSigner, VerificationError
    from privsynth.signing.keyring import Keyring
    from privsynth.signing.release import EMPTY_ELEMENT, sign_folder
    from privsynth.signing.store import create_key, open_key

    now = datetime.now(UTC).replace(microsecond=0)
    create_key(privsynth_home, "office", holder="Data office", passphrase=None, now=now)
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
    with pytest.raises(UnknownSigner):
        privsynth.verify(folder, Keyring())
    (folder / "data.csv").write_text("a\n1\n", encoding="utf-8")
    with pytest.raises(VerificationError, match=r"data\.csv"):
        privsynth.verify(folder)
