"""Makes `exact_keys`: one row is a document's key, the hash of its text or of its URL."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pyarrow as pa
from pyspark.sql import functions as F

from dclm_spark import schemas
from dclm_spark.kernels.bytes.sized import sized
from dclm_spark.kernels.ngrams.exact_keys import text_keys, url_keys
from dclm_spark.recipe.deduplication import Exact
from dclm_spark.spark.workers import Kernels, map_arrow

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


KEYS = pa.schema([field for field in schemas.EXACT_KEYS if field.name != "step"])
SAMPLE_TEXTS = pa.array(
    ["To be or not to be, that is the question:\nWhether 'tis nobler – in the mind – to suffer", "", None]
)


def find_exact_keys(documents: "DataFrame", *, exact: Exact) -> "DataFrame":
    """Computes the exact keys of documents; a document without a key (without the URL of a page) has no row.

    Columns are those of `schemas.EXACT_KEYS` without `step`.

    Args:
        documents: Rows of doc_id, dump, host, url and text.
        exact: How keys are made.
    """
    # The text is read for its length only if the length is needed, or if the text is read for the key anyway.
    needs_length = exact.by == "text" or "longest_text" in exact.survivor
    length = F.length("text") if needs_length else F.lit(None)
    return with_exact_keys(documents.withColumn("n_chars", length.cast("bigint")), exact=exact)


def with_exact_keys(documents: "DataFrame", *, exact: Exact) -> "DataFrame":
    """Computes rows of `KEYS` from rows of doc_id, dump, host, n_chars and url or text; drops rows without a key."""
    is_url = exact.by == "url"

    def find(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in sized(batches):
            keys = url_keys(batch.column("url")) if is_url else text_keys(batch.column("text"), exact.normalization)
            columns = {name: batch.column(name) for name in ("dump", "doc_id", "host", "n_chars")} | {"key": keys}
            rows = pa.RecordBatch.from_arrays([columns[field.name].cast(field.type) for field in KEYS], schema=KEYS)
            yield rows.filter(keys.is_valid())

    needed = documents.select("doc_id", "dump", "host", exact.by, "n_chars")
    return map_arrow(
        needed,
        find,
        KEYS,
        kernels=Kernels(f"exact {exact.normalization}", lambda: text_keys(SAMPLE_TEXTS, exact.normalization)),
    )
