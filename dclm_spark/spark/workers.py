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
    """Names the compiled kernels that a function runs in the workers.

    Args:
        what: Name of the set of kernels; equal names mean equal kernels.
        exercise: Function that runs each kernel on a few values, so that all are compiled.
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
    """Applies a function to the Arrow batches of each partition, lazily; returns the rows that it makes.

    Args:
        rows: The input rows; all their columns are sent to the worker.
        function: Function from the batches of a partition to batches of the schema.
        schema: Schema of the new rows, as an Arrow schema or a Spark SQL column list.
        kernels: The kernels that the function runs. They are compiled on the driver, once on each machine, and sent to
            the workers. If the driver is a client of another machine, the workers compile them.
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
