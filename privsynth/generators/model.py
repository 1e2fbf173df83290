"""`SyntheticModel`: codec, fitted generator and rules; what a release ships and `privsynth sample` loads.

Saved as `model.json` (codec, settings, rules) and `model.safetensors` (numbers): no pickle, no code, no row. Sampling
is post-processing of paid releases: it costs no budget, however many rows are drawn.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from privsynth._validate import in_range
from privsynth.encoding.codec import TableCodec
from privsynth.errors import ConfigError, SourceError
from privsynth.generators.encoded import Progress, no_progress
from privsynth.generators.generator import FittedGenerator, restore_generator
from privsynth.randomness import sampling_rng
from privsynth.schema.rules import Rule, parse_rule

FORMAT = 1
PART_ROWS = 200_000
_ROUNDS = 25
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

    def sample(
        self, n_rows: int, *, seed: int, part: int = 0, progress: Progress = no_progress
    ) -> tuple[pd.DataFrame, np.ndarray]:
        """Return a frame of n_rows rows in which every rule holds, and its (attributes, n_rows) codes.

        Args:
          seed: published; the same seed, part and number of rows give the same frame.
          part: which part of a longer table; parts are independent.
        Raises:
          ConfigError: no sampled row satisfies the rules.
        """
        in_range(1, 10**12, rows=n_rows)
        rng = sampling_rng(seed, part)
        first = part * PART_ROWS + 1
        codes = self.fitted.sample_codes(n_rows, rng)
        frame = self.codec.decode(codes, rng, first_row=first)
        rules = self.parsed_rules()
        for round_ in range(_ROUNDS):
            held = _all_hold(rules, frame)
            if held.all():
                break
            progress("applying rules", round_ / _ROUNDS)
            missing = np.flatnonzero(~held)
            fresh = self.fitted.sample_codes(len(missing), rng)
            codes = codes.copy()
            codes[:, missing] = fresh
            replaced = self.codec.decode(fresh, rng)
            frame = frame.copy()
            for name in frame.columns:
                column = frame[name].to_numpy(copy=True) if frame[name].dtype == object else frame[name].array.copy()
                column[missing] = replaced[name].array
                frame[name] = pd.Series(column, dtype=frame[name].dtype)
        frame, codes = self._fill(rules, frame, codes, rng)
        return self._renumber(frame, first), codes

    def _fill(
        self, rules: list[Rule], frame: pd.DataFrame, codes: np.ndarray, rng: np.random.Generator
    ) -> tuple[pd.DataFrame, np.ndarray]:
        """Return the rows with those that still break a rule replaced by copies of rows that keep them all."""
        held = _all_hold(rules, frame)
        if held.all():
            return frame, codes
        good = np.flatnonzero(held)
        if not len(good):
            raise ConfigError("no synthetic row satisfies the rules; check that they do not contradict each other")
        rows = np.arange(len(frame))
        rows[~held] = rng.choice(good, size=int((~held).sum()))
        return frame.iloc[rows].reset_index(drop=True), codes[:, rows]

    def _renumber(self, frame: pd.DataFrame, first: int) -> pd.DataFrame:
        from privsynth.encoding.codecs import SurrogateCodec

        for codec in self.codec.codecs:
            if isinstance(codec, SurrogateCodec):
                frame[codec.name] = codec.fresh(first, len(frame))
        return frame

    def sample_parts(
        self, n_rows: int, *, seed: int, progress: Progress = no_progress
    ) -> Iterator[tuple[int, pd.DataFrame]]:
        """Yield (part, frame) of at most `PART_ROWS` rows each; together n_rows rows."""
        parts = -(-n_rows // PART_ROWS)
        for part in range(parts):
            progress("sampling", part / parts)
            size = min(PART_ROWS, n_rows - part * PART_ROWS)
            yield part, self.sample(size, seed=seed, part=part)[0]
        progress("sampling", 1.0)

    def save(self, folder: Path) -> None:
        """Write model.json and model.safetensors into an existing folder."""
        from safetensors.numpy import save_file

        arrays = {name: np.ascontiguousarray(array) for name, array in self.fitted.tensors().items()}
        save_file(arrays, folder / "model.safetensors")
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


def _all_hold(rules: list[Rule], frame: pd.DataFrame) -> np.ndarray:
    held = np.ones(len(frame), dtype=bool)
    for rule in rules:
        held &= rule.holds(frame)
    return held
