"""The language decisions that DCLM's own code made, number for number."""

import gzip
import json

import pyarrow as pa
import pytest

from dclm_spark.kernels.fasttext.identify import identify_language
from dclm_spark.kernels.signals.corrections import correct_text

THRESHOLD = 0.65  # DCLM-Baseline keeps English above it


@pytest.mark.parametrize("name", ["article_extraction.jsonl.gz", "mutated.jsonl.gz"])
def test_every_recorded_language_is_met(shared_data, name):
    with gzip.open(shared_data / "golden" / name, "rt", encoding="utf-8") as lines:
        pages = [json.loads(line) for line in lines]
    # DCLM identifies the language after its URL and newline corrections.
    text = correct_text(pa.array([page["text"] for page in pages]), url_removal="faithful", max_newlines=2)
    found = identify_language(text, model="lid.176.ftz", languages=("en",), newline="").to_pylist()
    for page, language in zip(pages, found, strict=True):
        ((code, probability),) = page["lang"].items()
        # fastText's rounding passes 1 on some pages; no bound can tell.
        assert (language["code"], language["p_code"]) == (code, min(probability, 1.0)), page["id"]
        # Rules before the language are about the URL; this one was the first to be met by the text.
        if code != "en" or probability <= THRESHOLD:
            assert page["drop"] == "language_filter"
        else:
            assert page["drop"] != "language_filter"
    assert len(found) == {"article_extraction.jsonl.gz": 181, "mutated.jsonl.gz": 300}[name]
