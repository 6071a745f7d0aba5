"""MinHash signatures of pages, without Spark, beside datasketch: python -m benchmarks.programs.minhash FILE...

Prints as JSON, of the texts in WARC files, how many milliseconds of CPU a signature takes a document, and how many MB
of text a second that is, in one thread, compiled code warm; the best of some rounds that take turns:

- `ours`: from text to signature and band keys, 112 permutations of 5-word shingles, and other settings beside it
- `datasketch_sha1`, `datasketch_xxh32`: the same shingles into a `datasketch.MinHash`, by `update_batch`, with its
  default hash of a shingle (SHA-1) and with xxh32; without keys

`ratio_to_...` says how many times as fast ours is.
"""

import dataclasses
import json
import sys
import time
from collections.abc import Callable

import pyarrow.compute as pc
from datasketch import MinHash as Datasketch
from xxhash import xxh32_intdigest

from benchmarks.programs.signals import read_texts
from dclm_spark.kernels.near.minhash import sign
from dclm_spark.recipe.near_duplicates import MinHash

N_ROUNDS = 5
TURN_SECONDS = 0.2
OURS = MinHash()
SETTINGS = {
    "ours": {},
    "mersenne61": {"permutations": "mersenne61"},
    "no_normalization": {"normalization": "none"},
    "datatrove_normalization": {"normalization": "datatrove"},
    "uax29_words": {"words": "uax29"},
    "spacy_en_words": {"words": "spacy_en"},
    "datatrove_normalization_spacy_en_words": {"normalization": "datatrove", "words": "spacy_en"},
    "chars_24": {"shingles": "chars", "shingle_size": 24},
    "stored_shingles": {"stores_shingles": True},
    "curator_20x13": {"n_bands": 20, "n_rows": 13},
    "refinedweb_450x20": {"n_bands": 450, "n_rows": 20},
}
HASHES: dict[str, dict[str, Callable[[bytes], int]]] = {
    "datasketch_sha1": {},
    "datasketch_xxh32": {"hashfunc": xxh32_intdigest},
}


def sign_by_datasketch(texts: list[str], **options) -> list[Datasketch]:
    empty = Datasketch(num_perm=OURS.n_permutations, **options)
    signatures = []
    for text in texts:
        words = text.lower().split()
        size = OURS.shingle_size
        signature = empty.copy()
        signature.update_batch(" ".join(words[start : start + size]).encode() for start in range(len(words) - size + 1))
        signatures.append(signature)
    return signatures


def seconds_of(measure: Callable[[], object]) -> float:
    """CPU seconds of a call, the mean of as many as take a while: few pages are signed in some milliseconds."""
    n_calls, taken = 0, 0.0
    began = time.process_time()
    while taken < TURN_SECONDS:
        measure()
        n_calls += 1
        taken = time.process_time() - began
    return taken / n_calls


def main(paths: list[str]) -> dict:
    _, text = read_texts(paths)
    texts = text.to_pylist()
    work: dict[str, Callable[[], object]] = {}
    for name, changes in SETTINGS.items():
        minhash = dataclasses.replace(OURS, **changes)
        work[name] = lambda minhash=minhash: sign(text, minhash)
    for name, options in HASHES.items():
        work[name] = lambda options=options: sign_by_datasketch(texts, **options)
    seconds = {name: float("inf") for name in work}
    for name in SETTINGS:  # compiles
        sign(text[:1], dataclasses.replace(OURS, **SETTINGS[name]))
    for _ in range(N_ROUNDS):
        for name, measure in work.items():
            seconds[name] = min(seconds[name], seconds_of(measure))
    n_bytes = pc.sum(pc.binary_length(text)).as_py()
    report: dict = {"n_pages": len(text), "n_bytes": n_bytes, "mean_chars": pc.mean(pc.utf8_length(text)).as_py()}
    for name, taken in seconds.items():
        report[name] = {"ms_per_document": 1e3 * taken / len(text), "mb_per_s": n_bytes / taken / 1e6}
    for name in HASHES:
        report[f"ratio_to_{name}"] = seconds[name] / seconds["ours"]
    return report


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1:])))
