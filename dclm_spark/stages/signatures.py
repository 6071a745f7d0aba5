"""`signatures`: one row is a document's MinHash signature and band keys."""

from typing import TYPE_CHECKING

from dclm_spark.lsh_batches import with_minhash
from dclm_spark.near_duplicates import MinHash

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def sign_documents(filtered: "DataFrame", *, minhash: MinHash = MinHash()) -> "DataFrame":  # noqa: B008 - frozen
    """The same documents with what near-duplicates are found by, without their text.

    A document with too few words for a shingle has a row without text_hash, signature and keys: it is nobody's
    candidate.

    Args:
        filtered: Rows with doc_id, dump, host and text.
        minhash: How signatures are made.
    """
    return with_minhash(filtered, minhash=minhash)
