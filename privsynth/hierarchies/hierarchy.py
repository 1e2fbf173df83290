"""`Hierarchy`: how the codes of a column group, level by level. Public knowledge that depends on no row."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

SHOWN = 6  # groups in a message (own): one line of a terminal
Path = tuple[str, ...]
Tree = Mapping[str, Path]


@dataclass(frozen=True, eq=False, repr=False)
class Hierarchy:
    """Levels of groups over codes, each group inside one group of the level above.

    Attributes:
      name: how messages call it.
      levels: names of the levels, from coarse to fine. The codes lie below the last.
      tree: group -> the groups from the coarsest down to it, itself included; every group that is known by name.
      place: a code -> its groups from coarse to fine, or None where it is no code of the book; groups below the last
        that the code has are left out.
      codes: every code, where the book lists them; else empty.
      spellings: level -> other ways to write its groups.
    """

    name: str
    levels: tuple[str, ...]
    tree: Tree
    place: Callable[[str], Path | None]
    codes: tuple[str, ...] = ()
    spellings: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def __eq__(self, other: object) -> bool:
        """Return whether the other has the same levels and places the codes that it lists alike."""
        if not isinstance(other, Hierarchy):
            return NotImplemented
        same = (self.name, self.levels, self.codes, self.tree) == (other.name, other.levels, other.codes, other.tree)
        return same and all(self.place(code) == other.place(code) for code in self.codes)

    def __hash__(self) -> int:
        return hash((self.name, self.levels))

    def __repr__(self) -> str:
        return f"Hierarchy({self.name}: {', '.join(self.levels)})"

    def path(self, text: str) -> Path | None:
        """Return the group of a code on each level, from coarse to fine; None where the book does not know it.

        A group stands for itself on its level and on all below: `O30-O48` is in its chapter, and is its own block.
        """
        found = self.tree.get(text)
        if found is None:
            found = self.place(text)
        return None if not found else found + found[-1:] * (len(self.levels) - len(found))

    def groups(self, level: str) -> tuple[str, ...]:
        """Return the groups of a level that are known by name, in order; none where they follow from the codes."""
        at = self.levels.index(level)
        return tuple(dict.fromkeys(path[at] for path in self.tree.values() if len(path) > at))

    @cached_property
    def _without_finer(self) -> frozenset[str]:
        """Groups that stand for themselves on the levels below: none is known inside, or a code has no finer one."""
        inner = {path[-2] for path in self.tree.values() if len(path) > 1}
        paths = (self.path(code) or ("",) for code in self.codes)
        return frozenset(self.tree.keys() - inner) | {path[-1] for path in paths if path[-1:] == path[-2:-1]}

    def parents(self, level: str) -> tuple[str, ...]:
        """Return known groups so that every code is in one: those of a level, and coarser ones where it has none."""
        depth = self.levels.index(level) + 1
        return tuple(
            name
            for name, path in self.tree.items()
            if len(path) == depth or (len(path) < depth and name in self._without_finer)
        )

    def group(self, level: str, text: str) -> str:
        """Return a group as the book writes it.

        Raises:
          ValueError: the level has no such group; the message is the end of a sentence and names some that it has.
        """
        at = self.levels.index(level)
        for spelt in (text, text.upper()):
            spelt = self.spellings.get(level, {}).get(spelt, spelt)
            path = self.path(spelt)
            if path is not None and path[at] == spelt and (spelt not in self.tree or spelt in self.parents(level)):
                return spelt
        known = self.groups(level)
        some = f"; it has {', '.join(known[:SHOWN])}{' …' if len(known) > SHOWN else ''}" if known else ""
        raise ValueError(f"{self.name} has no {level} '{text}'{some}")


def listed(places: Mapping[str, Path], code: str) -> Path | None:
    """Return the groups of a code in capitals that a classification lists."""
    return places.get(code.strip().upper())


def tree_of(paths: Iterable[Sequence[str]]) -> dict[str, Path]:
    """Return the tree of groups from the paths of groups or codes, each from coarse to fine.

    Raises:
      ValueError: a name stands in two places, so that it says too little; the message is a sentence.
    """
    tree: dict[str, Path] = {}
    for path in paths:
        for depth, name in enumerate(path, start=1):
            here = tuple(path[:depth])
            if depth > 1 and name == path[depth - 2]:
                continue  # a group that is its own only member
            if tree.setdefault(name, here) != here:
                raise ValueError(f"the group '{name}' stands in two places; give one of them another name")
    return tree
