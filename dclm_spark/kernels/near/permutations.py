"""Draws permutations of 64-bit hashes from a seed, and computes the minimum of each over a set of hashes.

- `affine64`: a * h + b modulo 2^64 with odd a, a permutation of all 64-bit numbers.
- `mersenne61`: ((a * h + b) modulo 2^64) modulo 2^61 - 1, and of that the lowest 32 bits: used as a permutation by
datatrove, and by datasketch before 2.0 (since then its scheme `legacy`). Two hashes may get the same value.
"""

import numpy as np

from dclm_spark.kernels.bytes.hashing import OF_FACTORS, OF_SUMMANDS, random_constants
from dclm_spark.kernels.compiled.jit import helper
from dclm_spark.recipe.near_duplicates import MinHash

GREATEST = np.uint64(0xFFFFFFFFFFFFFFFF)
_PRIME, _PRIME_BITS, _LOW_32_BITS = np.uint64((1 << 61) - 1), np.uint64(61), np.uint64(0xFFFFFFFF)
_1 = np.uint64(1)


def permutations(minhash: MinHash) -> tuple[np.ndarray, np.ndarray]:
    """Returns the factors and summands of the permutations, uint64.

    datasketch, given those of `mersenne61`, finds the same minima of the same hashes: `MinHash(num_perm,
    permutations=..., hashfunc=int, scheme="legacy")`.
    """
    n = minhash.n_permutations
    factors = random_constants(minhash.seed, OF_FACTORS, n)
    summands = random_constants(minhash.seed, OF_SUMMANDS, n)
    if minhash.permutations == "mersenne61":
        return factors % (_PRIME - _1) + _1, summands % _PRIME
    return factors | _1, summands


# The inner loop is over shingles, so that a permutation's numbers stay in registers and LLVM vectorizes the loop.
@helper
def take_affine(shingles, n_shingles, factors, summands, least):
    """Updates the minimum of each permutation with the first `n_shingles` shingles, for `affine64`."""
    for place in range(len(least)):
        factor, summand, lowest = factors[place], summands[place], least[place]
        for index in range(n_shingles):
            lowest = min(lowest, factor * shingles[index] + summand)
        least[place] = lowest


@helper
def take_mersenne(shingles, n_shingles, factors, summands, least):
    """Updates the minimum of each permutation with the first `n_shingles` shingles, for `mersenne61`."""
    for place in range(len(least)):
        factor, summand, lowest = factors[place], summands[place], least[place]
        for index in range(n_shingles):
            value = factor * shingles[index] + summand
            value = (value & _PRIME) + (value >> _PRIME_BITS)  # below 2^61 + 7, and the same modulo the prime
            lowest = min(lowest, min(value, value - _PRIME) & _LOW_32_BITS)
        least[place] = lowest
