"""The whole chain as DCLM's own code ran it: the same pages kept, the same first rule broken, the same text."""

import gzip
import json

import pyarrow as pa
import pytest

from dclm_spark.kernels.signals.annotate import annotate_batch
from dclm_spark.recipe.builtin import DCLM_BASELINE_FAITHFUL
from dclm_spark.reports.explain import judge

# The step of DCLM's configuration that a signal's bound stands for.
STEPS = {
    "no_text": "language_filter",  # what is empty is in no language
    "language.p_target": "language_filter",
    "quality.n_words": "page_length_filter",
    "quality.mean_word_chars": "word_length_filter",
    "quality.symbols_per_word": "symbol_ratio_filter",
    "quality.frac_bullet_lines": "bullet_count_filter",
    "quality.frac_ellipsis_lines": "ellipsis_count_filter",
    "quality.frac_words_without_letter": "alphabetic_word_ratio_filter",
    "quality.n_stop_words": "stop_word_filter",
    "lines.frac_words_removed": "word_removal_ratio_filter",
}
N_PAGES = {"article_extraction": 181, "mutated": 300}


def step_of(signal: str | None) -> str | None:
    if signal is None:
        return None
    return "massive_web_repetition_filters" if signal.startswith("repetition.") else STEPS[signal]


@pytest.mark.parametrize("recording", N_PAGES)
def test_every_decision_and_every_text(shared_data, recording):
    with gzip.open(shared_data / "golden" / f"{recording}.jsonl.gz", "rt", encoding="utf-8") as lines:
        pages = [json.loads(line) for line in lines]
    assert len(pages) == N_PAGES[recording]
    columns = {name: [str(page.get(name) or "") for page in pages] for name in ("id", "url", "text")}
    columns["doc_id"], columns["dump"] = columns.pop("id"), ["D"] * len(pages)
    annotated = annotate_batch(
        pa.RecordBatch.from_pydict(columns), DCLM_BASELINE_FAITHFUL.annotation, DCLM_BASELINE_FAITHFUL.groups
    )
    for page, row in zip(pages, annotated.to_pylist(), strict=True):
        removed_by = judge(row, DCLM_BASELINE_FAITHFUL)["removed_by"]
        assert step_of(removed_by) == page["drop"], page["id"]
        if page["kept"]:
            assert row["text"] == page["text_out"], page["id"]
