"""Making the approved edition of a release: a copy of the draft's public part, signed and in the log, then in place."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from privsynth.approvals.deciding import OpenKey
from privsynth.approvals.situation import Situation
from privsynth.editions.approved import EditionFacts, write_edition
from privsynth.errors import OutputError, VerificationError
from privsynth.pipeline.writing.staging import Seal, set_permissions
from privsynth.release.out_folder import OutFolder
from privsynth.signing._files import list_tree
from privsynth.signing.keyring import Keyring
from privsynth.signing.release import ATTESTATION
from privsynth.signing.store import load_keyring
from privsynth.signing.verification import Expected, verify_folder
from privsynth.transparency.facts import release_fact
from privsynth.workspace import Workspace


@dataclass(frozen=True)
class WantedEdition:
    """An edition that is to be made.

    Attributes:
      run: folder of the release that may leave.
      out: new folder.
      policy: by which it is published, as people know it.
      comments: whether what people wrote is shown too.
      now: when, with a zone, in whole seconds.
      stamp: called with the signed envelope, for a time token.
    """

    run: Path
    out: Path
    policy: str
    comments: bool
    now: datetime
    stamp: Callable[[Path], None] = lambda envelope: None


@dataclass(frozen=True)
class PublishedEdition:
    """An edition that was made.

    Attributes:
      holder: who signed it.
      digest: SHA-256 of its manifest.
      facts: what it says beyond the draft.
      size: of the log; None without one.
    """

    holder: str
    digest: str
    facts: EditionFacts
    size: int | None


def asked_by(stands: Situation, policy: str, approvals: int) -> str:
    """Return the name of the policy that counts: the release's own, if it asks for more people than the other one."""
    verdicts = stands.found.verdicts
    if verdicts is None or verdicts.policy is None or verdicts.approvals <= approvals:
        return policy
    return f"{verdicts.policy.policy} {verdicts.policy.version}"


def publish(
    home: Path, stands: Situation, wanted: WantedEdition, keyrings: Sequence[Keyring], opens: OpenKey
) -> PublishedEdition:
    """Make the approved edition of a release of which `Situation.withheld` says nothing.

    Args:
      home: privsynth's folder, with the key.
      opens: the key, of a maker.
    Raises:
      OutputError: the place is taken, or the disk is full or failing.
      KeyFileError: the key does not open, or may not sign editions.
      VerificationError: the draft was changed meanwhile.
      InputError: its page was made by an earlier version.
      LogDamaged, LogUnavailable: it cannot be entered in the log.
    """
    draft, log, now = stands.found.release, stands.log, wanted.now
    if log is not None:
        log.require_ready(now)
    with OutFolder(wanted.out, home) as place, Workspace(home) as workspace:
        key, entry = opens()
        seal = Seal(draft.dataset, key, entry.holder, now)
        staged = _copied(wanted, workspace.folder / "edition", draft.manifest, keyrings)
        signer = f"{entry.holder}, key {key.public.fingerprint}"
        facts = EditionFacts.of(stands.found, signer, now, policy=wanted.policy, comments=wanted.comments)
        write_edition(staged, facts)
        digest = seal.sign(staged, "public", draft=facts.edition.draft)
        verify_folder(staged, [load_keyring(home)], now, Expected("public", seal.dataset))  # as recipients will
        wanted.stamp(staged / ATTESTATION)
        set_permissions(staged, now)
        place.bring(staged)
        size = None if log is None else log.append([release_fact(place.whole)], now).checkpoint.size
        place.publish()
    return PublishedEdition(entry.holder, digest, facts, size)


def _copied(wanted: WantedEdition, folder: Path, manifest: str, keyrings: Sequence[Keyring]) -> Path:
    """Return a copy of a draft's public folder; the copy is what is verified, so that no file changes after that."""
    public = wanted.run / "public"
    try:
        for name, path in list_tree(public).files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, folder / name, follow_symlinks=False)
    except OSError as problem:
        raise OutputError(f"{public} cannot be copied: {problem.strerror}") from None
    if verify_folder(folder, keyrings, wanted.now, Expected("public")).manifest != manifest:
        raise VerificationError(f"{public} was changed while it was copied; nothing was published")
    return folder
