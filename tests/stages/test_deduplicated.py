"""`deduplicated`: what no other document stands for, and of which one each that went was a near-duplicate."""

from dclm_spark import schemas
from dclm_spark.spark.types import spark_schema
from dclm_spark.stages.deduplicated import drop_duplicates
from tests.support import near


def test_documents_stay_or_go_with_their_reason(spark):
    filtered = spark.createDataFrame(
        [tuple(row.values()) for row in near.documents(["a", "b", "c", "d"])], spark_schema(schemas.FILTERED)
    )
    duplicates = spark.createDataFrame(
        [
            ("D-00000", "D", "dump", "D-00000", 2, 1.0, True),
            ("D-00001", "D", "dump", "D-00000", 2, 0.75, False),
            ("D-00003", "D", "all", "E-00000", 5, None, False),
        ],
        spark_schema(schemas.DUPLICATES),
    )
    flagged = drop_duplicates(filtered, duplicates)
    assert flagged.columns == [*schemas.DEDUPLICATED.names, "removed_by", "value", "detail"]
    rows = {row["doc_id"]: (row["text"], row["cluster_size"], *row[-3:]) for row in flagged.collect()}
    assert rows == {
        "D-00000": ("a", 2, None, None, None),
        "D-00001": ("b", 2, "near_duplicate", 0.75, "of D-00000"),
        "D-00002": ("c", 1, None, None, None),
        "D-00003": ("d", 5, "near_duplicate", None, "of E-00000"),
    }


def test_rows_of_one_document_stay_together(spark):
    twice = near.documents(["a"]) * 2
    filtered = spark.createDataFrame([tuple(row.values()) for row in twice], spark_schema(schemas.FILTERED))
    none = spark.createDataFrame([], spark_schema(schemas.DUPLICATES))
    assert [row["removed_by"] for row in drop_duplicates(filtered, none).collect()] == [None, None]
