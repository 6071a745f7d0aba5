"""Signatures of texts: what they are, what they do not depend on, and datasketch's as an oracle."""

import dataclasses
import math
import random

import numpy as np
import pyarrow as pa
import pytest

from dclm_spark import schemas
from dclm_spark.kernels.bytes import binary
from dclm_spark.kernels.near import minhash as minhash_module
from dclm_spark.kernels.near.minhash import minima, sign
from dclm_spark.kernels.near.permutations import permutations
from dclm_spark.kernels.near.similarity import estimate, jaccard
from dclm_spark.recipe.near_duplicates import MinHash

DEFAULT = MinHash()
STORING = MinHash(stores_shingles=True)
SETTINGS = ((14, 8), (20, 13), (450, 20), (15, 93), (1, 1))


def signed(texts: list[str | None], minhash: MinHash = DEFAULT) -> list[dict]:
    return sign(pa.array(texts, pa.string()), minhash).to_pylist()


def hashes_of(texts: list[str], minhash: MinHash) -> list[set[int]]:
    rows = signed(texts, dataclasses.replace(minhash, stores_shingles=True))
    return [set(np.frombuffer(row["shingles"], "<u8").tolist()) for row in rows]


def test_columns_are_those_of_the_schema():
    rows = sign(pa.array(["a b c d e", None]), DEFAULT)
    fields = list(schemas.SIGNATURES)[3:]
    assert rows.schema.names == [field.name for field in fields]
    assert rows.schema.types == [field.type for field in fields]


def test_texts_without_shingles():
    for row in signed(["", " \n ", "one", "1 2 3 4", None]):
        assert row["n_shingles"] == 0
        assert all(row[name] is None for name in ("text_hash", "signature", "keys", "shingles"))
    assert [row["n_chars"] for row in signed(["", " \u00e9 ", None])] == [0, 3, 0]
    assert sign(pa.array([], pa.string()), STORING).num_rows == 0


@pytest.mark.parametrize("size", [1, 2, 5, 64])
@pytest.mark.parametrize("n_words", [0, 1, 4, 5, 6, 63, 64, 65, 2047, 2048, 2049, 2052, 2053, 5000])
def test_as_many_shingles_as_words_allow(size, n_words):
    text = " ".join(str(number) for number in range(n_words))
    row = signed([text], dataclasses.replace(STORING, shingle_size=size))[0]
    n_shingles = max(0, n_words - size + 1)
    assert row["n_shingles"] == n_shingles
    assert len(row["shingles"] or b"") == 8 * n_shingles
    assert (row["signature"] is None) == (n_shingles == 0)


@pytest.mark.parametrize("n_words", [6, 2052, 2053, 4101])
def test_shingles_do_not_depend_on_where_they_are(n_words):
    words = [f"w{number}" for number in range(n_words)]
    whole = hashes_of([" ".join(words)], DEFAULT)[0]
    parts = [" ".join(words[start : start + 5]) for start in range(n_words - 4)]
    assert set().union(*hashes_of(parts, DEFAULT)) == whole


@pytest.mark.parametrize(("n_bands", "n_rows"), SETTINGS)
@pytest.mark.parametrize("family", ["affine64", "mersenne61"])
def test_least_values_make_signature_and_keys(n_bands, n_rows, family):
    minhash = dataclasses.replace(STORING, n_bands=n_bands, n_rows=n_rows, permutations=family)
    texts = ["to be or not to be that is", "or not to be that is the question", "to be or not to be that is a"]
    rows = signed(texts, minhash)
    factors, summands = (array.tolist() for array in permutations(minhash))
    least = []
    for row in rows:
        hashes = np.frombuffer(row["shingles"], "<u8").tolist()
        values = [[(a * h + b) % 2**64 for h in hashes] for a, b in zip(factors, summands, strict=True)]
        if family == "mersenne61":
            values = [[value % (2**61 - 1) % 2**32 for value in per_permutation] for per_permutation in values]
        least.append([min(per_permutation) for per_permutation in values])
    assert minima(pa.array(texts), minhash).tolist() == least
    signatures = np.array([np.frombuffer(row["signature"], "<u2") for row in rows])
    keys = np.array([np.frombuffer(row["keys"], "<u8") for row in rows])
    assert signatures.shape == (3, n_bands * n_rows)
    assert keys.shape == (3, n_bands)
    for one in range(3):
        for two in range(one):
            is_same = np.array(least[one]) == np.array(least[two])
            assert (signatures[one] == signatures[two]).tolist() == is_same.tolist()
            assert (keys[one] == keys[two]).tolist() == is_same.reshape(n_bands, n_rows).all(axis=1).tolist()


def test_bands_that_agree_have_different_keys():
    # One shingle: were all permutations the same, the keys of its bands would be too.
    keys = np.frombuffer(signed(["a b c d e"], MinHash(n_bands=3000, n_rows=1))[0]["keys"], "<u8")
    assert len(set(keys.tolist())) == 3000


@pytest.mark.parametrize("family", ["affine64", "mersenne61"])
def test_permutations_are_allowed_ones(family):
    factors, summands = permutations(MinHash(n_bands=1000, permutations=family))
    assert factors.dtype == summands.dtype == np.uint64
    assert len(set(factors.tolist())) == len(set(summands.tolist())) == 8000
    if family == "mersenne61":
        assert factors.min() >= 1 and factors.max() < 2**61 - 1 and summands.max() < 2**61 - 1
    else:
        assert (factors % 2 == 1).all()


@pytest.mark.parametrize(("n_bands", "n_rows"), [(14, 8), (20, 13)])
def test_mersenne61_is_what_datasketch_finds(n_bands, n_rows):
    import datasketch

    minhash = MinHash(permutations="mersenne61", n_bands=n_bands, n_rows=n_rows)
    texts = random_texts(20, random.Random(3))
    kinds = {} if datasketch.__version__.startswith("1.") else {"scheme": "legacy"}
    for row, hashes in zip(minima(pa.array(texts), minhash), hashes_of(texts, minhash), strict=True):
        oracle = datasketch.MinHash(
            num_perm=n_bands * n_rows, hashfunc=int, permutations=np.array(permutations(minhash)), **kinds
        )
        oracle.update_batch(hashes)
        assert oracle.hashvalues.tolist() == row.tolist()


def random_texts(n: int, rng: random.Random) -> list[str]:
    vocabulary = [
        "the",
        "of",
        "a",
        "word",
        "naïve",
        "Straße",
        "語",
        "x" * 8,
        "y" * 16,
        "z" * 30,
        "don't",
        "3.5",
        "“ok”",
    ]
    return [" ".join(rng.choices(vocabulary, k=rng.randrange(5, 400))) for _ in range(n)]


@pytest.mark.parametrize("family", ["affine64", "mersenne61"])
@pytest.mark.parametrize("similarity", [0.1, 0.5, 0.7, 0.9])
def test_estimates_have_the_error_that_theory_says(family, similarity):
    minhash = MinHash(shingle_size=1, n_bands=14, n_rows=8, permutations=family, stores_shingles=True)
    n_pairs, n_units = 1000, 300
    n_same = round(2 * n_units * similarity / (1 + similarity))
    expected = n_same / (2 * n_units - n_same)
    rng = random.Random(len(family) + round(100 * similarity))
    columns = ([], [])
    for _ in range(n_pairs):
        words = [str(number) for number in rng.sample(range(10**9), 2 * n_units - n_same)]
        columns[0].append(" ".join(words[:n_units]))
        columns[1].append(" ".join(words[n_units - n_same :]))
    ones, others = (sign(pa.array(column), minhash) for column in columns)
    assert jaccard(ones["shingles"], others["shingles"]).to_pylist() == [expected] * n_pairs
    errors = estimate(ones["signature"], others["signature"]).to_numpy() - expected
    variance = expected * (1 - expected) / minhash.n_permutations
    assert abs(errors.mean()) < 3 * math.sqrt(variance / n_pairs)
    # A variance that is estimated from n pairs has itself a standard error of sqrt(2 / n), here 4.5 %.
    assert 0.86 < errors.var() / variance < 1.14


def test_shingle_hashes_have_no_collisions():
    rng = random.Random(5)
    words = [f"{letter}{number}" for letter in "ab" for number in range(600_000)]
    rng.shuffle(words)
    for size in (1, 5):
        row = signed([" ".join(words)], dataclasses.replace(STORING, shingle_size=size))[0]
        assert len(row["shingles"]) // 8 == row["n_shingles"] == len(words) - size + 1


def test_shingles_of_few_words_have_no_collisions():
    # Every sequence of four of these words: the same words in every order, and again and again.
    words = ["a", "b", "aa", "ab", "ba", "\0", "a\0", "a" * 8, "a" * 8 + "b", "a" * 16]
    texts = [" ".join((one, two, three, four)) for one in words for two in words for three in words for four in words]
    assert len(set().union(*hashes_of(texts, MinHash(shingle_size=4)))) == len(words) ** 4


def test_every_bit_of_a_shingle_hash_depends_on_every_letter():
    text = "the quick brown fox jumps"
    [original] = hashes_of([text], MinHash())[0]
    flips = []
    for at, letter in enumerate(text):
        if letter != " ":
            for bit in range(4):
                changed = text[:at] + chr(ord(letter) ^ 1 << bit) + text[at + 1 :]
                flips.append(original ^ next(iter(hashes_of([changed], MinHash(normalization="none"))[0])))
    shares = np.mean([[flip >> bit & 1 for bit in range(64)] for flip in flips], axis=0)
    # 84 flips: the share of a bit is 0.5 with a standard error of 0.055.
    assert np.abs(shares - 0.5).max() < 0.25
    assert abs(shares.mean() - 0.5) < 0.02


def test_signatures_are_the_same_everywhere():
    # Were one of these another, no document signed before could be compared with one signed from now on.
    row = signed(["To be, or not to be: that is the question \u2014 naïve Straße"], STORING)[0]
    assert row["text_hash"] == -6015127402239516410
    assert row["signature"][:8].hex() == "cdad046dfbaad09e"
    assert row["keys"][:8].hex() == "af50d4b461ef537d"
    assert row["shingles"][:8].hex() == "dc8357e17bdf4d29"


def test_words_decide_not_the_space_between_them():
    texts = ["One  two\tthree\u00a0four\nfive\u3000six seven ", "one two three four five six seven"]
    one, two = signed(texts, STORING)
    assert one | {"n_chars": 0} == two | {"n_chars": 0}
    swapped = signed(["two one three four five six seven"])[0]
    assert swapped["text_hash"] != two["text_hash"]
    assert signed([texts[1]], MinHash(seed=2))[0]["text_hash"] != two["text_hash"]
    assert signed([texts[1]], MinHash(shingle_size=2))[0]["text_hash"] == two["text_hash"]


def test_rows_do_not_depend_on_their_batch():
    texts = [None, *random_texts(40, random.Random(7)), "", None, "short"]
    whole = sign(pa.array(texts), STORING)
    for cut in (1, 3, 17):
        parts = [sign(pa.array(texts[at : at + cut], pa.string()), STORING) for at in range(0, len(texts), cut)]
        assert pa.Table.from_batches(parts).combine_chunks().equals(pa.Table.from_batches([whole]).combine_chunks())
    for type_ in (pa.string(), pa.large_string()):
        assert sign(pa.array(texts, type_)[5:30], STORING).to_pylist() == whole.to_pylist()[5:30]


def test_settings_with_problems():
    with pytest.raises(ValueError, match="shingle_size is 0"):
        sign(pa.array(["a"]), MinHash(shingle_size=0))


def test_long_columns_are_signed_in_parts(monkeypatch):
    texts = [None, *random_texts(60, random.Random(8)), "", None, "x " * 20_000, "last of them all to be signed"]
    whole = sign(pa.array(texts), STORING)
    monkeypatch.setattr(minhash_module, "_PART_BYTES", 4000)
    assert sign(pa.array(texts), STORING).equals(whole)
    assert sign(pa.array(texts, pa.large_string())[10:-2], STORING).equals(whole[10:-2])
    assert sign(pa.nulls(3, pa.string()), STORING).num_rows == 3


def test_a_column_that_is_too_long(monkeypatch):
    texts = pa.array(["a b c d e"] * 10)
    monkeypatch.setattr(binary, "MAX_BYTES", 1000)
    with pytest.raises(ValueError, match="a binary column of 2,240 bytes; expected 1,000 at most"):
        sign(texts, DEFAULT)
    monkeypatch.setattr(minhash_module, "_PART_BYTES", 10)
    with pytest.raises(ValueError, match="expected 1,000 at most"):
        sign(texts, DEFAULT)
