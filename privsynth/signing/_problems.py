"""What is wrong with a release, collected so that one message can say all of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from privsynth.errors import VerificationError
from privsynth.signing._files import shown

# What macOS and Windows leave in a folder that somebody opens. Only a name tells: what is in such a file is anybody's.
LEFT_BY_SYSTEMS = {".DS_Store", "Thumbs.db", "desktop.ini"}


@dataclass
class Problems:
    """Findings against a release.

    Attributes:
      changed, missing, added: names of files.
      other: sentences about the envelope, the signature or the key.
    """

    changed: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    added: list[str] = field(default_factory=list)
    other: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.changed or self.missing or self.added or self.other)

    def error(self, what: Path) -> VerificationError:
        """Return the error with everything that was found."""
        lines = [
            f"  {label}: {', '.join(map(shown, sorted(names)))}"
            for label, names in (("changed", self.changed), ("missing", self.missing), ("added", self.added))
            if names
        ]
        lines += [f"  {sentence}" for sentence in self.other]
        advice = "Do not rely on it; ask the sender for a fresh copy."
        others = self.changed or self.missing or self.other
        if not others and all(name.rpartition("/")[2] in LEFT_BY_SYSTEMS for name in self.added):
            advice = (
                "Everything that was signed is unchanged. Files of these names are left by macOS and Windows where "
                "somebody opens a folder; nobody signed them. Delete them, then verify again."
            )
        return VerificationError("\n".join([f"{what} does not verify:", *lines, advice]))
