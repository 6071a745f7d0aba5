"""Seconds that connected components of a large graph take on Spark, checked against SciPy's; prints them as JSON.

    python -m benchmarks.programs.components [N_NODES [FOLDER]]    on local[2]; a million nodes unless told otherwise

Each graph is taken twice: `one_task` with the usual limits, `rounds` with such that only rounds of several tasks can
end it.
The edges lie in Parquet files, in random order; the result is written, and cuts are Delta tables. The first run of a
session is not counted.
"""

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components as scipy_components

from benchmarks.programs.processes import Tree
from dclm_spark.spark.planning import planned_for_python
from dclm_spark.spark.session import get_session
from dclm_spark.stages.components import connected_components

N_NODES = 1_000_000
N_FILES = 8
N_TASKS = 4  # of a round
SHAPES = ("chain", "star", "random")


def graph(shape: str, n_nodes: int) -> np.ndarray:
    """The two ends of edges of one of SHAPES, as mixed 64-bit ids: 2 rows, an edge a column, in random order.

    `random` has as many edges as nodes.
    """
    random = np.random.default_rng(1)
    numbers = np.arange(n_nodes)
    ends = {
        "chain": lambda: np.stack([numbers[:-1], numbers[1:]]),
        "star": lambda: np.stack([numbers[1:], np.zeros(n_nodes - 1, dtype=np.int64)]),
        "random": lambda: random.integers(0, n_nodes, (2, n_nodes)),
    }[shape]()
    ids = random.integers(-(1 << 63), (1 << 63) - 1, n_nodes)
    return ids[random.permutation(ends, axis=1)]


def expected(edges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The distinct nodes, sorted, and the smallest id of each one's component, by SciPy."""
    nodes = np.unique(edges)
    starts, ends = np.searchsorted(nodes, edges)
    matrix = coo_matrix((np.ones(len(starts), dtype=np.int8), (starts, ends)), shape=(len(nodes), len(nodes)))
    n_components, component = scipy_components(matrix, directed=False)
    smallest = np.full(n_components, np.iinfo(np.int64).max)
    np.minimum.at(smallest, component, nodes)
    return nodes, smallest[component]


class Lab:
    """A session and a folder in which components are found, and timed."""

    def __init__(self, scratch: Path, tree: Tree):
        self._spark = get_session(master="local[2]")
        self._scratch = scratch
        self._tree = tree
        self._n_runs = 0

    def run(self, shape: str, n_nodes: int, **limits: int) -> dict[str, Any]:
        """Seconds and rounds of one graph; fails where the result is not SciPy's."""
        self._n_runs += 1
        here = self._scratch / f"run-{self._n_runs}"
        edges = graph(shape, n_nodes)
        (here / "edges").mkdir(parents=True)
        for n, part in enumerate(np.array_split(edges, N_FILES, axis=1)):
            pq.write_table(pa.table({"text_hash": part[0], "other_hash": part[1]}), here / "edges" / f"{n}.parquet")

        def checkpoint(rows, name):
            place = str(here / name)
            rows.write.format("delta").save(place)
            return self._spark.read.format("delta").load(place)

        began, cpu = time.perf_counter(), self._tree.cpu_seconds()
        read = self._spark.read.parquet(str(here / "edges"))
        with planned_for_python(self._spark):
            result = connected_components(read, checkpoint=checkpoint, **limits)
            result.write.parquet(str(here / "components"))
        wall, cpu = time.perf_counter() - began, self._tree.cpu_seconds() - cpu
        found = pq.read_table(here / "components").sort_by("text_hash")
        nodes, roots = expected(edges)
        assert np.array_equal(found["text_hash"], nodes) and np.array_equal(found["root"], roots)
        n_rounds = sum((here / f"round_{n}").is_dir() for n in range(1, 100))
        return {"wall": round(wall, 2), "cpu": round(cpu, 2), "n_rounds": n_rounds, "n_edges": edges.shape[1]}


def main(n_nodes: int, scratch: Path) -> dict[str, Any]:
    """What each graph takes, and the most memory that a worker held."""
    with Tree() as tree:
        lab = Lab(scratch, tree)
        lab.run("chain", 1000, single_limit=1)
        measured = {}
        small = {"single_limit": 1, "task_edges": n_nodes // N_TASKS * 2}
        for way, limits in (("one_task", {}), ("rounds", small)):
            measured[way] = {shape: lab.run(shape, n_nodes, **limits) for shape in SHAPES}
            measured[way]["peak_worker_bytes"] = tree.peak_worker_bytes()
        return measured


if __name__ == "__main__":
    n_nodes, folder, *_ = [*sys.argv[1:], None, None]
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        print(json.dumps(main(int(n_nodes or N_NODES), Path(scratch))))
