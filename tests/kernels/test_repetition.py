"""Repetition signals: against Gopher's rules in plain Python, and what no page should break."""

import random
import re
import time
from collections import Counter

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dclm_spark import schemas
from dclm_spark.kernels.signals.repetition import REPETITION_TYPE, measure_repetition
from dclm_spark.kernels.text.words import words_uax29


def repetition_by_rule(text: str) -> dict:
    """The signals in plain Python; every copy of what occurs more than once counts."""
    words = words_uax29(text)
    found = {"n_words": len(words)}
    for unit, end in (("lines", "\n"), ("paragraphs", "\n\n")):
        segments = [stripped for segment in re.split(end, text) if (stripped := segment.strip())]
        counts = Counter(segments)
        again = [segment for segment in segments if counts[segment] > 1]
        n_chars = sum(map(len, segments))
        found[f"frac_duplicate_{unit}"] = len(again) / len(segments) if segments else 1.0
        found[f"frac_duplicate_{unit[:-1]}_chars"] = sum(map(len, again)) / n_chars if segments else 1.0
    n_chars = sum(map(len, words))
    for size in range(2, 11):
        ngrams = [tuple(words[at : at + size]) for at in range(len(words) - size + 1)]
        counts = Counter(ngrams)
        top = max(counts.values(), default=0)
        name, share = f"frac_duplicate_{size}gram_chars", 0.0
        if size <= 4:
            name = f"frac_top_{size}gram_chars"
            if top > 1:
                share = top * max(sum(map(len, ngram)) for ngram in counts if counts[ngram] == top) / n_chars
        elif top > 1:
            covered = {at + i for at, ngram in enumerate(ngrams) if counts[ngram] > 1 for i in range(size)}
            share = sum(len(words[at]) for at in covered) / n_chars
        found[name] = share
    return found


def made_up_text(chance: random.Random) -> str:
    """A text of few words, so that every length of n-gram occurs again."""
    words = ["a", "b", "to", "be", "², a", "日本", "can't", "3.5", "é", "e\u0301", "👍", "_", "a²", ""]
    words = words[: chance.randint(1, len(words))]
    gaps = [*[" "] * 6, "\n", "\n\n", "\n\n\n", " \n ", "\u2028", "\xa0", ", "]
    return "".join(chance.choice(words) + chance.choice(gaps) for _ in range(chance.randint(0, 60)))


def assert_by_rule(texts: list[str]) -> None:
    for text, row in zip(texts, measure_repetition(pa.array(texts, pa.string())).to_pylist(), strict=True):
        assert row == repetition_by_rule(text), repr(text)


def test_signals_are_what_the_rules_give():
    chance = random.Random(7)
    assert_by_rule([made_up_text(chance) for _ in range(3000)])


@given(st.lists(st.text(st.sampled_from("ab² \n.日\u0301é1_'\u2029👍"), max_size=80), max_size=4))
def test_any_text(texts):
    assert_by_rule(texts)


def test_a_phrase_again_and_again():
    assert_by_rule(["one two three " * 30, "a²" * 50, "日" * 50, "x\n" * 9 + "y", "x\n\n" * 3 + "x", "\n" * 50, " \t "])


def test_a_slice_nulls_and_the_type():
    texts = [None, "x\nx\ny", None, "", "a b a b"]
    whole = measure_repetition(pa.array(texts))
    assert whole.type == REPETITION_TYPE == schemas.REPETITION
    assert measure_repetition(pa.array(texts)[1:]).to_pylist() == whole.to_pylist()[1:]
    assert measure_repetition(pa.array(texts, pa.large_string())).to_pylist() == whole.to_pylist()
    assert [row is None for row in whole.to_pylist()] == [True, False, True, False, False]
    assert len(measure_repetition(pa.array([], pa.string()))) == 0


@pytest.mark.busy
@pytest.mark.parametrize("unit", ["a", "a ", "a\n", "\n", "ab cd ef gh ", "日", "a²", "word number one.\n\n"])
def test_time_is_linear(unit):
    for n_chars in (100, 3_000_000):  # the first compiles
        text = pa.array([unit * (n_chars // len(unit))])
        began = time.process_time()
        measure_repetition(text)
        seconds = time.process_time() - began
    # A quadratic step over 3 million characters takes hours; the bound leaves room for a busy machine.
    assert seconds < 5
