"""`Synthesizer`: a release by the conventions of scikit-learn.

The constructor stores its arguments and checks nothing; `fit` makes a whole release, with the guarantee, the bill, the
ledger entry and the reports of `privsynth.synthesize`; fitted attributes end in `_`. scikit-learn itself is not needed.
"""

from __future__ import annotations

import inspect
import shutil
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NoReturn, Self

from privsynth.api.functions import synthesize
from privsynth.errors import ConfigError, NotFittedError, OutputError
from privsynth.notebook import card

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from privsynth.pipeline.result import SynthesisResult
    from privsynth.release.folder import Release
    from privsynth.schema.definition import Schema
    from privsynth.sources.protocol import SourceOptions


class Synthesizer:
    """Makes differentially private synthetic tables: `Synthesizer(epsilon=1, unit="patient_id", …).fit(df)`.

    Guarantee: every call of `fit` makes one release, reserved in the ledger before any row is read; its public
      part costs at most (epsilon, delta) for each unit. A second `fit` on the same dataset costs as much again.
      Everything afterwards (`sample`, `report`, `save`) costs nothing.
    Args:
      epsilon, delta, unit, max_rows_per_unit, schema, dataset, generator, holdout_fraction, rows, format, key,
        passphrase, seed, audit, policy, language, source_options, header_is_public, sdv_is_declared, keep_units,
        expect_rows, anyway, prior, executor, scratch: as for `privsynth.synthesize`.
      out: a new folder for the release; None keeps it in a private folder, which is wiped when the last reference to
        the synthesizer and its release goes. `save` copies it to a place that lasts.
    Attributes:
      release_: the public part: `Release`.
      result_: the officer's view, with exact findings: `SynthesisResult`.
      epsilon_, delta_, unit_, dataset_: the promise, and the name in the ledger.
      feature_names_in_: (n_features_in_,) names of the columns that were read.
      n_features_in_: how many they are.
    Example:
      >>> made = Synthesizer(epsilon=1, unit="patient_id", max_rows_per_unit=3, dataset="stays")  # doctest: +SKIP
      >>> made.fit(df).sample(1_000, seed=7)  # doctest: +SKIP
    """

    release_: Release
    result_: SynthesisResult
    epsilon_: float
    delta_: float
    unit_: str
    dataset_: str
    feature_names_in_: np.ndarray
    n_features_in_: int

    def __init__(
        self,
        *,
        epsilon: float,
        unit: str | None = None,
        max_rows_per_unit: int | None = None,
        delta: float = 1e-6,
        schema: str | Path | Schema | Mapping[str, Any] | None = None,
        dataset: str | None = None,
        generator: str = "auto",
        holdout_fraction: float = 0.1,
        rows: int | None = None,
        format: Literal["parquet", "csv"] = "parquet",
        key: str | None = None,
        passphrase: Callable[[], bytes] | None = None,
        seed: int | None = None,
        audit: Literal["quick", "standard", "deep", "none"] = "standard",
        policy: str | Path | None = None,
        language: Literal["en", "de"] = "en",
        source_options: SourceOptions | Mapping[str, Any] | None = None,
        header_is_public: bool = False,
        sdv_is_declared: bool = False,
        keep_units: bool | None = None,
        expect_rows: int | None = None,
        anyway: bool = False,
        prior: str | Path | pd.DataFrame | Release | None = None,
        executor: str = "processes",
        scratch: str | Path | None = None,
        out: str | Path | None = None,
    ) -> None:
        self.epsilon = epsilon
        self.unit = unit
        self.max_rows_per_unit = max_rows_per_unit
        self.delta = delta
        self.schema = schema
        self.dataset = dataset
        self.generator = generator
        self.holdout_fraction = holdout_fraction
        self.rows = rows
        self.format = format
        self.key = key
        self.passphrase = passphrase
        self.seed = seed
        self.audit = audit
        self.policy = policy
        self.language = language
        self.source_options = source_options
        self.header_is_public = header_is_public
        self.sdv_is_declared = sdv_is_declared
        self.keep_units = keep_units
        self.expect_rows = expect_rows
        self.anyway = anyway
        self.prior = prior
        self.executor = executor
        self.scratch = scratch
        self.out = out

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the arguments of the constructor; `deep` changes nothing, as none of them is an estimator."""
        return {name: getattr(self, name) for name in _PARAMETERS}

    def set_params(self, **params: Any) -> Self:
        """Set arguments of the constructor and return the synthesizer; a release that was made stays as it is.

        Raises:
          ConfigError: there is no such argument.
        """
        unknown = sorted(params.keys() - _PARAMETERS.keys())
        if unknown:
            raise ConfigError(f"a Synthesizer has no parameter '{unknown[0]}'; it has {', '.join(_PARAMETERS)}")
        for name, value in params.items():
            setattr(self, name, value)
        return self

    def fit(self, X: str | Path | pd.DataFrame, y: None = None) -> Self:
        """Make a release of a sensitive table. It costs epsilon and delta, and is in the ledger like every release.

        Args:
          X: the whole table with its unit and target columns: a DataFrame, a path or a database URL.
          y: None; it is there because scikit-learn passes it.
        Returns:
          The synthesizer itself. If `fit` fails, it stays as it was.
        Raises:
          InputError, BudgetError: as `privsynth.synthesize`.
        """
        if y is not None:
            raise ConfigError("a Synthesizer learns whole tables: make y a column of the table and give that alone")
        folder = _PrivateFolder() if self.out is None else None
        out = self.out if folder is None else folder.path / "release"
        options = {name: value for name, value in self.get_params().items() if name != "out"}
        result = synthesize(X, out=out, **options)  # type: ignore[arg-type]
        import numpy as np

        self.result_ = replace(result, release=replace(result.release, keep=folder))
        self.release_ = self.result_.release
        self.epsilon_, self.delta_ = result.epsilon, result.delta
        self.unit_, self.dataset_ = result.unit, result.dataset
        self.feature_names_in_ = np.array(result.columns, dtype=object)
        self.n_features_in_ = len(result.columns)
        return self

    def sample(
        self,
        n: int | None = None,
        *,
        seed: int | None = None,
        given: str | Sequence[str] = (),
        balance: str | None = None,
    ) -> pd.DataFrame:
        """Return synthetic rows. They cost nothing, however many are drawn.

        Args:
          n: how many; None takes the released number of rows.
          seed: the same seed, arguments and release give the same rows; None draws one. The seed of the constructor is
            that of the rows in the release, and has no part in this.
          given, balance: as for `privsynth.sample`.
        Raises:
          NotFittedError: there is no release yet.
          ConfigError: a condition cannot be read, or (nearly) no row of the model meets it.
        """
        return self._fitted().sample(n, seed=seed, given=given, balance=balance)

    def sample_tables(
        self, n_persons: int | None = None, *, seed: int | None = None, given: str | Sequence[str] = ()
    ) -> dict[str, pd.DataFrame]:
        """Return synthetic persons of linked tables with all their rows, by table (see `Release.sample_tables`).

        Raises:
          NotFittedError: there is no release yet.
          SourceError: the release is of one table; call `sample`.
          ConfigError: a condition cannot be read, or (nearly) no person of the model meets it.
        """
        return self._fitted().sample_tables(n_persons, seed=seed, given=given)

    def report(self, *, officer: bool = False) -> Path:
        """Return the path of the public report (HTML), or of the officer's, which holds exact figures.

        Raises:
          NotFittedError: there is no release yet.
        """
        release = self._fitted()
        return (release.officer if officer else release.folder) / "report.html"

    def save(self, path: str | Path) -> Release:
        """Copy the release to a new folder, `public` and `officer`, and return the copy.

        Raises:
          NotFittedError: there is no release yet.
          OutputError: the folder exists already, or cannot be written.
        """
        from privsynth._validate import paths
        from privsynth.release.folder import Release
        from privsynth.release.out_folder import OutFolder
        from privsynth.workspace import privsynth_home

        release = self._fitted()
        paths(path=path)
        with OutFolder(Path(path), privsynth_home()) as place:
            try:
                place.whole.mkdir()
                for folder in (release.folder, release.officer):
                    shutil.copytree(folder, place.whole / folder.name)
            except (OSError, shutil.Error):
                raise OutputError("the release cannot be copied: it was removed, or the disk is full") from None
            place.publish()
        return Release.open(path)

    def __sklearn_is_fitted__(self) -> bool:
        """Tell scikit-learn whether there is a release."""
        return hasattr(self, "release_")

    def __sklearn_tags__(self) -> Any:
        """Tell scikit-learn, which asks, that no target is needed."""
        from sklearn.utils import InputTags, Tags, TargetTags

        return Tags(
            estimator_type=None,
            target_tags=TargetTags(required=False),
            input_tags=InputTags(string=True, allow_nan=True),
        )

    def __repr__(self) -> str:
        changed = (name for name, usual in _PARAMETERS.items() if not _same(getattr(self, name), usual))
        return f"Synthesizer({', '.join(f'{name}={_shown(getattr(self, name))}' for name in changed)})"

    def _repr_html_(self) -> str:
        if self.__sklearn_is_fitted__():
            return self.result_._repr_html_()
        return card("Synthesizer", [("Parameters", repr(self)), ("Release", "none yet: call fit, which costs epsilon")])

    def _fitted(self) -> Release:
        if not self.__sklearn_is_fitted__():
            raise NotFittedError("this Synthesizer has made no release yet; call fit with a table first")
        return self.release_


# Name -> default of each argument of the constructor.
_PARAMETERS: Mapping[str, Any] = {
    name: parameter.default for name, parameter in inspect.signature(Synthesizer).parameters.items()
}


def _same(value: object, usual: object) -> bool:
    """Return whether an argument was left as it is; of what is no plain value only itself is the same."""
    return value is usual or (isinstance(value, str | int | float) and value == usual)


def _shown(value: object) -> str:
    return repr(value) if isinstance(value, str | int | float | Path) else f"<{type(value).__name__}>"


class _PrivateFolder:
    """A folder in the private workspace that lives as long as something refers to it; a killed process's is wiped by
    the next run.
    """

    def __init__(self) -> None:
        from privsynth.workspace import Workspace, privsynth_home

        workspace = Workspace(privsynth_home()).__enter__()
        self.path = workspace.folder
        weakref.finalize(self, workspace.__exit__, None, None, None)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __reduce__(self) -> NoReturn:
        raise OutputError("this release lies in a temporary folder and cannot be pickled; save it, and open the copy")
