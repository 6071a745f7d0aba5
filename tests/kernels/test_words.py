"""Words by the three definitions: against Python's methods, uniseg and fastText, on text made up in many scripts."""

import random
import time

import pyarrow as pa
import pytest

from dclm_spark.kernels.signals.repetition import measure_repetition
from dclm_spark.kernels.text.unicode import (
    IS_ALNUM,
    IS_LETTER,
    IS_SPACE,
    char_tables,
    utf8_buffers,
)
from dclm_spark.kernels.text.words import count_words_fasttext, count_words_split, count_words_uax29, words_uax29
from dclm_spark.kernels.tokens.tokens import tokens_of
from tests.support.unicode_16 import ASSIGNED, SPACES, is_alnum, is_letter

pytestmark = pytest.mark.once

# Every class of UAX #29 is met, most of them in more than one script.
PIECES = [
    *"abzAZ09_ '\".,:;-#/",
    *"\t\n\r\v\f\0\x1c\x1f\x85\u00a0\u2028\u2029\u3000\u1680",
    *("\r\n", "  ", "can't", "3.14", "1,000", "e\u0301", "n\u0303", "U.S.A.", "snake_case", "l'heure", "a:b"),
    *"éßĲǅΣσςİıſK",
    *"\u0301\u0308\u20dd\u00ad\u200b\u200c\u200d\u200e\u2060\ufeff\ufe0f",
    *("’", "‘", "…", "·", "․", "﹒", "＇", "．", "\u037e", "ʹ", "״", "׳"),
    *("ש", "שלום", "א'", 'צה"ל', "א״ב"),
    *("カタカナ", "ｶﾞ", "ー", "ひらがな", "漢字", "々", "〱"),
    *("한국어", "\u1100\u1161\u11a8", "ก", "ที่", "ไทย", "ລາວ", "ខ្មែរ", "हिन्दी", "क्\u200dष", "தமிழ்"),
    *("٣", "٫", "٬", "۴", "१", "²", "½", "Ⅷ", "①", "𝟘"),
    *("العربية", "ـ", "Ω", "Привет", "ა", "Ა", "ꙮ"),
    *("😀", "👍🏽", "👩\u200d👩\u200d👧", "❤\ufe0f", "ℹ", "Ⓜ", "©", "🇩🇪", "🇩", "🇪🇺🇺", "🏴\U000e0067\U000e007f"),
    *("\u200d", "\u200dℹ", "\u200d😀", "\U0001d400", "\U00020000", "\ue000", "\ufffd"),
]


def made_up_texts(n_texts: int, *, seed: int) -> list[str]:
    chance = random.Random(seed)
    texts = ["".join(chance.choices(PIECES, k=chance.randint(0, 30))) for _ in range(n_texts)]
    # Any code point, among neighbours that the rules look at.
    anything = ASSIGNED + PIECES * 2000
    return texts + ["".join(chance.choices(anything, k=chance.randint(1, 30))) for _ in range(n_texts)]


TEXTS = made_up_texts(3000, seed=29)


def test_flags_are_what_the_string_methods_say():
    tables = char_tables()
    for char in ASSIGNED:
        flags = int(tables.flags[tables.blocks[ord(char) >> 8], ord(char) & 0xFF])
        assert bool(flags & IS_LETTER) == is_letter(char), ascii(char)
        assert bool(flags & IS_ALNUM) == is_alnum(char), ascii(char)
        assert bool(flags & IS_SPACE) == (char in SPACES), ascii(char)


def test_split_words_are_those_of_str_split():
    assert count_words_split(pa.array(TEXTS)).to_pylist() == [len(text.split()) for text in TEXTS]


@pytest.mark.busy
def test_uax29_words_are_those_of_uniseg():
    uniseg = pytest.importorskip("uniseg.wordbreak", reason="uniseg, the reference of the word breaker, is missing")
    for text in TEXTS:
        assert words_uax29(text) == [word for word in uniseg.words(text) if is_alnum(word[0])], ascii(text)
    counts = count_words_uax29(pa.array(TEXTS)).to_pylist()
    assert counts == [len(words_uax29(text)) for text in TEXTS]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The (“brown”) fox can’t jump 32.3 feet, no?", ["The", "brown", "fox", "can’t", "jump", "32.3", "feet", "no"]),
        ("a\u200d\u200d'\u0301b", ["a\u200d\u200d'\u0301b"]),
        ("a''b a'1 1'a 1.2.3, 4,a", ["a", "b", "a", "1", "1", "a", "1.2.3", "4", "a"]),
        ("\r\n\u0301a", ["a"]),
        ("_a_ __ 1_a", ["1_a"]),  # a segment that starts with an underscore is no word
        ("🇩🇪🇫🇷🇬", []),
        ("\u2139\ufe0f a\u200d\u2139", ["\u2139\ufe0f", "a\u200d\u2139"]),
    ],
)
def test_uax29_words_by_hand(text, words):
    assert words_uax29(text) == words


def test_a_flag_has_no_half_beyond_a_joined_pictograph():
    assert tokens_of("🇩\u200d😀🇪🇫", tokens="uax29") == ["🇩\u200d😀", "🇪🇫"]


def test_fasttext_words_are_those_of_fasttext():
    tokenize = pytest.importorskip("fasttext", reason="fastText is missing").FastText.tokenize
    expected = [sum(is_alnum(token[0]) for token in tokenize(text)) for text in TEXTS]
    assert count_words_fasttext(pa.array(TEXTS)).to_pylist() == expected


@pytest.mark.parametrize("count", [count_words_uax29, count_words_split, count_words_fasttext])
@pytest.mark.parametrize("text_type", [pa.string(), pa.large_string()])
def test_nulls_slices_and_empty_arrays(count, text_type):
    text = pa.array(["left out", "é è", None, "", "one two three", "left out"], type=text_type)
    assert count(text[1:5]).to_pylist() == [2, None, 0, 3]
    assert count(text[1:5]).type == pa.int32()
    assert count(text[2:2]).to_pylist() == []
    assert count(pa.nulls(2, text_type)).to_pylist() == [None, None]
    assert count(pa.array([], type=text_type)).to_pylist() == []


def test_bytes_that_are_no_utf8_are_read_without_reaching_beyond_the_text():
    broken = [b"\xf0", b"a \xe2\x80", b"\x80\x80 b", b"\xff\xfe c", b"\xf7\xbf\xbf\xbf", b"\xed\xa0\x80"]
    text = pa.array(broken, type=pa.binary()).view(pa.string())
    assert count_words_split(text).to_pylist() == [1, 2, 2, 2, 1, 1]
    assert count_words_uax29(text).null_count == 0


def test_other_types_are_refused():
    with pytest.raises(TypeError, match="expected string or large_string"):
        utf8_buffers(pa.array([b"bytes"]))


def test_the_version_of_the_word_breaker_is_a_choice():
    # The number sign of Arabic was a format character before it became numeric; U+A7CB was nothing before 16.0.
    text = "\u06001 a\ua7cbb"
    newer, older = (tokens_of(text, tokens="uax29", word_breaker=version) for version in ("16.0", "15.0"))
    assert (newer, older) == (["\u06001", "a\ua7cbb"], ["\u0600", "1", "a", "\ua7cb", "b"])
    counts = [
        measure_repetition(pa.array([text]), word_breaker=version)[0]["n_words"].as_py() for version in ("16.0", "15.0")
    ]
    assert counts == [1, 4]
    with pytest.raises(ValueError, match=r"no word breaker '6\.2'; known are: 16\.0, 15\.1, 15\.0"):
        measure_repetition(pa.array([text]), word_breaker="6.2")


@pytest.mark.busy
@pytest.mark.parametrize("count", [count_words_fasttext, count_words_split, count_words_uax29])
@pytest.mark.parametrize("unit", [*"a\n\u0301\u200d🇩", "a ", "a\n", "a'", "a'\u0301", 'ש"', "\r\n", "1,"], ids=ascii)
def test_time_is_linear(unit, count):
    count(pa.array(["a"]))  # the first compiles
    text = pa.array([unit * (3_000_000 // len(unit))])
    began = time.process_time()
    count(text)
    # A quadratic step over 3 million characters takes hours; the bound leaves room for a busy machine.
    assert time.process_time() - began < 5
