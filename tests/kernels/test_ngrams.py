"""n-grams of tokens: against segments found the slow way, character by character, and by what equal hashes mean."""

import itertools
import random
import time

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dclm_spark.kernels.ngrams.ngrams import ngrams
from dclm_spark.kernels.text.unicode import WORD_BREAK, WORD_BREAKERS, char_tables, code_point_at
from dclm_spark.kernels.text.words import next_word_end
from dclm_spark.recipe.deduplication import Bloom

# Unicode's White_Space, which is not str.isspace: the separators of information are none.
WHITE_SPACE = frozenset(map(ord, "\t\n\v\f\r \x85\u00a0\u1680\u2028\u2029\u202f\u205f\u3000")) | set(
    range(0x2000, 0x200B)
)
# Every class of Word_Break, ASCII and not, and what stands in two of them.
REPRESENTATIVES = [
    *("a", "Z", "7", "_", "'", '"', ".", ":", ",", ";", "-", " ", "\t", "\n", "\r", "\f", "\0", "\x1c"),
    *("\x85", "\u00a0", "\u00b8", "é", "ж", "א", "״", "·", "٣", "٫", "ア", "漢", "\u202f", "\u2003", "\u3000"),
    *("\u0301", "\u00ad", "\u200d", "😀", "ℹ", "🇩", "\U0001d400", "\ufeff"),
]
PIECES = [
    *REPRESENTATIVES,
    *("  ", "\r\n", "\n\n", "can't", "3.14", "l\u2019heure", "U.S.", "1,000", "snake_case", "café", "naïve", "Привет"),
    *("internationalisation", "12345678", "123456789", "a" * 16, "é" * 9, "👩\u200d👩\u200d👧", "🇩🇪🇫🇷", "👍🏽"),
    *('צה"ל', "א'", "a'\u0301", "7,\u0301", " \u0301", "漢字かな", "カタカナ", "ที่", "क्\u200dष", "한국어"),
]
ANY_TEXT = st.one_of(
    st.lists(st.sampled_from(PIECES), max_size=40).map("".join),
    st.text(st.characters(codec="utf-8"), max_size=40),
    st.text(st.characters(codec="ascii"), max_size=60),
)


def tokens_of(unit: bytes, word_breaker: str = "16.0") -> tuple[bytes, ...]:
    """The tokens of a unit, as the word loops of other kernels find them."""
    tables = char_tables(word_breaker)
    data = np.frombuffer(unit, dtype=np.uint8)
    points, starts, at = [], [], 0
    while at < len(data):
        starts.append(at)
        point, at = code_point_at(data, at, len(data))
        points.append(int(point))
    starts.append(at)
    flags = [int(tables.flags[tables.blocks[point >> 8], point & 0xFF]) for point in points]
    tokens, at = [], 0
    while at < len(points):
        end = next_word_end(flags, at, len(points))
        if not WHITE_SPACE.issuperset(points[at:end]):
            tokens.append(unit[starts[at] : starts[end]])
        at = end
    return tuple(tokens)


class Bijection:
    """Between sequences of tokens and hashes, over all that it is given."""

    def __init__(self):
        self._hashes, self._keys = {}, {}

    def add(self, key: tuple[bytes, ...], hash_: int) -> None:
        assert self._hashes.setdefault(key, hash_) == hash_, key
        assert self._keys.setdefault(hash_, key) == key, (key, self._keys[hash_])


def check(
    texts: list[bytes],
    bloom: Bloom,
    *,
    by_paragraph: bool,
    array: pa.Array | None = None,
    found: Bijection | None = None,
) -> None:
    """That units, their paragraphs and their n-grams are those of the slow way."""
    found = found or Bijection()
    if array is None:
        array = pa.array(texts, pa.binary()).view(pa.string())
    units = ngrams(array, bloom, by_paragraph=by_paragraph)
    n_units, has_short, paragraphs, grams_of_units = [], [], [], []
    for text in texts:
        tokens = [
            tokens_of(unit, bloom.word_breaker)
            for unit in ((text or b"").split(b"\n") if by_paragraph else [text or b""])
        ]
        n_units.append(0)
        has_short.append(any(0 < len(unit) < bloom.min_ngram for unit in tokens))
        for paragraph, unit in enumerate(tokens):
            if len(unit) < bloom.min_ngram:
                continue
            n_units[-1] += 1
            paragraphs.append(paragraph)
            size = min(len(unit), bloom.max_ngram)
            grams_of_units.append([unit[at : at + size] for at in range(len(unit) - size + 1)])
    assert units.n_units.tolist() == n_units, texts
    assert units.has_short.tolist() == has_short, texts
    assert units.paragraphs.tolist() == paragraphs, texts
    assert units.n_ngrams.tolist() == [len(grams) for grams in grams_of_units], texts
    assert len(units.hashes) == units.n_ngrams.sum()
    for gram, hash_ in zip(itertools.chain(*grams_of_units), units.hashes.tolist(), strict=True):
        found.add(gram, hash_)


ONES = Bloom(min_ngram=1, max_ngram=1)


@pytest.mark.parametrize("word_breaker", WORD_BREAKERS)
def test_every_pair_and_triple_of_classes(word_breaker):
    tables = char_tables(word_breaker)
    classes = {
        int(tables.flags[tables.blocks[ord(char) >> 8], ord(char) & 0xFF]) & WORD_BREAK for char in REPRESENTATIVES
    }
    assert classes == set(range(19))
    texts = ["".join(chars).encode() for n in (1, 2, 3) for chars in itertools.product(REPRESENTATIVES, repeat=n)]
    bloom = Bloom(min_ngram=1, max_ngram=1, word_breaker=word_breaker)
    check(texts, bloom, by_paragraph=False)


def test_segments_are_those_of_uniseg():
    uniseg = pytest.importorskip("uniseg.wordbreak", reason="uniseg, the reference of the word breaker, is missing")
    chance = random.Random(7)
    texts = ["".join(chance.choices(PIECES, k=chance.randint(1, 20))) for _ in range(3000)]
    for text in [*texts, "🇩\u200d😀🇪", "🇩\u200d😀🇪🇫🇷", "🇩\u200d🇪\u200d😀"]:
        words = [word.encode() for word in uniseg.words(text) if not WHITE_SPACE.issuperset(map(ord, word))]
        assert list(tokens_of(text.encode())) == words, ascii(text)
    check(["🇩\u200d😀🇪".encode(), "🇩\u200d😀🇪🇫🇷".encode()], ONES, by_paragraph=True)


def test_longer_sequences_of_classes():
    chance = random.Random(5)
    found = Bijection()
    texts = ["".join(chance.choices(REPRESENTATIVES, k=chance.randint(4, 14))).encode() for _ in range(8000)]
    check(texts, ONES, by_paragraph=False, found=found)
    texts = ["".join(chance.choices(PIECES, k=chance.randint(4, 40))).encode() for _ in range(2000)]
    check(texts, ONES, by_paragraph=True, found=found)


FOUND = Bijection()  # over all examples


@settings(max_examples=300, deadline=None)
@given(st.lists(ANY_TEXT, max_size=4), st.integers(1, 4), st.integers(0, 4), st.booleans())
def test_any_text(texts, min_ngram, more, by_paragraph):
    bloom = Bloom(min_ngram=min_ngram, max_ngram=4 if min_ngram + more > 4 else min_ngram + more)
    # The hash of tokens depends on how many an n-gram may have, which decides what else is one.
    found = FOUND if bloom.max_ngram == 4 else Bijection()
    check([text.encode() for text in texts], bloom, by_paragraph=by_paragraph, found=found)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.lists(st.one_of(st.binary(max_size=4), st.sampled_from(PIECES).map(str.encode))).map(b"".join), max_size=3
    )
)
def test_bytes_that_are_no_text(texts):
    for by_paragraph in (False, True):
        check(texts, ONES, by_paragraph=by_paragraph)


def test_a_letter_that_lacks_its_second_byte_takes_the_next():
    for text in (
        b"\xc3  \xcc\x81",
        b"a\xc3",
        b"\xe3\x81",
        b"a\xc3 b",
        b"\xc2\0",
        b"\xcc",
        b"a.\xcc\x81\xff",
        b" \xcc",
        b"\xf0\x9f\x98",
    ):
        check([text], ONES, by_paragraph=True)


@pytest.mark.parametrize("by_paragraph", [False, True])
@pytest.mark.parametrize(("min_ngram", "max_ngram"), [(1, 1), (1, 3), (3, 3), (2, 13)])
def test_rules(by_paragraph, min_ngram, max_ngram):
    texts = [
        b"",
        b"\n\n",
        b"one",
        b"one two\nthree, four five six.\n\n ",
        b"\none two three\r\nfour",
        b"a b c d e f" * 9,
    ]
    check(texts, Bloom(min_ngram=min_ngram, max_ngram=max_ngram), by_paragraph=by_paragraph)


def test_arrays_of_any_form():
    texts = ["é one two", None, "", "three.\nfour 'five'", "last\u0301", "end of a buffer"]
    raw = [text and text.encode() for text in texts]
    for type_ in (pa.string(), pa.large_string()):
        array = pa.array(texts, type_)
        check(raw, ONES, by_paragraph=True, array=array)
        for first in range(6):
            for last in range(first, 7):
                check(raw[first:last], ONES, by_paragraph=True, array=array[first:last])
    check([], ONES, by_paragraph=True)


def test_a_unit_ends_where_it_ends():
    # What follows in the buffer would go on with the unit, or decide how it ends.
    for char in REPRESENTATIVES:
        for start in ("a", "a.", "7,", " ", "-", "é", "é'", "\u200d", "abcdefgh"):
            array = pa.array([start, char, "a"])
            check([start.encode(), char.encode(), b"a"], ONES, by_paragraph=False, array=array)


PINNED = ["0x708f8ed9cb8562a1", "0x37813aa55c933fc9"]
PINNED_LONG = ["0x4bc849bb737a963b"]


def hashes_of(text: str, **rules) -> list[int]:
    return ngrams(
        pa.array([text]), Bloom(**{"min_ngram": 1, "max_ngram": 3} | rules), by_paragraph=True
    ).hashes.tolist()


def test_hashes_are_the_same_everywhere_and_another_seed_makes_others():
    assert [hex(hash_) for hash_ in hashes_of("to be or not")] == PINNED
    assert [hex(hash_) for hash_ in hashes_of("internationalisation café")] == PINNED_LONG
    assert not set(hashes_of("to be or not")) & set(hashes_of("to be or not", seed=2))


def test_each_bit_of_a_hash_depends_on_each_token():
    chance = random.Random(3)
    flips = np.zeros((3, 64))
    n = 2000
    for _ in range(n):
        words = ["".join(chance.choices("abcdefgh", k=chance.choice((1, 3, 7, 8, 9, 17)))) for _ in range(3)]
        (before,) = hashes_of(" ".join(words))
        for place in range(3):
            others = words.copy()
            others[place] = ("b" if words[place][-1] == "a" else "a").join((words[place][:-1], ""))
            (after,) = hashes_of(" ".join(others))
            flips[place] += [(before ^ after) >> bit & 1 for bit in range(64)]
    # Six standard deviations of a fair coin.
    assert np.abs(flips / n - 0.5).max() < 6 * 0.5 / n**0.5


def test_hashes_of_like_ngrams_are_spread():
    text = " ".join(f"{number:x}" for number in range(100_000))
    hashes = ngrams(pa.array([text]), Bloom(), by_paragraph=True).hashes
    assert len(set(hashes.tolist())) == len(hashes)
    for shift in (0, 20, 40, 54):  # a tenth part of the bits: chi squared of 1023 degrees of freedom
        counts = np.bincount((hashes >> np.uint64(shift)).astype(np.int64) & 1023, minlength=1024)
        mean = len(hashes) / 1024
        assert ((counts - mean) ** 2 / mean).sum() < 1023 + 6 * (2 * 1023) ** 0.5, shift


EXTREMES = {
    "letters": "a " * 1_000_000,
    "a word": "a" * 5_000_000,
    "a paragraph": "The quick, brown fox can't jump 32.3 feet; no? " * 110_000,
    "marks": "a" + "\u0301" * 1_000_000,
    "marks after a full stop": "a." + "\u0301" * 1_000_000,
    "joined": "a." * 1_000_000 + "é",
    "spaces": " " * 2_000_000 + "\u0301",
    "spaces and marks": "  \u0301" * 500_000,
    "pending": "a.\u0301" * 500_000,
    "joiners": "\u200d" * 1_000_000,
    "flags": "🇩" * 500_000,
    "turns": "aé" * 1_000_000,
    "newlines": "\n" * 2_000_000,
    "quotes": 'א"' * 500_000,
}


@pytest.mark.busy
@pytest.mark.parametrize("name", EXTREMES)
def test_time_is_linear_whatever_the_text(name):
    hashes_of("a")
    started = time.perf_counter()
    hashes_of(EXTREMES[name])
    assert time.perf_counter() - started < 3
