"""What Spark raises is said in one line: the innermost cause, wherever it arose."""

import pytest

from dclm_spark.errors import spark_failure


def failure(call) -> str | None:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - whatever Spark raises
        call()
    return spark_failure(caught.value)


def test_an_error_in_a_python_worker_is_that_error(spark):
    def fail(batches):
        raise ValueError("the page is on fire")

    said = failure(lambda: spark.range(3).mapInArrow(fail, "id long").collect())
    assert said == "ValueError: the page is on fire"


def test_an_error_of_the_file_system_names_the_file(spark, tmp_path):
    spark.range(3).write.parquet(str(tmp_path / "rows"))
    rows = spark.read.parquet(str(tmp_path / "rows"))
    for file in (tmp_path / "rows").glob("*.parquet"):
        file.write_bytes(b"no Parquet at all")
    said = failure(rows.collect)
    assert ".parquet" in said and "\n" not in said


def test_a_query_that_cannot_be_planned_says_why(spark):
    assert "UNRESOLVED_COLUMN" in failure(lambda: spark.range(3).select("absent").collect())


def test_other_errors_are_nobody_elses(spark):
    assert spark_failure(KeyError("mine")) is None
