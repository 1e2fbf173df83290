"""More rows from a released model: post-processing, free."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from privsynth._validate import in_range
from privsynth.errors import OutputError
from privsynth.generators.encoded import Progress, no_progress
from privsynth.generators.model import SyntheticModel
from privsynth.pipeline.config import check_out
from privsynth.pipeline.release import publish, write_frame
from privsynth.randomness import new_sampling_seed
from privsynth.workspace import Workspace, privsynth_home


@dataclass(frozen=True)
class Sampled:
    """What was written."""

    rows: int
    seed: int
    files: tuple[Path, ...]


def sample(
    model: Path,
    out: Path,
    *,
    rows: int | None = None,
    seed: int | None = None,
    suffix: str = "parquet",
    progress: Progress = no_progress,
) -> Sampled:
    """Write rows of a model into a new folder, part by part, with a label that says what they are.

    Args:
      model: the folder `model` of a release, or the release's folder.
      rows: None takes the model's paid number of rows.
      suffix: "parquet" or "csv".
    Raises:
      SourceError: there is no model. OutputError: the folder exists or cannot be written.
    """
    check_out(out)
    folder = next(
        (p for p in (model, model / "model", model / "public" / "model") if (p / "model.json").exists()), model
    )
    loaded = SyntheticModel.load(folder)
    n_rows = loaded.default_rows if rows is None else rows
    in_range(1, 10**10, rows=n_rows)
    chosen = new_sampling_seed() if seed is None else seed
    in_range(0, 2**63 - 1, seed=chosen)
    with Workspace(privsynth_home()) as workspace:
        staged = workspace.folder / "rows"
        try:
            staged.mkdir()
            names = []
            for part, frame in loaded.sample_parts(n_rows, seed=chosen, progress=progress):
                names.append(f"part-{part:05d}.{suffix}")
                write_frame(frame, loaded.codec.codecs, staged / names[-1])
            label = {"synthetic": True, "dataset": loaded.dataset, "rows": n_rows, "seed": chosen, "files": names}
            (staged / "label.json").write_text(json.dumps(label, indent=1) + "\n", encoding="utf-8")
            for path in staged.iterdir():
                path.chmod(0o644)
        except OSError as error:
            shutil.rmtree(staged, ignore_errors=True)
            raise OutputError(f"the rows cannot be written: {error.strerror}") from None
        staged.chmod(0o755)
        publish(staged, out)
    return Sampled(n_rows, chosen, tuple(out / name for name in names))
