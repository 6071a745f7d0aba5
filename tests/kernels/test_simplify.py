"""Normalized texts against `str.lower` of Unicode 16.0, and against datatrove's steps taken one by one."""

import re

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dclm_spark.kernels.text.lowering import lower_text
from dclm_spark.kernels.text.simplify import simplify
from tests.support.unicode_16 import ASSIGNED, DECIMALS, NONSPACING, lower, nfd

pytestmark = pytest.mark.once

_DIGIT = f"[{''.join(sorted(DECIMALS))}]"
NUMBERS = re.compile(f"{_DIGIT}+(?:[.,\u060c\u066b\u2396\u2397\u2398]{_DIGIT}+)?")
SPACED = set("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~") | set("«»´–—’“”„…━►∶、。〈〉《》「」【】！％（），．：；？～")
SPACED |= {chr(point) for point in (*range(32), *range(127, 160))} - set("\t\n")


def simplified(text: str) -> str:
    text = NUMBERS.sub("0", lower(text))
    text = "".join(" " if char in SPACED else char for char in text)
    text = re.sub(r"\s+", " ", text.strip())
    return "".join(char for char in nfd(text) if char not in NONSPACING).strip()


def both(normalization: str, texts: list[str]) -> tuple[list[str], list[str]]:
    oracle = lower if normalization == "lower" else simplified
    return simplify(pa.array(texts, pa.string()), normalization).to_pylist(), [oracle(text) for text in texts]


@pytest.mark.busy
@pytest.mark.parametrize("normalization", ["lower", "datatrove"])
@pytest.mark.parametrize("frame", ["{}", "a{}b", "1{}2", "A{}\u0301Σ", " {} ", "\u302e{}\u1b44"])
def test_every_character(normalization, frame):
    ours, theirs = both(normalization, [frame.format(char) for char in ASSIGNED])
    assert [row for row in zip(ASSIGNED, ours, theirs, strict=True) if row[1] != row[2]] == []


PIECES = st.sampled_from(
    [
        *("a", "The ", "NAÏVE", "Σ", "ΟΔΟΣ", "İ", "Ⱥ", "\u212a", "ſ", "'", "\u0345", "\u00ad", "ǅ", "e\u0301"),
        *("1", "23", ".", ",", "\u066b", "٣", "\u2396", "３", "¾", "²", "x1", "-", "…", "\u0000", "\u0085", "_"),
        *(" ", "  ", "\t", "\n", "\u00a0", "\u2000", "\u3000", "\x1c", "\u037e", "\u1fef", "`"),
        *("가", "각", "힣", "\u1100", "\u0ddd", "\u0b48", "\u0344", "\u0c48", "é", "ế", "ѝ", "か\u3099", "が", "豈"),
        # Marks that stay, and are moved: of the classes 6, 9, 216, 224 and 226; and such that go.
        *("\u302e", "\u302f", "\u1b44", "\U00016ff0", "\U0001d165", "\U0001d16d", "\U0001d15e", "\U0001d160"),
        *("\u0300", "\u0327", "\u0901", "\u0488", "\u3099"),
    ]
)
ANY_TEXT = st.one_of(st.lists(PIECES, max_size=30).map("".join), st.text(st.sampled_from(ASSIGNED), max_size=30))


@pytest.mark.busy
@pytest.mark.parametrize("normalization", ["lower", "datatrove"])
@settings(max_examples=400, deadline=None)
@given(texts=st.lists(ANY_TEXT, max_size=3))
def test_any_text(normalization, texts):
    ours, theirs = both(normalization, texts)
    assert ours == theirs


@settings(max_examples=400, deadline=None)
@given(text=st.lists(PIECES, max_size=40).map("".join))
def test_lower_case(text):
    assert lower_text(pa.array([text])).to_pylist() == [lower(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("In 1,234,567.89 of 3.5", "in 0 0 of 0"),
        ("v1.2.3 – ١٢٫٥%", "v0 0 0"),
        ("Don't _stop_; it’s `fine`", "don t stop it s fine"),
        ("\u0301 a \u0301 b \u0301", "a  b"),  # marks go last, and leave the spaces around them
        ("ΟΔΌΣ Ĳ Ⅻ", "οδος ĳ ⅻ"),
        ("한국어", "\u1112\u1161\u11ab\u1100\u116e\u11a8\u110b\u1165"),
        ("x\u302e\u1b44", "x\u1b44\u302e"),  # canonical order
    ],
)
def test_datatrove(text, expected):
    ours, theirs = both("datatrove", [text])
    assert ours == theirs == [expected]


@pytest.mark.parametrize("normalization", ["none", "lower", "datatrove"])
def test_nulls_slices_and_types(normalization):
    texts = ["ÉTÉ 1.5", None, "", "ÉTÉ", "b" * 20 + "İ", None]
    whole = simplify(pa.array(texts), normalization).to_pylist()
    assert [text is None for text in whole] == [text is None for text in texts]
    for type_ in (pa.string(), pa.large_string()):
        assert simplify(pa.array(texts, type_)[1:5], normalization).to_pylist() == whole[1:5]
    assert simplify(pa.array([], pa.string()), normalization).to_pylist() == []


@pytest.mark.busy
@pytest.mark.parametrize("piece", ["Σ'", "'", "1.", "1", "각", "\u0301", " \u0301", "Ⱥ", ".", "\u1b44"])
def test_long_texts(piece):
    text = piece * 500_000
    ours, theirs = both("datatrove", [text])
    assert ours == theirs
    assert lower_text(pa.array([text])).to_pylist() == [lower(text)]


@pytest.mark.busy
def test_marks_in_disorder_take_linear_time():
    n = 500_000  # Python's own insertion sort takes minutes
    assert simplify(pa.array(["x" + "\u302e\u1b44" * n]), "datatrove").to_pylist() == [
        "x" + "\u1b44" * n + "\u302e" * n
    ]
