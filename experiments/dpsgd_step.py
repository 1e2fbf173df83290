"""What one step of private training costs: python experiments/dpsgd_step.py [--steps 15] [--threads 2] [--hooks].

A network of 240-256-256-160, batches of 2,048 units, one row each. Times the same step without privacy, with our
book-keeping (clipped sum, noise from the secure stream, update), with Opacus' ghost clipping and, if asked for, with
Opacus' hooks; each in single and in double precision. Prints one JSON line for each way and precision: seconds of the
fastest step, ratio to the step without privacy in the same precision, the same ratio of processor seconds of all
threads (of the step that took fewest), the noise's share of a step, which is how long the step waits for it, and its
share of the processor seconds, of all threads. The ways take turns, so that whatever else the machine does falls on all
of them; a turn is three steps, of which the first is not timed: noise of a step is drawn while the one before it
computes, so that the noise of one step is drawn in each. `arn` trains in double precision and with one thread.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Callable, Iterator
from itertools import pairwise
from statistics import median

import numpy as np
import torch
from opacus.grad_sample import GradSampleModule
from opacus.grad_sample.grad_sample_module_fast_gradient_clipping import GradSampleModuleFastGradientClipping
from opacus.optimizers import DPOptimizer, DPOptimizerFastGradientClipping
from torch import nn
from torch.nn import functional

from privsynth.generators.dpsgd.optimizer import SecureOptimizer
from privsynth.generators.dpsgd.per_unit_gradients import BookKeepingModule
from privsynth.privacy.budget import Bill, Budget, TrainingSpec, plan_spending
from privsynth.privacy.mechanisms import GaussianMechanisms, TrainingNoise
from privsynth.privacy.rounded_gaussian import rounded_gaussian
from privsynth.randomness import SecureStream

WIDTHS = (240, 256, 256, 160)
BATCH = 2_048
CLIP = 1.0
TIMED = 2  # steps of a turn
Step = Callable[[torch.Tensor, torch.Tensor], float]


def network(dtype: torch.dtype) -> nn.Sequential:
    """Return the network."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(WIDTHS):
        layers += [nn.Linear(inputs, outputs), nn.GELU()]
    return nn.Sequential(*layers[:-1]).to(dtype)


def losses_of(logits: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Return (units,) losses."""
    return functional.cross_entropy(logits, wanted, reduction="none")


def plain(dtype: torch.dtype, _noise: TrainingNoise) -> Step:
    """Return the step without privacy; it returns the seconds that noise took."""
    model = network(dtype)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def step(rows: torch.Tensor, wanted: torch.Tensor) -> float:
        optimizer.zero_grad()
        losses_of(model(rows), wanted).mean().backward()
        optimizer.step()
        return 0.0

    return step


def book_keeping(dtype: torch.dtype, noise: TrainingNoise) -> Step:
    """Return our step."""
    module = BookKeepingModule(network(dtype), clip=CLIP)
    inner = torch.optim.SGD(module.parameters(), lr=0.1)
    spent = [0.0]
    optimizer = SecureOptimizer(inner, noise=_Timed(noise, spent), clip=CLIP, expected_batch=BATCH)

    def step(rows: torch.Tensor, wanted: torch.Tensor) -> float:
        spent[0] = 0.0
        optimizer.zero_grad()
        optimizer.noise.mask(BATCH)
        module.clipped_backward(losses_of(module(rows), wanted))
        optimizer.step()
        return spent[0]

    return step


def ghost(dtype: torch.dtype, _noise: TrainingNoise) -> Step:
    """Return Opacus' ghost clipping, with its own noise."""
    module = GradSampleModuleFastGradientClipping(network(dtype), loss_reduction="sum", max_grad_norm=CLIP)
    inner = torch.optim.SGD(module.parameters(), lr=0.1)
    optimizer = DPOptimizerFastGradientClipping(
        inner, noise_multiplier=1.0, max_grad_norm=CLIP, expected_batch_size=BATCH, loss_reduction="sum"
    )

    def step(rows: torch.Tensor, wanted: torch.Tensor) -> float:
        optimizer.zero_grad()
        losses = losses_of(module(rows), wanted)
        losses.sum().backward(retain_graph=True)
        coefficient = module.get_clipping_coef()
        optimizer.zero_grad()
        module.disable_hooks()
        (coefficient * losses).sum().backward()
        module.enable_hooks()
        optimizer.step()
        return 0.0

    return step


def hooks(dtype: torch.dtype, _noise: TrainingNoise) -> Step:
    """Return Opacus' usual way: a gradient for each unit."""
    module = GradSampleModule(network(dtype), loss_reduction="sum")
    inner = torch.optim.SGD(module.parameters(), lr=0.1)
    optimizer = DPOptimizer(
        inner, noise_multiplier=1.0, max_grad_norm=CLIP, expected_batch_size=BATCH, loss_reduction="sum"
    )

    def step(rows: torch.Tensor, wanted: torch.Tensor) -> float:
        optimizer.zero_grad()
        losses_of(module(rows), wanted).sum().backward()
        optimizer.step()
        return 0.0

    return step


class _Timed:
    """Noise of a run, timed."""

    def __init__(self, noise: TrainingNoise, spent: list[float]) -> None:
        self._noise, self._spent = noise, spent
        self.steps, self.sampling_probability = noise.steps, noise.sampling_probability
        self.noise_multiplier = noise.noise_multiplier

    def mask(self, n_units: int) -> np.ndarray:
        return self._count(lambda: self._noise.mask(n_units))

    def add(self, sums: np.ndarray, *, l2_sensitivity: float) -> np.ndarray:
        return self._count(lambda: self._noise.add(sums, l2_sensitivity=l2_sensitivity))

    def _count(self, draw: Callable[[], np.ndarray]) -> np.ndarray:
        start = time.perf_counter()
        drawn = draw()
        self._spent[0] += time.perf_counter() - start
        return drawn


def _drawing() -> float:
    """Return the processor seconds that the noise of a step takes, without the mask."""
    count = sum(inputs * outputs + outputs for inputs, outputs in pairwise(WIDTHS))
    bits = SecureStream()
    start = time.process_time()
    rounded_gaussian(count, 1e6, bits)
    return time.process_time() - start


def measure(ways: dict[str, Step], dtype: torch.dtype, steps: int) -> Iterator[dict[str, object]]:
    """Yield one line for each way."""
    rng = np.random.default_rng(0)
    taken: dict[str, list[tuple[float, ...]]] = {name: [] for name in ways}
    for at in range(steps + 2):
        rows = torch.from_numpy(rng.standard_normal((BATCH, WIDTHS[0]))).to(dtype)
        wanted = torch.from_numpy(rng.integers(0, WIDTHS[-1], BATCH))
        for name, step in ways.items():
            step(rows, wanted)
            start, start_cpu = time.perf_counter(), time.process_time()
            noise = sum(step(rows, wanted) for _ in range(TIMED))
            if at >= 2:  # the first steps allocate
                spent = time.perf_counter() - start, time.process_time() - start_cpu, noise
                taken[name].append(tuple(seconds / TIMED for seconds in spent))
            time.sleep(0.03)  # what is drawn ahead is not on the next way's account
    base = min(seconds for seconds, _, _ in taken["without privacy"])
    base_cpu = min(cpu for _, cpu, _ in taken["without privacy"])
    drawing = min(_drawing() for _ in range(steps))
    for name, found in taken.items():
        seconds = min(s for s, _, _ in found)
        yield {
            "way": name,
            "precision": str(dtype).removeprefix("torch."),
            "step_s": round(seconds, 4),
            "ratio": round(seconds / base, 2),
            "cpu_ratio": round(min(cpu for _, cpu, _ in found) / base_cpu, 2),
            "noise_share": round(median(n / s for s, _, n in found), 3),
            "noise_cpu_share": round(drawing / min(cpu for _, cpu, _ in found), 3) if name == "book-keeping" else 0.0,
        }


def main() -> None:
    """Run once."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=15)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--hooks", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    warnings.filterwarnings("ignore", message="Full backward hook is firing")
    training = TrainingSpec(share=0.5, sampling_probability=1 / 16, steps=2 * (1 + TIMED) * (options.steps + 2))
    plan = plan_spending(Budget(epsilon=1.0), {"rest": 1.0}, open_domain=False, training=training)
    noise = GaussianMechanisms(Bill(plan)).training(clip=CLIP, label="benchmark")
    makers = {"without privacy": plain, "book-keeping": book_keeping, "Opacus ghost": ghost}
    if options.hooks:
        makers["Opacus hooks"] = hooks
    for dtype in (torch.float32, torch.float64):
        ways = {name: maker(dtype, noise) for name, maker in makers.items()}
        for line in measure(ways, dtype, options.steps):
            print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
