"""The signals of one page, without Spark: python -m benchmarks.programs.signals FILE...

Prints as JSON how many milliseconds of CPU the kernels of `annotated`, all but the language's, take for 5,000
characters of the texts in WARC files, in one thread, compiled code warm; the best of some rounds, and the parts of it:
those of `dclm_baseline`, and those of all rule sets together, with spaCy's tokens.
"""

import dataclasses
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from dclm_spark.kernels.archive import pages
from dclm_spark.kernels.signals.c4 import clean_c4
from dclm_spark.kernels.signals.corrections import correct_text
from dclm_spark.kernels.signals.fineweb import measure_fineweb
from dclm_spark.kernels.signals.gopher import measure_gopher
from dclm_spark.kernels.signals.lines import correct_lines
from dclm_spark.kernels.signals.quality import measure_quality
from dclm_spark.kernels.signals.repetition import measure_repetition
from dclm_spark.kernels.signals.urls import measure_urls
from dclm_spark.recipe.annotation import Annotation
from dclm_spark.recipe.builtin import DCLM_BASELINE

N_PAGES = 2_000
N_ROUNDS = 7
PAGE_CHARS = 5_000

Kernels = dict[str, Callable[[], object]]

# The signals of `dclm_baseline`, and those of the other rule sets, each by the name of its kernel's part.
DCLM_PARTS = ("corrections", "urls", "quality", "repetition", "lines")
OTHER_PARTS = ("gopher", "c4", "fineweb")


def read_texts(paths: list[str]) -> tuple[pa.Array, pa.Array]:
    """The URLs and texts of the first pages."""
    batches = (batch.select(["url", "text"]) for path in paths for batch in _read(path))
    taken = []
    for batch in batches:
        taken.append(batch)
        if sum(part.num_rows for part in taken) >= N_PAGES:
            break
    table = pa.Table.from_batches(taken)
    table = table.filter(pc.is_valid(table["text"]))
    return table["url"].combine_chunks(), table["text"].combine_chunks()


def _read(path: str) -> Iterator[pa.RecordBatch]:
    with Path(path).open("rb") as stream:
        yield from pages.read_pages(stream, path=path, dump="D", extraction=DCLM_BASELINE.extraction)


def kernels_of(annotation: Annotation, url: pa.Array, text: pa.Array) -> Kernels:
    """Every kernel of `signals.annotate_batch` but the language's, given what it is given there."""
    corrections = {"url_removal": annotation.url_removal, "max_newlines": annotation.max_newlines}
    tokens = {"tokens": annotation.tokens, "reading": annotation.reading}
    corrected = correct_text(text, **corrections)
    text_of_lines, _ = correct_lines(corrected, rules=annotation.line_rules)
    cleaned, *_ = clean_c4(text_of_lines, rules=annotation.c4, bad_words=annotation.bad_words, **tokens)
    n_tokens = None
    if cleaned is corrected:  # the tokens that Gopher's signals have counted are those of the text that comes out
        n_tokens = measure_gopher(corrected, stop_words=annotation.stop_words, **tokens).field("n_tokens")
    return {
        "corrections": lambda: correct_text(text, **corrections),
        "urls": lambda: measure_urls(url, strict=(), hard=(), soft=()),
        "quality": lambda: measure_quality(corrected, stop_words=annotation.stop_words),
        "repetition": lambda: measure_repetition(corrected),
        "lines": lambda: correct_lines(corrected, rules=annotation.line_rules),
        "gopher": lambda: measure_gopher(corrected, stop_words=annotation.stop_words, **tokens),
        "c4": lambda: clean_c4(text_of_lines, rules=annotation.c4, bad_words=annotation.bad_words, **tokens),
        "fineweb": lambda: measure_fineweb(
            cleaned, short_line_chars=annotation.short_line_chars, n_tokens=n_tokens, **tokens
        ),
    }


def best_of(measure: Callable[[], object]) -> float:
    """CPU seconds of the fastest round; the first, which may compile, is not counted."""
    seconds = []
    for _ in range(N_ROUNDS + 1):
        began = time.process_time()
        measure()
        seconds.append(time.process_time() - began)
    return min(seconds[1:])


def main(paths: list[str]) -> dict[str, float]:
    url, text = read_texts(paths)
    annotation = dataclasses.replace(DCLM_BASELINE.annotation, tokens="spacy_en")
    corrected = correct_text(text, url_removal=annotation.url_removal, max_newlines=annotation.max_newlines)
    n_chars = pc.sum(pc.utf8_length(corrected)).as_py()
    scale = 1e3 * PAGE_CHARS / n_chars
    parts = {name: scale * best_of(measure) for name, measure in kernels_of(annotation, url, text).items()}
    return {
        "n_pages": len(text),
        "n_chars": n_chars,
        "dclm": sum(parts[name] for name in DCLM_PARTS),
        "all": sum(parts.values()),
        **parts,
    }


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1:])))
