"""What we leave beside what BFF leaves of the same texts, page by page.

    python -m benchmarks.peers.compare_bff BFF DOCS.jsonl

BFF is its executable (`benchmarks/peers/bff.py` says which), DOCS.jsonl what `benchmarks.corpora.near_pages` writes.
Every mode runs on one file: ours with exact sets of n-grams beside BFF with a rate of false positives of 1e-9, where no
page may differ; then DCLM's settings, a rate of .01 in both, where the two filters' false positives fall on other
n-grams. A blank at either end of a text counts for nothing: BFF keeps the newline before a paragraph that it takes out.
"""

import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from benchmarks.peers.bff import MODES, run_bff, texts_of
from dclm_spark.kernels.ngrams.bloom import geometry_for
from dclm_spark.kernels.ngrams.shards import Shard
from dclm_spark.recipe.deduplication import Bloom

N_NGRAMS = 40_000_000
FEW, DCLM = 1e-9, 0.01  # rates of false positives
SIZES = ((13, 13), (5, 13), (20, 20))
ROWS = 500
FAITHFUL = Bloom(scope="shards", inserts="kept", word_breaker="15.1")


def leave(texts: Sequence[str], bloom: Bloom) -> list[str]:
    """What stays of each text; nothing of one that goes."""
    shard = Shard(bloom, None if bloom.filter == "exact" else geometry_for(N_NGRAMS, bloom.fp_rate))
    left = []
    for start in range(0, len(texts), ROWS):
        some = texts[start : start + ROWS]
        found = shard.judge(pa.array(some, pa.string()))
        cuts = iter(found.paragraphs.tolist())
        for text, is_gone, n_cuts in zip(some, found.is_removed | found.is_emptied, found.n_cuts.tolist(), strict=True):
            cut = {next(cuts) for _ in range(n_cuts)}
            kept = (one for number, one in enumerate(text.split("\n")) if number not in cut)
            left.append("" if is_gone else "\n".join(kept))
    return left


def compare(program: Path, file: Path, scratch: Path, bloom: Bloom, fp_rate: float) -> dict[str, Any]:
    """Pages that differ, and the bytes that each leaves."""
    texts = texts_of(file)
    sizes = (bloom.min_ngram, bloom.max_ngram)
    out = scratch / "left"
    threshold = {"threshold": bloom.threshold}
    run_bff(program, file, out, n_ngrams=N_NGRAMS, mode=bloom.mode, ngram=sizes, fp_rate=fp_rate, **threshold)
    stayed = texts_of(out / file.name)
    theirs = [stayed.get(name, "") for name in texts]
    ours = leave(list(texts.values()), bloom)
    same = [one.strip() == other.strip() for one, other in zip(ours, theirs, strict=True)]
    return {
        "mode": bloom.mode,
        "ngram": sizes,
        "filter": bloom.filter,
        "fp_rate_of_bff": fp_rate,
        "n_pages": len(texts),
        "n_different": len(same) - sum(same),
        "bytes_left": sum(len(text.encode()) for text in ours),
        "bytes_left_by_bff": sum(len(text.encode()) for text in theirs),
        "bytes_before": sum(len(text.encode()) for text in texts.values()),
    }


def main() -> int:
    program, file = map(Path, sys.argv[1:])
    exact = replace(FAITHFUL, filter="exact")
    settings = [(replace(exact, mode=mode, threshold=0.0 if mode == "exact" else 0.8), FEW) for mode in MODES]
    settings += [(replace(exact, min_ngram=low, max_ngram=high), FEW) for low, high in SIZES[1:]]
    n_wrong = 0
    with tempfile.TemporaryDirectory(prefix="dclm_spark-bff-", dir=file.parent) as scratch:
        for bloom, fp_rate in [*settings, (FAITHFUL, DCLM)]:
            found = compare(program, file, Path(scratch), bloom, fp_rate)
            n_wrong += found["n_different"] if fp_rate == FEW else 0
            print(json.dumps(found), flush=True)
    return 1 if n_wrong else 0


if __name__ == "__main__":
    sys.exit(main())
