"""Words, rules and corrections, each alone, as DCLM's own code gave them, on 181 real pages and 300 mutated ones."""

import gzip
import hashlib
import json
from pathlib import Path

import pyarrow as pa
import pytest

from dclm_spark.kernels.signals.corrections import correct_text
from dclm_spark.kernels.signals.lines import correct_lines
from dclm_spark.kernels.signals.quality import measure_quality
from dclm_spark.kernels.signals.repetition import measure_repetition
from dclm_spark.kernels.text.words import count_words_fasttext, count_words_split, count_words_uax29, words_uax29
from dclm_spark.recipe.bounds import LineBound, LinePattern
from dclm_spark.recipe.builtin import DCLM_BASELINE_FAITHFUL

N_RECORDED_WORDS = 400  # of each page, where it has more
STOP_WORDS = ("the", "be", "to", "of", "and", "that", "have", "with")
# What DCLM-Baseline keeps, rule by rule.
RULES = {
    "page_length_filter": lambda quality: 50 <= quality["n_words"] <= 100_000,
    "word_length_filter": lambda quality: 3 <= quality["mean_word_chars"] <= 10,
    "symbol_ratio_filter": lambda quality: quality["symbols_per_word"] <= 0.1,
    "bullet_count_filter": lambda quality: quality["frac_bullet_lines"] <= 0.9,
    "ellipsis_count_filter": lambda quality: quality["frac_ellipsis_lines"] <= 0.3,
    "alphabetic_word_ratio_filter": lambda quality: quality["frac_words_without_letter"] <= 0.2,
    "stop_word_filter": lambda quality: quality["n_stop_words"] >= 2,
}
# What DCLM calls the granularity of a repetition, and the signal that its limit is a bound on.
REPETITIONS = {
    "line/count": "frac_duplicate_lines",
    "paragraph/count": "frac_duplicate_paragraphs",
    "line/chars": "frac_duplicate_line_chars",
    "paragraph/chars": "frac_duplicate_paragraph_chars",
    **{f"{size}/chars": f"frac_top_{size}gram_chars" for size in (2, 3, 4)},
    **{f"{size}/chars": f"frac_duplicate_{size}gram_chars" for size in range(5, 11)},
}
LINE_MODIFIERS = (
    *("uppercase_ratio_line_modifier", "numeric_ratio_line_modifier", "counter_line_modifier", "line_length_modifier"),
    *(f"substring_line_modifier:{phrase}" for phrase in ("items in cart", "Read more...", "Sign-in")),
)


# What DCLM's c4.yaml has besides, each as the rules that its step makes.
C4_MODIFIERS = {
    "punctuation_line_modifier": (LineBound("has_end_mark", at_least=1), LineBound("has_end_ellipsis", at_most=0)),
    "citation_removal_modifier": (LinePattern("citations"),),
    "word_length_modifier": (LineBound("longest_word_chars", at_most=1000),),
}


def read(path: Path) -> list[dict]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


@pytest.fixture(scope="module", params=["article_extraction", "mutated"])
def pages(request, shared_data) -> list[dict]:
    """One dict a page: text, words, filters, modifiers (each alone), as recorded."""
    pages = read(shared_data / "golden" / f"{request.param}.jsonl.gz")
    if request.param == "article_extraction":
        signals = {page["id"]: page for page in read(shared_data / "golden" / "article_extraction.signals.jsonl.gz")}
        pages = [page | signals[page["id"]] for page in pages]
    assert len(pages) == {"article_extraction": 181, "mutated": 300}[request.param]
    return pages


@pytest.mark.parametrize(
    ("definition", "count"),
    [("fasttext", count_words_fasttext), ("uniseg", count_words_uax29), ("split", count_words_split)],
)
def test_word_counts(pages, definition, count):
    counts = count(pa.array([page["text"] for page in pages])).to_pylist()
    assert counts == [page["words"][definition] for page in pages]


def test_every_word(shared_data):
    pages = read(shared_data / "golden" / "mutated.jsonl.gz")
    assert sum(len(page["words_uniseg"]) for page in pages) == 72_337
    for page in pages:
        words = words_uax29(page["text"])
        assert len(words) == page["words"]["uniseg"], page["id"]
        assert words[:N_RECORDED_WORDS] == page["words_uniseg"], page["id"]


@pytest.mark.parametrize("rule", RULES)
def test_decisions(pages, rule):
    quality = measure_quality(pa.array([page["text"] for page in pages]), stop_words=STOP_WORDS).to_pylist()
    decisions = {page["id"]: RULES[rule](row) for page, row in zip(pages, quality, strict=True)}
    assert decisions == {page["id"]: page["filters"][rule] for page in pages}


@pytest.mark.parametrize("granularity", REPETITIONS)
def test_repetition(pages, granularity):
    signal = REPETITIONS[granularity]
    (bound,) = (bound for bound in DCLM_BASELINE_FAITHFUL.bounds if bound.signal == f"repetition.{signal}")
    rows = measure_repetition(pa.array([page["text"] for page in pages])).to_pylist()
    passes = {page["id"]: not bound.breaks(row[signal]) for page, row in zip(pages, rows, strict=True)}
    assert passes == {page["id"]: page["repetition"][granularity] for page in pages}


@pytest.mark.parametrize(
    ("modifier", "arguments"),
    [
        ("url_removal_modifier", {"url_removal": "faithful", "max_newlines": None}),
        ("newline_removal_modifier", {"url_removal": "none", "max_newlines": 2}),
    ],
)
def test_corrected_text(pages, modifier, arguments):
    assert_recorded(pages, modifier, correct_text(pa.array([page["text"] for page in pages]), **arguments))


@pytest.mark.parametrize(
    ("modifier", "rule"), [*zip(LINE_MODIFIERS, DCLM_BASELINE_FAITHFUL.annotation.line_rules, strict=True)]
)
def test_corrected_lines(pages, modifier, rule):
    corrected, _ = correct_lines(pa.array([page["text"] for page in pages]), rules=(rule,))
    assert_recorded(pages, modifier, corrected)


@pytest.mark.parametrize("modifier", C4_MODIFIERS)
def test_lines_corrected_by_c4(pages, modifier):
    corrected, _ = correct_lines(pa.array([page["text"] for page in pages]), rules=C4_MODIFIERS[modifier])
    assert_recorded(pages, modifier, corrected)


def assert_recorded(pages: list[dict], modifier: str, corrected: pa.Array) -> None:
    for page, text in zip(pages, corrected.to_pylist(), strict=True):
        recorded = page["modifiers"][modifier]
        if recorded is None:  # DCLM drops a page that it has cut to nothing
            assert text == "", page["id"]
            continue
        # The mutated pages hold the text, the others its hash.
        assert recorded in (text, hashlib.sha1(text.encode()).hexdigest()), page["id"]
