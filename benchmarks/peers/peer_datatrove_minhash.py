"""datatrove's own near-duplicate removal: PYTHON benchmarks/peers/peer_datatrove_minhash.py DOCUMENTS OUT [--split]

    python3.11 -m venv VENV
    VENV/bin/pip install "datatrove[processing]==0.10.1" spacy==3.8.18 orjson

DOCUMENTS is a .jsonl file, or a folder of them, with an `id` and a `text` a line (`benchmarks.corpora.near_pages` makes
some). The four steps are those of datatrove's example `minhash_deduplication.py`, one after the other in this process:
14 buckets of 8 hashes, word 5-grams, 64 bits. What the example does besides is left out: it counts tokens, and
compresses what it writes. `--split` takes words between white space in place of spaCy's, whose word breaker needs most
of the time; the text is simplified as before.

OUT/clusters.json has the cluster of each document that is not alone in one, as {id: number}. Prints as JSON the CPU and
wall seconds of each step, with those of imports and of spaCy's start apart, and how many documents stay; what datatrove
logs goes to standard error.
"""

import resource
import time


def seconds() -> tuple[float, float]:
    """CPU seconds of this process and its children so far, and the clock."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used), time.perf_counter()


BEGAN = seconds()

import argparse  # noqa: E402
import json  # noqa: E402
import shutil  # noqa: E402
import struct  # noqa: E402
from collections.abc import Callable  # noqa: E402
from importlib.metadata import version  # noqa: E402
from pathlib import Path  # noqa: E402

import spacy  # noqa: E402
from datatrove.executor import LocalPipelineExecutor  # noqa: E402
from datatrove.pipeline.dedup import MinhashDedupSignature  # noqa: E402
from datatrove.pipeline.dedup.minhash import (  # noqa: E402
    MinhashConfig,
    MinhashDedupBuckets,
    MinhashDedupCluster,
    MinhashDedupFilter,
)
from datatrove.pipeline.readers import JsonlReader  # noqa: E402
from datatrove.pipeline.writers.jsonl import JsonlWriter  # noqa: E402
from datatrove.utils.hashing import HashConfig  # noqa: E402

N_BUCKETS = 14


class SplitTokenizer:
    """Words between white space."""

    def word_tokenize(self, text: str) -> list[str]:
        return text.split()


def read(documents: str) -> JsonlReader:
    path = Path(documents)
    if path.is_dir():
        return JsonlReader(documents, glob_pattern="*.jsonl")
    return JsonlReader(str(path.parent), glob_pattern=path.name)


def since(cpu: float, wall: float) -> dict[str, float]:
    now_cpu, now_wall = seconds()
    return {"cpu": now_cpu - cpu, "wall": now_wall - wall}


def measured(work: Callable[[], object]) -> dict[str, float]:
    began = seconds()
    work()
    return since(*began)


def clusters(documents: str, found: Path) -> dict[str, int]:
    """The cluster of each document that shares one, by its id; datatrove itself knows documents by position."""
    if not found.exists():
        return {}
    by_position = dict(struct.iter_unpack("<2I", found.read_bytes()))
    ids = enumerate(document.id for document in read(documents).run())
    return {id_: by_position[position] for position, id_ in ids if position in by_position}


def main() -> dict[str, object]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("documents")
    parser.add_argument("out", type=Path, help="a folder; what an earlier run left there goes")
    parser.add_argument("--split", action="store_true", help="words between white space, not spaCy's")
    parser.add_argument("--hash", choices=("xxhash", "sha1"), default="xxhash", help="of a shingle; %(default)s")
    arguments = parser.parse_args()
    steps = {"start": since(*BEGAN)}
    if not arguments.split:
        steps["start_spacy"] = measured(lambda: spacy.blank("en"))

    out = arguments.out
    signatures, buckets, remove_ids, kept, removed, logs = (
        out / name for name in ("signatures", "buckets", "remove_ids", "kept", "removed", "logs")
    )
    for folder in (signatures, buckets, remove_ids, kept, removed, logs):
        shutil.rmtree(folder, ignore_errors=True)
    hashes = HashConfig(precision=64, hash_fc=arguments.hash)
    config = MinhashConfig(n_grams=5, num_buckets=N_BUCKETS, hashes_per_bucket=8, hash_config=hashes)
    sign = MinhashDedupSignature(output_folder=str(signatures), config=config)
    if arguments.split:
        sign.word_tokenizer = SplitTokenizer()
    pipelines = {
        "signatures": [read(arguments.documents), sign],
        "buckets": [MinhashDedupBuckets(input_folder=str(signatures), output_folder=str(buckets), config=config)],
        "clusters": [
            MinhashDedupCluster(
                input_folder=str(buckets), output_folder=str(remove_ids), config=config, save_cluster_id=True
            )
        ],
        "filter": [
            read(arguments.documents),
            MinhashDedupFilter(
                input_folder=str(remove_ids), exclusion_writer=JsonlWriter(str(removed), compression=None)
            ),
            JsonlWriter(str(kept), compression=None),
        ],
    }
    for name, pipeline in pipelines.items():
        executor = LocalPipelineExecutor(
            pipeline, tasks=N_BUCKETS if name == "buckets" else 1, workers=1, logging_dir=str(logs / name)
        )
        steps[name] = measured(executor.run)

    found = clusters(arguments.documents, remove_ids / "000000.clusters")
    (out / "clusters.json").write_text(json.dumps(found))
    counts = {
        folder.name: sum(1 for path in sorted(folder.glob("*.jsonl")) for _ in path.open("rb"))
        for folder in (kept, removed)
    }
    return {
        "steps": steps,
        **{unit: sum(steps[name][unit] for name in pipelines) for unit in ("cpu", "wall")},
        "n_documents": sum(counts.values()),
        "n_kept": counts["kept"],
        "n_in_clusters": len(found),
        "n_clusters": len(set(found.values())),
        "max_rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "words": "split" if arguments.split else f"spacy {version('spacy')}",
        "hash": arguments.hash,
        "datatrove": version("datatrove"),
    }


if __name__ == "__main__":
    print(json.dumps(main()))
