"""The filter: the rate it is made for is the rate it reaches, and nothing that was added is ever missing."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dclm_spark.kernels.compiled.jit import kernel
from dclm_spark.kernels.ngrams.bloom import (
    HASH_BITS,
    WORDS,
    add,
    block_of,
    block_shift,
    geometry_for,
    holds,
    n_blocks_for,
    rate,
    reached_rate,
    within_block,
)

N = 200_000


@kernel
def fill(filter_, hashes, shift, n_buckets):
    for hash_ in hashes:
        add(filter_, within_block(hash_, shift), block_of(hash_, shift) * n_buckets * WORDS, n_buckets)


@kernel
def count_held(filter_, hashes, shift, n_buckets):
    n_held = 0
    for hash_ in hashes:
        n_held += holds(filter_, within_block(hash_, shift), block_of(hash_, shift) * n_buckets * WORDS, n_buckets)
    return n_held


@kernel
def places(hashes, shift):
    blocks, withins = np.empty(len(hashes), dtype=np.int64), np.empty(len(hashes), dtype=np.uint64)
    for index in range(len(hashes)):
        blocks[index], withins[index] = block_of(hashes[index], shift), within_block(hashes[index], shift)
    return blocks, withins


def hashes(n: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 1 << 64, n, dtype=np.uint64)


@pytest.mark.parametrize("n_blocks", [1, 8])
@pytest.mark.parametrize("fp_rate", [0.1, 0.01, 0.001])
def test_the_rate_that_was_planned_is_reached(fp_rate, n_blocks):
    geometry = geometry_for(N, fp_rate, n_blocks=n_blocks)
    shift, n_buckets = block_shift(n_blocks), geometry.n_buckets
    assert geometry.n_blocks == n_blocks
    filter_ = np.zeros(geometry.n_bytes // 8, dtype=np.uint64)
    assert (reached_rate(filter_), count_held(filter_, hashes(1000, 3), shift, n_buckets)) == (0, 0)
    added = hashes(N, 1)
    fill(filter_, added, shift, n_buckets)
    assert count_held(filter_, added, shift, n_buckets) == N
    n_asked = 4_000_000
    measured = count_held(filter_, hashes(n_asked, 2), shift, n_buckets) / n_asked
    planned = rate(N / n_blocks, n_buckets)
    # Five standard errors of what is asked, and what chance does to the buckets of one filter: under a hundredth.
    error = 5 * math.sqrt(planned / n_asked) + 0.01 * planned
    assert abs(measured - planned) < error
    assert abs(reached_rate(filter_) - planned) < error
    assert abs(reached_rate(filter_) - measured) < 5 * math.sqrt(planned / n_asked)
    # Blocks are made for a little more than their share: no smaller filter would do, and this one does.
    assert planned <= fp_rate * (1 + 1e-6)
    assert rate(N / n_blocks + 5 * math.sqrt(N / n_blocks) * (n_blocks > 1), n_buckets - 1) > fp_rate
    assert measured > 0.8 * fp_rate
    by_block = filter_.reshape(n_blocks, -1)
    assert all(reached_rate(block) <= 1.02 * fp_rate for block in by_block)
    assert reached_rate(filter_) == pytest.approx(np.mean([reached_rate(block) for block in by_block]))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, (1 << 64) - 1), max_size=50), st.sampled_from([1, 2, 64, 1 << 20]))
def test_block_and_what_is_left_are_the_upper_bits(numbers, n_blocks):
    values = np.array(numbers, dtype=np.uint64)
    blocks, withins = places(values, block_shift(n_blocks))
    n_bits = n_blocks.bit_length() - 1
    assert blocks.tolist() == [number >> 64 - n_bits for number in numbers]
    left = 64 - n_bits
    below = [number & (1 << left) - 1 for number in numbers]
    expected = [low >> left - HASH_BITS if left >= HASH_BITS else low << HASH_BITS - left for low in below]
    assert withins.tolist() == expected


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, (1 << 64) - 1), max_size=50), st.sampled_from([1, 2, 64]), st.integers(1, 5))
def test_nothing_that_was_added_is_missing(numbers, n_blocks, n_buckets):
    values = np.array([0, (1 << 64) - 1, *numbers], dtype=np.uint64)
    filter_ = np.zeros(n_blocks * n_buckets * WORDS, dtype=np.uint64)
    fill(filter_, values, block_shift(n_blocks), n_buckets)
    assert count_held(filter_, values, block_shift(n_blocks), n_buckets) == len(values)


def test_blocks_grow_with_ngrams():
    sizes = sorted({*(1 << power for power in range(48)), *(3**power for power in range(28)), *range(1, 100)})
    found = [n_blocks_for(size) for size in sizes]
    assert found == sorted(found)
    assert all(n & n - 1 == 0 for n in found)
    assert found[0] == 1 and max(found) > 1 << 20
    for size, n_blocks in zip(sizes, found, strict=True):
        assert size / n_blocks <= 1 << 24
        assert size / n_blocks > 1 << 20 or n_blocks == 1
    for capacity in (1 << 22, 1 << 34, 1 << 36):
        assert n_blocks_for(capacity + 1) >= n_blocks_for(capacity) >= n_blocks_for(capacity - 1)


@pytest.mark.parametrize("fp_rate", [0.5, 0.1, 0.01, 1e-4, 1e-9])
def test_geometry_is_never_too_small(fp_rate):
    before = 0
    for capacity in (1, 2, 10, 1000, 10**6, 10**9, 10**12):
        geometry = geometry_for(capacity, fp_rate)
        assert geometry.n_blocks == n_blocks_for(capacity)
        assert geometry.n_buckets >= 1
        assert rate(capacity / geometry.n_blocks, geometry.n_buckets) <= fp_rate * (1 + 1e-6)
        assert geometry.n_bytes >= before
        before = geometry.n_bytes


def test_rate_rises_with_what_is_held():
    rates = [rate(n, 10) for n in (0, 1, 10, 100, 1000, 10_000, 100_000)]
    assert rates == sorted(rates)
    assert rates[0] == 0 and rates[-1] == pytest.approx(1) and max(rates) <= 1 + 1e-9
