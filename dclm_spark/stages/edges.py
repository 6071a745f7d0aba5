"""`edges`: one row is a pair of texts that share a band key, and how alike they are."""

from collections.abc import Iterator, Sequence
from functools import reduce
from typing import TYPE_CHECKING

import pyarrow as pa
from pyspark.sql import functions as F

from dclm_spark.errors import refuse_recipe
from dclm_spark.kernels.bytes.sized import sized
from dclm_spark.kernels.near.anchors import exact_margin
from dclm_spark.kernels.near.entry_packets import PLACE_SHIFT
from dclm_spark.kernels.near.similarity import estimate, jaccard
from dclm_spark.recipe.near_duplicates import MinHash, NearDuplicates
from dclm_spark.spark.workers import map_arrow
from dclm_spark.stages.candidates import FLUSH_ENTRIES, KERNELS, with_edges, with_meetings, with_packets
from dclm_spark.stages.columns import domain_rank, rank_bits
from dclm_spark.stages.signatures import in_shards

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

_CHARS_BITS = 24


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
    """Rows of `schemas.EDGES`: each text beside the first text of every bucket that it is in, and beside what else of
    a bucket it is found alike to (see `kernels.near.firsts`), each pair once.

    A bucket's first is its smallest by dump, then by the survivor order as far as a row of `signatures` tells it; the
    others follow in the same order. Which edges there are depends on neither partitions nor batches.

    Args:
        signatures: Rows of `signatures`, of all the dumps. They are read twice: for their keys, and, to verify, for
            their signatures.
        dumps: The dumps, in the order of their places.
        n_earlier: The first so many dumps have their edges among themselves already.
        minhash: How the signatures were made.
        near: All but its `clusters` is used. With `exact` the similarities are still those of the signatures: see
            `refine_edges`.
        n_documents: About how many rows there are, which divides the work into blocks.
        n_tasks: Tasks that join blocks.

    Raises:
        RecipeError: The settings have problems.
    """
    refuse_recipe([*minhash.problems(), *near.problems()])
    places = F.create_map(*(F.lit(word) for place, dump in enumerate(dumps) for word in (dump, place)))
    signed = in_shards(signatures, near=near).where("text_hash IS NOT NULL")
    order = bucket_order(F.element_at(places, F.col("dump")), near)
    rows = signed.select("text_hash", "keys", "shard", order.alias("bucket_order"))
    packets = with_packets(rows, n_bands=minhash.n_bands, n_blocks=_n_blocks(n_documents * minhash.n_bands, n_tasks))
    together = packets.repartition(n_tasks, "block").sortWithinPartitions("block")
    found = with_edges(together, first_new_place=n_earlier, near=near)
    if near.verify == "none":
        measured = _once(found).withColumn("similarity", F.lit(None).cast("double"))
    else:
        # Spread by text once, for each pair to come once and for the text's signature.
        pairs = _once(found.repartition(n_tasks, "text_hash"))
        # One row a text: a text that 20,000 pages have must not meet each of its edges 20,000 times.
        of_texts = signed.groupBy("text_hash").agg(F.min("signature").alias("signature"))
        beside_first = pairs.join(of_texts, "text_hash").repartition(n_tasks, "other_hash")
        is_other = F.col("text_hash") != F.col("other_hash")
        in_order = beside_first.sortWithinPartitions("other_hash", is_other, "place", "text_hash")
        met = with_meetings(in_order, first_new_place=n_earlier, minhash=minhash, near=near)
        measured = _once(met, F.max("similarity").alias("similarity"))
    by_place = F.create_map(*(F.lit(word) for place, dump in enumerate(dumps) for word in (place, dump)))
    return measured.select(
        F.element_at(by_place, F.col("place").cast("int")).alias("dump"),
        "text_hash",
        "other_hash",
        "similarity",
        (F.col("is_ignored") | F.coalesce(F.col("similarity") < near.threshold, F.lit(False))).alias("is_cut"),
        F.when(F.col("bucket_size") > 0, F.col("bucket_size")).alias("bucket_size"),
    )


def _once(pairs: "DataFrame", *more: "Column") -> "DataFrame":
    """Each pair once."""
    return pairs.groupBy("text_hash", "other_hash").agg(
        F.max("place").alias("place"),
        F.max("bucket_size").alias("bucket_size"),
        F.min("is_ignored").alias("is_ignored"),
        *more,
    )


def refine_edges(edges: "DataFrame", signatures: "DataFrame", *, minhash: MinHash, near: NearDuplicates) -> "DataFrame":
    """The same edges; where a similarity is so near the threshold that chance could decide, it becomes the exact one.

    Args:
        edges: Rows of `edges`, as `find_edges` gives them, read from a table.
        signatures: Rows of `signatures` with `shingles`.
        minhash: How they were made.
        near: Its `threshold`, `scope` and `n_shards` are used.
    """
    margin = exact_margin(near.threshold, minhash.n_permutations)
    is_ignored = F.col("is_cut") & (F.col("similarity") >= near.threshold)
    is_near = (F.abs(F.col("similarity") - near.threshold) <= margin) & (F.col("text_hash") != F.col("other_hash"))
    is_near = is_near & ~is_ignored
    close = edges.where(is_near).drop("similarity", "is_cut")
    needed = close.select("text_hash").union(close.select("other_hash")).distinct()
    asked = in_shards(signatures, near=near).join(needed, "text_hash", "left_semi")
    of_texts = asked.groupBy("text_hash").agg(F.min("shingles").alias("shingles"))
    others = of_texts.select(F.col("text_hash").alias("other_hash"), F.col("shingles").alias("other_shingles"))
    both = close.join(of_texts, "text_hash").join(others, "other_hash")
    exact = with_similarity(both, one="shingles", other="other_shingles", name="similarity", is_exact=True)
    exact = exact.withColumn("is_cut", F.col("similarity") < near.threshold)
    return edges.where(~is_near).unionByName(exact.select(*edges.columns))


def bucket_order(place: "Column", near: NearDuplicates) -> "Column":
    """The order of documents within a bucket, a BIGINT of at least 0: the place, then what `signatures` knows of the
    survivor order, in `PLACE_SHIFT` bits."""
    parts, left = [place.cast("bigint")], PLACE_SHIFT
    for word in near.survivor:
        if word == "longest_text" and left >= _CHARS_BITS:
            most = (1 << _CHARS_BITS) - 1
            parts.append(F.shiftleft(F.lit(most) - F.least("n_chars", F.lit(most)), left - _CHARS_BITS))
            left -= _CHARS_BITS
        elif word == "preferred_domains" and left >= rank_bits(near.preferred_domains):
            left -= rank_bits(near.preferred_domains)
            parts.append(F.shiftleft(domain_rank("host", near.preferred_domains).cast("bigint"), left))
    parts[0] = F.shiftleft(parts[0], PLACE_SHIFT)
    return reduce(lambda one, other: one.bitwiseOR(other), parts)


def _n_blocks(n_entries: int, n_tasks: int) -> int:
    """A power of two: four blocks a task or more, so that tasks are even, and none larger than what a task may hold."""
    wanted = max(4 * n_tasks, n_entries // (2 * FLUSH_ENTRIES))
    return 1 << min(20, max(0, (wanted - 1).bit_length()))


def with_similarity(pairs: "DataFrame", *, one: str, other: str, name: str, is_exact: bool = False) -> "DataFrame":
    """The same rows with `name`: the similarity of two of their columns, in the place of these.

    Args:
        pairs: Rows with signatures, or with shingles, in two columns; null where one of them is.
        one: The one column.
        other: The other.
        name: What the similarity is called.
        is_exact: The columns hold shingles.
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
