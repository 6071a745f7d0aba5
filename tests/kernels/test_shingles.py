"""Shingles of any text and any settings, against their definition in plain Python; and that they take linear time."""

import dataclasses
import re
import sys
import threading
import time

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dclm_spark.kernels.bytes import hashing
from dclm_spark.kernels.near.minhash import _constants, sign
from dclm_spark.kernels.text.simplify import simplify
from dclm_spark.kernels.text.words import words_uax29
from dclm_spark.kernels.tokens.tokens import tokens_of
from dclm_spark.recipe.near_duplicates import NORMALIZATIONS, WORDS, MinHash

FEW = MinHash(n_bands=2, n_rows=2, stores_shingles=True)
MASK = (1 << 64) - 1


def finished(number: int) -> int:
    for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
        number = (number ^ number >> 33) * factor & MASK
    return number ^ number >> 33


def folded(state: int, number: int) -> int:
    state = (state ^ number) * int(hashing._FOLD) & MASK
    return state ^ state >> 32


def word_hash(word: str, seed: int) -> int:
    state, data = seed, word.encode()
    for start in range(0, len(data) + 1, 8):
        state = folded(state, int.from_bytes(data[start : start + 8], "little"))
    return (state ^ len(data)) * int(hashing._LENGTH) & MASK


def units_of(text: str, minhash: MinHash) -> list[str]:
    [text] = simplify(pa.array([text], pa.string()), minhash.normalization).to_pylist()
    if minhash.shingles == "chars":
        return list(collapsed(text))
    if minhash.words == "split":
        return text.split()
    return words_uax29(text) if minhash.words == "uax29" else tokens_of(text, tokens="spacy_en")


def expected(text: str, minhash: MinHash) -> tuple[int, int | None, bytes | None]:
    """Number of shingles, hash of the text, and the distinct shingles."""
    constants = _constants(minhash)
    seed, factors = int(constants.seed), constants.shingles.tolist()
    units = units_of(text, minhash)
    if minhash.shingles == "chars":
        hashes = [folded(seed, ord(unit)) for unit in units]
    else:
        hashes = [word_hash(unit, seed) for unit in units]
    n_shingles = len(units) - minhash.shingle_size + 1
    if n_shingles < 1:
        return 0, None, None
    shingles = set()
    for start in range(n_shingles):
        of_shingle = hashes[start : start + minhash.shingle_size]
        total = factors[-1] + sum(factor * unit for factor, unit in zip(factors, of_shingle, strict=False))
        shingles.add(finished(total & MASK))
    places = (unit + place * 0x9E3779B97F4A7C15 & MASK for place, unit in enumerate(hashes))
    text_hash = finished((seed + sum(map(finished, places))) & MASK)
    text_hash -= 1 << 64 if text_hash >> 63 else 0
    return n_shingles, text_hash, np.array(sorted(shingles), "<u8").tobytes()


PIECES = st.sampled_from(
    [
        *("a", "bc", "The", "ÉTÉ", "straße", "ΟΔΟΣ", "12345678", "1234567", "abcdefghi", "x" * 15, "y" * 16, "z" * 33),
        *(" ", "  ", "\n", "\t", "\x1c", "\x1f", "\u00a0", "\u0085", "\u1680", "\u2003", "\u2028", "\u3000", "\u202f"),
        *("\0", "\x01", "\x1b", "\x7f", "'", "’", "“", ".", ",", "-", "don't", "3.5", "U.S.", "\u200b", "\ufeff"),
        *("語", "日本", "さん", "é", "e\u0301", "İ", "😀", "👨‍👩‍👧", "कि", "Привет", "한국", "\ufffd", "Â", "á", "ã"),
    ]
)
# Some texts are longer than the hashes that are taken at a time.
ANY_TEXT = st.one_of(
    st.lists(PIECES, max_size=60).map("".join),
    st.lists(PIECES, min_size=1, max_size=10).map(lambda pieces: " ".join(pieces * (2100 // len(pieces)))),
    st.text(st.characters(codec="utf-8"), max_size=60),
)
KINDS = st.builds(
    MinHash,
    shingles=st.sampled_from(["words", "words", "chars"]),
    shingle_size=st.sampled_from([1, 2, 5, 24, 64]),
    words=st.sampled_from(WORDS),
    normalization=st.sampled_from(NORMALIZATIONS),
    n_bands=st.just(1),
    n_rows=st.just(1),
    seed=st.sampled_from([0, 1, (1 << 32) - 1]),
    stores_shingles=st.just(True),
)


@settings(max_examples=150, deadline=None)
@given(texts=st.lists(ANY_TEXT, max_size=3), minhash=KINDS)
def test_any_text_has_the_shingles_of_the_definition(texts, minhash):
    rows = sign(pa.array(texts, pa.string()), minhash).to_pylist()
    assert [row["n_chars"] for row in rows] == [len(text) for text in texts]
    found = [(row["n_shingles"], row["text_hash"], row["shingles"]) for row in rows]
    assert found == [expected(text, minhash) for text in texts]


@pytest.mark.parametrize("frame", ["a{}b", "{}12345678{}", "1234567{}1234567890123{}{}"])
def test_white_space_is_that_of_python(frame):
    chars = [chr(point) for point in range(sys.maxunicode + 1) if not 0xD800 <= point < 0xE000]
    texts = [frame.format(*[char] * 3) for char in chars]
    for shingles, n_units in (("words", lambda text: len(text.split())), ("chars", lambda text: len(collapsed(text)))):
        minhash = MinHash(shingles=shingles, shingle_size=1, normalization="none", n_bands=1, n_rows=1)
        found = sign(pa.array(texts), minhash)["n_shingles"].to_pylist()
        assert [char for char, n, text in zip(chars, found, texts, strict=True) if n != n_units(text)] == []


def collapsed(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("words", WORDS)
def test_words(words):
    text = "Don't stop: it's 3.5 km - really!"
    n_shingles = {
        "split": "Don't|stop:|it's|3.5|km|-|really!",
        "uax29": "Don't|stop|it's|3.5|km|really",
        "spacy_en": "do|n't|stop|:|it|'s|3.5|km|-|really|!",
    }
    minhash = dataclasses.replace(FEW, shingle_size=1, words=words)
    assert sign(pa.array([text]), minhash)["n_shingles"].to_pylist() == [len(n_shingles[words].split("|"))]
    assert sign(pa.array([text]), minhash).to_pylist()[0]["text_hash"] == expected(text, minhash)[1]


def test_chinese_has_shingles_of_characters():
    texts = ["我们在这里工作和生活", "我们在这里工作和學習", "我们\u3000在这里\n工作和生活 "]
    minhash = dataclasses.replace(FEW, shingles="chars", shingle_size=4)
    rows = sign(pa.array(texts), minhash).to_pylist()
    assert [row["n_shingles"] for row in rows] == [7, 7, 9]
    sets = [set(np.frombuffer(row["shingles"], "<u8").tolist()) for row in rows]
    assert len(sets[0] & sets[1]) == 5
    assert sign(pa.array(texts), dataclasses.replace(FEW, shingle_size=2))["n_shingles"].to_pylist() == [0, 0, 2]


LONG_TEXTS = {
    "pages": "It is the same thing, over and over again. " * 230_000,
    "one word": "x" * 10_000_000,
    "one word of no ASCII": "é" * 5_000_000,
    "words of one letter": "a " * 5_000_000,
    "white space": " \u3000" * 2_500_000,
    "control characters": "\x01" * 10_000_000,
    "almost white space": "\u2010" * 3_300_000,
}


@pytest.mark.busy
@pytest.mark.parametrize("kind", LONG_TEXTS)
@pytest.mark.parametrize("minhash", [FEW, dataclasses.replace(FEW, shingles="chars", shingle_size=24)])
def test_long_texts_take_linear_time(kind, minhash):
    text = LONG_TEXTS[kind]
    minhash = dataclasses.replace(minhash, stores_shingles=False)
    sign(pa.array(["warm"]), minhash)
    began = time.process_time()
    row = sign(pa.array([text]), minhash).to_pylist()[0]
    assert time.process_time() - began < 3  # what is quadratic takes hours
    units = text.split() if minhash.shingles == "words" else re.sub(r"\s+", " ", text.strip())
    assert row["n_shingles"] == max(0, len(units) - minhash.shingle_size + 1)


def test_shingles_of_a_long_text_are_stored():
    words = np.random.default_rng(1).integers(0, 100, 300_000)
    text = pa.array([" ".join(map(str, words)), "a " * 1_000_000])
    rows = sign(text, dataclasses.replace(FEW, shingle_size=2)).to_pylist()
    assert len(rows[0]["shingles"]) // 8 == len(set(zip(words[:-1], words[1:], strict=True)))
    assert len(rows[1]["shingles"]) // 8 == 1


def test_it_runs_without_the_gil():
    text = pa.array(["some words of a text " * 100_000])
    minhash = MinHash(n_bands=1000)  # the call takes some tenths of a second
    sign(text[:0], minhash)
    signing = threading.Thread(target=sign, args=(text, minhash))
    n_turns = 0
    signing.start()
    while signing.is_alive():
        time.sleep(0.001)
        n_turns += 1
    assert n_turns > 20  # were the GIL held, a handful
