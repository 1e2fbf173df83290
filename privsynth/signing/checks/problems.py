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
      unexpected: sentences about an intact release that is not the one that was asked for.
      unsigned: whether it says itself that nobody signed it.
    """

    changed: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    added: list[str] = field(default_factory=list)
    other: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    unsigned: bool = False

    def __bool__(self) -> bool:
        return bool(self.changed or self.missing or self.added or self.other or self.unexpected or self.unsigned)

    def error(self, what: Path) -> VerificationError:
        """Return the error with everything that was found."""
        lines = [
            f"  {label}: {', '.join(map(shown, sorted(names)))}"
            for label, names in (("changed", self.changed), ("missing", self.missing), ("added", self.added))
            if names
        ]
        lines += [f"  {sentence}" for sentence in [*self.other, *self.unexpected]]
        lines += ["  it is UNSIGNED: anyone can have made it"] if self.unsigned else []
        advice = "Do not rely on it; ask the sender for a fresh copy."
        intact = not (self.changed or self.missing or self.other)
        if self.unsigned and intact and not self.added and not self.unexpected:
            advice = (
                "Its files fit each other, which shows nothing. If you made it, make it again with a key: "
                "'privsynth keys init' makes one, and 'privsynth synthesize' signs with the one that you name. "
                "Otherwise ask for a signed copy."
            )
        elif intact and not self.added and not self.unsigned:
            advice = "Every file is as it was signed: give the folder that you mean, or ask the sender for it."
        elif intact and not self.unexpected and not self.unsigned and all(_left_by_system(name) for name in self.added):
            advice = (
                "Everything that was signed is unchanged. Files of these names are left by macOS and Windows where "
                "somebody opens a folder; nobody signed them. Delete them, then verify again."
            )
        return VerificationError("\n".join([f"{what} does not verify:", *lines, advice]))


def _left_by_system(name: str) -> bool:
    return name.rpartition("/")[2] in LEFT_BY_SYSTEMS
