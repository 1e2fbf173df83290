"""Run `privsynth benchmark` on all tables of a list: python experiments/run.py LIST.yaml --tables FOLDER --out OUT.

`published.yaml` is the list of our published figures; `tables.py` writes another that needs no download. Each table
gets a folder with its page. It may be stopped at any time; the same command goes on. At the end, and after each table,
`overview.md` sets the tables side by side. What it writes holds exact figures about the rows of the tables.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from privsynth.benchmark.config import BenchmarkConfig
from privsynth.benchmark.page import figure, label, seconds
from privsynth.benchmark.results import WATERMARK, Document
from privsynth.benchmark.runner import benchmark
from privsynth.errors import ConfigError
from privsynth.strict.yaml import loads


def main() -> None:
    """Run everything that is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("list", type=Path, help="YAML: generators, epsilons, seeds, tables")
    parser.add_argument("--tables", type=Path, required=True, help="folder of the tables")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", help="names of tables, with commas between them")
    parser.add_argument("--generators", help="instead of those of the list")
    parser.add_argument("--epsilons", help="instead of those of the list")
    parser.add_argument("--seeds", type=int, help="instead of that of the list")
    parser.add_argument("--compare", type=Path, action="append", default=[], help="more runs from elsewhere")
    parser.add_argument("--peers", type=Path, help="folder with a file NAME.json or a folder NAME for each table")
    parser.add_argument("--peers-only", action="store_true", help="judge their rows, and run none of ours")
    parser.add_argument("--timeout-minutes", type=float, default=60.0)
    options = parser.parse_args()
    wanted = loads(options.list.read_bytes(), what=str(options.list), error=ConfigError).value
    for key in ("generators", "epsilons"):
        if getattr(options, key):
            wanted[key] = getattr(options, key).split(",")
    wanted["seeds"] = options.seeds or wanted["seeds"]
    names = options.only.split(",") if options.only else list(wanted["tables"])
    found: dict[str, Document] = {}
    for name in names:
        config = config_of(name, wanted, options)
        found[name] = benchmark(config, partial(tell, name))
        (options.out / "overview.md").write_text(overview(found), encoding="utf-8")


def tell(name: str, text: str, done: int, of: int) -> None:
    """Print what is going on."""
    print(f"{name} {done}/{of} {text}", flush=True)


def config_of(name: str, wanted: Mapping[str, Any], options: argparse.Namespace) -> BenchmarkConfig:
    """Return the benchmark of one table. Tables lie in the folder of the tables, all else beside the list."""
    entry = wanted["tables"][name]
    beside = options.list.parent
    named = [beside / entry["compare"]] if "compare" in entry else []
    return BenchmarkConfig(
        table=str(options.tables / entry["train"]),
        holdout=str(options.tables / entry["holdout"]),
        out=options.out / name,
        generators=() if options.peers_only else tuple(wanted["generators"]),
        epsilons=tuple(float(epsilon) for epsilon in wanted["epsilons"]),
        seeds=int(wanted["seeds"]),
        unit=entry["unit"],
        max_rows_per_unit=entry.get("max_rows_per_unit"),
        schema=beside / entry["schema"] if "schema" in entry else None,
        targets=(entry["target"],) if "target" in entry else (),
        compare=(*named, *options.compare, *peers_of(name, options.peers)),
        timeout_s=60 * options.timeout_minutes,
    )


def peers_of(name: str, folder: Path | None) -> list[Path]:
    """Return where runs of others on one table lie."""
    return [] if folder is None else [path for path in (folder / f"{name}.json", folder / name) if path.exists()]


def overview(documents: Mapping[str, Document]) -> str:
    """Return the figures of all tables as Markdown."""
    header = ("table", "generator", "ε", "runs", "acc2", "acc3", "tstr", "c2st", "fit, s")
    lines = [f"**{WATERMARK}**", "", *_row(header), *_row(["---"] * len(header))]
    for name, document in documents.items():
        target = document.table.targets[0] if document.table and document.table.targets else ""
        keys = ("acc2", "acc3", f"tstr:{target}", "c2st")
        best = (f"{document.ceiling[key]:.4f}" if key in document.ceiling else "–" for key in keys)
        lines += _row((name, "real rows", "", "", *best, ""))
        for line in document.summary:
            shown = (figure(line.figures.get(key)) for key in keys)
            budget = "none" if line.epsilon is None else f"{line.epsilon:g}"
            runs = f"{line.done}" + (f", {line.failed} failed" if line.failed else "")
            lines += _row((name, label(line), budget, runs, *shown, seconds(line.fit_s)))
    return "\n".join(lines) + "\n"


def _row(cells: Iterable[str]) -> list[str]:
    return ["| " + " | ".join(cells) + " |"]


if __name__ == "__main__":
    main()
