"""Gopher's and FineWeb's rules as datatrove decided them: the same numbers, the same pages kept, the same reason.

`tools/record_datatrove.py` made the recordings: of texts that are hard to measure, and of the golden pages.
"""

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pytest

from dclm_spark.kernels.signals.fineweb import measure_fineweb
from dclm_spark.kernels.signals.gopher import measure_gopher
from dclm_spark.recipe.bounds import Bound
from dclm_spark.recipe.builtin import FINEWEB_FAITHFUL

RECORDINGS = Path(__file__).parent.parent / "data" / "datatrove"
N_HARD_TEXTS = 497
# What datatrove's filters give as the reason; two where a bound has two sides.
REASONS = {
    "gopher.frac_duplicate_paragraphs": ["dup_para_frac"],
    "gopher.frac_duplicate_paragraph_chars": ["dup_para_char_frac"],
    "gopher.frac_duplicate_lines": ["dup_line_frac"],
    "gopher.frac_duplicate_line_chars": ["dup_line_char_frac"],
    **{f"gopher.frac_top_{size}gram_chars": [f"top_{size}_gram"] for size in (2, 3, 4)},
    **{f"gopher.frac_duplicate_{size}gram_chars": [f"duplicated_{size}_n_grams"] for size in range(5, 11)},
    "gopher.n_words": ["gopher_short_doc", "gopher_long_doc"],
    "gopher.mean_word_chars": ["gopher_below_avg_threshold", "gopher_above_avg_threshold"],
    "gopher.hashes_per_token": ["gopher_too_many_hashes"],
    "gopher.ellipses_per_token": ["gopher_too_many_ellipsis"],
    "gopher.frac_bullet_lines": ["gopher_too_many_bullets"],
    "gopher.frac_ellipsis_lines": ["gopher_too_many_end_ellipsis"],
    "gopher.frac_tokens_with_letter": ["gopher_below_alpha_threshold"],
    "gopher.n_stop_words": ["gopher_enough_stop_words"],
    "fineweb.n_lines": ["empty"],
    "fineweb.frac_punctuated_lines": ["line_punct_ratio"],
    "fineweb.frac_short_lines": ["short_line_ratio"],
    "fineweb.frac_duplicate_line_chars": ["char_dup_ratio"],
    "fineweb.newlines_per_token": ["list_ratio"],
}


def read(name: str) -> list[dict]:
    with gzip.open(RECORDINGS / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
        names, *rows = map(json.loads, lines)
    return [dict(zip(names, row, strict=True)) for row in rows]


def measure(texts: list[str], tokens: str) -> list[dict[str, float | None]]:
    """The signals of each text, by `group.name`."""
    annotation = FINEWEB_FAITHFUL.annotation
    text = pa.array(texts, pa.string())
    gopher = measure_gopher(text, tokens=tokens, stop_words=annotation.stop_words, reading="faithful")
    fineweb = measure_fineweb(text, tokens=tokens, reading="faithful", short_line_chars=annotation.short_line_chars)
    return [
        {f"gopher.{name}": value for name, value in one.items()}
        | {f"fineweb.{name}": value for name, value in other.items()}
        for one, other in zip(gopher.to_pylist(), fineweb.to_pylist(), strict=True)
    ]


def filter_of(bound: Bound) -> str:
    """The filter of datatrove that has this rule, as the recordings name it."""
    group, name = bound.signal.split(".")
    if group == "gopher":
        is_repetition = name.startswith(("frac_duplicate", "frac_top"))
        return "gopher_repetition" if is_repetition else "gopher_quality"
    return group


def decide(signals: dict[str, float | None], filter_name: str) -> bool | str:
    """True for a text that stays, else datatrove's name for the first bound it breaks."""
    # datatrove takes out an empty text before it measures; here its shares are null, and the rule of length does it.
    if filter_name == "gopher_repetition" and signals["gopher.frac_duplicate_lines"] is None:
        return "empty"
    for bound in FINEWEB_FAITHFUL.bounds:
        value = signals.get(bound.signal)
        if filter_of(bound) == filter_name and bound.breaks(value):
            return REASONS[bound.signal][0 if bound.at_least is not None and value < bound.at_least else -1]
    return True


def assert_recorded(recorded: list[dict], texts: list[str], tokens: str) -> None:
    for page, text, signals in zip(recorded, texts, measure(texts, tokens), strict=True):
        numbers = {name: value for name, value in page.items() if "." in name}
        assert {name: signals[name] for name in numbers} == numbers, (page["id"], ascii(text[:500]))
        for filter_name in ("gopher_repetition", "gopher_quality", "fineweb"):
            assert decide(signals, filter_name) == page[filter_name], (page["id"], ascii(text[:500]))


def test_every_rule_of_the_recipe_is_checked():
    checked = {bound.signal for bound in FINEWEB_FAITHFUL.bounds if bound.signal.startswith(("gopher.", "fineweb."))}
    assert checked == set(REASONS)
    names = set(read("hard_texts")[0])
    assert checked - names == {"fineweb.n_lines"}  # compared with nothing: only its reason is recorded


@pytest.mark.parametrize(("recording", "tokens"), [("hard_texts", "spacy_en"), ("hard_texts_uax29", "uax29")])
def test_hard_texts(recording, tokens):
    texts = {page["id"]: page["text"] for page in read("hard_texts")}
    recorded = read(recording)
    assert len(recorded) == N_HARD_TEXTS
    assert_recorded(recorded, [texts[page["id"]] for page in recorded], tokens)


@pytest.mark.parametrize(("name", "n_pages"), [("article_extraction", 181), ("mutated", 300)])
def test_golden_pages(shared_data, name, n_pages):
    with gzip.open(shared_data / "golden" / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
        texts = {page["id"]: page["text"] for page in map(json.loads, lines)}
    recorded = [page for page in read("golden") if page["id"] in texts]
    assert len(recorded) == n_pages
    assert_recorded(recorded, [texts[page["id"]] for page in recorded], "spacy_en")
