"""Memory that a kernel needs beside its batch: python -m benchmarks.programs.memory FILE...

Prints as JSON, for each kernel of `annotated` and each batch, by how many times the bytes of the batch's text the peak
of resident memory rises while the kernel runs, result included, and the worst of all. Each measurement is a process of
its own, compiled code and tables warm. Batches are the texts of WARC files, some 64 MB of them, and single pages that
are made to be hard on memory: what a kernel keeps for a word, a token or a line weighs most where each has one byte.
Needs Linux and glibc, where a process may set back the count of its peak memory and hand back what is free.
"""

import ctypes
import json
import multiprocessing
import random
import sys
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path

import pyarrow as pa

from benchmarks.programs.signals import read_texts
from dclm_spark.kernels.fasttext.identify import identify_language
from dclm_spark.kernels.signals.c4 import clean_c4
from dclm_spark.kernels.signals.corrections import correct_text
from dclm_spark.kernels.signals.domains import count_excluded
from dclm_spark.kernels.signals.fineweb import measure_fineweb
from dclm_spark.kernels.signals.gopher import measure_gopher
from dclm_spark.kernels.signals.lines import correct_lines
from dclm_spark.kernels.signals.quality import measure_quality
from dclm_spark.kernels.signals.repetition import measure_repetition
from dclm_spark.kernels.signals.urls import measure_urls
from dclm_spark.recipe.annotation import C4Lines
from dclm_spark.recipe.builtin import DCLM_BASELINE, REFINEDWEB

N_REAL_BYTES = 64_000_000
N_BYTES = 10_000_000
SEED = 7

# No line goes before its tokens and sentences are looked for.
_C4 = C4Lines(cleans_text=True, needs_end_mark=False, min_words=0, max_word_chars=None)
_ANNOTATION = replace(DCLM_BASELINE.annotation, c4=_C4)
_WORDS = ("word", "other")

Kernel = Callable[[pa.Array], object]


def kernels() -> dict[str, Kernel]:
    """Every kernel of `signals.annotate_batch` on a batch of texts, or of URLs, by name."""
    a = _ANNOTATION
    found: dict[str, Kernel] = {
        "corrections": lambda text: correct_text(text, url_removal=a.url_removal, max_newlines=a.max_newlines),
        "urls": lambda url: measure_urls(url, strict=_WORDS, hard=_WORDS, soft=_WORDS),
        "domains": lambda url: count_excluded(url, REFINEDWEB.annotation.excluded_domains, match=a.domain_match),
        "language": lambda text: identify_language(
            text, model=a.language_model, languages=a.languages, newline=a.newline
        ),
        "quality": lambda text: measure_quality(text, stop_words=a.stop_words),
        "repetition": measure_repetition,
        "lines": lambda text: correct_lines(text, rules=a.line_rules),
    }
    for tokens in ("spacy_en", "uax29"):
        for reading in ("fixed", "faithful"):
            options = {"tokens": tokens, "reading": reading}
            found |= {
                f"gopher, {tokens}, {reading}": lambda text, o=options: measure_gopher(
                    text, stop_words=a.stop_words, **o
                ),
                f"c4, {tokens}, {reading}": lambda text, o=options: clean_c4(text, rules=a.c4, bad_words=_WORDS, **o),
                f"fineweb, {tokens}, {reading}": lambda text, o=options: measure_fineweb(
                    text, short_line_chars=a.short_line_chars, **o
                ),
            }
    return found


def batches(paths: list[str]) -> dict[str, pa.Array]:
    """The batches by name."""
    _, text = read_texts(paths)
    chance = random.Random(SEED)
    pages = {
        "one letter": "a" * N_BYTES,
        "a million newlines": "\n" * 1_000_000,
        "words of one letter": "a " * (N_BYTES // 2),
        "different words of one letter": " ".join(
            chance.choices("abcdefghijklmnopqrstuvwxyz0123456789", k=N_BYTES // 2)
        ),
        "lines of one letter": "a\n" * (N_BYTES // 2),
        "marks": "(" * N_BYTES,
        "different marks": "".join(chance.choices("()[]{}<>;:!?", k=N_BYTES)),
    }
    real = pa.concat_arrays([text] * (1 + N_REAL_BYTES // text.nbytes))
    return {"pages": real} | {name: pa.array([page]) for name, page in pages.items()}


def multiple(kernel: Kernel, text: pa.Array) -> float:
    """Bytes that memory rises by at its highest, a byte of text."""
    receiver, sender = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(target=_measure, args=(kernel, text, sender))
    process.start()
    sender.close()
    n_bytes = receiver.recv()
    process.join()
    return n_bytes / text.nbytes


def _measure(kernel: Kernel, text: pa.Array, sender: Connection) -> None:
    kernel(pa.array(["It lies west.\n"]))
    # What is free but still held would hide what the kernel takes.
    pa.default_memory_pool().release_unused()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")  # the peak is what is held now
    before = _status("VmHWM")
    result = kernel(text)
    sender.send(_status("VmHWM") - before)
    del result  # was in memory until here


def _status(key: str) -> int:
    return int(Path("/proc/self/status").read_text().split(f"{key}:")[1].split()[0]) << 10


def main(paths: list[str]) -> dict[str, object]:
    all_kernels = kernels()
    for kernel in all_kernels.values():
        kernel(pa.array(["It lies west.\n"]))
    found = {
        kernel_name: {name: multiple(kernel, text) for name, text in batches_by_name.items()}
        for batches_by_name in [batches(paths)]
        for kernel_name, kernel in all_kernels.items()
    }
    worst, kernel, batch = max((x, kernel, batch) for kernel, row in found.items() for batch, x in row.items())
    return {"worst": worst, "kernel": kernel, "batch": batch, "kernels": found}


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1:])))
