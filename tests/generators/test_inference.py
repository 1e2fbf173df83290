"""Inference in numpy gives what torch's layers give for the same weights."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from privsynth.generators.arn.network import Network, encode, prefix_logits, to_numpy
from privsynth.generators.arn.sampling import hidden_layers, probabilities
from privsynth.generators.dpsgd.layers import Perceptron, to_arrays
from privsynth.generators.inference import apply_arrays, gelu

SIZES, ROWS = (7, 2, 31, 4), 300


def test_gelu_is_the_exact_one():
    values = np.concatenate([np.linspace(-9, 9, 40_001), [0.0, -1e30, 1e30, 1e-30, 8.0, -8.0]]).astype(np.float32)
    found = gelu(values[:, None])[:, 0].astype(np.float64)
    exact = np.array([0.5 * x * math.erfc(-x / math.sqrt(2)) for x in values.astype(np.float64)])
    assert np.abs((found - exact) / np.maximum(1, np.abs(exact))).max() < 2e-7
    # Its approximation by tanh is some 5e-4 off.
    assert np.abs(found - functional.gelu(torch.from_numpy(values)).numpy())[:40_001].max() < 1e-6


def test_gelu_of_no_rows_and_of_many():
    assert gelu(np.zeros((0, 5), np.float32)).shape == (0, 5)
    values = np.random.default_rng(0).standard_normal((700, 3)).astype(np.float32)
    assert np.array_equal(gelu(values)[513], gelu(values[513:514])[0]), "a row does not depend on those beside it"


@pytest.fixture
def network() -> Network:
    rng = np.random.default_rng(1)
    shares = [np.full(size, 1 / size) for size in SIZES]
    made = Network(SIZES, 64, rng=rng, shares=shares)
    with torch.no_grad():  # the last layer starts from zeros
        made.last.weight.copy_(torch.from_numpy(rng.standard_normal(tuple(made.last.weight.shape))))
        made.first.bias.copy_(torch.from_numpy(rng.standard_normal(64)))
    return made


def random_codes() -> np.ndarray:
    rng = np.random.default_rng(2)
    return np.stack([rng.integers(0, size, ROWS) for size in SIZES], axis=1)


def test_the_network_of_arn(network):
    """With some attributes known, and step by step along an order as rows are drawn."""
    codes, weights, starts = torch.from_numpy(random_codes()), to_numpy(network), np.cumsum([0, *SIZES])
    known = torch.from_numpy(np.random.default_rng(3).random((ROWS, len(SIZES))) < 0.5)
    inputs = encode(codes, known, SIZES)
    with torch.no_grad():
        theirs = network(inputs).numpy()
    before = inputs.numpy() @ weights["first.weight"].T + weights["first.bias"]
    ours = hidden_layers(weights, before) @ weights["last.weight"].T + weights["last.bias"]
    assert np.abs(theirs).max() > 5
    assert np.allclose(ours, theirs, rtol=1e-5, atol=2e-5)
    one_by_one = prefix_logits(network, codes, (2, 0, 3, 1)).numpy()
    nothing = hidden_layers(weights, np.repeat(weights["first.bias"][None], ROWS, axis=0))
    block = slice(starts[2], starts[3])
    first = nothing @ weights["last.weight"][block].T + weights["last.bias"][block]
    assert np.allclose(first, one_by_one[:, block], rtol=1e-5, atol=2e-5)


def test_probabilities_are_the_softmax():
    logits = (np.random.default_rng(4).standard_normal((50, 9)) * 20).astype(np.float32)
    logits[:, -1] = -np.inf
    theirs = torch.softmax(torch.from_numpy(logits).double(), dim=1).numpy()
    assert np.allclose(probabilities(logits), theirs, rtol=1e-12, atol=1e-300)
    assert not probabilities(logits)[:, -1].any()


@pytest.mark.parametrize("widths", [(12, 40, 44), (20, 32, 32, 44)])
def test_the_perceptrons_of_tvae_and_ctgan(widths):
    module = Perceptron(widths, rng=np.random.default_rng(5), last_bias=np.linspace(-1, 1, widths[-1]))
    inputs = np.random.default_rng(6).standard_normal((ROWS, widths[0])).astype(np.float32)
    with torch.no_grad():
        theirs = module.float()(torch.from_numpy(inputs)).numpy()
    ours = apply_arrays(to_arrays(module, "decoder"), "decoder", len(widths) - 1, inputs)
    assert np.abs(theirs).max() > 1
    assert np.allclose(ours, theirs, rtol=1e-5, atol=1e-5)
