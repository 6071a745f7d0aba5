"""Corrections: against the two regular expressions of DCLM on made-up text, and on text that stalls those."""

import random
import re
import time

import pyarrow as pa
import pytest

from dclm_spark.kernels.signals.corrections import correct_text
from dclm_spark.kernels.signals.url_matches import top_level_domains

TLDS = top_level_domains()
# The longest first, the order in which DCLM's expression, a trie, tries them.
TLD_PATTERN = "|".join(map(re.escape, sorted(TLDS, key=len, reverse=True)))
REST = r"[-a-zA-Z0-9()@:%_\+.~#?&//=]*"
URL = re.compile(rf"\s{{0,10}}(?:((https?|ftp)://))?[-a-zA-Z0-9@:%._\+~#=]{{1,256}}\.(?:{TLD_PATTERN})\b({REST})")
ADDRESS = re.compile(rf"\s{{0,10}}\b((https?|ftp)://)?(?:[0-2]?[0-9]{{1,2}}\.){{3}}[0-2]?[0-9]{{1,2}}{REST}")
GUARD = re.compile(TLD_PATTERN, re.IGNORECASE)

PIECES = [
    *("http://", "https://", "ftp://", "s", "x", "://", "/", ".", ".", ".", ".com", ".co", "com", "co", "uk", "Com"),
    *(".भारत", "भारत", "भारतम्", ".சிங்கப்பூர்", "சிங்கப்பூர்", ".中国", "中国", ".中信", ".한국", "닷컴", ".닷컴"),
    *(" ", "  ", " " * 12, "\u3000", "\xa0", "\n", "\n\n\n\n", "\t", "\x1c", "\0"),
    *("é", "…", "😀", "١", "\u0bcd", "\u093e"),
    *"_-@:%~#=?&()+ſKİı",
    *("1", "12", "123", "256", "299", "300", "0", "1.2.3.4", "10.0.0.1", "1.2.3.", "1." * 4),
    *("a", "b", "abc", "The ", "in", "a" * 100, "b" * 150, "c.com" * 3),
]


def correct_by_expression(text: str, *, url_removal: str, max_newlines: int | None) -> str:
    if url_removal == "fixed" or (url_removal == "faithful" and GUARD.match(text)):
        text = URL.sub("", text)
    if url_removal != "none":
        text = ADDRESS.sub("", text)
    if max_newlines is not None:
        text = re.sub(rf"\n{{{max_newlines + 1},}}", "\n" * max_newlines, text)
    return text


def test_the_expressions_are_met_on_made_up_text():
    chance = random.Random(4)
    texts = ["".join(chance.choices(PIECES, k=chance.randint(1, 25))) for _ in range(2500)]
    n_changed = 0
    for url_removal, max_newlines in [("none", 2), ("faithful", 2), ("fixed", None), ("fixed", 0)]:
        corrected = correct_text(pa.array(texts), url_removal=url_removal, max_newlines=max_newlines).to_pylist()
        for text, result in zip(texts, corrected, strict=True):
            expected = correct_by_expression(text, url_removal=url_removal, max_newlines=max_newlines)
            assert result == expected, ascii(text)
            n_changed += result != text
    assert n_changed > 2500


def test_every_top_level_domain_ends_where_the_expression_says():
    texts = [f"a.{tld}{after}" for tld in TLDS for after in ("", "/x", " x", "x", "é", "\u0bcdx", "_", ".com")]
    corrected = correct_text(pa.array(texts), url_removal="fixed", max_newlines=None).to_pylist()
    for text, result in zip(texts, corrected, strict=True):
        assert result == URL.sub("", text), ascii(text)


def test_domains_are_small_letters_in_ascii():
    # What the kernel takes for granted when it gives up at any other ASCII character.
    assert all(re.fullmatch(r"[a-z\u0080-\U0010ffff]+", tld) for tld in TLDS)
    assert len(TLDS) == len(set(TLDS)) == 1591


@pytest.mark.parametrize(
    ("text", "corrected"),
    [
        ("", ""),
        ("example.com", ""),  # stays, empty: the bound on length takes it out
        ("See https://example.com/a?b=(1). Then", "See Then"),
        ("e.g. a sentence. another one", "e.g. a sentence. another one"),
        ("no space.in between", "no between"),  # DCLM's false alarm: .in is India
        ("mail me@example.org, please", "mail, please"),
        ("EXAMPLE.COM", "EXAMPLE.COM"),
        ("at 192.168.0.1:8080/x now", "at now"),
        ("version 1.2.3 and 300.1.2.3", "version 1.2.3 and 300.1.2.3"),
        ("1.2.3.4.5", ""),
        ("x1.2.3.4", "x1.2.3.4"),
    ],
)
def test_by_hand(text, corrected):
    assert correct_text(pa.array([text]), url_removal="fixed", max_newlines=2).to_pylist() == [corrected]


@pytest.mark.parametrize("text_type", [pa.string(), pa.large_string()])
def test_nulls_slices_and_types(text_type):
    text = pa.array(["left out.com", "a.com", None, "é\n\n\n\nb.org c", "", "left out.com"], type=text_type)
    corrected = correct_text(text[1:5], url_removal="fixed", max_newlines=1)
    corrected.validate(full=True)
    assert corrected.type == text_type
    assert corrected.to_pylist() == ["", None, "é c", ""]
    assert corrected.null_count == 1
    assert correct_text(text[2:2], url_removal="fixed", max_newlines=1).to_pylist() == []


def test_unchanged_text_is_not_copied():
    text = pa.array(["plain", None, "text\n\n"])
    assert correct_text(text, url_removal="fixed", max_newlines=2) is text


@pytest.mark.parametrize(("url_removal", "max_newlines"), [("some", 2), ("fixed", -1)])
def test_arguments_that_cannot_be_right(url_removal, max_newlines):
    with pytest.raises(ValueError, match="expected"):
        correct_text(pa.array(["text"]), url_removal=url_removal, max_newlines=max_newlines)


@pytest.mark.busy
@pytest.mark.parametrize(
    "piece",
    [*"a\n.1 é", "a ", "a\n", "a" * 255 + ".", "a.com.", ".comx", "1.2.3.", " " * 99 + "a.co", ".คอมx", "http://"],
    ids=lambda piece: ascii(piece[:6]),
)
def test_time_is_linear_in_length(piece):
    text = pa.array([piece * (3_000_000 // len(piece))])
    started = time.process_time()
    correct_text(text, url_removal="fixed", max_newlines=2)
    assert time.process_time() - started < 5
