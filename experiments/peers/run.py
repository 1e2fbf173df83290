"""Run other generators on a table, each in an environment of its own.

    python experiments/peers/run.py dpmm-mst,dpmm-privbayes adult.train.csv.gz OUT --epsilons 1,3 --seeds 5

For each run OUT gets a CSV file of rows and a JSON file that `privsynth benchmark --compare OUT` takes: it judges the
rows with the same judge as ours and draws them in the same charts. A run that is there already is not made again.
Needs nothing but Python; environments are made with pip, and kept in the folder that --venvs names.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

ADAPTERS = Path(__file__).resolve().parent / "adapters.py"

# Environment -> calls of `pip`, in order.
ENVIRONMENTS: dict[str, tuple[tuple[str, ...], ...]] = {
    "dpmm": (("install", "dpmm==0.1.9"),),
    "smartnoise": (
        ("install", "torch==2.13.0"),
        ("install", "smartnoise-synth==1.0.8", "packaging"),  # it imports the last and does not ask for it
    ),
    "mostly": (
        ("install", "torch==2.13.0"),
        ("install", "mostlyai-engine[cpu]==2.7.3"),
        ("uninstall", "--yes", "torchvision", "torchaudio"),  # they do not fit that torch, and are not needed
    ),
    "private-pgm": (("install", "jax==0.5.3", "mbi==1.1.0", "pandas"),),
    # Its own packaging pins addresses of git, so it is put on the path instead of installed; Python 3.12.
    "dpsynth": (("install", "pandas", "scipy", "jax==0.11.0", "mbi==2.0.0", "dp-accounting==0.6.0"),),
    "privsyn": (("install", "privsyn-core==0.1.1"),),
    "sdv": (("install", "torch==2.13.0"), ("install", "sdv==2.0.0")),
}
CHECKOUTS = ("private-pgm", "dpsynth")  # their mechanisms are on no registry


@dataclass(frozen=True)
class Peer:
    """A generator from elsewhere.

    Attributes:
      label: its name in the page.
      environment: key of `ENVIRONMENTS`.
      note: settings, and what it gets for free.
      private: whether it promises anything.
      delta: its δ where that cannot be chosen.
    """

    label: str
    environment: str
    note: str
    private: bool = True
    delta: float | None = None


_FROM_DATA = "Categories and bounds are taken from the rows, outside its ε."
_GIVEN = "Bins or bounds and categories are taken from the rows and given to it as if they were public: generous."
_PGM = "mechanisms/aim.py with mbi 1.1.0, a model"
_FIFTH = "smartnoise-synth 1.0.8; a fifth of ε for preprocessing."
_EVENLY = f"{_FIFTH} Numbers are drawn evenly from its 10 bins; it gives their middles."
PEERS: dict[str, Peer] = {
    "dpmm-mst": Peer("MST (dpmm)", "dpmm", f"dpmm 0.1.9, 20 bins. {_FROM_DATA}"),
    "dpmm-aim": Peer("AIM (dpmm)", "dpmm", f"dpmm 0.1.9, 20 bins. {_FROM_DATA}"),
    "dpmm-privbayes": Peer("PrivBayes (dpmm)", "dpmm", f"dpmm 0.1.9, 20 bins. {_FROM_DATA}"),
    "smartnoise-mst": Peer("MST (smartnoise)", "smartnoise", _EVENLY),
    "smartnoise-aim": Peer("AIM (smartnoise)", "smartnoise", _EVENLY),
    "smartnoise-dpctgan": Peer("DP-CTGAN (smartnoise)", "smartnoise", _FIFTH),
    "smartnoise-patectgan": Peer("PATE-CTGAN (smartnoise)", "smartnoise", _FIFTH),
    "mostly": Peer(
        "TabularARGN DP (mostlyai)",
        "mostly",
        "mostlyai-engine 2.7.3; ε split 80/20 between training and value ranges; noise multiplier 1.5.",
        delta=1e-5,
    ),
    "private-pgm-aim": Peer("AIM (private-pgm)", "private-pgm", f"{_PGM} of 80 MB. {_GIVEN}"),
    "private-pgm-aim-5mb": Peer("AIM, 5 MB (private-pgm)", "private-pgm", f"{_PGM} of 5 MB. {_GIVEN}"),
    "dpsynth-mst": Peer("MST (dpsynth)", "dpsynth", f"google/dpsynth, defaults. {_GIVEN}"),
    "dpsynth-aimgdp": Peer("AIM-GDP (dpsynth)", "dpsynth", f"google/dpsynth, defaults. {_GIVEN}"),
    "dpsynth-swift": Peer("SWIFT (dpsynth)", "dpsynth", f"google/dpsynth, defaults. {_GIVEN}"),
    "privsyn": Peer("PrivSyn", "privsyn", f"privsyn-core 0.1.1, defaults. {_GIVEN}"),
    "sdv-copula": Peer("Gaussian copula (SDV)", "sdv", "sdv 2.0.0.", private=False),
    "sdv-ctgan": Peer("CTGAN (SDV)", "sdv", "sdv 2.0.0, 60 epochs.", private=False),
    "sdv-tvae": Peer("TVAE (SDV)", "sdv", "sdv 2.0.0, 60 epochs.", private=False),
}


def main() -> None:
    """Make what is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("peers", help=f"names with commas between them: {', '.join(PEERS)}")
    parser.add_argument("train", type=Path, help="CSV file of the training rows")
    parser.add_argument("out", type=Path, help="folder of the results of this table")
    parser.add_argument("--epsilons", default="0.5,1,3,10")
    parser.add_argument("--delta", type=float, default=1e-6)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--venvs", type=Path, default=Path("peer-venvs"))
    parser.add_argument("--python", default=sys.executable, help="interpreter of new environments")
    parser.add_argument("--source", type=Path, help="checkout of a peer that is on no registry")
    parser.add_argument("--timeout-minutes", type=float, default=60.0, help="of the clock on the wall")
    parser.add_argument("--cpu-minutes", type=int, help="stop a run that has used as many of the processor")
    parser.add_argument(
        "--cpu-seconds", action="store_true", help="count these, on a machine that others use; set OMP_NUM_THREADS=1"
    )
    options = parser.parse_args()
    names = options.peers.split(",")
    unknown = [name for name in names if name not in PEERS]
    if unknown:
        parser.error(f"there is no peer '{unknown[0]}'; choose from {', '.join(PEERS)}")
    options.out.mkdir(parents=True, exist_ok=True)
    for name in names:
        python = environment(PEERS[name].environment, options.venvs, options.python, options.source)
        epsilons = [float(epsilon) for epsilon in options.epsilons.split(",")] if PEERS[name].private else [None]
        for epsilon in epsilons:
            for seed in range(1, options.seeds + 1):
                run(name, epsilon, seed, python, options)


def environment(name: str, folder: Path, interpreter: str, source: Path | None) -> Path:
    """Return the interpreter of an environment, made now if it is not there yet."""
    home = folder.absolute() / name
    python, ready = home / "bin" / "python", home / "ready.json"
    calls = [list(call) for call in ENVIRONMENTS[name]]
    if source is None and name in CHECKOUTS:
        raise SystemExit(f"what runs in the environment {name} is on no registry; name a checkout with --source")
    if ready.exists() and json.loads(ready.read_text(encoding="utf-8")) == calls:
        return python
    print(f"making the environment {name}", flush=True)
    if interpreter == sys.executable:
        venv.create(home, clear=True, with_pip=True)
    else:
        subprocess.run([interpreter, "-m", "venv", "--clear", home], check=True)
    for call in calls:
        subprocess.run([python, "-m", "pip", "--quiet", "--disable-pip-version-check", *call], check=True)
    ready.write_text(json.dumps(calls), encoding="utf-8")
    return python


def run(name: str, epsilon: float | None, seed: int, python: Path, options: argparse.Namespace) -> None:
    """Run a peer once and write its rows and its record; a failure is a record as well."""
    peer = PEERS[name]
    budget = "no-privacy" if epsilon is None else f"eps{epsilon:g}"
    record, rows = (options.out / f"{name}_{budget}_seed{seed}{suffix}" for suffix in (".json", ".csv"))
    if record.exists():
        return
    print(f"{peer.label}, {budget}, seed {seed}", flush=True)
    delta = None if epsilon is None else peer.delta or options.delta
    job = {"peer": name, "epsilon": epsilon, "delta": delta, "seed": seed, "source": str(options.source or "")}
    job |= {"train": str(options.train.absolute()), "rows": str(rows.absolute())}
    job |= {"cpu_seconds": options.cpu_seconds, "minutes": options.timeout_minutes}
    found: dict[str, object] = {
        "generator": peer.label,
        "private": peer.private,
        "epsilon": epsilon,
        "delta": delta,
        "seed": seed,
        "origin": "elsewhere",
        "note": f"{peer.note} CPU seconds." if options.cpu_seconds else peer.note,
    }
    before = cpu_seconds()

    def limit() -> None:
        if options.cpu_minutes is not None:
            resource.setrlimit(resource.RLIMIT_CPU, (60 * options.cpu_minutes,) * 2)

    try:
        done = subprocess.run(
            [python, ADAPTERS],
            input=json.dumps(job),
            stdout=subprocess.PIPE,
            text=True,
            timeout=60 * options.timeout_minutes,
            check=True,
            preexec_fn=limit,
        )
        found |= {**json.loads(done.stdout.splitlines()[-1]), "rows_file": rows.name}
    except subprocess.TimeoutExpired:
        used = f"{options.timeout_minutes:g} minutes, {cpu_seconds() - before:.0f} s of them on the processor"
        found |= {"status": "failed", "reason": f"stopped after {used}"}
    except subprocess.CalledProcessError as error:
        reason = f"its process ended with exit code {error.returncode}"
        if options.cpu_minutes is not None and cpu_seconds() - before > 59 * options.cpu_minutes:
            reason = f"stopped after {options.cpu_minutes} minutes of the processor"
        found |= {"status": "failed", "reason": reason}
    record.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def cpu_seconds() -> float:
    """Return what all ended processes of ours have used of the processor."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
