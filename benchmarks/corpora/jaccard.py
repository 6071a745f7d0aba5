"""Jaccard indices that are exact: of texts made to have them, and of all pairs of some texts by brute force."""

from collections.abc import Iterator
from itertools import count, islice

import numpy as np
import xxhash
from scipy import sparse

SEED = 2026
SHINGLE_SIZE = 5
N_SHINGLES = (20, 400)
LETTERS = str.maketrans("0123456789", "ghijklmnop")  # one word to every word breaker and normalization


def known_pairs(n_pairs: int, *, seed: int = SEED) -> Iterator[tuple[str, str, float]]:
    """Two texts and the Jaccard index of their sets of word 5-grams, which is spread evenly over [0, 1].

    No word stands twice in a text, or in two pairs. Each text is the words that both share, with some of its own before
    and after them: n words make n - 4 shingles, so that each word of its own adds one.

    >>> def shingles(words):
    ...     return {tuple(words[i : i + 5]) for i in range(len(words) - 4)}
    >>> for one, other, jaccard in known_pairs(3):
    ...     a, b = shingles(one.split()), shingles(other.split())
    ...     print(len(a & b) / len(a | b) == jaccard)
    True
    True
    True
    """
    numbers = count()
    for pair in range(n_pairs):
        rng = np.random.default_rng([seed, pair])
        n_union = int(rng.integers(*N_SHINGLES, endpoint=True))
        n_shared = round((pair + rng.random()) / n_pairs * n_union)
        n_own = n_union - n_shared
        if n_shared:
            n_first = int(rng.integers(n_own, endpoint=True))
            shared = _words(numbers, seed, n_shared + SHINGLE_SIZE - 1)
            texts = [_around(shared, _words(numbers, seed, n), rng) for n in (n_first, n_own - n_first)]
        else:
            halves = (n_union // 2, n_union - n_union // 2)
            texts = [" ".join(_words(numbers, seed, n + SHINGLE_SIZE - 1)) for n in halves]
        yield (*texts, n_shared / n_union)


def _words(numbers: Iterator[int], seed: int, n: int) -> list[str]:
    return [xxhash.xxh3_64_hexdigest(f"{seed} {number}".encode()).translate(LETTERS) for number in islice(numbers, n)]


def _around(shared: list[str], own: list[str], rng: np.random.Generator) -> str:
    n_before = int(rng.integers(len(own), endpoint=True))
    return " ".join(own[:n_before] + shared + own[n_before:])


def all_pairs(texts: list[str]) -> np.ndarray:
    """The Jaccard index of each text to each, of the sets of 5-grams of lower-case words between white space.

    Nothing is hashed: a shingle is its five words. NaN for a text without shingles, to itself too.
    """
    text_of, shingle = _shingles(texts)
    n_texts, n_shingles = len(texts), int(shingle.max(initial=-1)) + 1
    sets = sparse.csr_array((np.ones(len(shingle), np.int32), (text_of, shingle)), shape=(n_texts, n_shingles))
    sets.data[:] = 1  # a shingle that a text has twice
    sizes = sets.sum(axis=1)
    shared = (sets @ sets.T).toarray()
    with np.errstate(invalid="ignore"):
        jaccard = shared / (sizes[:, None] + sizes[None, :] - shared)
    jaccard[sizes == 0] = jaccard[:, sizes == 0] = np.nan
    return jaccard


def _shingles(texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """For each shingle that stands somewhere, the number of its text and its own number; equal ones have the same."""
    numbers: dict[str, int] = {}
    words = [[numbers.setdefault(word, len(numbers)) for word in text.lower().split()] for text in texts]
    lengths = np.array([len(one) for one in words], np.int64)
    word = np.fromiter((number for one in words for number in one), np.int64, lengths.sum())
    text_of = np.repeat(np.arange(len(texts)), lengths)
    gram = word
    for size in range(1, SHINGLE_SIZE):  # a gram and the word after it, as one number, are the next longer gram
        longer = gram[: max(len(word) - size, 0)] * len(numbers) + word[size:]
        _, gram = np.unique(longer, return_inverse=True)
    last = np.arange(len(gram)) + SHINGLE_SIZE - 1
    is_within = text_of[: len(gram)] == text_of[last]
    return text_of[: len(gram)][is_within], gram[is_within]
