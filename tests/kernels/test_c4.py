"""C4's rules: line by line against Python's own string methods, what `fixed` mends, and what no page should break."""

import random
import re
import time
from dataclasses import replace

import pyarrow as pa
import pytest

from dclm_spark import schemas
from dclm_spark.kernels.signals.annotate import annotate_batch
from dclm_spark.kernels.signals.c4 import C4_TYPE, clean_c4
from dclm_spark.recipe.annotation import Annotation, C4Lines
from dclm_spark.recipe.bounds import LineBound

DOCUMENTS = pa.schema([schemas.DOCUMENTS.field(name) for name in ("doc_id", "dump", "url", "text")])
RULES = C4Lines(cleans_text=True)
NO_END_MARK = replace(RULES, needs_end_mark=False)
CITATIONS = re.compile(r"\[\d*\]|\[edit\]|\[citation needed\]")


def clean(*texts, rules=RULES, reading="fixed", tokens="uax29", bad_words=None) -> tuple[list, list]:
    cleaned, rows, _ = clean_c4(
        pa.array(texts, pa.string()), rules=rules, tokens=tokens, reading=reading, bad_words=bad_words
    )
    cleaned.validate(full=True)
    rows.validate(full=True)
    return cleaned.to_pylist(), rows.to_pylist()


def cleaned_by_rule(text: str, rules: C4Lines, reading: str) -> tuple[str, int, int, int]:
    """The text, the lines removed, those with "lorem ipsum" and those with "{"."""
    kept, n_removed, n_lorem_ipsum, n_curly_brackets = [], 0, 0, 0
    marks = (".", "?", "!", '"', "'", "”", "’") if reading == "fixed" else (".", "?", "!", '"', "'")
    for line in text.splitlines():
        line, was_blank = line.strip(), not line.strip()
        words = line.split()
        stays = rules.max_word_chars is None or all(len(word) <= rules.max_word_chars for word in words)
        if stays and rules.removes_citations:
            line = CITATIONS.sub("", line)
            if reading == "fixed":
                line = line.strip()
                words = line.split()
        stays = stays and (not rules.needs_end_mark or (line.endswith(marks) and not line.endswith("...")))
        stays = stays and len(words) >= rules.min_words
        if stays:
            n_lorem_ipsum += "lorem ipsum" in line.lower()
            stays = not any(phrase in line.lower() for phrase in rules.code_phrases)
        if stays:
            n_curly_brackets += "{" in line
            stays = not any(phrase in line.lower() for phrase in rules.policy_phrases)
        if stays:
            kept.append(line)
        n_removed += not stays and not was_blank
    return "\n".join(kept).strip(), n_removed, n_lorem_ipsum, n_curly_brackets


PIECES = [
    *("It lies west", "so", "a b c", "[1]", "[٣]", "[ 1 ]", "[edit]", "[citation needed]", "[[2]]", "x" * 12, "ΟΔΟΣ"),
    *("lorem ipsum", "LOREM İPSUM", "Lorem[3] Ipsum", "JavaScript", "{", "Privacy Policy", "COO\u212aIE POLICY", "İ"),
    *(*[".", "?", "!", '"'] * 3, "'", "...", "....", "…", "”", "’", ".”", "。"),
]
GAPS = [
    *[" "] * 4,
    *["\n"] * 4,
    "",
    "  ",
    "\r\n",
    "\r",
    "\x0b",
    "\x1c",
    "\x1d",
    "\x1e",
    "\x1f",
    "\x85",
    "\u2028",
    "\xa0",
]


@pytest.mark.parametrize("reading", ["fixed", "faithful"])
@pytest.mark.parametrize(
    "rules",
    [
        RULES,
        NO_END_MARK,
        replace(NO_END_MARK, min_words=0, max_word_chars=11),
        replace(
            RULES, removes_citations=False, max_word_chars=None, code_phrases=(), policy_phrases=("west", "σ", "i̇")
        ),
    ],
)
def test_lines_are_what_the_rules_leave(rules, reading):
    chance = random.Random(4)
    pairs = [[chance.choice(PIECES) + chance.choice(GAPS) for _ in range(chance.randint(0, 25))] for _ in range(3000)]
    texts = ["".join(parts) for parts in pairs]
    for text, cleaned, row in zip(texts, *clean(*texts, rules=rules, reading=reading), strict=True):
        expected, n_removed, n_lorem_ipsum, n_curly_brackets = cleaned_by_rule(text, rules, reading)
        assert cleaned == expected, ascii(text)
        assert row["n_lines_removed"] == n_removed, ascii(text)
        assert (row["n_lorem_ipsum"], row["n_curly_brackets"]) == (n_lorem_ipsum, n_curly_brackets), ascii(text)


def both(text: str, **arguments) -> tuple[str, str]:
    """What the two readings make of a text."""
    return tuple(clean(text, reading=reading, **arguments)[0][0] for reading in ("faithful", "fixed"))


def test_white_space_beside_a_citation_goes_with_it():
    assert both("It lies here. [1]") == ("", "It lies here.")
    # Inside a text the line keeps its space to datatrove, and to spaCy two of them are one sentence more.
    text = "It lies here.\n[1] So it is.\nThat is all"
    assert both(text, rules=NO_END_MARK)[0] == "It lies here.\n So it is.\nThat is all"
    assert both(text, rules=NO_END_MARK)[1] == "It lies here.\nSo it is.\nThat is all"
    text = "It lies here. [1] [2]"
    counts = [
        clean(text, rules=NO_END_MARK, tokens="spacy_en", reading=reading)[1][0]["n_sentences"]
        for reading in ("faithful", "fixed")
    ]
    assert counts == [2, 1]


def test_words_are_counted_without_citations():
    assert both("[1] [2] So.") == ("So.", "")


def test_end_quotation_marks():
    assert both("“It lies here.”\nHe said ‘so it is’\nNot so…\nそれは 港 です。") == (
        "",
        "“It lies here.”\nHe said ‘so it is’",
    )


def test_blank_lines_that_stay():
    """Only where neither words nor marks are asked for; to datatrove nothing is one sentence."""
    rules = replace(NO_END_MARK, min_words=0)
    for reading, n_sentences in (("faithful", 3), ("fixed", 2)):
        (text,), (row,) = clean("One.\n\nTwo.\n", rules=rules, reading=reading)
        assert (text, row["n_sentences"], row["n_lines_removed"]) == ("One.\n\nTwo.", n_sentences, 0)


def test_a_page_that_datatrove_drops_is_counted_to_its_end():
    lines = "Lorem ipsum it says.\nA {b} is here.\nLorem ipsum {again} here.\nlorem ipsum\nLorem ipsum in Javascript."
    (text,), (row,) = clean(lines)
    assert (row["n_lorem_ipsum"], row["n_curly_brackets"], row["n_lines_removed"]) == (3, 2, 2)
    assert text == "\n".join(lines.split("\n")[:3])


@pytest.mark.parametrize(
    ("text", "n_sentences"),
    [
        ("It is so. That is all.", 2),
        ("It is so.That is all.", 1),  # UAX #29 joins letters around a full stop
        ("What?! (No.) Yes", 3),
        ("3.5 of it, etc. and so on.", 2),
        ("... !? . It is so.", 2),
        ("港は西。そうです！", 2),
    ],
)
def test_sentences_of_uax29(text, n_sentences):
    assert clean(text, rules=replace(NO_END_MARK, min_words=0))[1][0]["n_sentences"] == n_sentences


def bad_words_found(text: str, *bad_words: str, reading: str = "fixed") -> int:
    return clean(text, rules=C4Lines(), bad_words=bad_words, reading=reading)[1][0]["n_bad_words"]


@pytest.mark.parametrize(
    ("text", "n_found"),
    [
        ("bad, BAD\nbad", 3),
        ("badly bad_ _bad ébad bad1", 0),
        ("bad bad bad", 3),  # one border serves two
        ("bad word", 1),  # the longer one, once
        ("bad wordy", 1),
        ("bad\nword", 1),
        ("S&M s&ms", 1),
        ("bad\u0301", 1),  # a mark is no letter
        ("x\u212ay", 1),  # the Kelvin sign
        ("ΟΔΟΣ οδοσ", 1),  # a final sigma
        ("baİd bİd", 1),
        ("とても悪いこと", 1),
        ("🖕🖕", 2),
        ("a🖕 🖕a", 0),
        ("", 0),
    ],
)
def test_bad_words(text, n_found):
    listed = ("bad", "bad word", " s&m ", "xky", "οδος", "bi\u0307d", "悪い", "🖕")
    assert bad_words_found(text, *listed) == n_found


def test_capitals_in_a_list_of_bad_words():
    assert [bad_words_found("Bad bad", "Bad", reading=reading) for reading in ("faithful", "fixed")] == [0, 2]


def test_bad_words_are_of_the_text_that_goes_on_and_null_without_a_list():
    text = "bad\nIt is a bad line."
    for rules, n_found in ((C4Lines(), 2), (RULES, 1)):
        assert clean(text, rules=rules, bad_words=("bad",))[1][0]["n_bad_words"] == n_found
    assert clean("bad", bad_words=())[1][0]["n_bad_words"] == 0
    assert clean("bad")[1][0]["n_bad_words"] is None


@pytest.mark.busy
def test_long_lines():
    line = "日" * 200
    (_,), (row,) = clean(f"{line}\n{line[1:]}\r{line}\n\n{line[1:]}\n{line}", rules=C4Lines())
    assert row["n_long_lines"] == 3


@pytest.mark.parametrize("text_type", [pa.string(), pa.large_string()])
def test_nulls_slices_and_the_type(text_type):
    text = pa.array(["left out", "It lies west.\nHome", None, "", "left out"], text_type)[1:4]
    cleaned, rows, _ = clean_c4(text, rules=RULES, tokens="spacy_en", reading="fixed", bad_words=("home",))
    assert rows.type == C4_TYPE == schemas.C4
    assert (cleaned.type, cleaned.to_pylist()) == (text_type, ["It lies west.", None, ""])
    assert rows[0].as_py() == {
        "n_lines_removed": 1,
        "n_sentences": 1,
        "n_lorem_ipsum": 0,
        "n_curly_brackets": 0,
        "n_bad_words": 0,
        "n_long_lines": 0,
    }
    assert rows[1].as_py() is None
    assert set(rows[2].as_py().values()) == {0}
    assert len(clean_c4(text[:0], rules=RULES, tokens="uax29", reading="fixed", bad_words=None)[1]) == 0


def test_lines_that_are_only_counted():
    text = pa.array([" Home \nIt lies west. [1]", None])
    same, counted, n_tokens = clean_c4(text, rules=C4Lines(), tokens="uax29", reading="fixed", bad_words=None)
    _, cleaned, *_ = clean_c4(text, rules=RULES, tokens="uax29", reading="fixed", bad_words=None)
    assert same is text and n_tokens is None and counted.equals(cleaned)


@pytest.mark.parametrize("groups", [(), ("c4",)])
@pytest.mark.parametrize("cleans_text", [False, True])
def test_annotated_holds_what_the_recipe_asks_for(groups, cleans_text):
    """The lines' corrections come first; the text is the same whichever groups are measured."""
    text = "HOME PAGE.\nHome\nIt lies west. [1]"
    documents = pa.RecordBatch.from_pylist([{"doc_id": "0", "dump": "D", "url": None, "text": text}], DOCUMENTS)
    annotation = Annotation(
        line_rules=(LineBound("frac_upper_chars", at_most=0.5),), c4=C4Lines(cleans_text=cleans_text), tokens="uax29"
    )
    (row,) = annotate_batch(documents, annotation, groups).to_pylist()
    assert row["text"] == ("It lies west." if cleans_text else "Home\nIt lies west. [1]")
    assert (row["c4"] and row["c4"]["n_lines_removed"]) == (1 if groups else None)


def test_bytes_that_are_no_utf8():
    buffers = pa.array([b"\xff\xfe It lies west \xf0\x9f", b"\xe6\x97"] * 20).buffers()
    text = pa.Array.from_buffers(pa.string(), 40, buffers)
    cleaned, *_ = clean_c4(text, rules=NO_END_MARK, tokens="spacy_en", reading="fixed", bad_words=("bad",))
    cleaned.validate(full=True)
    assert cleaned[:2].to_pylist() == ["\ufffd\ufffd It lies west \ufffd\ufffd", ""]


@pytest.mark.busy
@pytest.mark.parametrize("tokens", ["spacy_en", "uax29"])
@pytest.mark.parametrize(
    "unit",
    ["a", "a ", "a.\n", "\r\n", " ", "[1", "[", "lorem ", "use of cookie", "bad bad", "İ", "Σ'", ". ", "日", "."],
)
def test_time_is_linear_in_length(unit, tokens):
    rules = replace(NO_END_MARK, min_words=0, max_word_chars=None)
    for n_chars in (100, 3_000_000):  # the first compiles
        text = unit * (n_chars // len(unit))
        began = time.process_time()
        clean(text, rules=rules, tokens=tokens, bad_words=("bad bad bad bad bad", "bad", "a" * 30))
        seconds = time.process_time() - began
    # A quadratic step over 3 million characters takes hours; the bound leaves room for a busy machine.
    assert seconds < 5
