"""The protocol of generators, and their registry."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

import numpy as np

from privsynth import extensions
from privsynth.codecs.loaded import require
from privsynth.errors import ConfigError
from privsynth.extensions import Extension
from privsynth.progress import Progress

if TYPE_CHECKING:  # who samples only has neither scipy nor mpmath
    from privsynth.codecs.encoded_table import Encoded
    from privsynth.privacy.budget import SpendingPlan, TrainingSpec
    from privsynth.privacy.mechanisms import Mechanisms


@dataclass(frozen=True, kw_only=True)
class PublicFacts:
    """What is publicly known of a table, or guessed, before anything is released.

    Attributes:
      n_rows: how many rows there are; a guess.
      sizes: for each column that is modelled its number of codes; a guess where the domain is not declared.
      max_rows_per_unit: the most rows of a unit.
      rows_per_unit: rows that a unit usually has; a guess.
    """

    n_rows: float
    sizes: tuple[int, ...]
    max_rows_per_unit: int = 1
    rows_per_unit: float = 1.0


@dataclass(frozen=True)
class ExpectedErrors:
    """Expected total variation distances from the exact tables.

    Attributes:
      one_way: for each column that of its noisy one-way table.
      pair: that of a pair of columns in synthetic rows, on average over all pairs; None where the generator measures no
        pairs.
    """

    one_way: tuple[float, ...]
    pair: float | None


class FittedGenerator(Protocol):
    """A fitted model. It holds paid releases and their post-processing only; sampling from it is free."""

    name: ClassVar[str]

    def sample_codes(self, n_rows: int, rng: np.random.Generator) -> np.ndarray:
        """Return (attributes, n_rows) uint16 codes; a function of the model and the published generator alone."""
        ...

    def tensors(self) -> dict[str, np.ndarray]:
        """Return what is saved as safetensors: name -> array."""
        ...

    def settings(self) -> dict[str, Any]:
        """Return JSON-able settings, enough to load the tensors again and to print in the report."""
        ...


class Generator(Protocol):
    """Something that learns a fitted model from encoded rows through paid releases."""

    name: ClassVar[str]

    def training_spec(self) -> TrainingSpec | None:
        """Return the public shape of its DP-SGD run, or None."""
        ...

    def expected_errors(self, facts: PublicFacts, plan: SpendingPlan) -> ExpectedErrors:
        """Return what noise would do to its tables, for `privsynth plan`; from public facts alone."""
        ...

    def fit(
        self,
        data: Encoded,
        mechanisms: Mechanisms,
        plan: SpendingPlan,
        *,
        rng: np.random.Generator,
        progress: Progress,
    ) -> FittedGenerator:
        """Learn a model.

        Guarantee: touches the rows of `data` only to feed `mechanisms`; spends the parts "one_way",
          "selection" and "measurement" of the plan, and its training run if it has one.
        """
        ...


@runtime_checkable
class LearnsHistories(Protocol):
    """A generator that trains a network on the rows of a linked table, where `Encoded.histories` is there."""

    def histories_spec(self) -> TrainingSpec:
        """Return the public shape of the DP-SGD run of one table, with its share of that table's budget."""
        ...


@runtime_checkable
class MovesShares(FittedGenerator, Protocol):
    """A fitted model that can be brought to other shares of one attribute; post-processing."""

    @property
    def measured(self) -> Sequence[Any]:
        """The released tables that it was fitted to."""
        ...

    def shares(self, attribute: int) -> np.ndarray:
        """Return (size,) shares of an attribute's codes among rows that are drawn."""
        ...

    def with_shares(self, attribute: int, shares: np.ndarray) -> MovesShares:
        """Return the model with other shares of an attribute's codes."""
        ...


@dataclass(frozen=True)
class GeneratorInfo:
    """What a person should know before choosing a generator, and where it lives.

    Another package offers a generator by an entry point of the group `privsynth.generators` under the generator's name,
    which leads to an object of this class, for example `acme = "acme_synth:INFO"`.

    Attributes:
      module: has `GENERATOR`, which fits.
      fitted: has `restore`, which gives a saved model back; needs the packages of the extra `sample` only.
      extension: where one from outside is from, as the installation says; None for ours.
      one_table, linked: whether it makes one table; whether it makes linked ones.
    """

    name: str
    private: bool
    summary: str
    module: str
    fitted: str = ""
    extension: Extension | None = None
    one_table: bool = True
    linked: bool = False


def codes_never_drawn(fitted: FittedGenerator, sizes: Sequence[int]) -> list[np.ndarray]:
    """Return for each attribute (size,) booleans: a fitted model says that it never draws the code."""
    if hasattr(fitted, "never_drawn"):
        found: list[np.ndarray] = fitted.never_drawn()
        return found
    no_null = getattr(fitted, "no_null", [False] * len(sizes))
    return [np.arange(size) >= size - bool(never and size > 1) for size, never in zip(sizes, no_null, strict=True)]


# The registry: name -> what it is and where it lives. Modules are imported when chosen, so that torch is not loaded
# for a generator that does without.
GENERATORS: Mapping[str, GeneratorInfo] = {
    "marginal": GeneratorInfo(
        "marginal",
        True,
        "noisy low-order tables fitted by a mixture of products; the best fidelity for the budget, in seconds",
        "privsynth.generators.marginal.generator",
        "privsynth.generators.marginal.fitted",
        linked=True,
    ),
    "arn": GeneratorInfo(
        "arn",
        True,
        "autoregressive network trained with Opacus DP-SGD, warm-started from `marginal`; where three or more columns "
        "depend on each other and no two of them do",
        "privsynth.generators.arn.generator",
        "privsynth.generators.arn.fitted",
        linked=True,
    ),
    "tvae": GeneratorInfo(
        "tvae",
        True,
        "variational autoencoder trained with Opacus DP-SGD; a usual name, to compare with",
        "privsynth.generators.tvae.generator",
        "privsynth.generators.tvae.fitted",
    ),
    "ctgan": GeneratorInfo(
        "ctgan",
        True,
        "conditional GAN whose critic is trained with Opacus DP-SGD; a usual name, to compare with",
        "privsynth.generators.ctgan.generator",
        "privsynth.generators.ctgan.fitted",
    ),
    "sdv:gaussian_copula": GeneratorInfo(
        "sdv:gaussian_copula",
        False,
        "no privacy: SDV's Gaussian copula, a reference for `privsynth benchmark` and `privsynth audit`",
        "privsynth.generators.sdv",
    ),
    "sdv:ctgan": GeneratorInfo(
        "sdv:ctgan",
        False,
        "no privacy: SDV's conditional GAN, a reference for `privsynth benchmark` and `privsynth audit`",
        "privsynth.generators.sdv",
    ),
    "sdv:tvae": GeneratorInfo(
        "sdv:tvae",
        False,
        "no privacy: SDV's autoencoder, a reference for `privsynth benchmark` and `privsynth audit`",
        "privsynth.generators.sdv",
    ),
    "sdv:hma": GeneratorInfo(
        "sdv:hma",
        False,
        "no privacy: SDV's HMA for linked tables, a reference for `privsynth benchmark`; may take hours",
        "privsynth.generators.sdv",
        one_table=False,
        linked=True,
    ),
    "sdv:par": GeneratorInfo(
        "sdv:par",
        False,
        "no privacy: SDV's PAR for sequences, one table below the persons, a reference for `privsynth benchmark`",
        "privsynth.generators.sdv",
        one_table=False,
        linked=True,
    ),
}

# Weights, logits and shares of a model lie far below; products of three layers of them stay finite in single precision.
MAX_TENSOR_VALUE = 1e6

# On five tables of 10,000 to 48,000 rows at ε = 3 `arn` was nowhere ahead of it in fidelity, and on one in usefulness
# (by 0.004); it took three to eight times as long. docs/benchmark.md says what `arn` is for.
AUTO = "marginal"


NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}")  # of a generator from outside: it becomes part of reports and commands


def names_outside() -> list[str]:
    """Return the names of generators that other installed packages declare, sorted; nothing of theirs is imported.

    Raises:
      ConfigError: a package takes the name of one of ours, or two take the same.
    """
    return extensions.names("generator", builtin=GENERATORS)


def generator_info(name: str) -> GeneratorInfo:
    """Return what is known of a generator. Of another package only the module of its `GeneratorInfo` is imported.

    Raises:
      ConfigError: an unknown name; or a package does not keep to what an entry point has to give.
    """
    if name in GENERATORS:
        return GENERATORS[name]
    loaded = extensions.load("generator", name, GeneratorInfo, builtin=GENERATORS)
    if loaded is None:
        private = [known for known, info in GENERATORS.items() if info.private]
        raise ConfigError(f"there is no generator '{name}'; choose auto, {', '.join([*private, *names_outside()])}")
    info, of = loaded.value, loaded.extension
    if info.name != name or not NAME.fullmatch(name):
        raise ConfigError(f"{of.label} has no proper name, or another than its entry point; update or uninstall it")
    if not info.private:
        raise ConfigError(f"{of.label} has no privacy guarantee and cannot be used here; uninstall that package")
    return replace(info, extension=of)


def choose(name: str) -> str:
    """Return the generator's name; `auto` is the one that is best on most tables.

    Raises:
      ConfigError: an unknown name, or a reference without privacy.
    """
    if name == "auto":
        return AUTO
    _refuse_reference(generator_info(name))
    return name


def _refuse_reference(info: GeneratorInfo) -> None:
    if not info.private:
        raise ConfigError(
            f"'{info.name}' has no privacy guarantee, so that it cannot make a release; it is a reference to compare "
            "with, through `privsynth benchmark` and `privsynth audit`"
        )


def generator_extension(name: str) -> Extension | None:
    """Return where a generator is from; None for ours, and for one that is not installed."""
    return None if name in GENERATORS or name not in names_outside() else generator_info(name).extension


def load_generator(name: str) -> Generator:
    """Return a private generator with its default settings.

    One from outside is as trustworthy as who made it: hold it to `privsynth.testing.generators.check_generator` first.

    Raises:
      ConfigError: an unknown name; or a reference without privacy, which is not a `Generator`.
    """
    info = generator_info(name)
    _refuse_reference(info)
    generator: Generator = _attribute(info, info.module, "GENERATOR")
    return generator


def load_restore(info: GeneratorInfo) -> Callable[[Mapping[str, np.ndarray], Mapping[str, Any]], FittedGenerator]:
    """Return the function that gives a saved model of a generator back."""
    restore: Callable[..., FittedGenerator] = _attribute(info, info.fitted, "restore")
    return restore


def _attribute(info: GeneratorInfo, module: str, name: str) -> Any:
    if info.extension is None:
        return getattr(import_module(module), name)
    try:
        return getattr(import_module(module), name)
    except Exception as error:  # somebody else's code, as above
        raise ConfigError(
            f"{info.extension.label} cannot be imported ({type(error).__name__}); update or uninstall that package"
        ) from error


def restore_generator(
    name: str, tensors: Mapping[str, np.ndarray], settings: Mapping[str, Any], *, package: str = ""
) -> FittedGenerator:
    """Return a fitted generator from what it saved.

    The name is looked up in the registry and among the entry points of installed packages; nothing is ever imported by
    a name that stands in a model.

    Args:
      package: the distribution that the model names, "" for ours.
    Raises:
      ConfigError: an unknown name.
      ValueError: a tensor holds something else than numbers of a sensible size, or tensors and settings do not fit.
    """
    known = isinstance(name, str) and (name in names_outside() if package else name in GENERATORS)
    info = generator_info(name) if known else None
    if info is None or not info.private or (info.extension.distribution if info.extension else "") != package:
        raise ConfigError(
            "the model was made by a generator of another package, which is not installed; the report names it"
            if package
            else "the model was made by a generator that this version does not know"
        )
    for array in tensors.values():
        require(array.dtype.kind in "iuf", "a tensor holds no numbers")
        require(not array.size or bool((np.abs(array) <= MAX_TENSOR_VALUE).all()), "a tensor holds no finite numbers")
    return load_restore(info)(tensors, settings)
