"""Runs a function over Arrow batches in Python workers, with the kernels that it needs compiled beforehand."""

import functools
import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

import pyarrow as pa

from dclm_spark.kernels.compiled.machine_code import MachineCode, keep, machine_code
from dclm_spark.spark.types import spark_schema

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

Batches = Iterator[pa.RecordBatch]


class Kernels(NamedTuple):
    """Compiled kernels that a function runs in the workers.

    Args:
        what: Names them: the same text, the same kernels.
        exercise: Runs each of them on a few values, so that they are compiled.
    """

    what: str
    exercise: Callable[[], object]


def map_arrow(
    rows: "DataFrame",
    function: Callable[[Batches], Batches],
    schema: pa.Schema | str,
    *,
    kernels: Kernels | None = None,
) -> "DataFrame":
    """The rows that a function makes of the batches of each partition, lazily.

    Args:
        rows: The rows; all their columns travel to the worker.
        function: Takes the batches of a partition, gives batches of the schema.
        schema: Of the rows that are made, as Arrow's schema or in the words of Spark SQL.
        kernels: What the function runs. They are compiled on the driver, once a machine, and sent along; where the
            driver is a client of another machine, the workers compile them.
    """
    words = schema if isinstance(schema, str) else spark_schema(schema)
    if kernels is None:
        return rows.mapInArrow(function, words)  # type: ignore[arg-type]
    is_client = ".connect." in type(rows).__module__ and "SPARK_LOCAL_REMOTE" not in os.environ
    code = MachineCode() if is_client else machine_code(kernels.what, kernels.exercise)

    @functools.wraps(function)  # the plan shows its name
    def run(batches: Batches) -> Batches:
        keep(code)
        yield from function(batches)

    return rows.mapInArrow(run, words)  # type: ignore[arg-type]
