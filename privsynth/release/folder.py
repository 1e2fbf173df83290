"""`Release`: a folder with a synthetic table, its model, its report and its signature; written and read."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from privsynth import _validate
from privsynth._validate import in_range
from privsynth.codecs.synthetic_rows import SyntheticRows
from privsynth.codecs.written.rows import data_frame
from privsynth.codecs.written.texts import read_texts
from privsynth.errors import ConfigError, SourceError
from privsynth.notebook import card, checks_text, promise_text, worst_text
from privsynth.randomness import new_sampling_seed
from privsynth.release.delimited import write_texts
from privsynth.release.linked import read_linked
from privsynth.release.parquet import write_parquet
from privsynth.sampling.linked.model import LinkedModel
from privsynth.sampling.linked.persons import draw_persons, order_persons
from privsynth.sampling.linked.saved import is_linked, load_linked
from privsynth.sampling.linked.written import written_frame
from privsynth.sampling.synthetic_model import SyntheticModel
from privsynth.schema.linked import LinkedSchema, linked_schema
from privsynth.signing.keyring import Keyring
from privsynth.signing.verification import Expected, VerificationResult, verify_folder

if TYPE_CHECKING:
    from privsynth.schema.definition import Schema


def write_rows(rows: SyntheticRows, path: Path, label: Mapping[str, str] | None = None) -> None:
    """Write synthetic rows as Parquet or CSV, by the suffix, part by part, in the types and formats of the source.

    A part is a row group of Parquet.

    Args:
      label: metadata of Parquet, see `privsynth.release.label`; a CSV file has no room for any.
    """
    if path.suffix == ".csv":
        write_texts(rows.texts(), path, rows.source_format)
        return
    write_parquet(rows.tables(), rows.arrow_schema, path, label or {})


def as_conditions(given: str | Sequence[str]) -> tuple[str, ...]:
    """Return conditions as texts; one alone need not be in a list.

    Raises:
      ConfigError: they are something else.
    """
    if isinstance(given, str):
        return (given,)
    if not (isinstance(given, list | tuple) and all(isinstance(text, str) for text in given)):
        raise ConfigError("given must be a text such as 'age >= 60', or a list of such texts")
    return tuple(given)


@dataclass(frozen=True, repr=False)
class Release:
    """A release on disk.

    Attributes:
      folder: its public folder.
      report: report.json, parsed.
      keep: an object that must live as long as the release, such as the owner of a temporary folder.
    """

    folder: Path
    report: dict[str, Any]
    keep: object = field(default=None, compare=False)

    @classmethod
    def open(cls, path: str | Path) -> Release:
        """Return the release in a folder: the public folder itself, or the one that holds it.

        Opening checks nothing: call `verify` with a keyring that you trust.

        Raises:
          SourceError: there is none.
          ConfigError: `path` is no path.
        """
        _validate.paths(path=path)
        folder = Path(path)
        if (folder / "public").is_dir():
            folder = folder / "public"
        try:
            report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
            release = cls(folder, report)
            whole = isinstance(release.findings, list) and all(isinstance(f, dict) for f in release.findings)
            promised = min(release.epsilon, release.delta) >= 0 and bool(release.dataset) and bool(release.unit)
        except (OSError, ValueError, RecursionError):
            raise SourceError(f"{path} holds no release: it has no readable report.json") from None
        except (KeyError, TypeError, AttributeError, OverflowError):
            whole = promised = False
        if not (whole and promised):
            raise SourceError(f"{path} holds another report than that of a release; give a public folder")
        return release

    def __repr__(self) -> str:
        promise = f"epsilon={self.epsilon:g}, delta={self.delta:g}, unit={self.unit!r}"
        return f"Release({str(self.folder)!r}, dataset={self.dataset!r}, {promise}, findings={len(self.findings)})"

    def _repr_html_(self) -> str:
        most = self.report["guarantee"].get("max_rows_per_unit")
        return card(
            f"Release of {self.dataset}",
            [
                ("Promise", promise_text(self.epsilon, self.delta, self.unit, most if isinstance(most, int) else None)),
                ("Public checks", checks_text(self.findings)),
                ("Worst public finding", worst_text(self.findings, exact=True)),
                ("Signature", "UNSIGNED" if self.report.get("unsigned") else "there is one"),
                ("Report", str(self.folder / "report.html")),
            ],
            note="Opened, not verified: verify(keyring) says who signed these bytes.",
        )

    @property
    def dataset(self) -> str:
        """Name of the dataset."""
        return str(self.report["dataset"])

    @property
    def unit(self) -> str:
        """Whose privacy is protected: a column, or "row"."""
        return str(self.report["guarantee"]["unit"])

    @property
    def epsilon(self) -> float:
        """ε of the release."""
        return float(self.report["guarantee"]["epsilon"])

    @property
    def delta(self) -> float:
        """δ of the release."""
        return float(self.report["guarantee"]["delta"])

    @property
    def findings(self) -> list[dict[str, Any]]:
        """The public findings."""
        return list(self.report["findings"])

    @property
    def officer(self) -> Path:
        """The officer's folder; it exists only where the release was made."""
        return self.folder.parent / "officer"

    def data(self) -> pd.DataFrame:
        """Return the synthetic rows, in the types in which `sample` returns them.

        Raises:
          SourceError: the file was changed, or the release is of linked tables.
        """
        self._refuse_linked("tables")
        if not (self.folder / "data.csv").exists():
            whole = self.folder / "data.parquet"
            return data_frame(pq.read_table(whole if whole.exists() else self.folder / "data"))
        model = self.model()
        sep = model.source_format.delimiter
        texts = pd.read_csv(self.folder / "data.csv", sep=sep, dtype=str, keep_default_na=False, na_values=[""])
        try:
            return data_frame(read_texts(model.codec, texts, model.source_format))
        except (ValueError, KeyError, pa.ArrowException):
            raise SourceError(f"{self.folder} holds a data.csv that its model did not write; verify it") from None

    @property
    def is_linked(self) -> bool:
        """Whether it is of several linked tables."""
        return is_linked(self.folder / "model")

    def tables(self) -> dict[str, pd.DataFrame]:
        """Return the tables of a release of linked tables by name, reference tables among them.

        Raises:
          SourceError: it is of one table.
        """
        if not self.is_linked:
            raise SourceError(f"{self.folder} is a release of one table; call data()")
        return read_linked(self.linked_model(), self.folder / "data")

    def linked_model(self) -> LinkedModel:
        """Return the model of linked tables, ready to draw persons from."""
        return load_linked(self.folder / "model")

    def model(self) -> SyntheticModel:
        """Return the model, ready to sample.

        Raises:
          SourceError: there is none, or it is one of linked tables.
        """
        self._refuse_linked("linked_model")
        return SyntheticModel.load(self.folder / "model")

    def _refuse_linked(self, instead: str) -> None:
        if self.is_linked:
            raise SourceError(f"{self.folder} is a release of linked tables; call {instead}()")

    def schema(self) -> Schema:
        """Return the public schema.

        Raises:
          SourceError: it is one of linked tables.
        """
        from privsynth.schema.files import load_schema

        self._refuse_linked("linked_schema")
        return load_schema(self.folder / "schema.yaml")

    def linked_schema(self) -> LinkedSchema:
        """Return the public schema of linked tables.

        Raises:
          SourceError: the release is of one table.
        """
        found = linked_schema(self.folder / "schema.yaml")
        if found is None:
            raise SourceError(f"{self.folder} is a release of one table; call schema()")
        return found

    def sample(
        self,
        n_rows: int | None = None,
        *,
        seed: int | None = None,
        given: str | Sequence[str] = (),
        balance: str | None = None,
    ) -> pd.DataFrame:
        """Return more synthetic rows, with conditions or altered shares if wanted; they cost nothing.

        Args:
          n_rows: None takes the released number of rows.
          seed: the same seed and arguments give the same rows; None draws one.
          given, balance: as for `privsynth.sample`.
        """
        _validate.whole_numbers(n_rows=n_rows, seed=seed)
        _validate.texts(balance=balance)
        self._refuse_linked("sample_tables")
        model = self.model()
        wanted = model.default_rows if n_rows is None else n_rows
        chosen = new_sampling_seed() if seed is None else seed
        in_range(0, 2**63 - 1, seed=chosen)
        return model.sample(wanted, seed=chosen, given=as_conditions(given), balance=balance)

    def sample_tables(
        self, n_persons: int | None = None, *, seed: int | None = None, given: str | Sequence[str] = ()
    ) -> dict[str, pd.DataFrame]:
        """Return more synthetic persons of linked tables with all their rows, by table; they cost nothing.

        Args:
          n_persons: None takes the released number of persons.
          seed: the same seed and arguments give the same persons; None draws one.
          given: as for `privsynth.sample`: "sex = F" of a person, or "stays: ward = surgery" of some row of a person.
        Raises:
          SourceError: it is of one table.
          ConfigError: a condition cannot be read, or (nearly) no person of the model meets it.
        """
        _validate.whole_numbers(n_persons=n_persons, seed=seed)
        if not self.is_linked:
            raise SourceError(f"{self.folder} is a release of one table; call sample()")
        model = self.linked_model()
        order = order_persons(model, model.n_persons if n_persons is None else n_persons, as_conditions(given))
        chosen = new_sampling_seed() if seed is None else seed
        in_range(0, 2**63 - 1, seed=chosen)
        drawn = draw_persons(model, order, seed=chosen)
        return {name: written_frame(model, name, drawn, seed=chosen) for name in model.models}

    def verify(self, *keyrings: Keyring | str | Path, dataset: str | None = None) -> VerificationResult:
        """Return who signed the release.

        Args:
          dataset: the dataset that it has to be of.
        Raises:
          VerificationError: something was changed, added or removed, or this is no public folder of that dataset;
            the message says what.
          UnknownSigner: intact, but no keyring knows the signer.
        """
        loaded = [k if isinstance(k, Keyring) else Keyring.load(Path(k)) for k in keyrings]
        return verify_folder(self.folder, loaded, datetime.now(UTC), Expected("public", dataset))
