"""Corrections of lines: against DCLM's rules in plain Python, and what no page should break."""

import random
import re
import time
from dataclasses import replace

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dclm_spark import schemas
from dclm_spark.kernels.signals.lines import LINES_TYPE, correct_lines
from dclm_spark.kernels.text.words import count_words_fasttext
from dclm_spark.recipe.bounds import LineBound, LinePattern, LinePhrase, LineRule
from dclm_spark.recipe.builtin import DCLM_BASELINE, DCLM_BASELINE_FAITHFUL

FIXED, FAITHFUL = (recipe.annotation.line_rules for recipe in (DCLM_BASELINE, DCLM_BASELINE_FAITHFUL))
COUNTER = re.compile(
    r"^\W*\d[,.\d]*[KkMmBb]?\s+(likes|shares|comments|retweets|reposts|quotes|bookmarks|upvotes|downvotes"
    r"|downloads|views|followers)\W*$"
)
MEASURES = {
    "frac_upper_chars": lambda line: sum(map(str.isupper, line)) / len(line),
    "frac_digit_chars": lambda line: sum(map(str.isdigit, line)) / len(line),
    "is_counter": lambda line: int(COUNTER.search(line.lower()) is not None),
    "n_words": lambda line: len(line.split()),
    "longest_word_chars": lambda line: max(map(len, line.split()), default=0),
    "has_end_mark": lambda line: int(re.search(r'[.!?"\u2026]\s*$', line) is not None),
    "has_end_ellipsis": lambda line: int(re.search(r"(?:\.\.\.|\u2026)\s*$", line) is not None),
}
CITATIONS = re.compile(r"\[\d*\]|\[edit\]|\[citation needed\]")
# The measures after which DCLM strips the text.
STRIPPED = ("frac_upper_chars", "frac_digit_chars", "is_counter")


def corrected_by_rule(text: str, rules: tuple[LineRule, ...]) -> tuple[str, int, int]:
    """The text, the lines removed and the lines cut, one rule after another."""
    n_removed = n_cut = 0
    for rule in rules:
        lines, kept = text.split("\n") if text else [], []
        for line in lines:
            if isinstance(rule, LineBound):
                low, high = rule.at_least, rule.at_most
                value = MEASURES[rule.measure](line) if line else None
                stays = value is None or ((low is None or low <= value) and (high is None or value <= high))
            elif isinstance(rule, LinePattern):
                stays, cut = True, CITATIONS.sub("", line)
                n_cut += cut != line
                line = cut
            elif rule.max_words is not None and len(line.split()) > rule.max_words:
                stays = True
            else:
                phrase = rule.phrase if rule.dots_match_any else re.escape(rule.phrase)
                form = {"any": rf"\s?(?:{phrase})", "start": rf"^(?:{phrase})\s?", "end": rf"\s?(?:{phrase})$"}
                cut = re.sub(form[rule.location], "", line, flags=re.IGNORECASE)
                if rule.removes_line:
                    stays = cut == line
                else:
                    stays = not line or bool(cut.strip())
                    n_cut += stays and cut != line
                    line = cut
            if stays:
                kept.append(line)
            n_removed += not stays
        text = "\n".join(kept)
        if isinstance(rule, LinePhrase) or (isinstance(rule, LineBound) and rule.measure in STRIPPED):
            text = text.strip()
    return text, n_removed, n_cut


def assert_by_rule(texts: list[str], rules: tuple[LineRule, ...]) -> None:
    corrected, rows = correct_lines(pa.array(texts, pa.string()), rules=rules)
    corrected.validate(full=True)
    n_before, n_after = count_words_fasttext(pa.array(texts, pa.string())), count_words_fasttext(corrected)
    for text, found, row, before, after in zip(
        texts, corrected.to_pylist(), rows.to_pylist(), n_before.to_pylist(), n_after.to_pylist(), strict=True
    ):
        expected, n_removed, n_cut = corrected_by_rule(text, rules)
        assert found == expected, repr(text)
        assert (row["n_lines_removed"], row["n_lines_cut"]) == (n_removed, n_cut), repr(text)
        assert row["frac_words_removed"] == ((before - after) / before if before else 1.0)


PIECES = [
    *(
        "3 likes",
        "1,234.5K Views",
        "(12 shares)",
        "٣ likes",
        "3K likes",
        "² likes",
        "3 lİkes",
        "9 comments!",
        "3 liked",
    ),
    *("3\u2003downloads", "3likes", "likes 3", "3k  followers _", "7 views views", ".. 8M reposts ..", "5 b quotes"),
    *(
        "HOME",
        "Home",
        "ÀÉ ÑÜ",
        "Ⅳ Ⓐ",
        "ǅ ǅ",
        "A1B2",
        "123",
        "١٢٣",
        "²³",
        "12 34",
        "1.5",
        "",
        " ",
        "\t",
        "\xa0",
        "\u2028",
    ),
    *("Items in cart", "3 items in cart (0)", "ITEMS IN CARTitems in cart", "ıtems ın cart", "itemſ in cart"),
    *("Read more...", "and so on, read more...", "Read more", "Read more abc", "x Read more ...", "read more…"),
    *("Sign-in", "sign-in to go on", " Sign-in", "ſİgn-ın now", "sign-inside", "Sign-in Sign-in", "please Sign-in"),
    *(
        "one two three four five six seven eight nine ten",
        "a b c d e f g h i items in cart k",
        "The harbour lies west.",
    ),
    *("日本", "👍 e\u0301", "\u1e9e", "x"),
    *(
        "[1]",
        "[]",
        "[٣²]",
        "[٣]",
        "[[12]]",
        "[edit]",
        "[Edit]",
        "[citation needed]",
        "[citation [2]needed]",
        "[1",
        "[edit",
    ),
    *("west.", "west...", "west…", '"west"', "west?!  ", "west.' ", "west.\u3000", ". . .", "west.[3]", "..", " ..."),
]


def made_up_text(chance: random.Random) -> str:
    joints = ["\n"] * 6 + ["\n\n", " \n", "\n ", " ", ""]
    return "".join(chance.choice(PIECES) + chance.choice(joints) for _ in range(chance.randint(0, 12)))


OTHERS = (
    (LineBound("n_words", at_least=1, at_most=4),),
    (
        LineBound("frac_upper_chars", at_least=0.1),
        LinePhrase("the", removes_line=True),
        LineBound("n_words", at_most=9),
    ),
    (LinePhrase("in cart", removes_line=True, max_words=3), LinePhrase("."), LinePhrase("...", dots_match_any=True)),
    (LinePhrase("ÀÉ", location="start"), LinePhrase("日", location="end")),
    (LineBound("longest_word_chars", at_most=6), LinePattern("citations"), LineBound("has_end_mark", at_least=1)),
    (LineBound("has_end_ellipsis", at_most=0), LineBound("longest_word_chars", at_least=2), LinePhrase("west")),
    (LinePattern("citations"), LineBound("frac_upper_chars", at_most=0.5), LineBound("has_end_ellipsis", at_least=1)),
    *((rule,) for rule in FAITHFUL),
)


@pytest.mark.parametrize("rules", [FIXED, FAITHFUL, *OTHERS], ids=lambda rules: ", ".join(map(str, rules))[:40])
def test_lines_are_what_the_rules_leave(rules):
    chance = random.Random(11)
    assert_by_rule([made_up_text(chance) for _ in range(3000)], rules)


@given(st.lists(st.text(st.sampled_from("aB 3\n.kK²lies-gn\u0130\u0131ſ日👍_\u2028"), max_size=60), max_size=4))
def test_any_text(texts):
    assert_by_rule(texts, FAITHFUL)


def test_the_dots_of_read_more():
    """DCLM's dots are any three characters: it cuts "Read more on" and leaves "Read more"."""
    text = pa.array(["Go on: Read more on\nGo on: Read more...\nGo on: Read more"])
    faithful, fixed = (correct_lines(text, rules=rules)[0][0].as_py() for rules in (FAITHFUL, FIXED))
    assert faithful == "Go on:\nGo on:\nGo on: Read more"
    assert fixed == "Go on: Read more on\nGo on:\nGo on: Read more"


def test_white_space_around_the_text_stays_where_dclm_leaves_it():
    text = pa.array([" [1]\nThe harbour lies west. [2] \n\n"])
    corrected, rows = correct_lines(text, rules=(LinePattern("citations"), LineBound("has_end_mark", at_least=1)))
    assert corrected[0].as_py() == "The harbour lies west.  \n\n"
    assert (rows[0]["n_lines_cut"].as_py(), rows[0]["n_lines_removed"].as_py()) == (2, 1)


def test_a_slice_nulls_and_the_type():
    texts = [None, "HOME\nThe harbour lies west.", None, "", "NONE"]
    corrected, rows = correct_lines(pa.array(texts), rules=FIXED)
    assert rows.type == LINES_TYPE == schemas.LINES
    assert corrected.to_pylist() == [None, "The harbour lies west.", None, "", ""]
    assert [row and row["frac_words_removed"] for row in rows.to_pylist()] == [None, 0.2, None, 1.0, 1.0]
    for array in (pa.array(texts)[1:], pa.array(texts, pa.large_string())[1:]):
        again, same = correct_lines(array, rules=FIXED)
        assert (again.type, again.to_pylist(), same.to_pylist()) == (
            array.type,
            corrected.to_pylist()[1:],
            rows.to_pylist()[1:],
        )


def test_without_rules_nothing_is_measured():
    text = pa.array([" as it was \n", None])
    corrected, rows = correct_lines(text, rules=())
    assert corrected is text and rows.to_pylist() == [None, None]


def test_bytes_that_are_no_utf8():
    buffers = pa.array([b"\xff\xfe two \xf0\x9f", b"\xe6\x97"] * 20).buffers()
    text = pa.Array.from_buffers(pa.string(), 40, buffers)
    corrected, _ = correct_lines(text, rules=FIXED)
    corrected.validate(full=True)
    assert corrected[0].as_py() == "\ufffd\ufffd two \ufffd\ufffd"


def test_rules_that_say_nothing_are_named():
    rules = (LineBound("n_syllables", at_most=2), LineBound("n_words"), LinePhrase(""), LinePhrase("x", location="top"))
    rules += (LineBound("n_words", at_least=3, at_most=2), LinePattern("footnotes"))
    recipe = replace(DCLM_BASELINE, annotation=replace(DCLM_BASELINE.annotation, line_rules=rules))
    assert len(recipe.problems()) == 6


@pytest.mark.busy
@pytest.mark.parametrize(
    "unit",
    [
        *("a", "a ", "a\n", "\n", " ", "1 ", "items in cart", "3 likes\n", "日", "HOME\nx y\n"),
        "[",
        "[1",
        "[1]",
        "[citation ",
    ],
)
def test_time_is_linear(unit):
    for n_chars in (100, 3_000_000):  # the first compiles
        text = pa.array([unit * (n_chars // len(unit))])
        began = time.process_time()
        correct_lines(text, rules=(*FIXED, LinePattern("citations"), LineBound("longest_word_chars", at_most=1000)))
        seconds = time.process_time() - began
    # A quadratic step over 3 million characters takes hours; the bound leaves room for a busy machine.
    assert seconds < 5
