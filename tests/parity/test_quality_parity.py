"""Words, quality rules and corrections as DCLM's own code gave them, on 181 real pages and 300 mutated ones."""

import gzip
import hashlib
import json
from pathlib import Path

import pyarrow as pa
import pytest

from dclm_spark.kernels.corrections import correct_text
from dclm_spark.kernels.quality import measure_quality
from dclm_spark.kernels.words import count_words_fasttext, count_words_split, count_words_uax29, words_uax29

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


@pytest.mark.parametrize(
    ("modifier", "arguments"),
    [
        ("url_removal_modifier", {"url_removal": "faithful", "max_newlines": None}),
        ("newline_removal_modifier", {"url_removal": "none", "max_newlines": 2}),
    ],
)
def test_corrected_text(pages, modifier, arguments):
    corrected = correct_text(pa.array([page["text"] for page in pages]), **arguments).to_pylist()
    for page, text in zip(pages, corrected, strict=True):
        recorded = page["modifiers"][modifier]
        # The mutated pages hold the text, the others its hash.
        assert recorded in (text, hashlib.sha1(text.encode()).hexdigest()), page["id"]
