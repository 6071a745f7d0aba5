"""datatrove's own filters on texts, in an environment of its own: PYTHON benchmarks/peers/peer_datatrove.py TEXTS.jsonl

    python3.11 -m venv VENV
    VENV/bin/pip install "datatrove[processing]==0.10.1" spacy==3.8.18

The program of `benchmarks.peers.peers` that runs the peer; it needs the packages above and nothing else.

Runs GopherRepetitionFilter, GopherQualityFilter, C4QualityFilter and FineWebQualityFilter and prints as JSON the CPU
seconds of one pass. Each works on every text in full: limits that no text breaks take the place of their own. What
cannot be switched off without making the work smaller stays on, and the texts that it drops early are counted.
datatrove keeps the words of the last five texts, so that its filters share them; that stays as it is.
"""

import json
import math
import sys
import time
import warnings
from importlib.metadata import version

from datatrove.data import Document
from datatrove.pipeline.filters import (
    C4QualityFilter,
    FineWebQualityFilter,
    GopherQualityFilter,
    GopherRepetitionFilter,
)
from datatrove.utils.text import split_into_parts

N_WARM_UP = 5

FILTERS = (
    GopherRepetitionFilter(
        dup_line_frac=math.inf,
        dup_para_frac=math.inf,
        dup_line_char_frac=math.inf,
        dup_para_char_frac=math.inf,
        top_n_grams=tuple((size, math.inf) for size in (2, 3, 4)),
        dup_n_grams=tuple((size, math.inf) for size in range(5, 11)),
    ),
    GopherQualityFilter(
        min_doc_words=-math.inf,
        max_doc_words=math.inf,
        min_avg_word_length=-math.inf,
        max_avg_word_length=math.inf,
        max_symbol_word_ratio=math.inf,
        max_bullet_lines_ratio=math.inf,
        max_ellipsis_lines_ratio=math.inf,
        max_non_alpha_words_ratio=-math.inf,
        min_stop_words=-math.inf,
    ),
    C4QualityFilter(min_num_sentences=0),  # "lorem ipsum" and "{" end its work where it meets them
    FineWebQualityFilter(
        line_punct_thr=-math.inf, short_line_thr=math.inf, char_duplicates_ratio=math.inf, new_line_ratio=math.inf
    ),
)


def measure(texts: list[str]) -> tuple[float, int]:
    """CPU seconds of all filters on all texts, and how many texts were not worked on to the end by all of them."""
    split_into_parts.cache_clear()
    n_early = 0
    began = time.process_time()
    for text in texts:
        is_early = False
        for filter_ in FILTERS:
            try:
                result = filter_.filter(Document(text=text, id=""))  # C4's changes the text of what it is given
            except ZeroDivisionError:  # a text without lines or words
                result = False
            is_early |= result is not True
        n_early += is_early
    return time.process_time() - began, n_early


def main(texts_file: str) -> dict:
    warnings.simplefilter("ignore", RuntimeWarning)  # NumPy's, of the mean of nothing
    with open(texts_file, encoding="utf-8") as lines:
        texts = [json.loads(line)["text"] for line in lines]
    measure(texts[:N_WARM_UP])
    cpu, n_early = measure(texts)
    return {
        "cpu": cpu,
        "n_pages": len(texts),
        "n_early": n_early,
        "datatrove": version("datatrove"),
        "spacy": version("spacy"),
    }


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1])))
