"""Rows of a DataFrame on the driver."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, Row


def only_row(rows: "DataFrame") -> "Row":
    """The first row where there always is one, as in an aggregate of all rows."""
    row = rows.head()
    assert row is not None
    return row
