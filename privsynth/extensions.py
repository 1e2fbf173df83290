"""Sources, generators and audits that other packages bring, found by the entry points that these packages declare.

Until somebody asks for a name that is not built in, or for a list, not even metadata is read. What is imported then is
what an installed package declared under exactly that name.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Generic, Literal, TypeVar, get_args

from privsynth.errors import ConfigError

Kind = Literal["source", "generator", "audit"]
KINDS: tuple[Kind, ...] = get_args(Kind)
T = TypeVar("T")


@dataclass(frozen=True, order=True)
class Extension:
    """What a run takes from another package, as both reports name it: public facts of the installation.

    Attributes:
      kind: "source", "generator" or "audit".
      name: a suffix like ".fwf" or the scheme of a URL, or the name of the generator or the audit.
      distribution, version: of the package that brings it.
    """

    kind: Kind
    name: str
    distribution: str
    version: str

    @property
    def label(self) -> str:
        """What to call it in a message."""
        return f"the {self.kind} '{self.name}' of the package {self.distribution} {self.version}"


@dataclass(frozen=True)
class Loaded(Generic[T]):
    """What was imported, and where it is from."""

    value: T
    extension: Extension


def load(kind: Kind, name: str, type_: type[T], *, builtin: Collection[str]) -> Loaded[T] | None:
    """Return what an installed package brings under a name; None if none does.

    Args:
      kind: which entry points, those of the group `privsynth.<kind>s`.
      name: as somebody typed it; it is compared with what packages declare, and never imported itself.
      type_: what the entry point must be an instance of.
      builtin: names that no package may take.
    Raises:
      ConfigError: a package declares a built-in name or the name of another package, or what it declares cannot be
        imported or is of another type.
    """
    found = _declared(kind, builtin).get(name)
    return None if found is None else _imported(*found, type_)


def load_all(kind: Kind, type_: type[T], *, builtin: Collection[str]) -> list[Loaded[T]]:
    """Return what installed packages bring, by name in alphabetical order; see `load`."""
    return [_imported(*found, type_) for _, found in sorted(_declared(kind, builtin).items())]


def names(kind: Kind, *, builtin: Collection[str]) -> list[str]:
    """Return the names that installed packages declare, sorted; nothing is imported. See `load`."""
    return sorted(_declared(kind, builtin))


def _declared(kind: Kind, builtin: Collection[str]) -> dict[str, tuple[EntryPoint, Extension]]:
    """Return name -> entry point and where it is from, of all installed packages."""
    found: dict[str, tuple[EntryPoint, Extension]] = {}
    for point in entry_points(group=f"privsynth.{kind}s"):
        of = point.dist
        extension = Extension(kind, point.name, of.name if of else "unknown", of.version if of else "unknown")
        if point.name in builtin:
            raise ConfigError(f"{extension.label} takes a name that is built in; uninstall that package or rename it")
        if point.name in found:
            other = found[point.name][1]
            raise ConfigError(f"{extension.label} has the name of one of {other.distribution}; uninstall one of them")
        found[point.name] = point, extension
    return found


def _imported(point: EntryPoint, extension: Extension, type_: type[T]) -> Loaded[T]:
    try:
        value = point.load()
    except Exception as error:  # whatever the code of another package raises when it is imported
        raise ConfigError(
            f"{extension.label} cannot be imported ({type(error).__name__}); update or uninstall that package"
        ) from None
    if not isinstance(value, type_):
        raise ConfigError(f"{extension.label} is no {type_.__name__}; update or uninstall that package")
    return Loaded(value, extension)
