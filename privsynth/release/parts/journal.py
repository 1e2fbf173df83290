"""`Journal`: which tasks of a table are finished, in notes that are each written whole, so that a killed run goes on.

plan.json      all that the bytes depend on; a run with another one is refused
00007.json     task 7 is finished: its files, with rows, size and SHA-256

A file counts as finished if its note does, and if it is there with that digest. Anything else is made again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from privsynth.errors import ConfigError, Option, OutputError
from privsynth.release.parts.places import PLAN, Destination

Files = dict[str, dict[str, Any]]  # name -> rows, bytes and sha256
# What a plan says -> how a message calls it.
_SAID = {
    "model_sha256": "another model", "seed": "another seed", "rows": "another number of rows",
    "given": "other conditions", "balance": "other shares", "format": "another format",
    "rows_per_file": "another number of rows per file", "partition_by": "another column of partitions",
    "version": "another version of privsynth",
}  # fmt: skip


@dataclass
class Journal:
    """What is finished at a place.

    Attributes:
      place: where files and notes are.
      kept: task -> its files, which an earlier run finished.
    """

    place: Destination
    kept: dict[int, Files] = field(default_factory=dict)

    @classmethod
    def begin(cls, place: Destination, plan: Mapping[str, Any]) -> Journal:
        """Return the journal of a new run.

        Raises:
          OutputError: files are there already.
        """
        if PLAN in place.notes():
            raise OutputError(
                f"a run that was stopped left its finished files for {place.shown}; go on with ",
                Option("resume", python="resume=True"),
                f", or remove {place.left}",
            )
        if place.names():
            raise OutputError(f"there are files at {place.shown} already; choose another place, nothing is overwritten")
        place.note(PLAN, json.dumps(plan, ensure_ascii=False))
        return cls(place)

    @classmethod
    def resume(cls, place: Destination, plan: Mapping[str, Any]) -> Journal:
        """Return the journal of a run that goes on with what another one left; of a new one where nothing was begun.

        What is not finished there is removed.

        Raises:
          OutputError: files are there that no such run left.
          ConfigError: the other one drew other rows, or wrote them otherwise.
        """
        before = stored_plan(place)
        if PLAN not in place.notes():
            return cls.begin(place, plan)
        if other := next((name for name in _SAID if before.get(name) != plan.get(name)), None):
            raise ConfigError(
                f"what is left of a stopped run for {place.shown} has {_SAID[other]}; give the options of that "
                f"run, or remove {place.left}"
            )
        found = cls(place)
        for name, text in place.notes().items():
            number, files = name.removesuffix(".json"), _files(text)
            whole = files and all(place.facts(file) == (of["bytes"], of["sha256"]) for file, of in files.items())
            if number.isdecimal() and whole:
                found.kept[int(number)] = files
            elif name != PLAN:
                place.note(name, None)
        for name in place.names() - {name for files in found.kept.values() for name in files}:
            place.remove(name)
        return found

    def finished(self, number: int, files: Files) -> None:
        """Note that a task's files are all there."""
        self.place.note(f"{number:05d}.json", json.dumps(files, ensure_ascii=False))


def stored_plan(place: Destination) -> dict[str, Any]:
    """Return the plan of the run that left something at a place; empty if none did, or if it is damaged."""
    text = place.notes().get(PLAN)
    try:
        found = json.loads(text) if text else {}
    except ValueError:
        found = {}
    return found if isinstance(found, dict) else {}


def _files(text: str) -> Files:
    """Return what a note says; nothing where it is damaged."""
    try:
        found = json.loads(text)
        return {str(name): {key: of[key] for key in ("rows", "bytes", "sha256")} for name, of in found.items()}
    except (ValueError, TypeError, KeyError, AttributeError):
        return {}
