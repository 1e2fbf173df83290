"""`SyntheticModel`: codec, fitted generator and rules; what a release ships and `privsynth sample` loads.

Saved as `model.json` (codec, settings, rules) and `model.safetensors` (numbers): no pickle, no code, no row. Sampling
is post-processing of paid releases: it costs no budget, however many rows are drawn.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from privsynth._validate import in_range
from privsynth.codecs.decoded_rows import DecodedRows
from privsynth.codecs.synthetic_rows import SyntheticRows
from privsynth.codecs.table import TableCodec
from privsynth.errors import SourceError
from privsynth.generators.registry import FittedGenerator, restore_generator
from privsynth.progress import Progress, no_progress
from privsynth.randomness import sampling_rng
from privsynth.sampling.draw import Order, draw_part, place_order
from privsynth.schema.rules import Rule, parse_rule

FORMAT = 1
MAX_JSON_BYTES = 256 << 20


@dataclass(frozen=True)
class SyntheticModel:
    """A model to sample from.

    Attributes:
      codec: codes to columns.
      fitted: the generator's model of codes.
      rules: sentences that hold in every row that is sampled.
      default_rows: the paid number of rows, the size of the table by default.
      dataset: name of the dataset it stands for.
    """

    codec: TableCodec
    fitted: FittedGenerator
    rules: tuple[str, ...]
    default_rows: int
    dataset: str

    def parsed_rules(self) -> list[Rule]:
        """Return the rules whose columns are all in the synthetic table."""
        names = self.codec.names
        rules = [parse_rule(text, names) for text in self.rules]
        return [rule for rule in rules if set(rule.columns) <= set(names)]

    def order(self, n_rows: int, *, given: Sequence[str] = (), balance: str | None = None) -> Order:
        """Return an order for rows; see `privsynth.sampling.draw.place_order`.

        Raises:
          ConfigError: a condition cannot be read, or names what the model does not have.
        """
        in_range(1, 10**12, rows=n_rows)
        return place_order(self.codec, n_rows, given=given, balance=balance)

    def draw(
        self, order: Order, *, seed: int, part: int = 0, progress: Progress = no_progress
    ) -> tuple[DecodedRows, np.ndarray]:
        """Return the rows of one part of an order, in which every rule and condition holds, and their codes.

        Args:
          seed: published; the same seed, order and part give the same rows. Parts are independent.
        Raises:
          ConfigError: no row of the model, or hardly one, satisfies the rules and conditions.
        """
        return draw_part(order, part, self.fitted, self.parsed_rules(), sampling_rng(seed, part), progress)

    def draw_all(
        self, order: Order, *, seed: int, progress: Progress = no_progress
    ) -> tuple[SyntheticRows, np.ndarray]:
        """Return the rows of all parts of an order and their (attributes, rows) uint16 codes.

        One part at a time is in memory as it is drawn; what is kept takes few bytes a cell.

        Args:
          seed: published; the same seed and order give the same rows, which are those of `draw`, part by part.
        Raises:
          ConfigError: no row of the model, or hardly one, satisfies the rules and conditions.
        """
        parts: list[DecodedRows] = []
        codes = np.empty((len(self.codec.attributes), order.n_rows), dtype=np.uint16)
        at = 0
        for part in range(len(order.split)):
            progress("sampling", at / order.n_rows)
            rows, drawn = self.draw(order, seed=seed, part=part, progress=progress)
            parts.append(rows.packed())
            codes[:, at : at + rows.n_rows] = drawn
            at += rows.n_rows
        return SyntheticRows(self.codec, parts), codes

    def sample(self, n_rows: int, *, seed: int, given: Sequence[str] = (), balance: str | None = None) -> pd.DataFrame:
        """Return a frame of n_rows rows in which every rule and condition holds.

        Args:
          seed: published; the same seed, conditions and number of rows give the same frame, and the same rows as
            `privsynth sample` writes.
          given: conditions such as "fraud = 1" or "age >= 60" (see `privsynth.sampling.conditions`).
          balance: shares such as "fraud=0.3" (see `privsynth.sampling.balance`).
        Raises:
          ConfigError: no row of the model, or hardly one, satisfies the rules and conditions.
        """
        return self.draw_all(self.order(n_rows, given=given, balance=balance), seed=seed)[0].frame()

    def save(self, folder: Path) -> None:
        """Write model.json and model.safetensors into an existing folder.

        Raises:
          OSError: the disk is full or failing.
        """
        from safetensors.numpy import save

        arrays = {name: np.ascontiguousarray(array) for name, array in self.fitted.tensors().items()}
        # Not `save_file`, which tells of a full disk by an error of its own.
        (folder / "model.safetensors").write_bytes(save(arrays))
        text = json.dumps(
            {
                "format": FORMAT,
                "dataset": self.dataset,
                "generator": self.fitted.name,
                "settings": self.fitted.settings(),
                "default_rows": self.default_rows,
                "rules": list(self.rules),
                "codec": self.codec.to_json(),
            },
            ensure_ascii=False,
            allow_nan=False,
            indent=1,
        )
        (folder / "model.json").write_text(text + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> SyntheticModel:
        """Return the model that `save` wrote.

        Raises:
          SourceError: the folder holds no model, or one of another format.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        try:
            if (folder / "model.json").stat().st_size > MAX_JSON_BYTES:
                raise SourceError(f"{folder} holds a model.json beyond {MAX_JSON_BYTES >> 20} MiB")
            data: dict[str, Any] = json.loads((folder / "model.json").read_text(encoding="utf-8"))
            if data.get("format") != FORMAT:
                raise SourceError(f"{folder} holds a model of another format; this version reads format {FORMAT}")
            tensors = load_file(folder / "model.safetensors")
            return cls(
                codec=TableCodec.from_json(data["codec"]),
                fitted=restore_generator(data["generator"], tensors, data["settings"]),
                rules=tuple(data["rules"]),
                default_rows=int(data["default_rows"]),
                dataset=str(data["dataset"]),
            )
        except (OSError, SafetensorError) as error:
            raise SourceError(f"{folder} holds no model: give the folder 'model' of a release") from error
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise SourceError(f"{folder} holds a model that cannot be read ({type(error).__name__})") from error
