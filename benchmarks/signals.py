"""The signals of one page, without Spark: python -m benchmarks.signals FILE...

Prints as JSON how many milliseconds the kernels of `annotated`, all but the language's, take for 5,000 characters of
the texts in WARC files, in one thread, compiled code warm; the best of some rounds, and the parts of it.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from dclm_spark.kernels import pages
from dclm_spark.kernels.corrections import correct_text
from dclm_spark.kernels.lines import correct_lines
from dclm_spark.kernels.quality import measure_quality
from dclm_spark.kernels.repetition import measure_repetition
from dclm_spark.kernels.urls import measure_urls
from dclm_spark.recipes import DCLM_BASELINE

N_PAGES = 2_000
N_ROUNDS = 7
PAGE_CHARS = 5_000


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


def best_of(measure: Callable[[], object]) -> float:
    """Seconds of the fastest round; the first, which may compile, is not counted."""
    seconds = []
    for _ in range(N_ROUNDS + 1):
        began = time.perf_counter()
        measure()
        seconds.append(time.perf_counter() - began)
    return min(seconds[1:])


def main(paths: list[str]) -> dict[str, float]:
    url, text = read_texts(paths)
    annotation = DCLM_BASELINE.annotation
    corrected = correct_text(text, url_removal=annotation.url_removal, max_newlines=annotation.max_newlines)
    kernels = {
        "corrections": lambda: correct_text(
            text, url_removal=annotation.url_removal, max_newlines=annotation.max_newlines
        ),
        "urls": lambda: measure_urls(url, strict=(), hard=(), soft=()),
        "quality": lambda: measure_quality(corrected, stop_words=annotation.stop_words),
        "repetition": lambda: measure_repetition(corrected),
        "lines": lambda: correct_lines(corrected, rules=annotation.line_rules),
    }
    n_chars = pc.sum(pc.utf8_length(corrected)).as_py()
    parts = {name: 1e3 * PAGE_CHARS / n_chars * best_of(measure) for name, measure in kernels.items()}
    return {"n_pages": len(text), "n_chars": n_chars, "milliseconds": sum(parts.values()), **parts}


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1:])))
