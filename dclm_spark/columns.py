"""Spark expressions: Column -> Column, and how rows are spread over tasks."""

import json
import operator
from collections.abc import Sequence
from functools import reduce
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from dclm_spark.rules import Bound

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession


def breaks(bound: Bound) -> "Column":
    """True where a row breaks the bound; false, never null, where its signal is null or it is in another language."""
    signal = F.col(bound.signal)
    tests = (
        (operator.lt, bound.at_least),
        (operator.le, bound.above),
        (operator.gt, bound.at_most),
        (operator.ge, bound.below),
    )
    broken = reduce(operator.or_, [test(signal, F.lit(limit)) for test, limit in tests if limit is not None])
    if bound.language is not None:
        broken = broken & (F.col("language.code") == F.lit(bound.language))
    return F.coalesce(broken, F.lit(False))


def removed_by(bounds: Sequence[Bound]) -> "Column":
    """The name of the first signal whose bound is broken; null where none is."""
    return _of_first_broken(bounds, lambda bound: F.lit(bound.signal), "string")


def removed_value(bounds: Sequence[Bound]) -> "Column":
    """That signal's value, as a double; null where no bound is broken."""
    return _of_first_broken(bounds, lambda bound: F.col(bound.signal).cast("double"), "double")


def removed_detail(bounds: Sequence[Bound]) -> "Column":
    """That bound in words; null where none is broken."""
    return _of_first_broken(bounds, lambda bound: F.lit(str(bound)), "string")


def _of_first_broken(bounds: Sequence[Bound], of, type_: str) -> "Column":
    if not bounds:
        return F.lit(None).cast(type_)
    return F.coalesce(*(F.when(breaks(bound), of(bound)) for bound in bounds))


def one_a_task(spark: "SparkSession", paths: Sequence[str]) -> "DataFrame":
    """Rows of one column, `path`: n paths on n tasks, one on each, the first path on the first task.

    Hash partitioning would leave about 37 % of n tasks empty and double others. A range has exactly one number a task,
    and finds its path in a literal, without a join. The literal is one value, however many paths there are.
    """
    listed = F.from_json(F.lit(json.dumps(list(paths))), "ARRAY<STRING>")
    return spark.range(0, len(paths), 1, len(paths)).select(F.get(listed, F.col("id")).alias("path"))


def domain_rank(host: str, domains: Sequence[str]) -> "Column":
    """The place, from 0, of the first of these domains that a host is or lies below; their number if there is none."""
    return F.coalesce(
        *(
            F.when((F.col(host) == domain) | F.col(host).endswith(f".{domain}"), F.lit(place))
            for place, domain in enumerate(domains)
        ),
        F.lit(len(domains)),
    )
