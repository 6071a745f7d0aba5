"""The measurements that need a Spark session, each in a driver process of its own; prints what was measured as JSON.

    python -m benchmarks.programs.in_spark pairs SCRATCH N_RUNS FILE...    stages beside their bare loops, local[1]
    python -m benchmarks.programs.in_spark wall SCRATCH N FOLDER...        seconds of `documents` on local[N], by folder
    python -m benchmarks.programs.in_spark memory SCRATCH FILE             peak memory of a worker

A stage is run as `dclm-spark` runs it, progress included, each time for another dump. The first run of a session is
not counted.
"""

import dataclasses
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.corpora.archives import write_first_records
from benchmarks.programs.processes import Tree
from dclm_spark.lake.warehouse import Warehouse
from dclm_spark.pipeline import documents
from dclm_spark.pipeline.annotated import make_annotated
from dclm_spark.pipeline.filtered import make_filtered
from dclm_spark.pipeline.ingest_plan import Source
from dclm_spark.pipeline.job import Job
from dclm_spark.pipeline.run_stage import Outcome
from dclm_spark.recipe.builtin import DCLM_BASELINE
from dclm_spark.spark.session import get_session

N_RUNS = 3
# Pages above the recipe's limit are faults, and some are made on purpose; the share that is tolerated changes no row.
RECIPE = dataclasses.replace(DCLM_BASELINE, max_fault_share=1.0)


class Lake:
    """A new warehouse in a session of its own, whose stages are measured."""

    def __init__(self, master: str, scratch: str, tree: Tree):
        self._warehouse = Warehouse(get_session(master=master), str(Path(scratch) / "lake"))
        self._tree = tree

    def documents(self, dump: str, files: Sequence[str]) -> dict[str, float]:
        return self._measure(lambda: documents.make_documents(self._job(dump), Source(files)))

    def annotated(self, dump: str) -> dict[str, float]:
        return self._measure(lambda: make_annotated(self._job(dump)))

    def filtered(self, dump: str) -> dict[str, float]:
        return self._measure(lambda: make_filtered(self._job(dump)))

    def data_files(self, dump: str) -> list[str]:
        """The Parquet files of a dump's documents, which were written once and never replaced."""
        return [str(path) for path in Path(self._warehouse.location).glob(f"documents/dump={dump}/*.parquet")]

    def _job(self, dump: str) -> Job:
        return Job(self._warehouse, dump, RECIPE)

    def _measure(self, make: Callable[[], Outcome]) -> dict[str, float]:
        cpu, wall = self._tree.cpu_seconds(), time.perf_counter()
        run = make().run
        wall = time.perf_counter() - wall
        cpu = self._tree.cpu_seconds() - cpu
        return {"cpu": cpu, "wall": wall, "n_rows": run["n_rows_out"], "n_faults": run["n_faults"]}


def bare(stage: str, paths: Sequence[str]) -> dict[str, Any]:
    """What the bare loop of a stage measures of itself, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.peers.bare", stage, *paths]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def pairs(scratch: str, n_runs: str, *files: str) -> dict[str, Any]:
    """Stages beside their bare loops, in turns; and a few records alone: what a run costs whatever its size.

    `chain` has the three stages of a dump, and beside them the loop that extracts and identifies.
    """
    with Tree() as tree:
        lake = Lake("local[1]", scratch, tree)
        first = lake.documents("warm-up", files)
        documents = [(lake.documents(f"run-{n}", files), bare("documents", files)) for n in range(int(n_runs))]
        peak = tree.peak_worker_bytes()
        tiny = write_first_records(Path(files[0]), 10, Path(scratch) / "tiny.warc.gz")
        fixed = {"documents": lake.documents("tiny", [str(tiny)])}
        lake.annotated("warm-up")
        annotated = [
            (lake.annotated(f"run-{n}"), bare("annotated", lake.data_files(f"run-{n}"))) for n in range(int(n_runs))
        ]
        fixed["annotated"] = lake.annotated("tiny")
        lake.filtered("warm-up")
        filtered = [(lake.filtered(f"run-{n}"), bare("chain", files)) for n in range(int(n_runs))]
        fixed["filtered"] = lake.filtered("tiny")
    made = zip(documents, annotated, filtered, strict=True)
    whole = [([stage for stage, _ in stages], stages[-1][1]) for stages in made]
    return {
        "first": first,
        "documents": documents,
        "annotated": annotated,
        "chain": whole,
        "fixed": fixed,
        "peak_worker_bytes": peak,
    }


def wall(scratch: str, n_cores: str, *folders: str) -> dict[str, Any]:
    """Median seconds of `documents`, a folder."""
    with Tree() as tree:
        lake = Lake(f"local[{n_cores}]", scratch, tree)
        lake.documents("warm-up", [folders[0]])
        return {
            folder: statistics.median(lake.documents(f"run-{n}-{m}", [folder])["wall"] for m in range(N_RUNS))
            for n, folder in enumerate(folders)
        }


def memory(scratch: str, file: str) -> dict[str, Any]:
    """Peak memory of the worker that reads a file."""
    with Tree() as tree:
        lake = Lake("local[1]", scratch, tree)
        run = lake.documents("large", [file])
        return {**run, "peak_worker_bytes": tree.peak_worker_bytes()}


if __name__ == "__main__":
    program, *arguments = sys.argv[1:]
    measured = {"pairs": pairs, "wall": wall, "memory": memory}[program](*arguments)
    print(json.dumps(measured))
