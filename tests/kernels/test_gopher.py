"""Gopher's signals as datatrove reads them: small cases, what `fixed` mends, and what no page should break.

That `faithful` is datatrove's, number for number, is for tests/parity/test_datatrove_parity.py to say.
"""

import random
import re
import time
from collections import Counter

import pyarrow as pa
import pytest

from benchmarks.corpora.hard_texts import made_up_text
from dclm_spark import schemas
from dclm_spark.kernels.signals.gopher import GOPHER_TYPE, measure_gopher
from dclm_spark.kernels.signals.marks import mark_table
from dclm_spark.kernels.tokens.tokens import count_tokens, tokens_of

STOP_WORDS = ("the", "be", "to", "of", "and", "that", "have", "with")
TOP, DUPLICATE = (2, 3, 4), (5, 6, 7, 8, 9, 10)


def measure(text: str, reading: str, tokens: str = "uax29", stop_words: tuple[str, ...] = STOP_WORDS) -> dict:
    return measure_gopher(pa.array([text]), tokens=tokens, stop_words=stop_words, reading=reading)[0].as_py()


def is_word(token: str) -> bool:
    table = mark_table()
    return any(ord(char) >= len(table) or not table[ord(char)] for char in token)


def share(part: float, whole: int) -> float | None:
    return part / whole if whole else None


def extra_copies(items: list) -> list:
    """The second and later copies."""
    return [item for index, item in enumerate(items) if item in items[:index]]


def fixed_by_rule(text: str) -> dict:
    """The signals of `reading="fixed"` in plain Python."""
    tokens = tokens_of(text, tokens="uax29")
    words = list(filter(is_word, tokens))
    lines = [stripped for line in text.splitlines() if (stripped := line.strip())]
    found = {
        "n_tokens": len(tokens),
        "n_words": len(words),
        "mean_word_chars": share(sum(map(len, words)), len(words)),
        "hashes_per_token": share(text.count("#"), len(tokens)),
        "ellipses_per_token": share(text.count("...") + text.count("…"), len(tokens)),
        "frac_bullet_lines": share(sum(line[0] in "•-" for line in lines), len(lines)),
        "frac_ellipsis_lines": share(sum(line.endswith(("...", "…")) for line in lines), len(lines)),
        "frac_tokens_with_letter": share(sum(any(map(str.isalpha, token)) for token in tokens), len(tokens)),
        "n_stop_words": len({token.lower() for token in tokens} & set(STOP_WORDS)),
    }
    for unit, ends in (("line", "\n"), ("paragraph", "\n{2,}")):
        segments = [stripped for segment in re.split(ends, text) if (stripped := segment.strip())]
        extra = extra_copies(segments)
        found[f"frac_duplicate_{unit}s"] = share(len(extra), len(segments))
        found[f"frac_duplicate_{unit}_chars"] = share(sum(map(len, extra)), len(text))
    for size in TOP:
        counts = Counter(" ".join(tokens[at : at + size]) for at in range(len(tokens) - size + 1))
        n_times = max(counts.values(), default=0)
        longest = max((len(ngram) for ngram in counts if counts[ngram] == n_times), default=0)
        found[f"frac_top_{size}gram_chars"] = share(n_times * longest if n_times > 1 else 0, len(text))
    for size in DUPLICATE:
        seen, n_chars, at = set(), 0, 0
        while at + size <= len(tokens):
            ngram = tuple(tokens[at : at + size])
            if ngram in seen:
                n_chars += sum(map(len, ngram))
                at += size
            else:
                seen.add(ngram)
                at += 1
        found[f"frac_duplicate_{size}gram_chars"] = share(n_chars, len(text))
    return found


@pytest.mark.busy
def test_fixed_is_what_the_rules_give():
    chance = random.Random(23)
    texts = [made_up_text(chance) for _ in range(1500)]
    rows = measure_gopher(pa.array(texts), tokens="uax29", stop_words=STOP_WORDS, reading="fixed").to_pylist()
    for text, row in zip(texts, rows, strict=True):
        assert row == fixed_by_rule(text), ascii(text)


def test_tokens_are_counted_as_elsewhere():
    chance = random.Random(24)
    text = pa.array([made_up_text(chance) for _ in range(300)])
    for tokens in ("uax29", "spacy_en"):
        measured = measure_gopher(text, tokens=tokens, stop_words=STOP_WORDS, reading="faithful")
        assert measured.field("n_tokens").equals(count_tokens(text, tokens=tokens))


def test_uax29_tokens_are_all_segments_that_are_not_blank():
    assert tokens_of("It can't: \r\n\t日本 \u200d👍\u3000e\u0301!", tokens="uax29") == [
        *("It", "can't", ":", "日", "本", "\u200d👍", "e\u0301", "!")
    ]
    assert tokens_of("", tokens="uax29") == tokens_of(" \n\x85\u2028", tokens="uax29") == []


@pytest.mark.parametrize("reading", ["faithful", "fixed"])
def test_a_text_by_hand(reading):
    row = measure("- The end of it ...\n• # and the end of it…\n\n", reading)
    n_tokens = 16  # each dot of the three is one
    assert row["n_tokens"] == n_tokens
    assert row["n_words"] == 10  # not the hyphen, dots and hash; but the bullet, which datatrove does not know
    assert row["mean_word_chars"] == 24 / 10
    assert row["hashes_per_token"] == 1 / n_tokens
    assert row["ellipses_per_token"] == 2 / n_tokens
    assert row["frac_tokens_with_letter"] == 9 / n_tokens
    assert row["frac_duplicate_lines"] == row["frac_duplicate_5gram_chars"] == 0


def test_stop_words_are_found_in_any_case_if_fixed():
    text = "The end OF THE world, and And."
    assert measure(text, "faithful")["n_stop_words"] == 1  # "and"
    assert measure(text, "fixed")["n_stop_words"] == 3
    assert measure("ΟΔΟΣ", "fixed", stop_words=("Οδος",))["n_stop_words"] == 1
    assert measure("The the", "faithful", stop_words=("The", ""))["n_stop_words"] == 1
    assert measure("a", "fixed", stop_words=())["n_stop_words"] == 0


def test_lines_are_compared_stripped_and_blank_ones_are_none_if_fixed():
    faithful, fixed = (measure("a b\n a b\n\n \n\n\n", reading) for reading in ("faithful", "fixed"))
    assert faithful["frac_duplicate_lines"] == 0.0  # "a b", " a b", " " and the empty one at the end
    assert fixed["frac_duplicate_lines"] == 1 / 2
    assert fixed["frac_duplicate_line_chars"] == 3 / 14
    # Faithful compares the two empty ends of a text as lines.
    assert measure("\na\n", "faithful")["frac_duplicate_lines"] == 1 / 3
    assert measure("\na\n", "fixed")["frac_duplicate_lines"] == 0.0
    assert measure("a \n\na\n\n \n\n a", "faithful")["frac_duplicate_paragraphs"] == 0.0
    assert measure("a \n\na\n\n \n\n a", "fixed")["frac_duplicate_paragraphs"] == 2 / 3
    assert measure("- a\n\n• b\n\n", "faithful")["frac_bullet_lines"] == 2 / 4
    assert measure("- a\n\n• b\n\n", "fixed")["frac_bullet_lines"] == 1.0
    assert measure("a ... \n\nb", "faithful")["frac_ellipsis_lines"] == 1 / 3
    assert measure("a ... \n\nb", "fixed")["frac_ellipsis_lines"] == 1 / 2
    assert measure(" \n", "faithful")["frac_duplicate_lines"] == 0.0
    assert measure(" \n", "fixed")["frac_duplicate_lines"] is None


def test_a_top_ngram_occurs_twice_and_is_the_longest_if_fixed():
    assert measure("ab cd ef", "faithful")["frac_top_2gram_chars"] == 5 / 8
    assert measure("ab cd ef", "fixed")["frac_top_2gram_chars"] == 0.0
    # "a b" comes first; "cc dd" occurs as often.
    text = "a b cc dd a b cc dd"
    assert measure(text, "faithful")["frac_top_2gram_chars"] == 2 * 3 / 19
    assert measure(text, "fixed")["frac_top_2gram_chars"] == 2 * 5 / 19


def test_ngrams_are_compared_token_by_token_if_fixed():
    text = "ab c d e f a bc d e f"
    assert measure(text, "faithful")["frac_duplicate_5gram_chars"] == 6 / 21
    assert measure(text, "fixed")["frac_duplicate_5gram_chars"] == 0.0
    text = "a b c d e " * 2
    for reading in ("faithful", "fixed"):
        assert measure(text, reading)["frac_duplicate_5gram_chars"] == 5 / 20


@pytest.mark.parametrize("reading", ["faithful", "fixed"])
def test_only_the_second_and_later_copies_count(reading):
    row = measure("x\n" * 9 + "y", reading)
    assert row["frac_duplicate_lines"] == 8 / 10
    assert row["frac_duplicate_line_chars"] == 8 / 19
    # Read from left to right: found at the 2nd token and every 5th after it.
    assert measure("a " * 21, reading)["frac_duplicate_5gram_chars"] == 4 * 5 / 42


def test_what_there_is_nothing_of_is_null():
    shares = [name for name in GOPHER_TYPE.names if not name.startswith("n_")]
    for reading in ("faithful", "fixed"):
        assert {measure("", reading)[name] for name in shares} == {None}
        row = measure("...", reading)
        assert (row["n_words"], row["mean_word_chars"], row["frac_tokens_with_letter"]) == (0, None, 0.0)
        assert measure(" ", reading)["hashes_per_token"] is None
    assert measure(" ", "faithful")["frac_bullet_lines"] == 0.0
    assert measure(" ", "fixed")["frac_bullet_lines"] is None


@pytest.mark.parametrize("reading", ["faithful", "fixed"])
@pytest.mark.parametrize("text_type", [pa.string(), pa.large_string()])
def test_nulls_slices_and_empty_arrays(reading, text_type):
    text = pa.array(["left out", None, "to be\n\nto be", "", "left out"], text_type)
    options = {"tokens": "uax29", "stop_words": STOP_WORDS, "reading": reading}
    whole = measure_gopher(text, **options)
    whole.validate(full=True)
    assert whole.type == GOPHER_TYPE == schemas.GOPHER
    assert [row is None for row in whole.to_pylist()] == [False, True, False, False, False]
    assert measure_gopher(text[1:4], **options).to_pylist() == whole.to_pylist()[1:4]
    assert len(measure_gopher(text[:0], **options)) == 0


def test_bytes_that_are_no_utf8_are_characters():
    text = pa.array([b"\xff a \xf0\x9f", b"\xed\xa0\x80"], pa.binary()).view(pa.string())
    rows = measure_gopher(text, tokens="uax29", stop_words=(), reading="faithful").to_pylist()
    expected = measure("\ufffd a \ufffd\ufffd", "faithful")
    assert rows[0] == expected


def test_unknown_choices_are_refused():
    with pytest.raises(ValueError, match="reading is 'literal'"):
        measure("a", "literal")
    with pytest.raises(ValueError, match="tokens is 'words'"):
        measure("a", "fixed", tokens="words")


@pytest.mark.busy
@pytest.mark.parametrize("tokens", ["uax29", "spacy_en"])
@pytest.mark.parametrize("reading", ["faithful", "fixed"])
@pytest.mark.parametrize(
    "unit", ["a", "a ", "a\n", "\n", "\r\n", "ab cd ef gh ", "日", "...", "#", "(", "\u2028", "x\n\n"]
)
def test_time_is_linear(unit, reading, tokens):
    for n_chars in (100, 1_000_000):  # the first compiles
        text = pa.array([unit * (n_chars // len(unit))])
        began = time.process_time()
        measure_gopher(text, tokens=tokens, stop_words=STOP_WORDS, reading=reading)
        seconds = time.process_time() - began
    # A quadratic step over a million characters takes many minutes; the bound leaves room for a busy machine.
    assert seconds < 5


@pytest.mark.busy
@pytest.mark.parametrize("reading", ["faithful", "fixed"])
def test_time_is_linear_in_the_length_of_words(reading):
    words = ["x" * 200_000 + str(index % 3) for index in range(40)]  # n-grams of millions of characters
    began = time.process_time()
    row = measure(" ".join(words), reading)
    assert time.process_time() - began < 5
    assert row["frac_duplicate_5gram_chars"] > 0.8
