"""`duplicates` and `edges`: the clusters of plain Python, whatever the partitions, blocks and batches."""

from collections import defaultdict
from dataclasses import replace
from functools import partial

import hypothesis
import pytest
from hypothesis import strategies as st
from pyspark.sql import functions as F

from dclm_spark import schemas
from dclm_spark.recipe.near_duplicates import MinHash, NearDuplicates
from dclm_spark.spark.types import spark_schema
from dclm_spark.stages.components import connected_components
from dclm_spark.stages.duplicates import find_duplicates
from dclm_spark.stages.edges import find_edges, refine_edges
from dclm_spark.stages.signatures import sign_documents
from tests.support import near

slow = partial(pytest.param, marks=pytest.mark.slow)

MINHASH = MinHash(stores_shingles=True)
DUMPS = ("A", "B")


def _no_checkpoint(rows, name):
    raise AssertionError(f"{name}: few edges need no table")


@pytest.fixture(scope="module")
def rows():
    texts = near.variants(160)
    # Pages crawled twice, some as they were, some with a few words more; texts without shingles; a page of its own.
    again = [text if number % 2 else f"{text} updated lately" for number, text in enumerate(texts[:60])]
    few = ["", "too short"]
    return [*near.documents([*texts, *few], dump="A"), *near.documents([*again, *few, " ".join(near.WORDS)], dump="B")]


@pytest.fixture(scope="module")
def signatures(spark, rows):
    filtered = spark.createDataFrame([tuple(row.values()) for row in rows], spark_schema(schemas.FILTERED))
    # Held as rows, so that each test does not sign again.
    signed = [tuple(row) for row in sign_documents(filtered, minhash=MINHASH).collect()]
    return spark.createDataFrame(signed, spark_schema(schemas.SIGNATURES))


def _edges(signatures, settings, *, dumps=DUMPS, n_tasks=2, n_documents=300, **options):
    return find_edges(
        signatures,
        dumps=dumps,
        minhash=MINHASH,
        near=settings,
        n_documents=n_documents,
        n_tasks=n_tasks,
        **options,
    )


def _duplicates(signatures, settings, edges=None, *, n_tasks=2, **options):
    found = edges if edges is not None else _edges(signatures, settings, n_tasks=n_tasks)
    pairs = found.where("NOT is_cut").select("text_hash", "other_hash")
    labels = connected_components(pairs, checkpoint=_no_checkpoint, n_edges=1000)
    made = find_duplicates(signatures, labels, minhash=MINHASH, near=settings, n_tasks=n_tasks, **options)
    return sorted((row.asDict() for row in made.collect()), key=lambda row: (row["dump"], row["doc_id"]))


def _clusters(found):
    clusters = defaultdict(set)
    for row in found:
        clusters[row["cluster_id"]].add(row["doc_id"])
    return dict(clusters)


@pytest.mark.parametrize("verify", ["signature", "none"])
def test_clusters_are_those_of_plain_python(signatures, verify):
    settings = NearDuplicates(scope="all", verify=verify)
    found = _duplicates(signatures, settings)
    expected = near.clusters_of((row.asDict() for row in signatures.collect()), MINHASH, settings)
    assert _clusters(found) == {cluster_id: set(members) for cluster_id, members in expected.items()}
    assert len(expected) > 20
    for row in found:
        members = expected[row["cluster_id"]]
        assert row["cluster_size"] == len(members)
        assert row["is_kept"] == (row["doc_id"] == members[0]) == (row["doc_id"] == row["cluster_id"])
        assert row["scope"] == "all"
        assert 0 <= row["similarity"] <= 1
        assert row["similarity"] == 1 or not row["is_kept"]
    assert {row["doc_id"] for row in found if row["dump"] == "A"} != set()


@pytest.mark.once
@pytest.mark.parametrize("n_shards", [1, slow(3)])
@pytest.mark.parametrize("verify", ["signature", slow("exact")])
def test_a_shard_is_its_documents_by_themselves(spark, signatures, n_shards, verify):
    def found(rows, settings, n_tasks=2):
        edges = _edges(rows, settings, n_tasks=n_tasks)
        if verify == "exact":
            held = spark.createDataFrame([tuple(row) for row in edges.collect()], spark_schema(schemas.EDGES))
            edges = refine_edges(held, rows, minhash=MINHASH, near=settings)
        return _duplicates(rows, settings, edges, n_tasks=n_tasks)

    shards = NearDuplicates(scope="shards", n_shards=n_shards, verify=verify)
    shard = F.pmod(F.xxhash64("doc_id"), F.lit(n_shards))
    parts = [signatures.where(shard == number) for number in range(n_shards)]
    expected = [row for part in parts for row in found(part, replace(shards, scope="all"))]
    assert {row["doc_id"][0] for row in expected} == set(DUMPS)
    in_shards = found(signatures, shards)
    assert in_shards == sorted(
        (row | {"scope": "shards"} for row in expected), key=lambda row: (row["dump"], row["doc_id"])
    )
    assert found(signatures.repartition(5), shards, n_tasks=3) == in_shards


@pytest.mark.slow
def test_partitions_blocks_and_batches_make_no_difference(spark, signatures):
    settings = NearDuplicates(scope="all")
    expected_edges = sorted(map(tuple, _edges(signatures, settings).collect()))
    expected = _duplicates(signatures, settings)
    key = "spark.sql.execution.arrow.maxRecordsPerBatch"
    before = spark.conf.get(key)
    try:
        for n_partitions, n_rows, n_tasks in ((1, "1", 1), (5, "7", 3)):
            spark.conf.set(key, n_rows)
            spread = signatures.repartition(n_partitions)
            edges = _edges(spread, settings, n_tasks=n_tasks, n_documents=300 * n_partitions)
            assert sorted(map(tuple, edges.collect())) == expected_edges
            assert _duplicates(spread, settings, edges, n_tasks=n_tasks) == expected
    finally:
        spark.conf.set(key, before)


def test_an_edge_that_is_cut_keeps_its_similarity(signatures):
    rows = _edges(signatures, NearDuplicates(scope="all", threshold=0.9)).collect()
    assert {row["is_cut"] for row in rows} == {True, False}
    assert all(row["is_cut"] == (row["similarity"] < 0.9) for row in rows)
    own = [row for row in rows if row["text_hash"] == row["other_hash"]]
    assert own and all(row["similarity"] == 1 for row in own)
    assert all(row["bucket_size"] is None for row in rows)


def test_exact_verification_looks_at_shingles_near_the_threshold(spark, rows, signatures):
    settings = NearDuplicates(scope="all", verify="exact")
    estimated = _edges(signatures, settings)
    held = spark.createDataFrame([tuple(row) for row in estimated.collect()], spark_schema(schemas.EDGES))
    refined = refine_edges(held, signatures, minhash=MINHASH, near=settings).collect()
    assert len(refined) == held.count()
    words = {row["doc_id"]: row["text"].split() for row in rows}
    of_text = {row["text_hash"]: words[row["doc_id"]] for row in signatures.where("text_hash IS NOT NULL").collect()}
    before = {(row["text_hash"], row["other_hash"]): row["similarity"] for row in held.collect()}
    n_exact = 0
    for row in refined:
        one, other = (
            {tuple(of_text[row[name]][i : i + 5]) for i in range(len(of_text[row[name]]) - 4)}
            for name in ("text_hash", "other_hash")
        )
        jaccard = len(one & other) / len(one | other)
        if abs(before[row["text_hash"], row["other_hash"]] - 0.7) <= 0.12:
            assert row["similarity"] == pytest.approx(jaccard, abs=1e-12)
            n_exact += 1
        assert row["is_cut"] == (row["similarity"] < 0.7)
    assert n_exact > 10


def test_anchored_clusters_hold_nothing_that_is_unlike_the_survivor(signatures):
    loose = NearDuplicates(scope="all", threshold=0.6)
    chained = _duplicates(signatures, loose)
    anchored = _duplicates(signatures, replace(loose, clusters="anchored"))
    assert min(row["similarity"] for row in anchored) >= 0.6
    assert min(row["similarity"] for row in chained) < 0.6
    n_gone = {name: sum(not row["is_kept"] for row in found) for name, found in (("c", chained), ("a", anchored))}
    assert n_gone["a"] < n_gone["c"]
    assert all(
        row["cluster_size"] == len(members) for row in anchored for members in [_clusters(anchored)[row["cluster_id"]]]
    )


@pytest.mark.parametrize("ignores", [False, True])
def test_a_giant_bucket_is_reported(signatures, ignores):
    settings = NearDuplicates(scope="all", giant_bucket=4, giant_rule="ignore" if ignores else "keep", verify="none")
    rows = _edges(signatures, settings).collect()
    giants = [row for row in rows if row["bucket_size"]]
    assert giants and all(row["bucket_size"] > 4 for row in giants)
    n_pairs = sum(not row["is_cut"] for row in rows)
    n_all = sum(not row["is_cut"] for row in _edges(signatures, NearDuplicates(scope="all", verify="none")).collect())
    assert n_pairs < n_all if ignores else n_pairs == n_all


def _incremental(signatures, settings, dumps):
    """The rows after each dump is added, and all edges."""
    edges, found, states = None, None, []
    for number in range(len(dumps)):
        seen = dumps[: number + 1]
        held = signatures.where(F.col("dump").isin(*seen))
        new = _edges(held, settings, dumps=seen, n_earlier=number)
        edges = new if edges is None else edges.unionByName(new)
        gone = None
        if found:
            rows = [(row["doc_id"], row["dump"]) for row in found if not row["is_kept"]]
            gone = signatures.sparkSession.createDataFrame(rows, "doc_id STRING, dump STRING")
        found = _duplicates(held, settings, edges, earlier=tuple(dumps[:number]), removed_before=gone)
        states.append(found)
    return states


@pytest.mark.parametrize("survivor", [("earliest_dump", "longest_text"), slow(("longest_text",))])
def test_dumps_one_after_the_other_make_the_clusters_of_all_at_once(signatures, survivor):
    settings = NearDuplicates(scope="incremental", survivor=survivor)
    whole = _duplicates(signatures, settings)
    first, second = _incremental(signatures, settings, DUMPS)
    assert sorted(map(sorted, _clusters(second).values())) == sorted(map(sorted, _clusters(whole).values()))
    kept = {row["doc_id"] for row in second if row["is_kept"]}
    # What was kept stays, whatever the order says; what was removed stays removed.
    assert {row["doc_id"] for row in first if row["is_kept"]} <= kept
    assert not {row["doc_id"] for row in first if not row["is_kept"]} & kept
    assert [row["doc_id"] for row in second if row["dump"] == "A" and not row["is_kept"]] == [
        row["doc_id"] for row in first if not row["is_kept"]
    ]


@pytest.mark.once
@hypothesis.settings(max_examples=3, deadline=None)
@hypothesis.given(st.integers(0, 1 << 30), st.permutations(("A", "B", "C")))
@pytest.mark.slow
def test_any_dumps_in_any_order_make_the_clusters_of_all_at_once(signatures, seed, dumps):
    place = F.pmod(F.xxhash64("doc_id", F.lit(seed)), F.lit(3)).cast("int")
    spread = signatures.withColumn("dump", F.element_at(F.array(*map(F.lit, dumps)), place + 1))
    incremental = NearDuplicates(scope="incremental")
    whole = _duplicates(spread, incremental, _edges(spread, incremental, dumps=dumps))
    last = _incremental(spread, incremental, dumps)[-1]
    assert sorted(map(sorted, _clusters(last).values())) == sorted(map(sorted, _clusters(whole).values()))


def test_a_document_that_comes_twice_is_one(spark, signatures):
    settings = NearDuplicates(scope="all")
    once = _duplicates(signatures, settings)
    assert _duplicates(signatures.unionByName(signatures.where("dump = 'A'")), settings) == once


@pytest.mark.parametrize(
    ("survivor", "key"),
    [
        (("latest_dump",), lambda row: (row["dump"] == "A", row["doc_id"])),
        (("preferred_domains",), lambda row: (row["host"] != "www.good.org", row["doc_id"])),
        (("quality.n_words", "earliest_dump"), lambda row: (-(row["n_chars"] % 7), row["doc_id"])),
        (("-quality.n_words", "longest_text"), lambda row: (row["n_chars"] % 7, -row["n_chars"], row["doc_id"])),
    ],
)
def test_the_survivor_is_the_first_in_the_order(signatures, survivor, key):
    domains = ("good.org",) if "preferred_domains" in survivor else ()
    settings = NearDuplicates(scope="all", survivor=survivor, preferred_domains=domains)
    has_signal = "quality.n_words" in survivor[0]
    signals = (
        signatures.select("doc_id", "dump", F.expr("n_chars % 7").alias("quality.n_words")) if has_signal else None
    )
    rows = {row["doc_id"]: row.asDict() for row in signatures.collect()}
    found = _duplicates(signatures, settings, signals=signals)
    for cluster_id, members in _clusters(found).items():
        assert cluster_id == min(members, key=lambda doc_id: key(rows[doc_id]))
