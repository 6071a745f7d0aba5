"""Moves a small number of rows between the driver and Spark."""

import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from dclm_spark.spark.types import spark_schema

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, Row, SparkSession


def only_row(rows: "DataFrame") -> "Row":
    """Returns the first row of a DataFrame that always has one, such as an aggregate of all rows."""
    row = rows.head()
    assert row is not None
    return row


def frame_of(spark: "SparkSession", rows: Sequence[tuple], schema: "pa.Schema") -> "DataFrame":
    """Makes a DataFrame of one partition from a small number of rows on the driver.

    With pandas, rows are sent to the JVM as Arrow. Without it, a plain list is used, which needs a Python task.
    """
    rows = list(rows)
    with contextlib.suppress(ImportError):
        import pandas as pd

        rows = pd.DataFrame(rows, columns=schema.names, dtype=object)
    return spark.createDataFrame(rows, spark_schema(schema)).coalesce(1)
