"""The process from which Spark forks the Python workers of a local session: `python -m dclm_spark.daemon`.

Spark puts its Python package on the workers' path as zips, although pip has installed the same code beside them. Before
each task a worker forgets what it knows of its path, and Python then reads a zip's directory once for every package
that was imported from it: 0.14 s of CPU a task. Without the zips there is nothing to read again.
"""

import sys
from importlib.util import find_spec


def drop_spark_zips(path: list[str]) -> list[str]:
    """The import path without the archives that Spark adds, as long as pyspark is installed elsewhere on it.

    >>> drop_spark_zips(["/work", "/spark/python/lib/pyspark.zip", "/spark/jars/spark-core_2.13-4.1.4.jar"])
    ['/work']
    """
    return [
        entry
        for entry in path
        if not (entry.endswith((".zip", ".jar")) and entry.rpartition("/")[2].startswith(("pyspark", "py4j", "spark-")))
    ]


if __name__ == "__main__":
    before = sys.path[:]
    sys.path[:] = drop_spark_zips(before)
    if find_spec("pyspark") is None or find_spec("py4j") is None:
        sys.path[:] = before
    from pyspark.daemon import manager

    manager()
