"""Set our generators beside those of others, over all tables: python experiments/compare.py [--take BENCH].

`results/ours/TABLE.json` holds our runs with the figures of real rows, `results/TABLE.json` those of others, and
`results/linked/NAME.json` all runs on linked tables. `--take` first takes all that `run.py` wrote to BENCH into them;
what was quoted for want of a run gives way to the run. Then four parts of `docs/benchmark.md` and the whole of
`docs/benchmark-tables.md` are written anew from them, so that no figure there is typed. Nothing is run.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from privsynth.benchmark.results import Document, Run, Summary, TableInfo, load_runs, summarise

HERE = Path(__file__).resolve().parent
RESULTS, DOCS = HERE / "results", HERE.parent / "docs"
OURS = "marginal"
EPSILON = 1.0
DECLARED = "-declared"
LEVEL = 0.0025  # figures that are nearer than this are the same to the third digit, or all but
SHORT = {
    "TabularARGN DP (mostlyai)": "ARGN",
    "MST (smartnoise)": "MST-s",
    "MST (dpmm)": "MST-d",
    "AIM (smartnoise)": "AIM-s",
    "AIM (dpmm)": "AIM-d",
    "AIM (private-pgm)": "AIM-p",
    "PrivBayes (dpmm)": "PB",
    "PATE-CTGAN (smartnoise)": "PATE",
    "DP-CTGAN (smartnoise)": "DPCT",
}
LINKED = ("count", "column", "within", "parent", "next", "gap", "place", "agg1", "agg2", "keys", "c2st")
DIGITS = {"fit_s": 1, "fit_cpu_s": 1, "sample_s": 2, "peak_mib": 0}


@dataclass(frozen=True)
class Table:
    """All runs on one table.

    Attributes:
      name: of the table.
      info: rows, columns and targets.
      ceiling: the figures of real rows.
      ours, others: runs put together over their seeds.
      failed: runs that ended without rows.
    """

    name: str
    info: TableInfo
    ceiling: Mapping[str, float]
    ours: tuple[Summary, ...]
    others: tuple[Summary, ...]
    failed: tuple[Run, ...]

    def at(self, generator: str, epsilon: float | None) -> Summary | None:
        """Return our runs of a generator at an epsilon."""
        found = (line for line in self.ours if (line.generator, line.epsilon) == (generator, epsilon) and line.done)
        return next(found, None)

    def rivals(self, epsilon: float) -> list[Summary]:
        """Return the private generators of others at an epsilon whose rows were judged here."""
        return [one for one in self.others if one.epsilon == epsilon and one.done and one.judge == "privsynth"]

    @property
    def keys(self) -> dict[str, str]:
        """Heading -> figure, for what this table has: usefulness is AUROC, or R² for a target without classes."""
        target = self.info.targets[0] if self.info.targets else ""
        useful = next((key for key in (f"tstr:{target}", f"r2:{target}") if key in self.ceiling), "")
        return {name: key for name, key in (("acc2", "acc2"), ("acc3", "acc3"), ("useful", useful), ("c2st", "c2st"))}


def main() -> None:
    """Take results, if asked for, and write the pages."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--take", type=Path, action="append", default=[], help="what `run.py --out` wrote")
    options = parser.parse_args()
    for folder in options.take:
        for twin in sorted(folder.glob("*/benchmark.json")):
            take(twin.parent.name, Document.model_validate_json(twin.read_text(encoding="utf-8")), RESULTS)
    tables = read(RESULTS)
    page, written = DOCS / "benchmark.md", parts(tables) | {"linked": linked(read(RESULTS, "linked"))}
    page.write_text(filled(page.read_text(encoding="utf-8"), written), encoding="utf-8")
    (DOCS / "benchmark-tables.md").write_text(details(tables), encoding="utf-8")


def take(name: str, document: Document, results: Path) -> None:
    """Put the runs of a benchmark into the results; those of the same generator, epsilon and seed are replaced."""
    assert document.table is not None
    ours = results / ("linked" if document.table.tables else "ours") / f"{name}.json"
    ours.parent.mkdir(parents=True, exist_ok=True)
    head = {"table": document.table.model_dump(mode="json"), "ceiling": _rounded(document.ceiling)}
    kept = json.loads(ours.read_text(encoding="utf-8"))["runs"] if ours.exists() else []
    runs = _merged(kept, [run for run in document.runs if run.origin == "here"])
    ours.write_text(_json({**head, "runs": runs}), encoding="utf-8")
    others = results / f"{name}.json"
    judged = [run for run in document.runs if run.origin == "elsewhere" and run.judge == "privsynth"]
    if judged:
        kept = json.loads(others.read_text(encoding="utf-8"))["runs"] if others.exists() else []
        others.write_text(_json({"runs": _merged(kept, judged)}), encoding="utf-8")


def _merged(kept: list[dict[str, Any]], runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Return runs as JSON. A run in place of one that failed or was quoted takes its place."""
    found = {_place(run): run for run in kept}
    for run in runs:
        data = run.model_dump(mode="json", exclude_defaults=True)
        data["figures"] = _rounded(run.figures)
        data |= {key: round(data[key], digits) for key, digits in DIGITS.items() if data.get(key) is not None}
        old = found.get(_place(data))
        if run.status == "done" or old is None or old.get("status") == "failed":
            found[_place(data)] = data
    done = {(run["generator"], run.get("epsilon")) for run in found.values() if _judged_here(run)}
    return [run for run in found.values() if _judged_here(run) or (run["generator"], run.get("epsilon")) not in done]


def _judged_here(run: Mapping[str, Any]) -> bool:
    return run.get("judge", "privsynth") == "privsynth" and run.get("status", "done") == "done"


def _place(run: Mapping[str, Any]) -> tuple[Any, ...]:
    return run["generator"], run.get("epsilon"), run.get("seed"), run.get("judge", "privsynth")


def _rounded(figures: Mapping[str, float]) -> dict[str, float]:
    return {key: round(value, 4) for key, value in figures.items()}


def _json(data: Mapping[str, Any]) -> str:
    """Return JSON text with a run to a line."""
    head = {key: value for key, value in data.items() if key != "runs"}
    lines = ",\n".join("  " + json.dumps(run, ensure_ascii=False) for run in data["runs"])
    opening = json.dumps(head, ensure_ascii=False)[1:-1]
    return "{" + (opening + ",\n" if opening else "") + ' "runs": [\n' + lines + "\n]}\n"


def read(results: Path, kind: str = "ours") -> list[Table]:
    """Return all tables that we have runs on, the largest first.

    Args:
      kind: "ours", or "linked" for linked tables.
    """
    found = []
    for path in (results / kind).glob("*.json"):
        data = json.loads(path.read_text(encoding="utf-8"))
        others = load_runs(results / path.name) if (results / path.name).exists() else []
        own = [Run.model_validate(run) for run in data["runs"]]
        found.append(
            Table(
                name=path.stem,
                info=TableInfo.model_validate(data["table"]),
                ceiling=data["ceiling"],
                ours=summarise(own),
                others=summarise(others),
                failed=tuple(run for run in (*own, *others) if run.status == "failed"),
            )
        )
    return sorted(found, key=lambda table: (-table.info.train_rows, table.name))


def filled(page: str, written: Mapping[str, str]) -> str:
    """Return a page with the text between `<!-- NAME -->` and `<!-- end -->` written anew."""
    for name, text in written.items():
        before, found, rest = page.partition(f"<!-- {name} -->\n")
        _, ended, after = rest.partition("<!-- end -->")
        if not found or not ended:
            raise SystemExit(f"the page has no place for '{name}'")
        page = f"{before}{found}\n{text}\n{ended}{after}"
    return page


def parts(tables: Sequence[Table]) -> dict[str, str]:
    """Return the parts of the page that hold figures."""
    return {"at one": at_one(tables), "over epsilon": over_epsilon(tables), "behind": behind(tables)}


def at_one(tables: Sequence[Table]) -> str:
    """Return for each table a line: real rows, ours, and the best other for each figure; and one with a code book."""
    first = ("Table", "rows × columns", "acc2: real", "ours", "best other", "useful: real", "ours", "best other")
    plain = {table.name: table for table in tables if not table.name.endswith(DECLARED)}
    declared = {table.name.removesuffix(DECLARED): table for table in tables if table.name.endswith(DECLARED)}
    lines = _head((*first, "c2st: ours", "best other", "s: ours", "others"))
    for name, table in plain.items():
        size = f"{table.info.train_rows:,} × {table.info.columns}"
        told = declared[name].at(OURS, EPSILON) if name in declared else None
        for label, mine in ((name, table.at(OURS, EPSILON)), ("· declared", told)):
            if mine is not None:
                lines.append(_row([label, size if label == name else "", *_beside(table, mine)]))
    return "\n".join(lines) + "\n"


def _beside(table: Table, ours: Summary) -> list[str]:
    """Return the cells of a line: figures of real rows, ours and the best other, then seconds."""
    rivals, cells = table.rivals(EPSILON), []
    for heading in ("acc2", "useful", "c2st"):
        key = table.keys[heading]
        mine, other = _value(ours, key), best(rivals, key)
        if heading != "c2st":
            cells.append(_figure(table.ceiling.get(key)))
        sign = 0 if mine is None or other is None else ahead(key, mine, other[0])
        cells.append(_bold(_shown(ours, key), sign > 0))
        cells.append("–" if other is None else f"{_bold(_figure(other[0]), sign < 0)} {other[1]}")
    took = [one.fit_s.mean for one in rivals if one.fit_s is not None]
    own = ours.fit_cpu_s or ours.fit_s
    return [*cells, "–" if own is None else f"{own.mean:.1f}", f"{min(took):.0f}–{max(took):.0f}" if took else "–"]


def over_epsilon(tables: Sequence[Table]) -> str:
    """Return for each other generator and epsilon on how many tables ours is ahead."""
    lines = _head(("Against", "ε", "tables", "acc2", "acc3", "useful", "c2st", "its seconds : ours"))
    pairs = {(one.generator, one.epsilon) for table in tables for one in table.others if one.private and one.done}
    for name, epsilon in sorted(pairs, key=lambda pair: (pair[0], pair[1] or 0)):
        met = [
            (table, ours, one)
            for table in tables
            for one in table.rivals(epsilon or 0)
            if one.generator == name and (ours := table.at(OURS, epsilon)) is not None
        ]
        if not met:
            continue
        cells = [name, f"{epsilon:g}", str(len(met))]
        for heading in ("acc2", "acc3", "useful", "c2st"):
            signs = []
            for table, ours, one in met:
                mine, other = _value(ours, table.keys[heading]), _value(one, table.keys[heading])
                if mine is not None and other is not None:
                    signs.append(ahead(table.keys[heading], mine, other))
            won, lost = sum(sign > 0 for sign in signs), sum(sign < 0 for sign in signs)
            cells.append(f"{won} of {len(signs)}" + (f", behind in {lost}" if lost else ""))
        ratios = [
            one.fit_s.mean / max(own.mean, 0.1)
            for _, ours, one in met
            if (own := ours.fit_cpu_s or ours.fit_s) is not None and one.fit_s is not None
        ]
        cells.append(f"{median(ratios):.0f}" if ratios else "–")
        lines.append(_row(cells))
    return "\n".join(lines) + "\n"


def behind(tables: Sequence[Table]) -> str:
    """Return every figure in which another generator is ahead of ours at the same epsilon, or that there is none."""
    lines = []
    declared = {table.name.removesuffix(DECLARED): table for table in tables if table.name.endswith(DECLARED)}
    for table in tables:
        for ours in table.ours:
            if ours.generator != OURS or ours.epsilon is None or not ours.done:
                continue
            for key in table.keys.values():
                mine, other = _value(ours, key), best(table.rivals(ours.epsilon), key)
                if mine is not None and other is not None and ahead(key, mine, other[0]) < 0:
                    told = declared[table.name].at(OURS, ours.epsilon) if table.name in declared else None
                    cells = [table.name, f"{ours.epsilon:g}", key, _figure(table.ceiling.get(key)), _shown(ours, key)]
                    lines.append(
                        _row([*cells, "–" if told is None else _shown(told, key), f"{other[0]:.3f} {other[1]}"])
                    )
    if not lines:
        return "No figure of any table.\n"
    return "\n".join([*_head(("Table", "ε", "figure", "real", "ours", "ours, declared", "best other")), *lines]) + "\n"


def details(tables: Sequence[Table]) -> str:
    """Return a page with all figures of all generators on all tables."""
    lines = ["# All figures of the comparison", ""]
    lines += [
        "Written by `experiments/compare.py` from `experiments/results/`; `benchmark.md` says how to read it.",
        "",
    ]
    for table in tables:
        keys = table.keys
        shown = ["acc1", *keys.values()]
        lines += [f"## {table.name}", "", f"{table.info.train_rows:,} training rows, {table.info.columns} columns.", ""]
        lines += _head(("Generator", "ε", "runs", "acc1", "acc2", "acc3", keys["useful"] or "useful", "c2st", "s"))
        lines.append(_row(["real rows", "", "", *(_figure(table.ceiling.get(key)) for key in shown), ""]))
        budgets = sorted({line.epsilon or math.inf for line in (*table.ours, *table.others)})
        for budget in budgets:
            at = [line for line in (*table.ours, *table.others) if (line.epsilon or math.inf) == budget]
            lines += [_detail(table, line, shown) for line in at]
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def linked(tables: Sequence[Table]) -> str:
    """Return all figures of all generators on linked tables."""
    lines = []
    for table in tables:
        info = table.info
        size = f"{info.train_persons:,} persons with {info.train_rows - (info.train_persons or 0):,} rows below them"
        lines += [f"`{table.name}`: {size} in training,", f"{info.holdout_persons:,} persons held out.", ""]
        shown = [key for key in LINKED if key in table.ceiling]
        lines += _head(("Generator", "ε", "runs", *shown, "s"))
        lines.append(_row(["real persons", "", "", *(_figure(table.ceiling[key]) for key in shown), ""]))
        ordered = sorted((*table.ours, *table.others), key=lambda line: line.epsilon or math.inf)
        lines += [*(_detail(table, line, shown) for line in ordered), ""]
    return "\n".join(lines)


def _detail(table: Table, line: Summary, shown: Sequence[str]) -> str:
    name = f"`{line.generator}`" if line.origin == "here" else line.generator
    name = f"**{name}**" if line.origin == "here" and line.private else name
    name += "" if line.judge == "privsynth" else ", quoted"
    epsilon = "not private" if line.epsilon is None else f"{line.epsilon:g}"
    if not line.done:
        why = [run.reason for run in table.failed if (run.generator, run.epsilon) == (line.generator, line.epsilon)]
        return _row([name, epsilon, "0", why[0] if why else "failed", *[""] * len(shown)])
    took = line.fit_cpu_s or line.fit_s
    figures = (_shown(line, key) for key in shown)
    return _row([name, epsilon, str(line.done), *figures, "–" if took is None else f"{took.mean:.1f}"])


def best(lines: Iterable[Summary], key: str) -> tuple[float, str] | None:
    """Return the best value of a figure, and whose it is."""
    named = [(_value(one, key), SHORT.get(one.generator, one.generator)) for one in lines]
    found = [(value, name) for value, name in named if value is not None]
    if not found:
        return None
    return min(found) if key == "c2st" else max(found)


def ahead(key: str, mine: float, other: float) -> int:
    """Return 1 where ours is ahead, −1 where it is behind, 0 where both are level; c2st is best where it is low."""
    more = other - mine if key == "c2st" else mine - other
    return 0 if abs(more) < LEVEL else 1 if more > 0 else -1


def _value(line: Summary, key: str) -> float | None:
    return line.figures[key].mean if key in line.figures else None


def _shown(line: Summary, key: str) -> str:
    if key not in line.figures:
        return "–"
    found = line.figures[key]
    return f"{found.mean:.3f}" + ("" if found.sd is None else f" ± {found.sd:.3f}")


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _head(names: Sequence[str]) -> list[str]:
    return [_row(names), "|" + "---|" * len(names)]


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _bold(text: str, strong: bool) -> str:
    return f"**{text}**" if strong else text


if __name__ == "__main__":
    main()
