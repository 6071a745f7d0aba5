"""BFF, the program with which DCLM removes repeated paragraphs and documents, on one file and one thread.

It is a part of mlfoundations/dclm, in `dedup/bff`; `cargo build --release` there leaves `target/release/bff`. Figures
were made with commit 361714b and its lock file. More files than one it would read in an order of its own, and more
threads than one answer each other by chance.
"""

import json
import os
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

MODES = {
    "paragraph": "paragraph",
    "document": "document",
    "old_both": "old-both",
    "naive_both": "naive-both",
    "both": "both",
    "exact": "exact",
}
"""Our names of its modes, and its own."""


def run_bff(
    program: Path,
    texts: Path,
    out: Path,
    *,
    n_ngrams: int,
    mode: str = "old_both",
    ngram: tuple[int, int] = (13, 13),
    fp_rate: float = 0.01,
    threshold: float = 0.8,
) -> dict[str, Any]:
    """Seconds of CPU and of the clock, and the peak of memory; the texts that stay are in `out`, under the same name.

    Args:
        program: The executable.
        texts: A .jsonl file, uncompressed.
        out: A folder.
        n_ngrams: That the filter is made for.
        mode: A key of `MODES`.
        ngram: The least and the greatest size.
        fp_rate: Of the filter.
        threshold: A share of n-grams.
    """
    with tempfile.TemporaryDirectory(dir=out.parent) as inputs:  # it takes folders
        os.link(texts, Path(inputs, texts.name))
        options = {
            "--inputs": inputs,
            "--output-directory": out,
            "--expected-ngram-count": n_ngrams,
            "--fp-rate": fp_rate,
            "--min-ngram-size": ngram[0],
            "--max-ngram-size": ngram[1],
            "--filtering-threshold": threshold,
            "--remove-type": MODES[mode],
            "--threads": 1,
        }
        words = [str(word) for option in options.items() for word in option]
        began = time.perf_counter()
        process = subprocess.Popen(
            [program, "bff", *words, "--no-progress-bar"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
    if status:
        raise RuntimeError(f"{program} ended with status {os.waitstatus_to_exitcode(status)} on {texts}")
    return {"cpu": usage.ru_utime + usage.ru_stime, "wall": wall, "peak_bytes": usage.ru_maxrss * 1024}


def texts_of(file: Path) -> dict[str, str]:
    """id -> text of the rows of a .jsonl file. BFF leaves out a row of which nothing stays."""
    with file.open(encoding="utf-8") as rows:
        return {row["id"]: row["text"] for row in map(json.loads, rows)}
