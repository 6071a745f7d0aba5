"""Runs the process from which Spark forks the Python workers of a local session: `python -m dclm_spark.spark.daemon`.

Spark adds its Python package to the workers' path as zips, although pip has installed the same code. Before each task a
worker clears its import caches, and Python then reads a zip's directory again for every package imported from it: 0.14
s of CPU for each task, a seventh of the CPU time of a chain over several hundred pages. This process removes the zips
from the path. `spark.python.daemon.module=pyspark.daemon` restores Spark's own process.
"""

import sys
from importlib.machinery import PathFinder
from pathlib import Path


def without_spark_zips(path: list[str]) -> list[str]:
    """Removes from the import path the zips inside the installed pyspark; other entries are kept.

    The zips of another Spark (`SPARK_HOME`) are kept, because its version may differ.
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
