"""Makes `edges`: one row is a pair of texts that share a band key, with their similarity."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import pyarrow as pa
from pyspark.sql import functions as F

from dclm_spark.errors import refuse_recipe
from dclm_spark.kernels.bytes.sized import sized
from dclm_spark.kernels.near.anchors import exact_margin
from dclm_spark.kernels.near.entry_packets import SURVIVOR_ORDER_BITS
from dclm_spark.kernels.near.similarity import estimate, jaccard
from dclm_spark.recipe.near_duplicates import MinHash, NearDuplicates
from dclm_spark.spark.workers import map_arrow
from dclm_spark.stages.candidates import FLUSH_ENTRIES, KERNELS, with_edges, with_meetings, with_packets
from dclm_spark.stages.columns import criterion, dump_index, order_key
from dclm_spark.stages.signatures import in_shards

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame


def find_edges(
    signatures: "DataFrame",
    *,
    dumps: Sequence[str],
    n_earlier: int = 0,
    minhash: MinHash,
    near: NearDuplicates,
    n_documents: int,
    n_tasks: int,
) -> "DataFrame":
    """Makes rows of `schemas.EDGES`: pairs of candidate texts with their similarity, each pair once.

    Each text is paired with the first text of every bucket that it is in, and with further texts of the bucket that are
    similar to it (see `kernels.near.firsts`).

    The texts of a bucket are ordered by dump, then by the survivor order as far as the columns of `signatures` tell it.
    The edges depend on neither partitions nor batches.

    Args:
        signatures: Rows of `signatures` of all dumps. They are read twice: for their keys, and, if pairs are verified,
            for their signatures.
        dumps: Names of the dumps, in their order.
        n_earlier: Number of dumps, from the first, whose edges among themselves exist already.
        minhash: How the signatures were made.
        near: The settings; all but `clusters` are used. With `exact` the similarities are still estimates: see
            `refine_edges`.
        n_documents: Approximate number of rows in `signatures`; it decides the number of blocks.
        n_tasks: Number of tasks that join blocks.

    Raises:
        RecipeError: The settings have problems.
    """
    refuse_recipe([*minhash.problems(), *near.problems()])
    signed = in_shards(signatures, near=near).where("text_hash IS NOT NULL")
    order = bucket_order(dump_index(dumps), near)
    rows = signed.select("text_hash", "keys", "shard", order.alias("bucket_order"))
    packets = with_packets(rows, n_bands=minhash.n_bands, n_blocks=_n_blocks(n_documents * minhash.n_bands, n_tasks))
    together = packets.repartition(n_tasks, "block").sortWithinPartitions("block")
    found = with_edges(together, first_new_dump=n_earlier, near=near)
    if near.verify == "none":
        measured = _once(found).withColumn("similarity", F.lit(None).cast("double"))
    else:
        # One shuffle by text serves two purposes: to drop repeated pairs, and to join the text's signature.
        pairs = _once(found.repartition(n_tasks, "text_hash"))
        # One row for each text: if 20,000 pages have the same text, its edges must not be joined 20,000 times.
        of_texts = signed.groupBy("text_hash").agg(F.min("signature").alias("signature"))
        beside_first = pairs.join(of_texts, "text_hash").repartition(n_tasks, "other_hash")
        is_other = F.col("text_hash") != F.col("other_hash")
        in_order = beside_first.sortWithinPartitions("other_hash", is_other, "dump_index", "text_hash")
        met = with_meetings(in_order, first_new_dump=n_earlier, minhash=minhash, near=near)
        measured = _once(met, F.max("similarity").alias("similarity"))
    by_index = F.create_map(*(F.lit(word) for index, dump in enumerate(dumps) for word in (index, dump)))
    return measured.select(
        F.element_at(by_index, F.col("dump_index").cast("int")).alias("dump"),
        "text_hash",
        "other_hash",
        "similarity",
        (F.col("is_ignored") | F.coalesce(F.col("similarity") < near.threshold, F.lit(False))).alias("is_cut"),
        F.when(F.col("bucket_size") > 0, F.col("bucket_size")).alias("bucket_size"),
    )


def _once(pairs: "DataFrame", *more: "Column") -> "DataFrame":
    """Drops repeated pairs."""
    return pairs.groupBy("text_hash", "other_hash").agg(
        F.max("dump_index").alias("dump_index"),
        F.max("bucket_size").alias("bucket_size"),
        F.min("is_ignored").alias("is_ignored"),
        *more,
    )


def refine_edges(edges: "DataFrame", signatures: "DataFrame", *, minhash: MinHash, near: NearDuplicates) -> "DataFrame":
    """Replaces estimated similarities by exact ones where the estimate is so near the threshold that it could be wrong.

    Args:
        edges: Rows of `edges`, as `find_edges` makes them, read from a table.
        signatures: Rows of `signatures` with `shingles`.
        minhash: How the signatures were made.
        near: Its `threshold`, `scope` and `n_shards` are used.
    """
    margin = exact_margin(near.threshold, minhash.n_permutations)
    is_ignored = F.col("is_cut") & (F.col("similarity") >= near.threshold)
    is_near = (F.abs(F.col("similarity") - near.threshold) <= margin) & (F.col("text_hash") != F.col("other_hash"))
    is_near = is_near & ~is_ignored
    close = edges.where(is_near).drop("similarity", "is_cut")
    needed = close.select("text_hash").union(close.select("other_hash")).distinct()
    compared = in_shards(signatures, near=near).join(needed, "text_hash", "left_semi")
    of_texts = compared.groupBy("text_hash").agg(F.min("shingles").alias("shingles"))
    others = of_texts.select(F.col("text_hash").alias("other_hash"), F.col("shingles").alias("other_shingles"))
    both = close.join(of_texts, "text_hash").join(others, "other_hash")
    exact = with_similarity(both, one="shingles", other="other_shingles", name="similarity", is_exact=True)
    exact = exact.withColumn("is_cut", F.col("similarity") < near.threshold)
    return edges.where(~is_near).unionByName(exact.select(*edges.columns))


def bucket_order(index: "Column", near: NearDuplicates) -> "Column":
    """Returns the sort key of documents within a bucket, a BIGINT of at least 0.

    Below the dump's index it has as much of the survivor order as the columns of `signatures` tell and as fits.
    """
    found, left = [], SURVIVOR_ORDER_BITS
    for name in near.survivor:
        if name in ("longest_text", "preferred_domains"):
            n_bits, value = criterion(name, F.col("n_chars"), near.preferred_domains)
            if n_bits <= left:
                found.append((n_bits, value))
                left -= n_bits
    return order_key(index, found, n_bits=SURVIVOR_ORDER_BITS)


def _n_blocks(n_entries: int, n_tasks: int) -> int:
    """Returns the number of blocks, a power of two: at least four for each task, none too large for a task."""
    wanted = max(4 * n_tasks, n_entries // (2 * FLUSH_ENTRIES))
    return 1 << min(20, max(0, (wanted - 1).bit_length()))


def with_similarity(pairs: "DataFrame", *, one: str, other: str, name: str, is_exact: bool = False) -> "DataFrame":
    """Replaces two columns of signatures or shingles by their similarity.

    Args:
        pairs: Rows with signatures, or with shingles, in two columns; if either is null, the similarity is null.
        one: Name of the first column.
        other: Name of the second column.
        name: Name of the new column.
        is_exact: Whether the columns hold shingles; if false, signatures.
    """
    measure = jaccard if is_exact else estimate
    kept = [column for column in pairs.columns if column not in (one, other)]
    schema = f"{pairs.select(*kept).schema.simpleString()[7:-1]},{name}:double"

    def compare(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in sized(batches):
            columns = [batch.column(column) for column in kept]
            columns.append(measure(batch.column(one), batch.column(other)))
            yield pa.RecordBatch.from_arrays(columns, names=[*kept, name])

    return map_arrow(pairs, compare, schema, kernels=KERNELS)
