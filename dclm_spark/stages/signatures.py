"""Makes `signatures`: one row is a document's MinHash signature and band keys."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pyarrow as pa
from pyspark.sql import functions as F

from dclm_spark import schemas
from dclm_spark.errors import refuse_recipe
from dclm_spark.kernels.bytes.sized import sized
from dclm_spark.kernels.near.minhash import sign
from dclm_spark.recipe.near_duplicates import MinHash, NearDuplicates
from dclm_spark.spark.workers import Kernels, map_arrow
from dclm_spark.stages.columns import hash_share

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


_SAMPLE = pa.array(["To be or not to be, that is the question: whether 'tis nobler in the mind to suffer", "", None])


def sign_documents(filtered: "DataFrame", *, minhash: MinHash = MinHash()) -> "DataFrame":  # noqa: B008 - frozen
    """Computes the MinHash signatures and band keys of documents; texts are not in the result.

    A document with too few words for a shingle has a row whose text_hash, signature and keys are null: it is in no
    candidate pair.

    Args:
        filtered: Rows with doc_id, dump, host and text.
        minhash: How signatures are made.

    Raises:
        RecipeError: The settings have problems.
    """
    refuse_recipe(minhash.problems())
    return with_minhash(filtered, minhash=minhash)


def in_shards(signatures: "DataFrame", *, near: NearDuplicates) -> "DataFrame":
    """Adds `shard`, and changes `text_hash` so that equal texts of two shards have different ones.

    For scopes other than `shards`, all documents are in shard 0 and `text_hash` does not change.

    Args:
        signatures: Rows of `signatures`.
        near: Its `scope` and `n_shards` are used.
    """
    shard = hash_share("doc_id", near.n_shards) if near.scope == "shards" else F.lit(0)
    # Only the lowest bits change, so that texts of a shard keep the order of their hashes, which breaks ties of the
    # survivor order. So a shard's clusters are the same as if its documents were processed alone.
    text = F.col("text_hash").bitwiseXOR(F.col("shard"))
    return signatures.withColumn("shard", shard.cast("bigint")).withColumn("text_hash", text)


def with_minhash(documents: "DataFrame", *, minhash: MinHash) -> "DataFrame":
    """Computes rows of `signatures` from rows of doc_id, dump, host and text."""

    def measure(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in sized(batches):
            signed = sign(batch.column("text"), minhash)
            columns = {name: signed.column(name) for name in signed.schema.names}
            columns |= {name: batch.column(name) for name in ("doc_id", "dump", "host")}
            ordered = [columns[field.name].cast(field.type) for field in schemas.SIGNATURES]
            yield pa.RecordBatch.from_arrays(ordered, schema=schemas.SIGNATURES)

    needed = documents.select("doc_id", "dump", "host", "text")
    return map_arrow(
        needed, measure, schemas.SIGNATURES, kernels=Kernels(repr(minhash), lambda: sign(_SAMPLE, minhash))
    )
