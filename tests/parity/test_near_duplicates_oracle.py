"""Signatures and keys against the theory, on pairs of texts of known Jaccard index: candidates follow the S-curve."""

import numpy as np
import pyarrow as pa
import pytest

from benchmarks.corpora.jaccard import all_pairs, known_pairs
from dclm_spark.kernels.near.minhash import sign
from dclm_spark.kernels.near.similarity import estimate, jaccard
from dclm_spark.recipe.near_duplicates import MinHash

N_PAIRS = 4_000
N_BINS = 10
THRESHOLD = 0.7
SETTINGS = {
    "default": MinHash(stores_shingles=True),
    "another seed": MinHash(seed=2, stores_shingles=True),
    "datasketch's permutations": MinHash(permutations="mersenne61", stores_shingles=True),
    "more bands": MinHash(n_bands=20, n_rows=5, stores_shingles=True),
}


@pytest.fixture(scope="module")
def pairs() -> tuple[pa.Array, pa.Array, np.ndarray]:
    """The first texts, the others, and the Jaccard index of each pair."""
    left, right, exact = zip(*known_pairs(N_PAIRS), strict=True)
    return pa.array(left), pa.array(right), np.array(exact)


@pytest.fixture(scope="module", params=SETTINGS)
def signed(request, pairs) -> tuple[MinHash, pa.RecordBatch, pa.RecordBatch]:
    minhash = SETTINGS[request.param]
    return minhash, *(sign(text, minhash) for text in pairs[:2])


def share_a_band(minhash: MinHash, left: pa.RecordBatch, right: pa.RecordBatch) -> np.ndarray:
    keys = [
        np.frombuffer(b"".join(side["keys"].to_pylist()), "<u8").reshape(-1, minhash.n_bands) for side in (left, right)
    ]
    return (keys[0] == keys[1]).any(axis=1)


def test_known_pairs_are_as_alike_as_they_say(pairs):
    left, right, exact = (column[:60] for column in pairs)
    found = all_pairs([*left.to_pylist(), *right.to_pylist()])
    assert found[np.arange(60), np.arange(60) + 60].tolist() == exact.tolist()
    assert np.count_nonzero(found) == 120 + 2 * np.count_nonzero(exact)  # nothing is alike but the pairs


def test_candidates_follow_the_s_curve(pairs, signed):
    exact, minhash = pairs[2], signed[0]
    candidate = share_a_band(*signed)
    chance = 1 - (1 - exact**minhash.n_rows) ** minhash.n_bands
    for low in np.arange(N_BINS) / N_BINS:
        in_bin = (exact >= low) & (exact < low + 1 / N_BINS)
        assert in_bin.sum() > N_PAIRS / N_BINS / 2
        found, expected = candidate[in_bin].sum(), chance[in_bin].sum()
        error = np.sqrt((chance * (1 - chance))[in_bin].sum())
        assert abs(found - expected) < 4 * error + 1, f"{low:.1f}: {found} pairs, expected {expected:.1f} ± {error:.1f}"
    assert candidate[exact == 1].all()
    assert not candidate[exact == 0].any()


def test_the_estimate_errs_as_theory_says(pairs, signed):
    exact, (minhash, left, right) = pairs[2], signed
    error = np.asarray(estimate(left["signature"], right["signature"])) - exact
    variance = exact * (1 - exact) / minhash.n_permutations
    assert abs(error.mean()) < 4 * np.sqrt(variance.mean() / N_PAIRS)
    assert np.sqrt(np.mean(error**2)) == pytest.approx(np.sqrt(variance.mean()), rel=0.05)
    assert error[exact == 1].tolist() == [0] * (exact == 1).sum()


def test_no_pair_below_half_passes_the_threshold(pairs, signed):
    exact, (_, left, right) = pairs[2], signed
    estimated = np.asarray(estimate(left["signature"], right["signature"]))
    assert (exact < 0.5).sum() > N_PAIRS / 3
    assert estimated[exact < 0.5].max() < THRESHOLD
    assert estimated[exact > 0.9].min() > THRESHOLD


def test_stored_shingles_give_the_exact_index(pairs, signed):
    _, left, right = signed
    found = jaccard(left["shingles"], right["shingles"])
    assert np.asarray(found).tolist() == pairs[2].tolist()
