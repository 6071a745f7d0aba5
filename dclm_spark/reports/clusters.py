"""Counts and lists near-duplicate clusters: numbers, sizes, the most chained ones, and giant buckets."""

from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from dclm_spark.errors import WarehouseError
from dclm_spark.lake.dumps import check_dump
from dclm_spark.lake.finished import Places
from dclm_spark.lake.warehouse import Warehouse
from dclm_spark.recipe.near_duplicates import NearDuplicates
from dclm_spark.stages.signatures import in_shards

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

MAX_GIANTS = 20
"""Largest number of giant buckets that are listed."""

MAX_MERGED = 1_000
"""Largest number of rows of `merged_clusters` that are listed."""

_EXAMPLE_CHARS = 120
_EXAMPLES = 3

_NO_FIGURES = {"documents": 0, "clusters": 0, "kept": 0, "removed": 0, "median_size": None, "largest_size": None}


def count_clusters(
    warehouse: Warehouse, *, dump: str | None = None, n_largest: int = 10, upstream: Warehouse | None = None
) -> dict[str, Any]:
    """Returns the figures of all clusters, `overall` and `by_dump`, and the `largest` clusters, largest first.

    Figures are `documents`, `clusters`, `kept`, `removed`, `median_size` and `largest_size`. Those of a dump count only
    its documents, but the whole size of each cluster that has one of them. A cluster has `cluster_id` (its survivor's
    doc_id), `url` (the survivor's), `scope`, `size`, `n_kept`, `dumps`, and the similarities of its other members to
    the survivor, `min_similarity` and `mean_similarity`, null if nothing was verified. `farthest` is the doc_id of the
    member with the smallest similarity.

    Args:
        warehouse: The warehouse.
        dump: Only clusters with a document of this dump.
        n_largest: Number of clusters in `largest`.
        upstream: Another warehouse, for tables that `warehouse` does not hold.

    Raises:
        WarehouseError: There is no table `duplicates`, or it has no rows of this dump.
    """
    places = Places(warehouse, upstream)
    clusters = _clusters(places, dump)
    # One row for each dump, and one for all dumps together.
    whole = F.struct(F.lit(None).cast("string").alias("dump"), F.col("size").alias("n"), "n_kept")
    parts = clusters.select("scope", "size", F.explode(F.concat(F.array(whole), "parts")).alias("part"))
    counted = parts.groupBy("part.dump").agg(
        F.sum("part.n").alias("documents"),
        F.count("*").alias("clusters"),
        F.sum("part.n_kept").alias("kept"),
        F.median("size").alias("median_size"),
        F.max("size").alias("largest_size"),
        F.sort_array(F.collect_set("scope")).alias("scopes"),
    )
    figures = {row["dump"]: row.asDict() for row in counted.collect()}
    scopes = figures[None].pop("scopes") if figures else []
    for found in figures.values():
        found["removed"] = found["documents"] - found["kept"]
    wanted = sorted(name for name in figures if name is not None and dump in (None, name))
    return {
        "scopes": scopes,
        "overall": {name: figures.get(None, _NO_FIGURES)[name] for name in _NO_FIGURES},
        "by_dump": [{name: figures[of][name] for name in ("dump", *_NO_FIGURES)} for of in wanted],
        "largest": _listed(clusters.orderBy(F.desc("size"), "cluster_id").limit(n_largest), places),
    }


def list_chained(
    warehouse: Warehouse, n: int, *, dump: str | None = None, upstream: Warehouse | None = None
) -> list[dict[str, Any]]:
    """Lists the clusters with the smallest similarity of a member to the survivor, in this order, as in
    `count_clusters`.

    Clusters in which nothing was verified are not listed.
    """
    places = Places(warehouse, upstream)
    verified = _clusters(places, dump).where(F.col("farthest").isNotNull())
    return _listed(verified.orderBy("farthest.similarity", F.desc("size"), "cluster_id").limit(n), places)


def count_sizes(
    warehouse: Warehouse, *, dump: str | None = None, upstream: Warehouse | None = None
) -> list[dict[str, int]]:
    """Counts clusters by size: `least` and `most` (2, 3 to 4, 5 to 8, ...), `clusters` and `documents`.

    Every range up to the largest size is listed, also without clusters; the list is empty if there are no clusters.
    """
    clusters = _clusters(Places(warehouse, upstream), dump)
    # Counts the bits of size - 1, which is exact, unlike a logarithm.
    counted = clusters.groupBy(F.length(F.bin(F.col("size") - 1)).alias("bits"))
    rows = counted.agg(F.count("*").alias("clusters"), F.sum("size").alias("documents")).collect()
    by_bits = {row["bits"]: row for row in rows}
    return [
        {
            "least": (1 << (bits - 1)) + 1,
            "most": 1 << bits,
            **{name: by_bits[bits][name] if bits in by_bits else 0 for name in ("clusters", "documents")},
        }
        for bits in range(1, max(by_bits, default=0) + 1)
    ]


def list_giants(
    warehouse: Warehouse, *, dump: str | None = None, upstream: Warehouse | None = None
) -> list[dict[str, Any]]:
    """Lists the giant buckets that are reported in `edges`, at most `MAX_GIANTS`, largest first.

    A bucket has `text_hash` (of its first text), `size` in texts, and `examples`: pages with the first text and with
    some others, with `doc_id`, `dump`, `url`, `n_documents` with the same text, and the first characters of `text`.
    """
    places = Places(warehouse, upstream)
    place = places.clusters
    if not place.exists("edges"):
        return []
    edges = place.read("edges", version=None, **({"dump": dump} if dump else {})).where(
        F.col("bucket_size").isNotNull()
    )
    rows = (
        edges.groupBy(F.col("other_hash").alias("text_hash"))
        .agg(
            F.max("dump").alias("dump"),
            F.max("bucket_size").alias("size"),
            F.slice(F.sort_array(F.collect_set("text_hash")), 1, _EXAMPLES).alias("others"),
        )
        .orderBy(F.desc("size"), "text_hash")
        .limit(MAX_GIANTS)
        .collect()
    )
    of_bucket = {row["text_hash"]: list(dict.fromkeys([row["text_hash"], *row["others"]])) for row in rows}
    examples: dict[int, dict[str, Any]] = {}
    # Hashes depend on the shards in which the texts were compared.
    for near in {places.settings_of_duplicates(row["dump"]) for row in rows}:
        examples |= _examples(places, sorted({text for texts in of_bucket.values() for text in texts}), near)
    return [
        {
            "text_hash": row["text_hash"],
            "size": row["size"],
            "examples": [examples[text] for text in of_bucket[row["text_hash"]] if text in examples],
        }
        for row in rows
    ]


def _examples(places: Places, texts: list[int], near: NearDuplicates) -> dict[int, dict[str, Any]]:
    """Finds a page for each text that is in `signatures`: text_hash -> the first page in order of dump and doc_id."""
    signatures = places.rows("signatures")
    if signatures is None:
        return {}
    known = in_shards(signatures, near=near).where(F.col("text_hash").isin(texts)).groupBy("text_hash")
    rows = known.agg(F.min(F.struct("dump", "doc_id")).alias("first"), F.count("*").alias("n_documents")).collect()
    pages = places.pages(
        {(row["first"]["dump"], row["first"]["doc_id"]) for row in rows},
        F.col("url"),
        F.substring("text", 1, _EXAMPLE_CHARS).alias("text"),
    )
    found = {}
    for row in rows:
        first = row["first"]
        page = pages.get((first["dump"], first["doc_id"]), {"url": None, "text": None})
        found[row["text_hash"]] = {
            "doc_id": first["doc_id"],
            "dump": first["dump"],
            "url": page["url"],
            "n_documents": row["n_documents"],
            "text": page["text"],
        }
    return found


def list_merged(
    warehouse: Warehouse, *, dump: str | None = None, upstream: Warehouse | None = None
) -> list[dict[str, Any]]:
    """Lists rows of `merged_clusters`, the first `MAX_MERGED` in order of dump, cluster and former id."""
    place = Places(warehouse, upstream).clusters
    if not place.exists("merged_clusters"):
        return []
    rows = place.read("merged_clusters", version=None, **({"dump": dump} if dump else {}))
    return [row.asDict() for row in rows.orderBy("dump", "cluster_id", "merged_id").limit(MAX_MERGED).collect()]


def _clusters(places: Places, dump: str | None) -> "DataFrame":
    """Returns one row for each cluster: scope, cluster_id, size, n_kept, `parts` by dump, `farthest`, and similarities.

    Raises:
        WarehouseError: There are no rows of this dump.
    """
    place = places.clusters
    clusters = gather(place.read("duplicates"))
    if dump is None:
        return clusters
    problems = check_dump(dump)
    if problems:
        raise WarehouseError(problems)
    is_known = places.run_of_duplicates(dump) is not None or place.read("duplicates", dump=dump).head() is not None
    if not is_known:
        raise WarehouseError([f"no duplicates of dump {dump} in {place}; `dclm-spark duplicates` makes them"])
    return clusters.where(F.array_contains(F.col("parts.dump"), dump))


def gather(members: "DataFrame") -> "DataFrame":
    """Groups rows of `duplicates` to one row for each cluster, with the columns of `_clusters`."""
    is_survivor = F.col("doc_id") == F.col("cluster_id")
    similarity = F.when(~is_survivor, F.col("similarity"))
    # Grouped by dump first: half of the figures are for dumps, and the others follow from these.
    by_dump = members.groupBy("scope", "cluster_id", "dump").agg(
        F.count("*").alias("n"),
        F.sum(F.col("is_kept").cast("int")).alias("n_kept"),
        F.min(F.when(similarity.isNotNull(), F.struct("similarity", "doc_id"))).alias("farthest"),
        F.sum(similarity).alias("sum"),
        F.count(similarity).alias("n_verified"),
        F.max(is_survivor).alias("has_survivor"),
    )
    return by_dump.groupBy("scope", "cluster_id").agg(
        F.sum("n").alias("size"),
        F.sum("n_kept").alias("n_kept"),
        F.sort_array(F.collect_list(F.struct("dump", "n", "n_kept"))).alias("parts"),
        F.min("farthest").alias("farthest"),
        # Rounded, because a sum's last digits depend on the order in which Spark adds.
        F.when(F.sum("n_verified") > 0, F.round(F.sum("sum") / F.sum("n_verified"), 6)).alias("mean_similarity"),
        F.min(F.when(F.col("has_survivor"), F.col("dump"))).alias("survivor_dump"),
    )


def _listed(clusters: "DataFrame", places: Places) -> list[dict[str, Any]]:
    """Returns a small number of clusters, in their order, with their survivors' URLs."""
    rows = clusters.collect()
    keys = [(row["survivor_dump"], row["cluster_id"]) for row in rows]
    pages = places.pages((key for key in keys if key[0] is not None), F.col("url"))
    return [describe(row, pages.get(key, {}).get("url")) for key, row in zip(keys, rows, strict=True)]


def describe(row: Any, url: str | None) -> dict[str, Any]:
    """Converts a row of `gather` and its survivor's URL to an answer."""
    farthest = row["farthest"]
    return {
        "cluster_id": row["cluster_id"],
        "url": url,
        "scope": row["scope"],
        "size": row["size"],
        "n_kept": row["n_kept"],
        "dumps": [part["dump"] for part in row["parts"]],
        "min_similarity": farthest and farthest["similarity"],
        "mean_similarity": row["mean_similarity"],
        "farthest": farthest and farthest["doc_id"],
    }
