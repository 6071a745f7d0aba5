"""FineWeb's signals as datatrove reads them: small cases, what `fixed` mends, and what no page should break.

That `faithful` is datatrove's, number for number, is for tests/parity/test_datatrove_parity.py to say.
"""

import random
import time

import pyarrow as pa
import pytest

from benchmarks.corpora.hard_texts import made_up_text
from dclm_spark import schemas
from dclm_spark.kernels.signals.fineweb import FINEWEB_TYPE, measure_fineweb
from dclm_spark.kernels.signals.marks import IS_TERMINAL, mark_table
from dclm_spark.kernels.tokens.tokens import count_tokens

TERMINAL = tuple(chr(point) for point, kind in enumerate(mark_table()) if kind & IS_TERMINAL)


def measure(text: str, reading: str, short_line_chars: int = 10) -> dict:
    rows = measure_fineweb(pa.array([text]), tokens="uax29", reading=reading, short_line_chars=short_line_chars)
    return rows[0].as_py()


def fixed_by_rule(text: str, n_tokens: int) -> dict:
    """The signals of `reading="fixed"` in plain Python."""
    lines = [line.rstrip() for line in text.split("\n") if line.strip()]
    stripped = list(map(str.strip, lines))
    extra = [line for index, line in enumerate(stripped) if line in stripped[:index]]
    return {
        "n_lines": len(lines),
        "frac_punctuated_lines": sum(line.endswith(TERMINAL) for line in lines) / len(lines) if lines else None,
        "frac_short_lines": sum(len(line) <= 10 for line in lines) / len(lines) if lines else None,
        "frac_duplicate_line_chars": sum(map(len, extra)) / len(text.replace("\n", "")) if lines else None,
        "newlines_per_token": text.count("\n") / n_tokens if n_tokens else None,
    }


def test_fixed_is_what_the_rules_give():
    chance = random.Random(25)
    text = pa.array([made_up_text(chance) for _ in range(1500)])
    counts = count_tokens(text, tokens="uax29")
    rows = measure_fineweb(text, tokens="uax29", reading="fixed", short_line_chars=10).to_pylist()
    for one, n_tokens, row in zip(text.to_pylist(), counts.to_pylist(), rows, strict=True):
        assert row == fixed_by_rule(one, n_tokens), ascii(one)


@pytest.mark.parametrize("reading", ["faithful", "fixed"])
def test_a_text_by_hand(reading):
    row = measure("It ends here. So\nit does?\n\nHome\nHome\n", reading)
    assert row == {
        "n_lines": 4,
        "frac_punctuated_lines": 1 / 4,
        "frac_short_lines": 3 / 4,
        "frac_duplicate_line_chars": 4 / 32,
        "newlines_per_token": 5 / 10,
    }


def test_white_space_hides_nothing_if_fixed():
    text = "It ends. \n It ends.\r\nIt ends.\nto be   \t  "
    faithful, fixed = measure(text, "faithful"), measure(text, "fixed")
    assert (faithful["frac_punctuated_lines"], fixed["frac_punctuated_lines"]) == (1 / 4, 3 / 4)
    assert (faithful["frac_short_lines"], fixed["frac_short_lines"]) == (3 / 4, 4 / 4)
    n_chars = len(text) - 3
    assert (faithful["frac_duplicate_line_chars"], fixed["frac_duplicate_line_chars"]) == (0.0, 2 * 8 / n_chars)
    # White space before a line is part of its length.
    assert measure(" " * 9 + "ab", "fixed")["frac_short_lines"] == 0.0


@pytest.mark.parametrize("reading", ["faithful", "fixed"])
def test_a_text_without_lines(reading):
    assert measure("", reading) == dict.fromkeys(FINEWEB_TYPE.names) | {"n_lines": 0}
    assert measure(" \n\t\n\u3000", reading) == dict.fromkeys(FINEWEB_TYPE.names) | {"n_lines": 0}


def test_tokens_that_are_known_are_not_counted_again():
    text = pa.array(["a\nb", None, "c"])
    options = {"tokens": "uax29", "reading": "fixed", "short_line_chars": 30}
    measured = measure_fineweb(text, n_tokens=pa.array([4, None, 0]), **options)
    assert measured.field("newlines_per_token").to_pylist() == [1 / 4, None, None]
    counted = measure_fineweb(text, n_tokens=count_tokens(text, tokens="uax29"), **options)
    assert counted.equals(measure_fineweb(text, **options))


def test_marks_of_many_scripts_end_a_line():
    lines = ["。", "؟", "।", "᪩", "𑩂", "！", "…", "”", "a"]
    row = measure("\n".join(lines), "faithful")
    assert row["frac_punctuated_lines"] == 6 / 9


@pytest.mark.parametrize("reading", ["faithful", "fixed"])
@pytest.mark.parametrize("text_type", [pa.string(), pa.large_string()])
def test_nulls_slices_and_empty_arrays(reading, text_type):
    text = pa.array(["left out", None, "to be\n\nto be", "", "left out"], text_type)
    options = {"tokens": "uax29", "reading": reading, "short_line_chars": 30}
    whole = measure_fineweb(text, **options)
    whole.validate(full=True)
    assert whole.type == FINEWEB_TYPE == schemas.FINEWEB
    assert [row is None for row in whole.to_pylist()] == [False, True, False, False, False]
    assert measure_fineweb(text[1:4], **options).to_pylist() == whole.to_pylist()[1:4]
    assert len(measure_fineweb(text[:0], **options)) == 0


def test_bytes_that_are_no_utf8_are_characters():
    text = pa.array([b"\xff a.\n\xf0\x9f"], pa.binary()).view(pa.string())
    options = {"tokens": "uax29", "reading": "faithful", "short_line_chars": 4}
    assert measure_fineweb(text, **options)[0].as_py() == measure("\ufffd a.\n\ufffd\ufffd", "faithful", 4)


def test_an_unknown_reading_is_refused():
    with pytest.raises(ValueError, match="reading is 'literal'"):
        measure("a", "literal")


@pytest.mark.busy
@pytest.mark.parametrize("tokens", ["uax29", "spacy_en"])
@pytest.mark.parametrize("reading", ["faithful", "fixed"])
@pytest.mark.parametrize("unit", ["a", "a ", "a\n", "\n", " ", " \n", "日", ".\r\n"])
def test_time_is_linear(unit, reading, tokens):
    for n_chars in (100, 3_000_000):  # the first compiles
        text = pa.array([unit * (n_chars // len(unit))])
        began = time.process_time()
        measure_fineweb(text, tokens=tokens, reading=reading, short_line_chars=30)
        seconds = time.process_time() - began
    # A quadratic step over 3 million characters takes hours; the bound leaves room for a busy machine.
    assert seconds < 5
