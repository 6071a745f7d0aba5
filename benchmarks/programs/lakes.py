"""A warehouse in a session of its own, and what work in it costs: CPU, clock, and Spark's own counts."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import psutil
from pyspark.sql import functions as F

from benchmarks.programs.processes import Tree
from dclm_spark.lake.warehouse import Warehouse
from dclm_spark.pipeline.job import Job
from dclm_spark.recipe.builtin import DCLM_BASELINE
from dclm_spark.spark.session import get_session

N_FILES = 10


class Meter:
    """CPU time and clock of this process's tree, and what Spark says of the jobs that ran in between."""

    def __init__(self, tree: Tree):
        self._tree = tree
        self._spark: Any = None

    def watch(self, spark: Any) -> None:
        self._spark = spark

    def measure(self, work: Callable[[], object]) -> dict[str, float]:
        """CPU seconds, of which `jvm` and `workers`, seconds of the clock, jobs, bytes shuffled and spilled."""
        last_stage, n_jobs = self._last_stage(), self._n_jobs()
        before = self._cpu()
        began = time.perf_counter()
        work()
        found = {"wall": time.perf_counter() - began}
        cpu, jvm, driver = (after - earlier for after, earlier in zip(self._cpu(), before, strict=True))
        found |= {"cpu": cpu, "jvm": jvm, "workers": cpu - jvm - driver}
        if self._spark is not None:
            stages = self.stages(after=last_stage)
            found |= {
                "jobs": self._n_jobs() - n_jobs,
                "shuffle_bytes": sum(stage["shuffle_bytes"] for stage in stages),
                "spilled_bytes": sum(stage["spilled_bytes"] for stage in stages),
            }
        return found

    def stages(self, *, after: int) -> list[dict[str, int]]:
        """Spark's stages whose number is above `after`, in order."""
        return sorted(
            (
                {
                    "id": stage.stageId(),
                    "shuffle_bytes": stage.shuffleWriteBytes(),
                    "spilled_bytes": stage.diskBytesSpilled(),
                }
                for stage in self._stage_list()
                if stage.stageId() > after
            ),
            key=lambda stage: stage["id"],
        )

    def _last_stage(self) -> int:
        return max((stage.stageId() for stage in self._stage_list()), default=-1)

    def _stage_list(self) -> Iterable[Any]:
        if self._spark is None:
            return ()
        context = self._spark.sparkContext
        quantiles = context._gateway.new_array(context._jvm.double, 0)
        found = self._store().stageList(None, False, False, quantiles, None)
        return (found.apply(index) for index in range(found.size()))

    def _n_jobs(self) -> int:
        """A number that each job raises by one, also where Spark forgets the oldest."""
        if self._spark is None:
            return 0
        jobs = self._store().jobsList(None)
        return max((jobs.apply(index).jobId() for index in range(jobs.size())), default=-1)

    def _store(self) -> Any:
        context = self._spark.sparkContext._jsc.sc()
        context.listenerBus().waitUntilEmpty()
        return context.statusStore()

    def _cpu(self) -> tuple[float, float, float]:
        """Of the tree, of the JVM and of this process."""
        jvm = 0.0
        for child in psutil.Process().children(recursive=True):
            if child.name() == "java":
                times = child.cpu_times()
                jvm += times.user + times.system
        return self._tree.cpu_seconds(), jvm, time.process_time()


class Lake:
    """A new warehouse in a session of its own."""

    def __init__(self, n_cores: int, scratch: str, meter: Meter, *, config: Mapping[str, str] | None = None):
        self.meter = meter
        self.start = meter.measure(partial(self._open, f"local[{n_cores}]", Path(scratch) / "lake", config))
        meter.watch(self.spark)
        self._n_dumps = 0

    def _open(self, master: str, lake: Path, config: Mapping[str, str] | None) -> None:
        self.spark = get_session(master=master, config=config)
        self.warehouse = Warehouse(self.spark, str(lake))

    def read(self, files: Sequence[str]) -> Any:
        return self.spark.read.parquet(*files)

    def fill(self, rows: Any, *, dump: str | None = None, n_files: int = N_FILES) -> str:
        """Writes rows as those of `filtered` of a dump, and gives its name."""
        self._n_dumps += 1
        dump = dump or f"run-{self._n_dumps:04d}"
        run = Job(self.warehouse, dump, DCLM_BASELINE).run("filtered")
        self.warehouse.prepare("filtered", "runs")
        ours = rows.withColumn("dump", F.lit(dump)).repartition(n_files)
        commit = self.warehouse.replace(ours, "filtered", lineage=run.lineage, dump=dump)
        run.record(n_rows_in=commit.n_rows, n_rows_out=commit.n_rows, output_versions={"filtered": commit.version})
        return dump


def corpus(words: str) -> tuple[str, list[str]]:
    """The name and the files."""
    name, _, files = words.partition("=")
    return name, files.split(",")
