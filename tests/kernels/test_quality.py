"""Quality signals: against DCLM's rules written with Python's string methods, and what no page should break."""

import math
import random
import time

import pyarrow as pa
import pytest

from dclm_spark import schemas
from dclm_spark.kernels.signals.quality import QUALITY_TYPE, measure_quality

STOP_WORDS = ("the", "be", "to", "of", "and", "that", "have", "with")
# Lower case that is not a matter of one character for one: the sigma that ends a word, the dotted I.
FOREIGN_STOP_WORDS = ("οδος", "οδοσ", "σ", "i\u0307", "i\u0307stanbul", "k", "straße", "и", "a\u0301ς", "ǆ", "THE", "")

WORDS = [
    *("the", "The", "THE", "tHe", "be", "to", "Of", "and,", "that", "have", "with", "thé", "thee", "th", "bé"),
    *("ΟΔΟΣ", "οδος", "οδοσ", "ΟΔΟΣΑ", "Σ", "ΣΣ", "AΣ", "A\u0301Σ", "ΑΣ\u0301", "ΑΣ'", "ΑΣ'Α"),
    *(".Σ", "ⅷΣ", "ªΣ", "Σ.", "ΑΣ\u00ad"),
    *("İ", "İstanbul", "İSTANBUL", "I\u0307", "K", "K", "STRASSE", "straße", "И", "и", "ǅ", "Ǆ", "ß", "ẞ"),
    *("1999", "3.14", "#", "##", "#tag", "-", "•", "●", "*", "***", "–", "½", "一", "👍", "a1", "\u200d", "\u0301"),
    *("...", "....", ".....", "......", "…", "……", "..", "x...", "x…"),
    *(". .", ". . .", ". . . .", ". . . . . .", ". . .. . ."),
]
GAPS = ["", *[" "] * 3, "  ", *["\n"] * 2, " \n ", "\r\n", "\t", *"\u3000\xa0\u2028\x1c\x85\0\u200b"]


def made_up_text(chance: random.Random) -> str:
    return "".join(chance.choice(WORDS) + chance.choice(GAPS) for _ in range(chance.randint(0, 25)))


def quality_by_rule(text: str, stop_words: tuple[str, ...]) -> dict:
    """The signals whose words are not another test's, in plain Python."""
    words = text.split()
    lines = [line for line in (line.strip() for line in text.split("\n")) if line]
    n_symbols = sum(text.count(symbol) for symbol in ("#", "...", ". . .", "…"))
    return {
        "n_words_split": len(words),
        "n_chars": len(text),
        "n_replacement_chars": text.count("\ufffd"),
        "n_lines": len(lines),
        "mean_word_chars": sum(map(len, words)) / len(words) if words else 0.0,
        "symbols_per_word": n_symbols / len(words) if words else math.inf,
        "frac_bullet_lines": sum(line[0] in "●•*-" for line in lines) / len(lines) if lines else 0.0,
        "frac_ellipsis_lines": (
            sum(line.endswith(("...", ". . .", "…")) for line in lines) / len(lines) if lines else 0.0
        ),
        "frac_words_without_letter": (
            sum(not any(map(str.isalpha, word)) for word in words) / len(words) if words else 1.0
        ),
        "n_stop_words": sum(word.lower() in stop_words for word in words),
    }


@pytest.mark.parametrize(
    "stop_words", [STOP_WORDS, FOREIGN_STOP_WORDS, (), STOP_WORDS + tuple(f"w{number}" for number in range(300))]
)
def test_signals_are_what_the_rules_give(stop_words):
    chance = random.Random(14)
    texts = [made_up_text(chance) for _ in range(4000)]
    for text, measured in zip(texts, measure_quality(pa.array(texts), stop_words=stop_words).to_pylist(), strict=True):
        expected = quality_by_rule(text, stop_words)
        assert {name: measured[name] for name in expected} == expected, ascii(text)


def test_words_are_those_of_the_word_kernels():
    from dclm_spark.kernels.text.words import count_words_fasttext

    chance = random.Random(15)
    text = pa.array([made_up_text(chance) for _ in range(500)])
    measured = measure_quality(text, stop_words=STOP_WORDS)
    assert measured.field("n_words").equals(count_words_fasttext(text))


@pytest.mark.parametrize("text_type", [pa.string(), pa.large_string()])
def test_nulls_slices_and_empty_arrays(text_type):
    text = pa.array(["left out", "to be\n- no", None, "", "left out"], type=text_type)
    measured = measure_quality(text[1:4], stop_words=STOP_WORDS)
    measured.validate(full=True)
    assert measured.type == QUALITY_TYPE == schemas.QUALITY
    assert measured[1].as_py() is None
    assert measured[0].as_py() == {
        "n_words": 3,
        "n_words_split": 4,
        "n_chars": 10,
        "n_replacement_chars": 0,
        "n_lines": 2,
        "mean_word_chars": 7 / 4,
        "symbols_per_word": 0.0,
        "frac_bullet_lines": 0.5,
        "frac_ellipsis_lines": 0.0,
        "frac_words_without_letter": 0.25,
        "n_stop_words": 2,
    }
    assert list(measured[2].as_py().values()) == [0, 0, 0, 0, 0, 0.0, math.inf, 0.0, 0.0, 1.0, 0]
    assert len(measure_quality(text[:0], stop_words=STOP_WORDS)) == 0


def test_a_share_of_lines_decides_as_a_count_of_lines_does():
    # DCLM compares a count with bound * lines, a bound here compares count / lines with it.
    for bound in (0.3, 0.9):
        for n_lines in range(1, 3000):
            nearest = round(bound * n_lines)
            for n_found in range(max(0, nearest - 1), min(n_lines, nearest + 1) + 1):
                assert (n_found > bound * n_lines) == (n_found / n_lines > bound)


@pytest.mark.busy
@pytest.mark.parametrize(
    "piece",
    [*"a\n. \u0301Σ🇩", "a ", "a\n", ". ", "a'", "a'\u0301\u0301", "Σ' ", "\r\n", "👩\u200d", 'ש"', "\u3000\n"],
    ids=ascii,
)
def test_time_is_linear_in_length(piece):
    def seconds(n_chars: int) -> float:
        text = pa.array([piece * (n_chars // len(piece))])
        started = time.process_time()
        measure_quality(text, stop_words=STOP_WORDS)
        return time.process_time() - started

    seconds(100)
    # A quadratic step over 3 million characters takes hours; the bound leaves room for a busy machine.
    assert seconds(3_000_000) < 5
