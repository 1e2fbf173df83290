"""From a release that is being written to one that has appeared: its files, their rights and time, the last step."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import warnings
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from privsynth import __version__
from privsynth.errors import (
    BudgetError,
    KeyFileError,
    LogDamaged,
    LogUnavailable,
    Option,
    OutputError,
    PrivsynthWarning,
)
from privsynth.interrupts import no_interrupts
from privsynth.ledger.reservation import Reservation
from privsynth.pipeline.environment import Environment
from privsynth.pipeline.writing.report_records import report_titles
from privsynth.privacy.budget import Bill
from privsynth.release.out_folder import OutFolder
from privsynth.report.render import render
from privsynth.report.report_data import ReportData
from privsynth.signing._files import digest_file
from privsynth.signing.envelope import Signer
from privsynth.signing.release import MANIFEST, sign_folder
from privsynth.transparency.facts import release_fact
from privsynth.workspace import Workspace


def write_json(path: Path, data: Mapping[str, Any]) -> None:
    """Write a mapping as JSON; numbers of numpy become plain ones."""
    path.write_text(json.dumps(data, indent=1, default=_plain_number) + "\n", encoding="utf-8")


def _plain_number(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else str(value)


def write_report(folder: Path, report: ReportData) -> None:
    """Write a report as JSON and as a page."""
    (folder / "report.json").write_text(report.to_json_text(), encoding="utf-8")
    (folder / "report.html").write_text(render(report, report_titles()), encoding="utf-8")


@dataclass(frozen=True)
class Staged:
    """A release that is written and has not appeared.

    Attributes:
      folder: the finished folder.
      unsigned: why its device did not sign it, though it did when the run began; None where it is as it should be.
    """

    folder: Path
    unsigned: KeyFileError | None = None


def stage(write: Callable[..., Path], workspace: Workspace, place: OutFolder) -> Staged:
    """Let a release be written in the private workspace, or, if that is full, beside its place.

    Args:
      write: writes the release into a new folder, and returns that; with signed=False, without a signature.
    """
    try:
        return Staged(_written(write, workspace, place))
    except KeyFileError as problem:  # its budget is spent: it is kept without a signature, to be signed later
        for folder in (workspace.folder / "release", place.whole):
            shutil.rmtree(folder, ignore_errors=True)
        return Staged(_written(partial(write, signed=False), workspace, place), problem)


def _written(write: Callable[..., Path], workspace: Workspace, place: OutFolder) -> Path:
    try:
        return write(workspace.folder / "release")
    except OutputError:
        shutil.rmtree(workspace.folder / "release", ignore_errors=True)
        return write(place.whole)


@dataclass(frozen=True)
class Seal:
    """Who signs both folders of a release, and when; no key leaves them UNSIGNED."""

    dataset: str
    key: Signer | None
    holder: str
    now: datetime

    def sign(self, folder: Path, kind: str, *, release: str | None = None, draft: str | None = None) -> str:
        """Sign one folder of a release, and return the SHA-256 of its manifest, which stands for all of its files.

        Args:
          kind: "public" or "officer".
          release: of an officer's folder: what signing the public one returned. It binds the report to that release;
            the other way round, the public folder would say something about the officer's figures.
          draft: of an approved edition: the digest of the manifest of the draft's public folder.
        Raises:
          KeyFileError: the device with the key does not sign, or somebody stopped it.
        """
        predicate = {"kind": kind, "dataset": self.dataset, "created": self.now.isoformat()}
        predicate |= {"tool_version": __version__} | ({} if release is None else {"release": release})
        predicate |= {} if draft is None else {"draft": draft}
        try:
            sign_folder(folder, predicate=predicate, signer=self.key, holder=self.holder, signed_at=self.now)
        except KeyboardInterrupt:  # a device or a cloud that does not answer is stopped so, and the release is kept
            raise KeyFileError("the signing was stopped") from None
        return digest_file(folder / MANIFEST).sha256


def set_permissions(folder: Path, now: datetime) -> None:
    """Set rights and times: the public folder is for everyone whom the umask allows; the officer's is for its owner.

    Every file carries the one time of the release: when it was written would tell how long the run took.
    """
    mask = os.umask(0)
    os.umask(mask)
    for root, _dirs, names in os.walk(folder, topdown=False):
        private = Path(root) == folder / "officer"
        for name in names:
            os.chmod(Path(root) / name, 0o600 if private else 0o666 & ~mask)
            os.utime(Path(root) / name, (now.timestamp(), now.timestamp()))
        os.chmod(root, 0o700 if private else 0o777 & ~mask)
        os.utime(root, (now.timestamp(), now.timestamp()))


def deliver(
    staged: Staged, place: OutFolder, reservation: Reservation, bill: Bill, *, env: Environment, last: ExitStack
) -> None:
    """Enter a release in the log, let it appear and tell the ledger, uninterrupted; else it is kept in the home.

    Args:
      staged: the release.
      env: has the log, if there is one, and the name under which a release is kept that cannot appear.
      last: from the moment at which the release appears until this closes, nothing interrupts the run.
    Raises:
      OutputError: it could not appear; the message says where it is kept.
      LogUnavailable, LogDamaged: it could not be entered in the log, and is kept as well.
      KeyFileError: it could not be signed, and is kept as well.
    """
    try:
        if staged.unsigned is not None:
            raise staged.unsigned
        place.bring(staged.folder)
        last.enter_context(no_interrupts())
        if env.log is not None:
            env.log.append([release_fact(place.whole / "public")], env.now)
        place.publish()
    except (OutputError, LogUnavailable, LogDamaged, KeyFileError) as error:
        last.enter_context(no_interrupts())
        try:
            kept = place.keep(staged.folder, env.report_id)
        except OSError:
            raise error from None
        _complete(reservation, bill)
        where = shlex.quote(str(kept))
        mend = "move it to where there is room: "
        if isinstance(error, KeyFileError):
            mend = f"when the device signs again: privsynth sign {where} {Option('as', 'NAME').in_shell()}, then "
        elif not isinstance(error, OutputError):
            mend = f"when the log can be written again: privsynth log append {where}, then "
        raise type(error)(
            *error.parts,
            f". The release is complete and its cost is spent, so it was kept in {kept}; {mend}mv {where} PLACE",
        ) from None
    _complete(reservation, bill)


def _complete(reservation: Reservation, bill: Bill) -> None:
    """Tell the ledger that the release is whole. If its disk fails, the release is whole nevertheless."""
    budget = bill.plan.budget
    try:
        spent = min(bill.epsilon_spent(), budget.epsilon), min(bill.delta_spent(), budget.delta)
        reservation.complete(*spent, mu=bill.plan.promised_mu)
    except BudgetError as error:
        warnings.warn(
            f"The release is complete and its cost stays charged, but the ledger could not record its end: {error}",
            PrivsynthWarning,
            stacklevel=2,
        )
