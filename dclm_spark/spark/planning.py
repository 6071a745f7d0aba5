"""Settings of a session that hold while a table is made, and are put back afterwards.

A session that was there before (a notebook's) is its user's: of the settings below it gets only those without which a
table could not be made. A session that `get_session` has started, or is the first to use, gets those for speed as well.
"""

import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import TYPE_CHECKING

from pyspark.errors import PySparkException

from dclm_spark.spark.launch import TIMESTAMP_SETTINGS

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_OWN = "spark.dclm_spark.own"
PACKETS_AT_ONCE = 16


def own(spark: "SparkSession") -> "SparkSession":
    """Marks a session as one that nobody has used before, and returns it: `planned_for_python` may change its settings.

    A platform may refuse settings that it does not know. Its session then counts as somebody else's.
    """
    with suppress(PySparkException):
        spark.conf.set(_OWN, "true")
    return spark


def is_own(spark: "SparkSession") -> bool:
    """Returns whether the session was marked by `own`."""
    return spark.conf.get(_OWN, None) == "true"


def planned_for_packets(spark: "SparkSession") -> AbstractContextManager[None]:
    """Makes Spark send few rows at a time to Python: a row may be several MB, and Spark 3.5 limits batches by rows
    only."""
    return _changed(spark, {"spark.sql.execution.arrow.maxRecordsPerBatch": str(PACKETS_AT_ONCE)})


def planned_for_java(spark: "SparkSession") -> AbstractContextManager[None]:
    """Restores, inside `planned_for_python`, the settings for work of the JVM itself: rewriting whole tables.

    Generated code copied rows of texts and signals in three quarters of the JVM's CPU time.
    """
    settings = {"spark.sql.codegen.wholeStage": "true", "spark.sql.codegen.factoryMode": "FALLBACK"}
    return _changed(spark, settings if is_own(spark) else {})


@contextmanager
def _changed(spark: "SparkSession", settings: Mapping[str, str]) -> Iterator[None]:
    before = {key: spark.conf.get(key, None) for key in settings if spark.conf.isModifiable(key)}
    for key in before:
        spark.conf.set(key, settings[key])
    try:
        yield
    finally:
        _restore(spark, before)


class _Shared:
    """Changes settings of a session while any thread is inside; restores them when the last thread has left."""

    def __init__(self, settings: Mapping[str, str]) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._inside: dict[int, tuple[int, dict[str, str | None]]] = {}  # by session: how many, and its own settings

    @contextmanager
    def in_force(self, spark: "SparkSession") -> Iterator[None]:
        with self._lock:
            n, before = self._inside.get(id(spark), (0, {}))
            if n == 0:
                own = {key: spark.conf.get(key, None) for key in self._settings}
                before = {
                    key: value
                    for key, value in own.items()
                    if value != self._settings[key] and spark.conf.isModifiable(key)
                }
                for key in before:
                    spark.conf.set(key, self._settings[key])
            self._inside[id(spark)] = (n + 1, before)
        try:
            yield
        finally:
            with self._lock:
                n, before = self._inside.pop(id(spark))
                if n > 1:  # another thread of this session still works
                    self._inside[id(spark)] = (n - 1, before)
                else:
                    _restore(spark, before)


def _restore(spark: "SparkSession", before: Mapping[str, str | None]) -> None:
    for key, value in before.items():
        if value is None:
            spark.conf.unset(key)
        else:
            spark.conf.set(key, value)


@contextmanager
def planned_for_python(spark: "SparkSession") -> Iterator[None]:
    """Sets the session for stages whose work is in Python, where the JVM only forwards rows.

    Such a stage plans many small queries, most of them Delta's own. Generating Java code for each took a third of the
    JVM's CPU time. Long texts were compressed for a cache that is read once or twice, and sorted by a partition that
    all rows share. Only an own session gets these settings.
    """
    with _NEEDED.in_force(spark):
        if not is_own(spark):
            yield
            return
        with _FOR_SPEED.in_force(spark):
            yield


def written_for_all(spark: "SparkSession") -> AbstractContextManager[None]:
    """Makes Spark write timestamps that every reader of Parquet can read.

    Spark's default is INT96, deprecated since 2016. Delta takes the format from the session only: neither a writer's
    options nor a table's properties can set it.
    """
    return _TIMESTAMPS.in_force(spark)


_TIMESTAMPS = _Shared(TIMESTAMP_SETTINGS)
# Rows to broadcast may first have to be found among all URLs of a dump, which takes longer than 5 minutes.
_NEEDED = _Shared({"spark.sql.broadcastTimeout": "86400"})
_FOR_SPEED = _Shared(
    {
        "spark.sql.codegen.wholeStage": "false",
        "spark.sql.codegen.factoryMode": "NO_CODEGEN",
        "spark.sql.inMemoryColumnarStorage.compressed": "false",
        "spark.sql.maxConcurrentOutputFileWriters": "2",
    }
)
