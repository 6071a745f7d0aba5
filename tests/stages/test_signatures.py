"""`signatures`: one row a document, those without shingles too, whatever the partitions and batches."""

import pytest
from pyspark.sql import functions as F

from dclm_spark import schemas
from dclm_spark.recipe.near_duplicates import MinHash
from dclm_spark.spark.types import spark_schema
from dclm_spark.stages.signatures import sign_documents
from tests.support import near

TEXTS = [
    "",
    "one",
    "four words are few",
    "five words are just enough",
    "Five  words are\njust ENOUGH",
    *near.variants(20),
]


@pytest.fixture(scope="module")
def filtered(spark):
    rows = [tuple(row.values()) for row in near.documents(TEXTS)]
    return spark.createDataFrame(rows, spark_schema(schemas.FILTERED))


def _by_id(signed):
    return {row["doc_id"]: row.asDict() for row in signed.collect()}


def test_every_document_has_a_row(filtered):
    signed = sign_documents(filtered)
    assert signed.columns == schemas.SIGNATURES.names
    rows = _by_id(signed)
    assert len(rows) == len(TEXTS)
    for number, text in enumerate(TEXTS):
        row = rows[f"D-{number:05d}"]
        assert (row["n_chars"], row["n_shingles"]) == (len(text), max(0, len(text.split()) - 4))
        assert row["shingles"] is None
        if row["n_shingles"]:
            assert (len(row["signature"]), len(row["keys"])) == (2 * 112, 8 * 14)
        else:
            assert row["text_hash"] is row["signature"] is row["keys"] is None


def test_texts_of_the_same_words_have_the_same_hash_and_signature(filtered):
    rows = _by_id(sign_documents(filtered))
    one, other = rows["D-00003"], rows["D-00004"]
    assert (one["text_hash"], one["signature"], one["keys"]) == (other["text_hash"], other["signature"], other["keys"])


@pytest.mark.slow
def test_a_text_of_fifty_megabytes_is_signed_as_any_other(spark):
    documents = spark.createDataFrame([("a", "page "), ("b", None), ("c", "Page  ")], "doc_id STRING, first STRING")
    words = F.expr("array_join(transform(sequence(1, 3500000), number -> concat('longword', number)), ' ')")
    few = documents.withColumns({"dump": F.lit("D"), "host": F.lit(None).cast("string")})
    one, null, other = sign_documents(few.withColumn("text", F.concat("first", words))).sort("doc_id").collect()
    assert one["n_chars"] > 50_000_000 and one["n_shingles"] == 3_500_001 - 4
    assert null["text_hash"] is None
    assert (one["text_hash"], one["signature"], one["keys"]) == (other["text_hash"], other["signature"], other["keys"])


def test_partitions_and_batches_make_no_difference(spark, filtered):
    expected = _by_id(sign_documents(filtered))
    before = spark.conf.get("spark.sql.execution.arrow.maxRecordsPerBatch")
    try:
        for n_partitions, n_rows in ((1, "1"), (3, "7"), (5, "1000")):
            spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", n_rows)
            assert _by_id(sign_documents(filtered.repartition(n_partitions))) == expected
    finally:
        spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", before)


def test_a_seed_changes_every_key(filtered):
    rows, others = (_by_id(sign_documents(filtered, minhash=MinHash(seed=seed))) for seed in (1, 2))
    # Spark 3.5 gives bytes as a bytearray.
    keys, other_keys = ({bytes(row["keys"]) for row in of.values() if row["keys"]} for of in (rows, others))
    assert len(keys) > 10 and not keys & other_keys
