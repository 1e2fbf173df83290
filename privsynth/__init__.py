"""privsynth: share a safe copy of a sensitive table, with proof.

    import privsynth

    made = privsynth.synthesize("admissions.csv", unit="patient_id", max_rows_per_unit=3, epsilon=1, out="out")
    rows = made.release.data()  # a pandas DataFrame
    privsynth.verify("out/public", "st-mary.json")

The functions below are the commands of the same names; `audit_table` is `privsynth audit`. Importing this module loads
nothing heavy: pandas and torch come with the first call that needs them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from privsynth.errors import PrivsynthError

if TYPE_CHECKING:
    import pandas as pd

    from privsynth.generators.model import SyntheticModel
    from privsynth.pipeline.audit import AuditResult
    from privsynth.pipeline.impute import ImputationResult
    from privsynth.pipeline.plan import Plan
    from privsynth.pipeline.release import Release
    from privsynth.pipeline.sample import SampleResult
    from privsynth.pipeline.synthesize import SynthesisResult
    from privsynth.schema.model import Schema
    from privsynth.signing.keyring import Keyring
    from privsynth.signing.verification import VerificationResult

__version__ = "0.1.0"

__all__ = [
    "PrivsynthError",
    "Release",
    "Schema",
    "SyntheticModel",
    "__version__",
    "audit_table",
    "impute",
    "plan",
    "sample",
    "synthesize",
    "verify",
]

# Public classes that live in modules which import pandas or pydantic: loaded when they are first asked for.
_LAZY = {
    "Release": "privsynth.pipeline.release",
    "Schema": "privsynth.schema.model",
    "SyntheticModel": "privsynth.generators.model",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'privsynth' has no attribute {name!r}")
    found = getattr(import_module(_LAZY[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def synthesize(
    source: str | Path | pd.DataFrame,
    *,
    epsilon: float,
    out: str | Path,
    unit: str | None = None,
    passphrase: Callable[[], bytes] | None = None,
    **options: Any,
) -> SynthesisResult:
    """Make a release of a sensitive table: synthetic rows, the model that made them, and two signed reports.

    Guarantee: the folder `out/public` costs at most (epsilon, delta) for each unit, whatever it holds. What this
      function returns is the officer's: its findings hold exact figures. `outcome.release` is the public part.
    Args:
      source: a path, a database URL or a DataFrame.
      epsilon: the total budget.
      out: a new folder.
      unit: the column that names the person or account to protect, or "row"; None takes the schema's.
      passphrase: gives the passphrase of an encrypted signing key.
      **options: the fields of `privsynth.pipeline.config.SynthesizeConfig`: delta, max_rows_per_unit, schema, dataset,
        generator, holdout_fraction, rows, format, key, seed, source_options, audit, policy, header_is_public,
        sdv_is_declared.
    Raises:
      PrivsynthError: one sentence that says what is wrong and what to do.
    """
    from privsynth.pipeline.config import SynthesizeConfig
    from privsynth.pipeline.synthesize import environment
    from privsynth.pipeline.synthesize import synthesize as run

    config = SynthesizeConfig(source=source, epsilon=epsilon, out=Path(out), unit=unit, **options)
    return run(config, environment(passphrase=passphrase))


def plan(
    source: str | Path | pd.DataFrame,
    *,
    epsilon: float,
    unit: str | None = None,
    expect_rows: int | None = None,
    **options: Any,
) -> Plan:
    """Return what a release would cost and reach. Reads the header only and spends nothing.

    Args:
      source, epsilon, unit, **options: as for `synthesize`.
      expect_rows: your guess of the number of rows; None shows three sizes.
    Raises:
      PrivsynthError: the same as `synthesize`, for what public facts can tell.
    """
    from privsynth.pipeline.config import SynthesizeConfig
    from privsynth.pipeline.plan import plan as run

    config = SynthesizeConfig(source=source, epsilon=epsilon, out=Path("plan"), unit=unit, **options)
    return run(config, expect_rows=expect_rows)


def audit_table(
    *,
    real: str | Path | pd.DataFrame,
    synthetic: str | Path | pd.DataFrame,
    out: str | Path,
    holdout: str | Path | pd.DataFrame | None = None,
    schema: str | Path | None = None,
    claimed: tuple[float, float] | None = None,
    model: str | Path | None = None,
    level: Literal["quick", "standard", "deep"] = "standard",
    policy: str | Path | None = None,
    key: str | None = None,
    passphrase: Callable[[], bytes] | None = None,
    source_options: Mapping[str, Any] | None = None,
) -> AuditResult:
    """Audit any synthetic table against the real one; return the officer's folder, findings and verdicts.

    Guarantee: none. Folder and findings hold exact figures about real people.
    Args:
      real, synthetic, holdout: the rows that the generator saw, its rows, and rows that it did not see; each a path, a
        database URL or a DataFrame.
      out: a new folder.
      claimed: the (epsilon, delta) that the synthetic table claims.
      model: folder of the model that made the rows. level: how much is done.
      policy: "internal", "trusted-partner", "public", or a YAML file.
    Raises:
      PrivsynthError: one sentence that says what is wrong and what to do.
    """
    from privsynth.pipeline.audit import AuditConfig
    from privsynth.pipeline.audit import audit as run
    from privsynth.pipeline.synthesize import environment

    config = AuditConfig(
        real=real,
        synthetic=synthetic,
        out=Path(out),
        holdout=holdout,
        schema=None if schema is None else Path(schema),
        claimed=claimed,
        model=None if model is None else Path(model),
        level=level,
        policy=policy,
        key=key,
        source_options=source_options or {},
    )
    return run(config, environment(passphrase=passphrase))


def verify(
    path: str | Path, *keyrings: Keyring | str | Path, kind: str | None = None, dataset: str | None = None
) -> VerificationResult:
    """Return who signed a release folder, or a report.html that came alone. Works offline.

    Args:
      keyrings: the reader's own, or paths of them; none takes the keyring of this machine.
      kind: "public" or "officer", where no other will do.
      dataset: the dataset that it has to be of.
    Raises:
      VerificationError: a byte was changed, added or removed, or it is not what was asked for.
      UnknownSigner: intact, but no keyring knows the signer.
    """
    from datetime import UTC, datetime

    from privsynth.signing.keyring import Keyring
    from privsynth.signing.store import load_keyring
    from privsynth.signing.verification import Expected, verify_folder, verify_report
    from privsynth.workspace import privsynth_home

    known = [ring if isinstance(ring, Keyring) else Keyring.load(Path(ring)) for ring in keyrings]
    check = verify_folder if Path(path).is_dir() else verify_report
    return check(Path(path), known or [load_keyring(privsynth_home())], datetime.now(UTC), Expected(kind, dataset))


def sample(
    model: str | Path,
    *,
    out: str | Path,
    rows: int | None = None,
    seed: int | None = None,
    format: str = "parquet",
    given: Sequence[str] = (),
    balance: str | None = None,
    workers: int | None = None,
) -> SampleResult:
    """Write rows of a released model into a new folder. Sampling costs no budget, however many rows are drawn.

    Args:
      model: a release, its public folder, or the folder `model` in it.
      rows: None takes the paid number of rows. seed: None draws one; the result tells it.
      format: "parquet" or "csv".
      given: conditions that every row meets, such as "age >= 60" or "ward in (ICU, ER)".
      balance: base rates to alter on purpose, such as "fraud=0.3", "sex" or "ethnicity=A:0.5,B:0.5".
      workers: parts made at once, None for the number of cores. The bytes do not depend on it.
    Raises:
      PrivsynthError: there is no model, the folder cannot be written, or the model has no rows like these.
    """
    from privsynth._validate import texts
    from privsynth.errors import ConfigError
    from privsynth.pipeline.sample import sample as run

    texts(format=format)
    if format not in ("parquet", "csv"):
        raise ConfigError(f"there is no format '{format}'; choose parquet or csv")
    if isinstance(given, str):
        given = (given,)
    return run(
        Path(model), Path(out), rows=rows, seed=seed, suffix=format, given=given, balance=balance, workers=workers
    )


def impute(
    model: str | Path,
    source: str | Path | pd.DataFrame,
    *,
    out: str | Path,
    seed: int | None = None,
    draws: int = 1,
    mark: bool = False,
    source_options: Mapping[str, Any] | None = None,
) -> ImputationResult:
    """Fill the gaps of your own table from a released model, which is only sampled and costs no budget.

    Guarantee: none. The output holds the real rows of `source`: it is as sensitive as that.
    Args:
      model: a release, its public folder, or the folder `model` in it.
      source: the table with gaps: a path, a database URL or a DataFrame.
      out: a new .csv or .parquet file; with several draws, "-1", "-2" … is put before the suffix.
      draws: how many times the gaps are filled, independently. mark: add a column that names what was filled.
    Raises:
      PrivsynthError: one sentence that says what is wrong and what to do.
    """
    from privsynth.pipeline.impute import impute as run

    options = {"seed": seed, "draws": draws, "mark": mark, "source_options": source_options}
    return run(Path(model), source, Path(out), **options)  # type: ignore[arg-type]
