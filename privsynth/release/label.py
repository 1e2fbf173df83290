"""What every table of synthetic rows says of itself: in Parquet, beside a CSV file, in the comments of a database."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from privsynth.sampling.synthetic_model import SyntheticModel

SYNTHETIC = "SYNTHETIC"
ALTERED = "base rates were altered on purpose: shares in this table are not those of the dataset"


@dataclass(frozen=True, kw_only=True)
class Label:
    """The label of synthetic rows.

    Attributes:
      facts: name -> text; the same in Parquet and beside CSV.
    """

    facts: dict[str, str]

    @classmethod
    def of(cls, model: SyntheticModel, digest: str, *, seed: int, altered: str = "") -> Label:
        """Return the label of rows that a model drew.

        Args:
          digest: see `model_digest`.
          altered: a warning, where shares are not those of the model.
        """
        facts = {"label": SYNTHETIC, "dataset": model.dataset, "seed": str(seed), "model_sha256": digest}
        if model.origin is not None:
            origin = model.origin
            facts |= {
                "epsilon": f"{origin.epsilon:g}",
                "delta": f"{origin.delta:g}",
                "unit": origin.unit,
                "max_rows_per_unit": str(origin.max_rows_per_unit),
                "signer": origin.signer or "UNSIGNED",
            }
        return cls(facts=facts | ({"base_rates": altered} if altered else {}))

    def parquet(self) -> dict[str, str]:
        """Return the key-value metadata of a Parquet file."""
        return {f"privsynth.{name}": value for name, value in self.facts.items()}


def model_digest(folder: Path) -> str:
    """Return the SHA-256 of a saved model, in hex: of model.json and model.safetensors, one after the other.

    Raises:
      OSError: a file cannot be read.
    """
    digest = hashlib.sha256()
    for name in ("model.json", "model.safetensors"):
        digest.update((folder / name).read_bytes())
    return digest.hexdigest()
