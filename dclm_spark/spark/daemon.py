"""The process from which Spark forks the Python workers of a local session: `python -m dclm_spark.spark.daemon`.

Spark puts its Python package on the workers' path as zips, although pip has installed the same code beside them. Before
each task a worker forgets what it knows of its path, and Python then reads a zip's directory once for every package
that was imported from it: 0.14 s of CPU a task, a seventh of the CPU time of a chain over a few hundred pages. Without
the zips there is nothing to read again. `spark.python.daemon.module=pyspark.daemon` goes back to Spark's own process.
"""

import sys
from importlib.machinery import PathFinder
from pathlib import Path


def without_spark_zips(path: list[str]) -> list[str]:
    """The import path without the archives that lie inside the pyspark that is installed on it; all else stays.

    A Spark elsewhere (`SPARK_HOME`) keeps its zips: its version may be another.
    """
    plain = [entry for entry in path if not entry.endswith((".zip", ".jar"))]
    installed = PathFinder.find_spec("pyspark", plain)
    if installed is None or installed.origin is None or PathFinder.find_spec("py4j", plain) is None:
        return path
    home = Path(installed.origin).parent
    return [entry for entry in path if entry in plain or home not in Path(entry).parents]


if __name__ == "__main__":
    sys.path[:] = without_spark_zips(sys.path)
    from pyspark.daemon import manager

    manager()
