"""Near-duplicates on Spark, from `filtered` to `duplicates`, each program in a driver process of its own; prints JSON.

    python -m benchmarks.programs.near_spark stages SCRATCH N_CORES N_RUNS CORPUS...    both stages, corpora in turns
    python -m benchmarks.programs.near_spark scopes SCRATCH N_RUNS CORPUS    its dumps at once, and one after the other
    python -m benchmarks.programs.near_spark shuffle SCRATCH CORPUS    bytes that the band keys are shuffled as
    python -m benchmarks.programs.near_spark memory SCRATCH CORPUS     of a worker that makes `duplicates`, no more

A CORPUS is a name, `=`, and Parquet files of `schemas.FILTERED`, commas between them (`benchmarks.corpora.near_pages`
makes some). Its rows are in the Delta table before the clock starts, under another dump each time, in `lakes.N_FILES`
files of equal size. The session has done the work twice on a few rows before, and its start is told apart. What the
jobs of a stage read and write is Spark's own count.
"""

import json
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pyspark.sql import functions as F

from benchmarks.programs.lakes import Lake, Meter, corpus
from benchmarks.programs.processes import Tree
from dclm_spark.lake.warehouse import Warehouse
from dclm_spark.pipeline.duplicates import make_duplicates
from dclm_spark.pipeline.job import Job
from dclm_spark.pipeline.signatures import make_signatures
from dclm_spark.recipe.builtin import DCLM_BASELINE
from dclm_spark.recipe.near_duplicates import MinHash, NearDuplicates
from dclm_spark.spark.planning import planned_for_python
from dclm_spark.stages.edges import find_edges

N_WARM_UP = 500  # rows of a dump that warms up, and of the one that shows what a run costs whatever its size
MINHASH = MinHash()
STAGES = ("signatures", "duplicates")


class NearLake(Lake):
    """A new warehouse in a session of its own, warm, in which corpora become signatures and duplicates."""

    def warm_up(self, rows: Any) -> list[dict[str, float]]:
        """Both stages of two small dumps, one for each; then of a third, which tells the cost of a run."""
        few = rows.limit(N_WARM_UP)
        return [total(self.run(self.fill(few, n_files=1))) for _ in range(3)]

    def job(self, dump: str, **near: Any) -> Job:
        recipe = replace(DCLM_BASELINE, signatures=MINHASH, duplicates=NearDuplicates(**{"scope": "dump"} | near))
        return Job(self.warehouse, dump, recipe, is_quiet=True)

    def run(self, dump: str) -> dict[str, Any]:
        """What each stage takes."""
        return {"signatures": self.signatures(dump), "duplicates": self.duplicates(dump)}

    def signatures(self, dump: str) -> dict[str, Any]:
        return self._measure(lambda: [make_signatures(self.job(dump))])

    def duplicates(self, *dumps: str, **near: Any) -> dict[str, Any]:
        return self._measure(lambda: make_duplicates(self.job(dumps[0], **near), dumps))

    def _measure(self, make: Callable[[], Sequence[Any]]) -> dict[str, Any]:
        made: list[Any] = []
        found = self.meter.measure(lambda: made.extend(make()))
        assert all(outcome.is_new for outcome in made)
        return {**found, "n_rows": sum(outcome.run["n_rows_out"] for outcome in made)}


def total(stages: dict[str, dict[str, float]]) -> dict[str, float]:
    """CPU seconds and seconds of all of a run's stages."""
    return {unit: sum(stage[unit] for stage in stages.values()) for unit in ("cpu", "wall")}


def middle(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Of several runs: medians of the CPU seconds and of the seconds, and the run itself that took the middle CPU."""
    totals = [total(run) for run in runs]
    medians = {unit: statistics.median(one[unit] for one in totals) for unit in ("cpu", "wall")}
    by_stage = {
        f"{stage}_{unit}": statistics.median(run[stage][unit] for run in runs)
        for stage in STAGES
        for unit in ("cpu", "wall")
    }
    best = {f"best_{unit}": min(one[unit] for one in totals) for unit in ("cpu", "wall")}
    in_order = sorted(range(len(runs)), key=lambda number: totals[number]["cpu"])
    return {**medians, **best, **by_stage, "middle": runs[in_order[len(runs) // 2]], "n_runs": len(runs)}


def _say(name: str, run: dict[str, Any]) -> None:
    """A line a run on standard error: a long program may be stopped."""
    taken = ", ".join(f"{stage} {found['cpu']:.1f} s CPU, {found['wall']:.1f} s wall" for stage, found in run.items())
    print(f"{name}: {taken}", file=sys.stderr, flush=True)


# -- programs ---------------------------------------------------------------------------------------------------------


def stages(scratch: str, n_cores: str, n_runs: str, *corpora: str) -> dict[str, Any]:
    """Both stages of each corpus, in turns; and what a run of a few rows takes in between (`fixed`)."""
    named = dict(map(corpus, corpora))
    with Tree() as tree:
        lake = NearLake(int(n_cores), scratch, Meter(tree))
        rows = {name: lake.read(files) for name, files in named.items()}
        first = next(iter(rows.values()))
        warm_up = lake.warm_up(first)
        runs: dict[str, list[dict[str, Any]]] = {name: [] for name in named}
        fixed = []
        for _ in range(int(n_runs)):
            fixed.append(lake.run(lake.fill(first.limit(N_WARM_UP), n_files=1)))
            for name in named:
                runs[name].append(lake.run(lake.fill(rows[name])))
                _say(name, runs[name][-1])
        return {
            "start": lake.start,
            "warm_up": warm_up,
            "fixed": middle(fixed),
            "corpora": {name: middle(found) for name, found in runs.items()},
        }


def scopes(scratch: str, n_runs: str, words: str) -> dict[str, Any]:
    """`duplicates` of a corpus's dumps all at once, and one after the other, each in a warehouse of its own, local[1].

    One after the other needs a call a dump, as it does where dumps come in with time.
    """
    _, files = corpus(words)
    found: dict[str, list[list[dict[str, Any]]]] = {"all": [], "incremental": []}
    with Tree() as tree:
        lake = NearLake(1, scratch, Meter(tree))
        rows = lake.read(files)
        lake.warm_up(rows)
        names = sorted(row["dump"] for row in rows.select("dump").distinct().collect())
        for number in range(int(n_runs)):
            for scope, taken in found.items():
                lake.warehouse = Warehouse(lake.spark, str(Path(scratch) / f"{scope}-{number}"))
                dumps = [lake.fill(rows.where(F.col("dump") == name), dump=name) for name in names]
                for dump in dumps:
                    lake.signatures(dump)
                groups = [dumps] if scope == "all" else [[dump] for dump in dumps]
                taken.append([lake.duplicates(*group, scope=scope) for group in groups])
    return {
        scope: {
            unit: [statistics.median(run[step][unit] for run in taken) for step in range(len(taken[0]))]
            for unit in ("cpu", "wall", "n_rows")
        }
        for scope, taken in found.items()
    }


def shuffle(scratch: str, words: str) -> dict[str, Any]:
    """Bytes of the band keys' shuffle, as Spark writes them, a band and a document with a signature; local[1]."""
    _, files = corpus(words)
    with Tree() as tree:
        lake = NearLake(1, scratch, Meter(tree))
        rows = lake.read(files)
        lake.warm_up(rows)
        dump = lake.fill(rows)
        lake.signatures(dump)
        signatures = lake.warehouse.read("signatures", dump=dump)
        n_documents = signatures.where("text_hash IS NOT NULL").count()
        near = NearDuplicates(verify="none")
        with planned_for_python(lake.spark):
            # Without similarities it is one line of stages, and the first to shuffle is the one that packs.
            edges = find_edges(
                signatures,
                dumps=(dump,),
                minhash=MINHASH,
                near=near,
                n_documents=n_documents,
                n_tasks=int(lake.spark.conf.get("spark.sql.shuffle.partitions")),
            )
            last_stage = max(stage["id"] for stage in lake.meter.stages(after=-1))
            edges.write.format("noop").mode("overwrite").save()
        written = [stage["shuffle_bytes"] for stage in lake.meter.stages(after=last_stage)]
        whole = lake.duplicates(dump)
    n_keys = n_documents * MINHASH.n_bands
    keys_bytes = next(n_bytes for n_bytes in written if n_bytes)
    return {
        "n_documents": n_documents,
        "keys_bytes": keys_bytes,
        "bytes_a_key": keys_bytes / n_keys,
        "duplicates_bytes": whole["shuffle_bytes"],
        "duplicates_bytes_a_key": whole["shuffle_bytes"] / n_keys,
        "spilled_bytes": whole["spilled_bytes"],
    }


def sign(scratch: str, words: str) -> dict[str, Any]:
    """`signatures` of a corpus, in a warehouse that `memory` goes on with."""
    _, files = corpus(words)
    with Tree() as tree:
        lake = NearLake(1, scratch, Meter(tree))
        found = lake.signatures(lake.fill(lake.read(files), dump="signed"))
        return {**found, "peak_worker_bytes": tree.peak_worker_bytes()}


def memory(scratch: str, words: str) -> dict[str, Any]:
    """Peak memory of a worker that has made nothing but `duplicates`; local[1]."""
    command = [sys.executable, "-m", "benchmarks.programs.near_spark", "sign", scratch, words]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    signed = json.loads(done.stdout.splitlines()[-1])
    with Tree() as tree:
        found = NearLake(1, scratch, Meter(tree)).duplicates("signed")
        return {
            **found,
            "n_documents": signed["n_rows"],
            "peak_worker_bytes": tree.peak_worker_bytes(),
            "signatures_peak_worker_bytes": signed["peak_worker_bytes"],
        }


if __name__ == "__main__":
    program, *arguments = sys.argv[1:]
    programs = {"stages": stages, "scopes": scopes, "shuffle": shuffle, "sign": sign, "memory": memory}
    print(json.dumps(programs[program](*arguments)))
