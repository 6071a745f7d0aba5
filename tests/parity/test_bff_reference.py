"""The oracle of BFF's rules against what BFF left of the same texts."""

import random

import pytest

from tests.support.bff import deduplicate, segment_bounds, tokens_of

LINE = "one two three four five six"
FRESH = "fresh words here are all new"
A = f"{LINE}\nalpha beta gamma delta eps zeta"
B = f"{FRESH}\n{LINE}"
SHORT = f"a b\n{LINE}"
TWICE = f"{LINE}\n{LINE}"
FOUR = {"min_ngram": 4, "max_ngram": 4, "threshold": 0.8}


@pytest.mark.parametrize(
    ("mode", "left"),
    [
        ("paragraph", [A, FRESH, "a b", "", ""]),
        ("document", [A, B, SHORT, TWICE, ""]),
        ("old_both", [A, FRESH, "", "", ""]),
        ("naive_both", ["", "", "a b", "", ""]),
        ("both", [A, B, SHORT, f"\n{LINE}", ""]),
        ("exact", [A, B, SHORT, TWICE, ""]),
    ],
)
def test_each_mode_leaves_what_bff_leaves(mode, left):
    assert deduplicate([A, B, SHORT, TWICE, A], mode=mode, **FOUR) == left


@pytest.mark.parametrize(
    ("sizes", "left"),
    [
        ((4, 4), ["a b", "a b", "a b c d", "a b c"]),  # fewer than four tokens are no n-gram: kept, and not inserted
        ((2, 4), ["a b", "", "a b c d", "a b c"]),  # the short ones are n-grams as they are
        ((0, 2), ["a b", "", "a b c d", ""]),  # two of two; one of three; two of two
        ((6, 4), ["a b", "a b", "a b c d", "a b c"]),
    ],
)
def test_short_units(sizes, left):
    min_ngram, max_ngram = sizes
    texts = ["a b", "a b", "a b c d", "a b c"]
    found = deduplicate(texts, mode="paragraph", min_ngram=min_ngram, max_ngram=max_ngram, threshold=0.8)
    assert found == left


def test_of_no_tokens_is_an_ngram_too_if_none_are_asked_for():
    left = deduplicate(["a b\n\n\nc d"], mode="paragraph", min_ngram=0, max_ngram=2, threshold=0.8)
    assert left == ["a b\n\nc d"]


def test_a_share_at_the_threshold_is_kept_but_by_both():
    # Four of five n-grams were seen.
    texts = ["a b c d e", "a b c d e f"]
    sizes = {"min_ngram": 2, "max_ngram": 2, "threshold": 0.8}
    assert deduplicate(texts, mode="document", **sizes) == texts
    assert deduplicate(texts, mode="both", **sizes) == [texts[0], ""]


def test_an_ngram_counts_as_often_as_it_occurs():
    # Once seen, "a a" is three of the four n-grams of the second text; it is not looked up as seen within the first.
    texts = ["a a a a", "a a a a b"]
    sizes = {"min_ngram": 2, "max_ngram": 2, "threshold": 0.7}
    assert deduplicate(texts, mode="document", **sizes) == [texts[0], ""]


def test_a_document_emptied_after_its_paragraphs_stays_in_the_set():
    # `old_both` keeps FRESH, then empties the whole text for its share of seen n-grams; FRESH counts as seen since.
    long = " ".join(f"w{number}" for number in range(40))
    texts = [long, f"{FRESH}\n{long}", FRESH]
    assert deduplicate(texts, mode="old_both", **FOUR) == [long, "", ""]


def test_inserting_always_lets_a_removed_unit_count():
    texts = ["a b c d e f g", "a b c d e f g h", "e f g h"]
    sizes = {"min_ngram": 4, "max_ngram": 4, "threshold": 0.7}
    assert deduplicate(texts, mode="document", **sizes) == [texts[0], "", texts[2]]
    assert deduplicate(texts, mode="document", inserts="always", **sizes) == [texts[0], "", ""]


def test_white_space_goes_only_at_the_end_and_only_with_both():
    text = f"\n {LINE} \n\u2028"
    assert deduplicate([text], mode="paragraph", **FOUR) == [text]
    assert deduplicate([text], mode="both", **FOUR) == [f"\n {LINE}"]
    assert deduplicate(["a b \n"], mode="both", **FOUR) == ["a b \n"]  # no n-grams, no change
    assert deduplicate([" \n\u3000", "\x1c"], mode="both", **FOUR) == ["", "\x1c"]


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("It's 3.5, A-B", ["It's", "3.5", ",", "A", "-", "B"]),
        ("a \u00a0\u2003\u0085b", ["a", "b"]),
        ("a\x1cb\x1f", ["a", "\x1c", "b", "\x1f"]),  # str.isspace takes these for white space
        (" \u0301 a", [" \u0301", "a"]),  # nor is white space stripped
        ("\u06001", ["\u06001"]),  # numeric since Unicode 15.1
        ("a\ua7cbb", ["a", "\ua7cb", "b"]),  # a letter since 16.0
        ("日本 アイ", ["日", "本", "アイ"]),
    ],
)
def test_tokens(text, tokens):
    assert tokens_of(text) == tokens


@pytest.mark.parametrize(
    ("text", "bounds"),
    [
        ("\r\n\n\r", [0, 2, 3, 4]),
        ("a.b c.\u0301 1,2 1,", [0, 3, 4, 5, 7, 8, 11, 12, 13, 14]),
        ('\u05d0\'\u0301 \u05d0"\u05d0 \u05d0"', [0, 3, 4, 7, 8, 9, 10]),
        ("  \u0301 ", [0, 3, 4]),
        ("\U0001f1e6\U0001f1e7\U0001f1e8", [0, 2, 3]),
        ("\U0001f1e6\u200d\U0001f600\U0001f1e7\U0001f1e8", [0, 3, 5]),
        # Otherwise than UAX #29: 0, 1, 4 and 0, 3.
        ("a.\u200d\U0001f600", [0, 4]),
        ("\u200d\u24c2b", [0, 2, 3]),
    ],
)
def test_segments_are_those_of_the_crate(text, bounds):
    assert segment_bounds(text) == bounds


def test_every_text_is_its_segments():
    chance = random.Random(1)
    for _ in range(300):
        text = "".join(chance.choices("ab1_.,:'\"\u05d0\u30a2 \r\n\u0301\u200d\U0001f600\u24c2\U0001f1e6", k=12))
        bounds = segment_bounds(text)
        assert bounds == sorted(set(bounds)) and bounds[-1] == len(text)
