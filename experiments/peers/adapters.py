"""How each peer is called; runs inside the peer's own environment, started by `run.py`, and needs nothing of privsynth.

A job in JSON on stdin, one line of JSON on stdout: seconds to fit and to sample, peak memory, rows. Every adapter is a
function from a frame and a job to a function that samples n rows. A column is a number if it holds numbers of more than
20 kinds, else a category: that much is taken for public.
"""

from __future__ import annotations

import importlib
import itertools
import json
import os
import random
import resource
import sys
import time
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

Sample = Callable[[int], pd.DataFrame]
FEW_VALUES = 20
PGM_BINS = 32
EPOCHS = 60
IMPORTS = {
    "dpmm": ("dpmm.pipelines.aim", "dpmm.pipelines.mst", "dpmm.pipelines.priv_bayes"),
    "smartnoise": ("torch", "snsynth", "snsynth.mst", "snsynth.aim", "snsynth.pytorch.nn"),
    "mostly": ("torch", "mostlyai.engine", "mostlyai.engine.domain"),
    "private": ("mbi",),
    "dpsynth": ("pandas",),
    "privsyn": ("privsyn",),
    "sdv": ("torch", "sdv.single_table"),
}


def main() -> None:
    """Run one job."""
    job = json.loads(sys.stdin.read())
    channel = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints is not the result
    warnings.simplefilter("ignore")
    random.seed(job["seed"])
    np.random.seed(job["seed"])
    frame = pd.read_csv(job["train"], low_memory=False)
    for module in IMPORTS[job["peer"].partition("-")[0]]:
        importlib.import_module(module)  # not a part of its time
    clock = time.process_time if job["cpu_seconds"] else time.monotonic
    start = clock()
    sample = adapter(job["peer"])(frame.copy(), job)
    fitted = clock()
    rows = sample(len(frame))
    sampled = clock()
    rows[list(frame)].to_csv(job["rows"], index=False)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    result = {"fit_s": fitted - start, "sample_s": sampled - fitted, "peak_mib": peak, "rows": len(rows)}
    channel.write(json.dumps(result) + "\n")
    channel.close()


def adapter(peer: str) -> Callable[[pd.DataFrame, Mapping[str, Any]], Sample]:
    """Return the function that fits a peer."""
    if peer == "mostly":
        return mostly
    if peer == "privsyn":
        return privsyn
    families = {"dpmm": dpmm, "smartnoise": smartnoise, "private": private_pgm, "dpsynth": dpsynth, "sdv": sdv}
    return families[peer.partition("-")[0]]


def numeric(frame: pd.DataFrame) -> list[str]:
    """Return the columns that hold numbers of more than 20 kinds."""
    return [
        name
        for name in frame
        if pd.api.types.is_numeric_dtype(frame[name])
        and not pd.api.types.is_bool_dtype(frame[name])
        and frame[name].nunique() > FEW_VALUES
    ]


def dpmm(frame: pd.DataFrame, job: Mapping[str, Any]) -> Sample:
    """Fit MST, AIM or PrivBayes of dpmm; one ε for everything, 20 bins."""
    from dpmm.pipelines import aim, mst, priv_bayes

    kinds = {"mst": mst.MSTPipeline, "aim": aim.AIMPipeline, "privbayes": priv_bayes.PrivBayesPipeline}
    numbers = numeric(frame)
    for name in frame.columns.difference(numbers):
        frame[name] = pd.Categorical(frame[name].astype(str))
    kind = kinds[job["peer"].removeprefix("dpmm-")]
    model = kind(epsilon=job["epsilon"], delta=job["delta"], proc_epsilon=None, n_bins=20)
    model.fit(frame)
    return lambda n: model.generate(n_records=n)


def smartnoise(frame: pd.DataFrame, job: Mapping[str, Any]) -> Sample:
    """Fit a synthesizer of smartnoise; a fifth of ε, at most 1, finds the bounds of numbers."""
    from snsynth import Synthesizer

    kind = job["peer"].removeprefix("smartnoise-")
    numbers = numeric(frame)
    others = [name for name in frame if name not in numbers]
    frame[others] = frame[others].astype(str)
    model = Synthesizer.create(kind, epsilon=job["epsilon"], delta=job["delta"], verbose=False)
    model.fit(
        frame,
        preprocessor_eps=min(1.0, 0.2 * job["epsilon"]),
        continuous_columns=numbers,
        categorical_columns=others,
        nullable=bool(frame[numbers].isna().any().any()),
    )
    whole = [name for name in numbers if pd.api.types.is_integer_dtype(frame[name])]
    rng = np.random.default_rng(job["seed"])

    def sample(n: int) -> pd.DataFrame:
        drawn = model.sample(n)
        if kind in ("mst", "aim"):
            drawn[numbers] = drawn[numbers].apply(spread, rng=rng)
        drawn[whole] = drawn[whole].round()
        return drawn

    return sample


def spread(middles: pd.Series, rng: np.random.Generator) -> pd.Series:
    """Return numbers drawn evenly from bins of equal width whose middles are given: else they would stand on a comb."""
    kinds = np.sort(middles.dropna().unique())
    width = float(np.diff(kinds).min()) if len(kinds) > 1 else 0.0
    return middles + width * rng.uniform(-0.5, 0.5, len(middles))


def mostly(frame: pd.DataFrame, job: Mapping[str, Any]) -> Sample:
    """Fit TabularARGN with DP-SGD: four fifths of ε for training, one for the ranges of values."""
    from mostlyai.engine import TabularARGN
    from mostlyai.engine.domain import DifferentialPrivacyConfig

    privacy = DifferentialPrivacyConfig(
        max_epsilon=0.8 * job["epsilon"],
        value_protection_epsilon=0.2 * job["epsilon"],
        delta=job["delta"],
        noise_multiplier=1.5,
    )
    model = TabularARGN(
        max_training_time=0.8 * job["minutes"],  # if its ε does not end the training before, it releases what it has
        enable_flexible_generation=False,
        random_state=job["seed"],
        differential_privacy=privacy,
    )
    model.fit(frame)
    return lambda n: model.sample(n_samples=n)


def private_pgm(frame: pd.DataFrame, job: Mapping[str, Any]) -> Sample:
    """Fit AIM of the research code on all pairs of at most 10,000 cells; 32 quantile bins, found without noise."""
    sys.path.insert(0, os.path.join(job["source"], "mechanisms"))
    import aim
    import mbi

    codes, sizes, ways_back = _coded(frame)
    domain = mbi.Domain(list(frame), list(sizes.values()))
    pairs = [pair for pair in itertools.combinations(frame, 2) if domain.size(pair) <= 10_000]
    size = 5 if job["peer"].endswith("-5mb") else 80
    model = aim.AIM(job["epsilon"], job["delta"], max_model_size=size, max_iters=1_000)
    _, synthetic = model.run(mbi.Dataset(codes, domain), [(pair, 1.0) for pair in pairs], num_synth_rows=len(frame))
    rng = np.random.default_rng(job["seed"])

    def sample(n: int) -> pd.DataFrame:
        drawn = synthetic.df.iloc[:n]
        return pd.DataFrame({name: ways_back[name](drawn[name].to_numpy().astype(int), rng) for name in frame})

    return sample


def privsyn(frame: pd.DataFrame, job: Mapping[str, Any]) -> Sample:
    """Fit PrivSyn on the bins that AIM gets, found without noise; its own defaults."""
    from privsyn import PrivSynModel

    codes, sizes, ways_back = _coded(frame)
    model = PrivSynModel(epsilon=job["epsilon"], delta=job["delta"], random_state=job["seed"])
    model.fit(codes, sizes)
    rng = np.random.default_rng(job["seed"])

    def sample(n: int) -> pd.DataFrame:
        drawn = model.sample(n)
        return pd.DataFrame({name: ways_back[name](drawn[name].to_numpy().astype(int), rng) for name in frame})

    return sample


def _coded(frame: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, int], dict[str, Callable[..., np.ndarray]]]:
    """Return the codes of all columns, how many each has, and the ways back."""
    codes, sizes, ways_back = pd.DataFrame(index=frame.index), {}, {}
    numbers = numeric(frame)
    for name in frame:
        codes[name], sizes[name], ways_back[name] = _bins(frame[name], name in numbers)
    return codes, sizes, ways_back


def _bins(column: pd.Series, number: bool) -> tuple[np.ndarray, int, Callable[..., np.ndarray]]:
    """Return the codes of a column, how many there are, and the way back from codes to values."""
    if not number:
        words = np.where(column.isna(), "nan", column.astype(str))  # of pandas 3, `astype` leaves what is missing
        levels, codes = np.unique(words.astype(str), return_inverse=True)
        return codes, len(levels), lambda drawn, rng: levels[drawn]
    edges, times = np.unique(np.quantile(column.dropna(), np.linspace(0, 1, PGM_BINS + 1)), return_counts=True)
    often = edges[times > 1]  # a value of many rows is a bin of its own
    edges = np.union1d(edges, np.nextafter(often, np.inf))
    last = len(edges) - 2
    missing = column.isna().to_numpy()
    inside = np.clip(np.searchsorted(edges, column.fillna(edges[0]), side="right") - 1, 0, last)

    def back(drawn: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        at = np.clip(drawn, 0, last)
        values = np.where(np.isin(edges[at], often), edges[at], rng.uniform(edges[at], edges[at + 1]))
        whole = pd.api.types.is_integer_dtype(column.dtype)
        return np.where(drawn > last, np.nan, np.floor(values) if whole else values)

    return np.where(missing, last + 1, inside), last + 1 + int(missing.any()), back


def dpsynth(frame: pd.DataFrame, job: Mapping[str, Any]) -> Sample:
    """Fit a mechanism of google/dpsynth, with ρ = μ²/2 for the exact Gaussian μ of (ε, δ)."""
    sys.path.insert(0, job["source"])
    import dpsynth as library
    from dpsynth import discrete_mechanisms, domain
    from scipy.optimize import brentq
    from scipy.stats import norm

    numbers = numeric(frame)
    domains = {}
    for name in frame:
        seen = frame[name].dropna()
        if name in numbers:
            domains[name] = domain.NumericalAttribute(min_value=float(seen.min()), max_value=float(seen.max()))
        else:
            domains[name] = domain.CategoricalAttribute(possible_values=sorted(seen.unique().tolist()))
    config = {"mst": "MSTConfig", "aimgdp": "AIMGDPConfig", "swift": "SWIFTConfig"}[job["peer"].partition("-")[2]]
    epsilon, delta = job["epsilon"], job["delta"]

    def excess(mu: float) -> float:
        return float(norm.cdf(-epsilon / mu + mu / 2) - np.exp(epsilon) * norm.cdf(-epsilon / mu - mu / 2) - delta)

    mu = brentq(excess, 1e-3, 20.0)
    mechanism = getattr(discrete_mechanisms, config)()
    model = library.TabularSynthesizer(domains=domains, discrete_mechanism=mechanism)
    # Its own calibration does not fit every version of dp-accounting; the conversion above is exact.
    made = model.configure(zcdp_rho=mu**2 / 2, delta=delta)(np.random.default_rng(job["seed"]), frame)
    return lambda n: made.synthetic_data.iloc[:n]


def sdv(frame: pd.DataFrame, job: Mapping[str, Any]) -> Sample:
    """Fit a synthesizer of SDV: no privacy."""
    from sdv import single_table
    from sdv.metadata import Metadata

    metadata = Metadata.detect_from_dataframes({"table": frame})
    kinds = {"copula": "GaussianCopulaSynthesizer", "ctgan": "CTGANSynthesizer", "tvae": "TVAESynthesizer"}
    kind = job["peer"].removeprefix("sdv-")
    more = {} if kind == "copula" else {"epochs": EPOCHS}
    model = getattr(single_table, kinds[kind])(metadata, **more)
    model.fit({"table": frame})

    def sample(n: int) -> pd.DataFrame:
        drawn = model.sample(n)
        return drawn["table"] if isinstance(drawn, dict) else drawn

    return sample


if __name__ == "__main__":
    main()
