"""Counts the words of texts by language."""

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pyarrow as pa

from dclm_spark.kernels.bytes.sized import sized
from dclm_spark.kernels.text.lowering import lower_text
from dclm_spark.kernels.text.words import words_uax29
from dclm_spark.spark.workers import map_arrow

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


_WORD_COUNTS = pa.schema([("language", pa.string()), ("word", pa.string()), ("n", pa.int64())])


def with_word_counts(texts: "DataFrame") -> "DataFrame":
    """Counts the lower-case words of rows of language and text: rows of `language`, `word` and `n`.

    A word has one row for each batch of texts that holds it. Words are those of UAX #29.
    """

    def count(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in sized(batches):
            counted: Counter[tuple[str, str]] = Counter()
            languages, texts = batch.column("language").to_pylist(), lower_text(batch.column("text")).to_pylist()
            for language, text in zip(languages, texts, strict=True):
                counted.update((language, word) for word in words_uax29(text))
            rows = [(language, word, n) for (language, word), n in counted.items()]
            columns = zip(*rows, strict=True) if rows else ((), (), ())
            yield pa.RecordBatch.from_arrays(
                [pa.array(column, field.type) for column, field in zip(columns, _WORD_COUNTS, strict=True)],
                schema=_WORD_COUNTS,
            )

    return map_arrow(texts.select("language", "text"), count, _WORD_COUNTS)
