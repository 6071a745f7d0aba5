"""Our clusters beside datatrove's on the same documents, pair by pair: which are alike, and how chance decides.

    python -m benchmarks.peers.compare_clusters DOCS.parquet CLUSTERS.json

DOCS.parquet is what `benchmarks.corpora.near_pages` writes, CLUSTERS.json what
`benchmarks/peers/peer_datatrove_minhash.py` makes of its .jsonl twin. Ours are made by the stages on Spark, with
datatrove's normalization and words, once with each of two seeds.
"""

import itertools
import json
import sys
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from dclm_spark.recipe.near_duplicates import MinHash, NearDuplicates
from dclm_spark.spark.session import get_session
from dclm_spark.stages.components import connected_components
from dclm_spark.stages.duplicates import find_duplicates
from dclm_spark.stages.edges import find_edges
from dclm_spark.stages.signatures import sign_documents

NEAR = NearDuplicates(scope="all", verify="none")
LIMITS = (0.7, 0.8, 0.9)


def clusters_of(spark, path: str, minhash: MinHash, near: NearDuplicates = NEAR) -> dict[str, str]:
    """doc_id -> cluster_id of the members of clusters."""
    signatures = sign_documents(spark.read.parquet(path), minhash=minhash).cache()
    dumps = sorted(set(pq.read_table(path, columns=["dump"])["dump"].to_pylist()))
    edges = find_edges(signatures, dumps=dumps, minhash=minhash, near=near, n_documents=signatures.count(), n_tasks=2)
    pairs = edges.where("NOT is_cut").select("text_hash", "other_hash")
    labels = connected_components(pairs, checkpoint=lambda rows, _: rows.cache(), n_edges=0)
    found = find_duplicates(signatures, labels, minhash=minhash, near=near, n_tasks=2)
    return {row["doc_id"]: row["cluster_id"] for row in found.select("doc_id", "cluster_id").collect()}


def pairs_of(clusters: Mapping[str, object]) -> set[tuple[str, str]]:
    """The pairs of documents that are in one cluster."""
    members = defaultdict(list)
    for doc_id, cluster in clusters.items():
        members[cluster].append(doc_id)
    return {pair for found in members.values() for pair in itertools.combinations(sorted(found), 2)}


def shingles_of(spark, path: str, minhash: MinHash) -> dict[str, np.ndarray]:
    rows = sign_documents(spark.read.parquet(path), minhash=minhash).where("shingles IS NOT NULL")
    return {row[0]: np.frombuffer(row[1], "<u8") for row in rows.select("doc_id", "shingles").collect()}


def main() -> int:
    path, peer = sys.argv[1:]
    spark = get_session(master="local[2]")
    minhash = MinHash(normalization="datatrove", words="spacy_en", stores_shingles=True)
    theirs = pairs_of(json.loads(Path(peer).read_text(encoding="utf-8")))
    found = clusters_of(spark, path, minhash)
    ours = pairs_of(found)
    again = pairs_of(clusters_of(spark, path, MinHash(**{**minhash.__dict__, "seed": 2})))
    shingles = shingles_of(spark, path, minhash)

    def jaccard(pair: tuple[str, str]) -> float:
        one, other = (shingles[doc_id] for doc_id in pair)
        n_same = len(np.intersect1d(one, other, assume_unique=True))
        return n_same / (len(one) + len(other) - n_same)

    print(f"{len(set(found.values())):,} clusters of {len(found):,} documents; pairs in one cluster, by Jaccard index")
    print("| | pairs |", *(f"{limit} or more |" for limit in LIMITS))
    for name, pairs in (
        ("of both", ours & theirs),
        ("of ours alone", ours - theirs),
        ("of datatrove's alone", theirs - ours),
        ("with our seed 1, not with seed 2", ours - again),
        ("with our seed 2, not with seed 1", again - ours),
    ):
        indices = np.array([jaccard(pair) for pair in pairs])
        print(f"| {name} | {len(pairs):,} |", *(f"{np.mean(indices >= limit):.3f} |" for limit in LIMITS))
    return 0


if __name__ == "__main__":
    sys.exit(main())
