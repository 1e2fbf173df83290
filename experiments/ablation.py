"""What each part of `marginal` is worth: python experiments/ablation.py TABLE --holdout ROWS --target COLUMN --out OUT.

Fits the generator several times as it is and with one part replaced by what one would do without it, at the same
budget, and judges the rows. Writes `ablation.md` and `ablation.json` into OUT; a case that is there is not run again.
What it writes holds exact figures about the rows of the table.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import mean, stdev
from typing import Any
from unittest.mock import patch

import numpy as np

from privsynth.benchmark.config import BenchmarkConfig, Case
from privsynth.benchmark.fit import fit
from privsynth.benchmark.judge import accuracy, usefulness
from privsynth.benchmark.results import WATERMARK
from privsynth.benchmark.splits import RealTables, align, budget_of, read_real_tables, read_rows
from privsynth.codecs.bins import Bins
from privsynth.domain import learn_codecs
from privsynth.domain.numbers.build_bins import build_bins
from privsynth.domain.numbers.quantile_tree import Leaves
from privsynth.generators.marginal import mixture, rounds
from privsynth.generators.marginal.resolution import profiles
from privsynth.progress import no_progress
from privsynth.workspace import Workspace, privsynth_home

ALL = 1 - 1e-6  # of a budget whose other part nothing may be left of


def main() -> None:
    """Run what is missing, and write the page after each case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table")
    parser.add_argument("--holdout", required=True)
    parser.add_argument("--target", required=True)
    parser.add_argument("--schema", type=Path)
    parser.add_argument("--unit", default="row")
    parser.add_argument("--epsilon", type=float, default=1.0)
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--only", help="cases with commas between them: " + ", ".join(CASES))
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    config = BenchmarkConfig(
        table=options.table,
        out=options.out,
        generators=("marginal",),
        epsilons=(options.epsilon,),
        holdout=options.holdout,
        schema=options.schema,
        unit=options.unit,
        targets=(options.target,),
    )
    options.out.mkdir(parents=True, exist_ok=True)
    record = options.out / "ablation.json"
    found: dict[str, list[dict[str, float]]] = json.loads(record.read_text()) if record.exists() else {}
    with Workspace(privsynth_home()) as workspace:
        sides = read_real_tables(config, workspace)
        for case in options.only.split(",") if options.only else CASES:
            for draw in range(len(found.get(case, [])) + 1, options.draws + 1):
                found.setdefault(case, []).append(run(case, sides, config, workspace, options.epsilon, seed=draw))
                record.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
                (options.out / "ablation.md").write_text(page(found), encoding="utf-8")
                print(case, draw, found[case][-1], flush=True)


def run(
    case: str, sides: RealTables, config: BenchmarkConfig, workspace: Workspace, epsilon: float, *, seed: int
) -> dict[str, float]:
    """Return the figures of one fit without the part that a case names."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.parquet"
        start = time.process_time()
        with CASES[case]():
            fit(sides, config, Case(generator="marginal", epsilon=epsilon, seed=seed), path, no_progress)
        seconds = time.process_time() - start
        rows = read_rows(path, workspace, sides.train.names)
    tables = align(sides, rows, budget_of(config, sides.schema, epsilon=epsilon).unit)
    figures = accuracy(tables)
    for target in tables.targets:
        figures |= usefulness(tables, target, max_rows=config.judge_rows)
    return figures | {"cpu_s": seconds}


def page(found: dict[str, list[dict[str, float]]]) -> str:
    """Return the figures as Markdown: mean ± standard error over the draws."""
    keys = list(dict.fromkeys(key for draws in found.values() for draw in draws for key in draw))
    lines = [f"**{WATERMARK}**", "", _row(["case", "draws", *keys]), _row(["---"] * (len(keys) + 2))]
    for case, draws in found.items():
        values = [[draw[key] for draw in draws if key in draw] for key in keys]
        lines.append(_row([case, str(len(draws)), *(_figure(v) for v in values)]))
    return "\n".join(lines) + "\n"


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _figure(values: Sequence[float]) -> str:
    if not values:
        return "–"
    error = f" ± {stdev(values) / len(values) ** 0.5:.4f}" if len(values) > 1 else ""
    return f"{mean(values):.4f}{error}"


@contextmanager
def _replaced(*replaced: tuple[Any, str, Any]) -> Iterator[None]:
    with ExitStack() as stack:
        for owner, name, value in replaced:
            stack.enter_context(patch.object(owner, name, value))
        yield


def _no_atoms() -> Any:
    """No value of a number gets a code of its own; its share of the domain's budget goes to the categories."""
    dimensions = learn_codecs.open_dimensions

    def plain(*given: Any) -> list[Any]:
        found = dimensions(*given)
        for dimension in found:
            dimension.keyed = False
        return found

    return _replaced((learn_codecs, "open_dimensions", plain))


def _equal_width() -> Any:
    """Numbers are cut into as many cells of equal width, between the ends that the tree found; atoms stay."""

    def even_bins(dimension: Any, leaves: Leaves, remaining: Any, *, rows_per_bin: float) -> Bins:
        kept = leaves.trimmed(dimension.low, dimension.high, dimension.frequent, remaining)
        low, high = int(kept.low[0]), int(kept.high[-1])
        bins = max(round(float(np.maximum(kept.weight, 0).sum()) / rows_per_bin), 1)
        lows = np.unique(np.linspace(low, high + 1, bins + 1).astype(np.int64)[:-1])
        even = np.full(len(lows), rows_per_bin)
        leaves = Leaves(lows, np.append(lows[1:] - 1, high), even, np.zeros(len(lows)))
        return build_bins(leaves, dimension.frequent, target=rows_per_bin)

    return _replaced((learn_codecs, "_bins", even_bins))


def _one_round() -> Any:
    """All selection is of pairs by their distance from independence, all measurement is of what it chose."""
    return _replaced(
        (rounds, "FIRST_OF_SELECTION", ALL),
        (profiles, "FIRST_OF_MEASUREMENT", ALL),
        (rounds, "second_round_candidates", lambda *_, **__: []),
    )


def _fine_pairs() -> Any:
    """No pair is seen coarsely. Triples are, as ever."""
    candidates = rounds.candidate_pairs
    return _replaced((rounds, "candidate_pairs", lambda *a, **b: [m for m in candidates(*a, **b) if not m.is_coarse]))


def _no_triples() -> Any:
    """The second round looks at pairs alone."""
    candidates = rounds.second_round_candidates
    return _replaced(
        (rounds, "second_round_candidates", lambda *a, **b: [m for m in candidates(*a, **b) if len(m.attributes) == 2])
    )


def _no_stop() -> Any:
    """The fit takes all its steps, however little is left beside the noise."""
    unexplained = mixture._unexplained

    def far(chi: np.ndarray, entries: np.ndarray) -> float:
        return unexplained(chi, entries) + 1.0

    return _replaced((mixture, "_unexplained", far), (mixture, "PLATEAU_STEPS", 10**9))


def _no_pull() -> Any:
    """Of the mixtures that explain the tables any will do."""
    return _replaced((mixture, "PULL_STEPS", 0.0))


def _no_likely_targets() -> Any:
    """Targets that nobody declared are not guessed, and pairs with a target are offered coarsely too."""
    return _replaced((rounds, "likely_targets", lambda *_: ()))


CASES: dict[str, Callable[[], Any]] = {
    "as it is": _replaced,
    "no atoms": _no_atoms,
    "cells of equal width": _equal_width,
    "one round": _one_round,
    "no coarse pairs": _fine_pairs,
    "no triples": _no_triples,
    "no stop by chi squared": _no_stop,
    "no pull": _no_pull,
    "no likely targets": _no_likely_targets,
}

if __name__ == "__main__":
    main()
