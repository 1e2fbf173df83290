"""Secret randomness: fresh, re-keyed, never kept; published randomness: repeatable."""

from __future__ import annotations

import os
import pickle

import numpy as np
import pytest
from doubles import ScriptedBits

from privsynth import randomness
from privsynth.randomness import (
    KeyedFunction,
    SecureStream,
    new_sampling_seed,
    poisson_mask,
    sampling_rng,
    uniform_from_words,
)


def test_two_streams_never_agree():
    assert not np.array_equal(SecureStream().uint64(4), SecureStream().uint64(4))


def test_a_forked_child_has_another_stream():
    stream = SecureStream()
    stream.uint64(1)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(write, stream.bytes(32))
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(read, 32) != stream.bytes(32)


def test_the_stream_is_rekeyed_when_its_length_is_used_up(monkeypatch):
    monkeypatch.setattr(randomness, "_REKEY_BYTES", 64)
    stream = SecureStream()
    first = stream._encryptor
    assert len(stream.bytes(1000)) == 1000
    assert stream._encryptor is not first


def test_bits_are_fair():
    words = SecureStream().uint64(20_000)
    ones = np.unpackbits(words.view(np.uint8)).reshape(-1, 64).sum(axis=0)
    # 64 binomials of 20,000: six standard deviations each, false alarm below 2e-7.
    assert (np.abs(ones.astype(int) - 10_000) < 6 * np.sqrt(5_000)).all()


@pytest.mark.parametrize("secret", [SecureStream(), KeyedFunction()])
def test_secret_randomness_is_neither_pickled_nor_shown(secret):
    with pytest.raises(TypeError, match="never pickled"):
        pickle.dumps(secret)
    assert repr(secret) == f"{type(secret).__name__}()"


def test_coins_of_a_unit_do_not_depend_on_the_other_units():
    keyed = KeyedFunction()
    units = np.array([5, 17, 99, 2**63], dtype=np.uint64)
    all_words = keyed.words(units, 3, purpose=1)
    assert keyed.words(units[1:2], 3, purpose=1)[0] == all_words[1]
    assert keyed.words(units[::-1], 3, purpose=1).tolist() == all_words[::-1].tolist()


def test_words_are_the_same_however_many_are_made_at_once(monkeypatch):
    keyed, units = KeyedFunction(), np.arange(100, dtype=np.uint64)
    whole = [keyed.words(units, second, purpose=2).tolist() for second in (units[::-1], 5)]
    monkeypatch.setattr(randomness, "_PAIRS_AT_ONCE", 7)
    assert [keyed.words(units, second, purpose=2).tolist() for second in (units[::-1], 5)] == whole
    assert len({*whole[0], *whole[1]}) == 199  # a pair of both lists is the same: (94, 5)


def test_coins_of_other_purposes_occurrences_and_keys_differ():
    keyed = KeyedFunction()
    units = np.arange(50, dtype=np.uint64)
    base = set(keyed.words(units, 0, purpose=0).tolist())
    for other in (
        keyed.words(units, 0, purpose=1),
        keyed.words(units, 1, purpose=0),
        KeyedFunction().words(units, 0, purpose=0),
    ):
        assert not base & set(other.tolist())
    assert len(base) == 50
    texts = [b"a", b"b", b"a"]
    hashes = keyed.hash_texts(texts)
    assert hashes[0] == hashes[2] != hashes[1]
    assert KeyedFunction().hash_texts(texts)[0] != hashes[0]


def test_nothing_is_asked_for_nothing():
    keyed = KeyedFunction()
    assert len(keyed.words(np.zeros(0, np.uint64), 0, purpose=0)) == 0
    assert len(keyed.hash_texts([])) == 0
    assert len(poisson_mask(0, 0.5, SecureStream())) == 0


def test_a_poisson_mask_compares_words_with_the_rate():
    quarter = 2**62
    mask = poisson_mask(4, 0.25, ScriptedBits([0, quarter - 1, quarter, 2**64 - 1]))
    assert mask.tolist() == [True, True, False, False]
    assert not poisson_mask(1, 0.0, ScriptedBits([0]))[0]
    assert poisson_mask(1, 1.0, ScriptedBits([2**64 - 2]))[0]


def test_uniform_numbers_stay_below_one():
    ends = uniform_from_words(np.array([0, 2**11 - 1, 2**63, 2**64 - 1], dtype=np.uint64))
    assert ends.tolist() == [0.0, 0.0, 0.5, 1 - 2.0**-53]


def test_sampling_is_repeatable_and_its_seed_fits_into_json():
    assert sampling_rng(7).random() == sampling_rng(7).random()
    seeds = {new_sampling_seed() for _ in range(20)}
    assert len(seeds) == 20
    assert all(0 <= seed < 2**53 for seed in seeds)
