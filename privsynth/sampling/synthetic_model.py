"""`SyntheticModel`: codec, fitted generator and rules; what a release ships and `privsynth sample` loads.

Saved as `model.json` (codec, settings, rules) and `model.safetensors` (numbers): no pickle, no code, no row. Sampling
is post-processing of released figures: it costs no budget, however many rows are drawn.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from privsynth._validate import in_range
from privsynth.codecs.decoded_rows import DecodedRows
from privsynth.codecs.loaded import MAX_NAME, Malformed, items, require, text, whole
from privsynth.codecs.synthetic_rows import SyntheticRows
from privsynth.codecs.table import MAX_ROWS, TableCodec
from privsynth.errors import ConfigError, SourceError
from privsynth.generators.registry import FittedGenerator, generator_extension, restore_generator
from privsynth.progress import Progress, no_progress
from privsynth.randomness import sampling_rng
from privsynth.sampling.conditional import DrawsCodes
from privsynth.sampling.conditions import vocabulary
from privsynth.sampling.draw import PART_ROWS, Order, draw_key, draw_part, place_order
from privsynth.sampling.draw_units import draw_units, numbered
from privsynth.sampling.origin import Origin, PriorOrigin
from privsynth.sampling.unit_rows import ModelOfUnits, RowsOfUnits
from privsynth.schema.definition import MAX_RULE_TEXT, MAX_RULES
from privsynth.schema.rule_parser import parse_rule
from privsynth.schema.rules import Rule
from privsynth.schema.source_format import SourceFormat

FORMAT = 2  # of model.json; a change that older versions would misread takes the next number
# (own) A column with as many categories or bins as there are codes (65,535) takes 1 to 3 MB, others some kilobytes.
MAX_JSON_BYTES = 64 << 20
MAX_TENSOR_BYTES = 2 << 30  # (own) 1,536 components of 300,000 codes
_TRIED_ROWS = 64  # drawn when a model is loaded, to see that it works (own)


@dataclass(frozen=True)
class SyntheticModel:
    """A model to sample from.

    Attributes:
      codec: codes to columns.
      fitted: the generator's model of codes.
      rules: sentences that hold in every row that is sampled.
      default_rows: the released number of rows, the default size of a table.
      dataset: name of the dataset it stands for.
      source_format: how the real table is written, so that rows are written alike.
      origin: the promise under which it was released; None outside a release.
      units: where a unit may have several rows, how many units have, and how rows are drawn by it; else None.
      prior: the public table from which the model started; None if from nothing.
    """

    codec: TableCodec
    fitted: FittedGenerator
    rules: tuple[str, ...]
    default_rows: int
    dataset: str
    source_format: SourceFormat = field(default_factory=SourceFormat)
    origin: Origin | None = None
    units: ModelOfUnits | None = None
    prior: PriorOrigin | None = None

    @property
    def of_rows(self) -> DrawsCodes:
        """What rows are drawn from."""
        return self.fitted if self.units is None else RowsOfUnits(self.fitted, self.units, len(self.codec.attributes))

    def parsed_rules(self) -> list[Rule]:
        """Return the rules whose columns are all in the synthetic table, and none of them invented."""
        known = vocabulary(self.codec)
        drawn = {codec.name for codec in self.codec.codecs if codec.family != "invented"}
        rules = [parse_rule(text, known) for text in self.rules]
        return [rule for rule in rules if set(rule.columns) <= drawn]

    def order(self, n_rows: int, *, given: Sequence[str] = (), balance: str | None = None) -> Order:
        """Return an order for rows; see `privsynth.sampling.draw.place_order`.

        Raises:
          ConfigError: a condition cannot be read, or names what the model does not have; or there are fewer identifiers
            than rows.
        """
        in_range(1, MAX_ROWS, rows=n_rows)
        if n_rows > self.codec.room:
            raise ConfigError(
                f"the format of an identifier has room for {self.codec.room:,} rows; draw no more than that at once"
            )
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
        rng, rules = sampling_rng(seed, part), self.parsed_rules()
        if self.units is None or self.units.column is None or not order.is_plain:
            return draw_part(order, part, self.of_rows, rules, rng, progress)
        n_rows, before = int(order.split[part].sum()), int(order.split[:part].sum())
        rows, codes, first = draw_units(self.codec, self.fitted, self.units, rules, n_rows, rng)
        return numbered(rows, self.units.column, before + 1 + first), codes

    def draw_all(
        self, order: Order, *, seed: int, progress: Progress = no_progress
    ) -> tuple[SyntheticRows, np.ndarray]:
        """Return the rows of all parts of an order and their (attributes, rows) uint16 codes.

        Parts are drawn one at a time, and kept in few bytes a value.

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
        return self.written(order, parts, seed=seed), codes

    def written(self, order: Order, parts: Sequence[DecodedRows], *, seed: int, part: int = 0) -> SyntheticRows:
        """Return the rows of consecutive parts of an order, ready to be written.

        Args:
          part: number of the first of them.
        """
        key = draw_key(self.dataset, seed, order)
        return SyntheticRows(self.codec, parts, part * PART_ROWS, key, self.source_format)

    def sample(self, n_rows: int, *, seed: int, given: Sequence[str] = (), balance: str | None = None) -> pd.DataFrame:
        """Return a frame of n_rows rows in which every rule and condition holds, in the types of the source.

        Args:
          seed: published; the same seed, conditions and number of rows give the same frame, and the same rows as
            `privsynth sample` writes.
          given: conditions such as "fraud = 1" or "age >= 60" (see `privsynth.sampling.conditions`).
          balance: shares such as "fraud=0.3" (see `privsynth.sampling.balance`).
        Raises:
          ConfigError: no row of the model, or hardly one, satisfies the rules and conditions.
        """
        return self.draw_all(self.order(n_rows, given=given, balance=balance), seed=seed)[0].typed_frame()

    def save(self, folder: Path) -> None:
        """Write model.json and model.safetensors into an existing folder.

        Raises:
          OSError: the disk is full or failing.
        """
        from safetensors.numpy import save

        of = generator_extension(self.fitted.name)

        arrays = {name: np.ascontiguousarray(array) for name, array in self.fitted.tensors().items()}
        # Not `save_file`, which reports a full disk by its own exception.
        (folder / "model.safetensors").write_bytes(save(arrays))
        text = json.dumps(
            {
                "format": FORMAT,
                "dataset": self.dataset,
                "generator": self.fitted.name,
                **({"package": {"name": of.distribution, "version": of.version}} if of else {}),
                "settings": self.fitted.settings(),
                "default_rows": self.default_rows,
                "rules": list(self.rules),
                **({} if self.origin is None else {"origin": self.origin.to_json()}),
                **({"units": self.units.to_json()} if self.units else {}),
                **({} if self.prior is None else {"prior": self.prior.to_json()}),
                "source_format": self.source_format.model_dump(mode="json", exclude_defaults=True),
                "codec": self.codec.to_json(),
            },
            ensure_ascii=False,
            allow_nan=False,
            indent=1,
        )
        (folder / "model.json").write_text(text + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> SyntheticModel:
        """Return the model that `save` wrote, from a folder that may come from anybody.

        Its content is checked, and a few rows are drawn, so that a model that cannot be sampled is found here.

        Raises:
          SourceError: the folder holds no model, one of another format, or one that is malformed or too big.
        """
        from safetensors import SafetensorError

        try:
            model = cls._read(folder)
            model._try_out()
            return model
        except (OSError, SafetensorError) as error:
            raise SourceError(f"{folder} holds no model: give the folder 'model' of a release") from error
        except ConfigError as error:  # its sentences quote nothing of the file
            raise SourceError(f"{folder} holds a model that cannot be restored here: {error}") from error
        except Malformed as error:
            raise SourceError(f"{folder} holds a model that is malformed: {error}; ask for a fresh copy") from error
        except SourceError:
            raise
        except Exception as error:  # whatever a hostile file makes a library raise: one sentence, without a quotation
            raise SourceError(
                f"{folder} holds a model that cannot be read ({type(error).__name__}); ask for a fresh copy"
            ) from error

    @classmethod
    def _read(cls, folder: Path) -> SyntheticModel:
        from safetensors.numpy import load_file

        for name, limit in (("model.json", MAX_JSON_BYTES), ("model.safetensors", MAX_TENSOR_BYTES)):
            if not (folder / name).is_file():  # a pipe would never end
                raise SourceError(f"{folder} holds no model: give the folder 'model' of a release")
            if (folder / name).stat().st_size > limit:
                raise SourceError(f"{folder} holds a {name} beyond {limit >> 20:,} MiB, more than any model takes")
        data = json.loads((folder / "model.json").read_text(encoding="utf-8"), parse_constant=_no_constant)
        require(isinstance(data, dict), "model.json is no object")
        if data.get("format") != FORMAT:
            raise SourceError(f"{folder} holds a model of another format; this version reads format {FORMAT}")
        codec = TableCodec.from_json(data["codec"])
        units = ModelOfUnits.from_json(data["units"]) if "units" in data else None
        if units:
            units.check_columns(codec)
        sizes = [attribute.size for attribute in codec.attributes] + (units.sizes if units else [])
        require(data["settings"]["sizes"] == sizes, "the generator and the columns have different numbers of codes")
        rules = items(data["rules"], "the rules", at_most=MAX_RULES)
        tensors = load_file(folder / "model.safetensors")
        package = text(data["package"]["name"], "the package", at_most=MAX_NAME) if "package" in data else ""
        return cls(
            codec=codec,
            fitted=restore_generator(data["generator"], tensors, data["settings"], package=package),
            rules=tuple(text(rule, "a rule", at_most=MAX_RULE_TEXT) for rule in rules),
            default_rows=whole(data["default_rows"], 0, MAX_ROWS, "the number of rows"),
            dataset=text(data["dataset"], "the name of the dataset", at_most=MAX_NAME),
            source_format=SourceFormat.model_validate(data.get("source_format", {})),
            origin=Origin.from_json(data["origin"]) if "origin" in data else None,
            units=units,
            prior=PriorOrigin.from_json(data["prior"]) if "prior" in data else None,
        )

    def _try_out(self) -> None:
        """Draw a few codes, and decode every code there is; whatever is wrong shows as an exception.

        Raises:
          Malformed: the generator draws what is no code.
        """
        rng = sampling_rng(0, 0)
        sizes = np.array([attribute.size for attribute in self.codec.attributes], dtype=np.int64)
        codes = self.of_rows.sample_codes(_TRIED_ROWS, rng)
        require(codes.shape == (len(sizes), _TRIED_ROWS), "the generator draws another number of columns")
        require(bool((codes < sizes[:, None]).all()), "the generator draws what is no code")
        every = np.arange(max(_TRIED_ROWS, sizes.max(initial=0)))
        rows = self.codec.draw((every % sizes[:, None]).astype(np.uint16), rng)
        drawn = TableCodec(tuple(codec for codec in self.codec.codecs if codec.family != "invented"))
        SyntheticRows(drawn, [rows], source_format=self.source_format).typed_frame()
        few = self.codec.frame(rows.take(every[:_TRIED_ROWS]))
        for rule in self.parsed_rules():
            rule.holds(few)


def _no_constant(_: str) -> float:
    raise Malformed("NaN and infinity are no JSON")
