"""Deduplication by n-grams on Spark, from `filtered` to `deduplicated`, beside BFF; prints JSON.

    python -m benchmarks.programs.dedup_spark methods SCRATCH N_CORES N_RUNS BFF CORPUS...    methods and BFF in turns
    python -m benchmarks.programs.dedup_spark memory SCRATCH CORPUS    of a worker, the whole corpus in one filter

A CORPUS is a name, `=`, a Parquet file of `schemas.FILTERED` and, for BFF, `,` and its .jsonl twin, as
`benchmarks.corpora.near_pages` writes them; BFF is its executable (see `benchmarks/peers/bff.py`), or `-`. Rows are in
the Delta table before the clock starts, under another dump each time, in `lakes.N_FILES` files of equal size; the
session has done the same work twice on a few rows before. Of those few rows too every method is measured, in turns with
the rest: the price of a run whatever its size. All settings are DCLM's but for the inserts of `whole`, which are its
default: n-grams of all units, so that one round is enough.
"""

import json
import statistics
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from pyspark.sql import functions as F

from benchmarks.peers.bff import run_bff
from benchmarks.programs.lakes import Lake, Meter
from benchmarks.programs.processes import Tree
from dclm_spark.pipeline.deduplicated import make_deduplicated
from dclm_spark.pipeline.job import Job
from dclm_spark.recipe.builtin import DCLM_BASELINE
from dclm_spark.recipe.deduplication import Bloom

N_FEW = 500
N_WARM_UPS = 2
LONG_RUNS = {"spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=4 -Xms2g -Xmn1g"}
"""What docs/performance.md recommends for long runs: both compilers, as on a cluster, and a heap that begins large."""
METHODS = {
    "whole": Bloom(scope="dump"),
    "shards": Bloom(scope="shards", n_shards=1, inserts="kept"),
    "eight_shards": Bloom(scope="shards", n_shards=8, inserts="kept"),
}


class DedupLake(Lake):
    """A new warehouse in a session of its own, in which corpora become `deduplicated`."""

    def run(self, method: str, rows: Any, **how: Any) -> dict[str, Any]:
        """What a method takes for these rows as those of a new dump."""
        dump = self.fill(rows, **how)
        recipe = replace(DCLM_BASELINE, deduplication=(METHODS[method],))
        job = Job(self.warehouse, dump, recipe, is_quiet=True)
        found = self.meter.measure(lambda: make_deduplicated(job, [dump]))
        blocks = self.warehouse.read("filter_blocks", dump=dump)
        reached = blocks.agg(F.sum("n_ngrams").alias("n_ngrams"), F.max("fp_rate").alias("fp_rate")).head()
        return found | reached.asDict()

    def run_all(self, few: Any) -> dict[str, dict[str, Any]]:
        """What each method takes for a few rows: the price of a run, whatever its size."""
        return {method: self.run(method, few, n_files=1) for method in METHODS}


def corpus(words: str) -> tuple[str, str, Path | None]:
    """The name, the Parquet file, and its twin if there is one."""
    name, _, files = words.partition("=")
    parquet, *twin = files.split(",")
    return name, parquet, Path(twin[0]) if twin else None


def middle(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """The run that took the middle seconds of the clock, and the medians."""
    in_order = sorted(runs, key=lambda run: run["wall"])
    return in_order[len(runs) // 2] | {unit: statistics.median(run[unit] for run in runs) for unit in ("cpu", "wall")}


# -- programs ---------------------------------------------------------------------------------------------------------


def methods(scratch: str, n_cores: str, n_runs: str, program: str, *corpora: str) -> dict[str, Any]:
    """Of each corpus what every method takes and what BFF takes, in turns; of a few rows what a run takes (`fixed`)."""
    named = {name: (parquet, twin) for name, parquet, twin in map(corpus, corpora)}
    with Tree() as tree:
        lake = DedupLake(int(n_cores), scratch, Meter(tree), config=LONG_RUNS)
        rows = {name: lake.read([parquet]) for name, (parquet, _) in named.items()}
        few = next(iter(rows.values())).limit(N_FEW)
        for _ in range(N_WARM_UPS):
            lake.run_all(few)
        fixed: list[dict[str, dict[str, Any]]] = []
        runs: dict[str, dict[str, list[dict[str, Any]]]] = {name: {} for name in named}
        for _ in range(int(n_runs)):
            fixed.append(lake.run_all(few))
            for name, (_, twin) in named.items():
                for method in METHODS:
                    found = lake.run(method, rows[name])
                    runs[name].setdefault(method, []).append(found)
                    _say(name, method, found)
                if program != "-" and twin is not None:
                    n_ngrams = runs[name]["shards"][-1]["n_ngrams"]
                    found = run_bff(Path(program), twin, Path(scratch, "bff"), n_ngrams=n_ngrams)
                    runs[name].setdefault("bff", []).append(found)
                    _say(name, "bff", found)
        text_bytes = {name: of.agg(F.sum(F.octet_length("text"))).head()[0] for name, of in rows.items()}
    return {
        "fixed": {method: middle([taken[method] for taken in fixed]) for method in METHODS},
        "text_bytes": text_bytes,
        "corpora": {
            name: {method: middle(taken) for method, taken in by_method.items()} for name, by_method in runs.items()
        },
    }


def memory(scratch: str, words: str) -> dict[str, Any]:
    """Peak memory of a worker; local[1]."""
    with Tree() as tree:
        lake = DedupLake(1, scratch, Meter(tree), config=LONG_RUNS)
        found = lake.run("whole", lake.read([corpus(words)[1]]))
        return {**found, "peak_worker_bytes": tree.peak_worker_bytes()}


def _say(name: str, method: str, found: dict[str, Any]) -> None:
    """A line a run on standard error: a long program may be stopped."""
    print(f"{name}, {method}: {found['cpu']:.1f} s CPU, {found['wall']:.1f} s wall", file=sys.stderr, flush=True)


if __name__ == "__main__":
    program, *arguments = sys.argv[1:]
    print(json.dumps({"methods": methods, "memory": memory}[program](*arguments)))
