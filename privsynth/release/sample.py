"""More rows from a released model: post-processing, free.

A table is made part by part. Each part has its own file, and its own randomness from the seed and the part's number.
The bytes are therefore the same however many workers share the parts, and in whatever order they finish.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from privsynth import _validate
from privsynth._validate import in_range
from privsynth.errors import OutputError
from privsynth.notebook import card
from privsynth.parallel import processors
from privsynth.progress import Progress, no_progress
from privsynth.randomness import new_sampling_seed
from privsynth.release.folder import write_rows
from privsynth.release.label import Label, companion_name, model_digest
from privsynth.release.out_folder import OutFolder, check_out
from privsynth.sampling.draw import Order
from privsynth.sampling.synthetic_model import SyntheticModel
from privsynth.workspace import Workspace, privsynth_home

MAX_WORKERS = 64  # threads (own): the disk is the limit long before
FORMULAS = (
    "texts are as the model has them: one that begins with =, +, - or @ is a formula to a spreadsheet; import such "
    "columns as text"
)
ALTERED = "base rates were altered on purpose: shares in this table are not those of the dataset"


@dataclass(frozen=True, repr=False)
class SampleResult:
    """What was written.

    Attributes:
      rows, seed, files: number of rows, seed and files.
      given: the conditions that every row meets.
      groups: rows of each balanced group; empty where nothing was balanced.
    """

    rows: int
    seed: int
    files: tuple[Path, ...]
    given: tuple[str, ...] = ()
    groups: dict[str, int] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"SampleResult(rows={self.rows}, seed={self.seed}, files={len(self.files)})"

    def _repr_html_(self) -> str:
        return card(
            f"{self.rows:,} synthetic rows",
            [
                ("Files", ", ".join(str(path) for path in self.files)),
                ("Seed", str(self.seed)),
                ("Conditions", " and ".join(self.given)),
                ("Balanced", ", ".join(f"{group}: {rows:,} rows" for group, rows in self.groups.items())),
            ],
            note=self.altered or "Sampling costs no budget.",
        )

    @property
    def altered(self) -> str:
        """A warning that base rates were altered; empty if they are the model's."""
        return ALTERED if self.given or self.groups else ""


def model_folder(path: Path) -> Path:
    """Return the model folder, given that folder, a public folder or a release."""
    return next((p for p in (path, path / "model", path / "public" / "model") if (p / "model.json").exists()), path)


def sample(
    model: Path,
    out: Path,
    *,
    rows: int | None = None,
    seed: int | None = None,
    suffix: str = "parquet",
    given: Sequence[str] = (),
    balance: str | None = None,
    workers: int | None = None,
    progress: Progress = no_progress,
) -> SampleResult:
    """Write rows of a model into a new folder, part by part, with a label that says what they are.

    Args:
      model: the folder `model` of a release, or the release's folder.
      rows: None takes the model's released number of rows.
      suffix: "parquet" or "csv".
      given: conditions that every row meets, such as "age >= 60" (see `privsynth.sampling.conditions`).
      balance: shares of groups, such as "fraud=0.3" (see `privsynth.sampling.balance`).
      workers: how many parts are made at once; None takes the number of cores. The bytes do not depend on it.
    Raises:
      SourceError: there is no model. OutputError: the folder exists or cannot be written.
      ConfigError: a condition cannot be read, or (nearly) no row of the model meets it.
    """
    check_out(out)
    _validate.whole_numbers(rows=rows, seed=seed, workers=workers)
    in_range(1, MAX_WORKERS, workers=1 if workers is None else workers)
    loaded = SyntheticModel.load(model_folder(model))
    digest = model_digest(model_folder(model))
    n_rows = loaded.default_rows if rows is None else rows
    in_range(1, 10**10, rows=n_rows)
    chosen = new_sampling_seed() if seed is None else seed
    in_range(0, 2**63 - 1, seed=chosen)
    order = loaded.order(n_rows, given=given, balance=balance)
    groups = order.counts if balance is not None else {}
    home = privsynth_home()
    with OutFolder(out, home) as place, Workspace(home) as workspace:
        staged = workspace.folder / "rows"
        try:
            staged.mkdir()
            facts = Label.of(loaded, digest, seed=chosen, altered=ALTERED if given or groups else "")
            files = _Files(staged, suffix, chosen, facts)
            names = _write_parts(loaded, order, files, workers or available_cores(), progress)
            label = _label(facts, n_rows, chosen, names)
            if suffix == "csv":
                companion = facts.companion(loaded.written(order, (), seed=chosen), names)
                (staged / companion_name(names)).write_text(companion, encoding="utf-8")
            if given or groups:
                label |= {"given": list(given), "balance": balance, "groups": groups, "base_rates": ALTERED}
            text = json.dumps(label, indent=1, ensure_ascii=False) + "\n"
            (staged / "_label.json").write_text(text, encoding="utf-8")
            for path in staged.iterdir():
                path.chmod(0o644)
        except OSError as error:
            raise OutputError(f"the rows cannot be written: {error.strerror}") from None
        staged.chmod(0o755)
        place.bring(staged)
        place.publish()
    return SampleResult(n_rows, chosen, tuple(out / name for name in names), tuple(given), groups)


def _label(facts: Label, rows: int, seed: int, files: list[str]) -> dict[str, Any]:
    """Return what every sampled table says of itself."""
    label: dict[str, Any] = {"synthetic": True, **facts.facts, "rows": rows, "seed": seed, "files": files}
    if files[0].endswith(".csv"):
        label["spreadsheets"] = FORMULAS
    return label


def available_cores() -> int:
    """Return how many cores this process may use, at most `MAX_WORKERS`."""
    return min(processors(), MAX_WORKERS)


class _Stopped(Exception):
    """Another part failed, or the user pressed Ctrl-C."""


@dataclass(frozen=True)
class _Files:
    """Where and how the parts of a table are written, and what they say of themselves."""

    folder: Path
    suffix: str
    seed: int
    label: Label


def _write_parts(model: SyntheticModel, order: Order, files: _Files, workers: int, progress: Progress) -> list[str]:
    """Write every part of an order and return the names of the files, in order.

    Threads share the model: arrays are drawn, sorted and compressed outside the interpreter's lock. At most `workers`
    parts are in memory.
    """
    names = [f"part-{part:05d}.{files.suffix}" for part in range(len(order.split))]
    stop = threading.Event()

    def unless_stopped(_stage: str, _share: float) -> None:
        if stop.is_set():
            raise _Stopped

    def write(part: int) -> None:
        unless_stopped("", 0.0)
        rows, _ = model.draw(order, seed=files.seed, part=part, progress=unless_stopped)
        unless_stopped("", 0.0)
        write_rows(
            model.written(order, (rows,), seed=files.seed, part=part), files.folder / names[part], files.label.parquet()
        )

    waiting = iter(range(len(names)))
    running: set[Future[None]] = set()
    done = 0
    progress("sampling", 0.0)
    with ThreadPoolExecutor(max_workers=min(workers, len(names))) as pool:
        try:
            while True:
                for part in waiting:
                    running.add(pool.submit(write, part))
                    if len(running) >= workers:
                        break
                if not running:
                    break
                finished, running = wait(running, return_when=FIRST_COMPLETED)
                for future in finished:
                    future.result()
                done += len(finished)
                progress("sampling", done / len(names))
        except BaseException:
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise
    return names
