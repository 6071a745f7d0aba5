"""Goals of speed and memory: a program of this folder measures each; each is a row of docs/performance.md."""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.corpora.archives import cut_evenly, write_large_pages
from benchmarks.programs.signals import DCLM_PARTS, OTHER_PARTS

ROOT = Path(__file__).parents[2]
N_PARTS = 10
GIB = 1 << 30
# By what a peer calls itself: the goal, and the option that it is missing without.
PEERS = {
    "DCLM, uniseg 0.7.2": (30.0, "--dclm and --dclm-python name no checkout and no environment with uniseg 0.7.2"),
    "DCLM, uniseg 0.10.1": (100.0, "--dclm and --dclm-python name no checkout and no environment with uniseg 0.10.1"),
    "datatrove 0.10.1": (60.0, "--datatrove-python names no environment with datatrove 0.10.1"),
}


@dataclass(frozen=True)
class Goal:
    """One row of the table.

    Args:
        name: What is compared with what.
        measured: The ratio, GiB, seconds or milliseconds.
        bound: The limit.
        is_most: True if the measured value must be at most the bound, else at least.
        figures: What the ratio is made of.
        unit: Of the ratio, of memory or of time.
    """

    name: str
    measured: float
    bound: float
    is_most: bool
    figures: str
    unit: str = "x"

    def __str__(self) -> str:
        is_met = self.measured <= self.bound if self.is_most else self.measured >= self.bound
        limit = f"{'at most' if self.is_most else 'at least'} {self.bound:.2f} {self.unit}"
        cells = (self.name, f"{self.measured:.2f} {self.unit}", limit, "yes" if is_met else "**no**", self.figures)
        return f"| {' | '.join(cells)} |"


def growth(whole: Mapping[str, float], part: Mapping[str, float], fixed: Mapping[str, float]) -> tuple[float, str]:
    """How many times the CPU seconds of a part the whole takes, and the figures that it is made of.

    What a run costs whatever its size (`fixed`) is left out of both: it would make any growth look small.
    """
    ratio = whole["cpu"] / part["cpu"]
    if part["cpu"] > fixed["cpu"]:  # else there is too little to tell
        ratio = (whole["cpu"] - fixed["cpu"]) / (part["cpu"] - fixed["cpu"])
    figures = (
        f"{whole['cpu']:.1f} / {part['cpu']:.1f} s CPU, of each {fixed['cpu']:.1f} s for a run of a few rows left out; "
        f"with them {whole['cpu'] / part['cpu']:.2f} x, {whole['wall'] / part['wall']:.2f} x wall"
    )
    return ratio, figures


def run(program: str, *arguments: Any) -> dict[str, Any]:
    """What a program of this folder measured; its words pass through."""
    command = [sys.executable, "-m", f"benchmarks.{program}", *map(str, arguments)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    return json.loads(done.stdout.splitlines()[-1])


def in_spark(program: str, *arguments: Any) -> dict[str, Any]:
    """The same for a program that needs a session: it gets a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="dclm_spark-bench-") as scratch:
        return run("programs.in_spark", program, scratch, *arguments)


def compare_cpu(files: Sequence[Path], title: str, *, n_runs: int) -> list[Goal]:
    """`documents`, `annotated` and the whole chain against their bare loops."""
    measured = in_spark("pairs", n_runs, *files)
    goals = []
    for stage, loop_name in (("documents", "bare loop"), ("annotated", "`predict`")):
        pairs = measured[stage]
        ratio, spark, loop = sorted((spark["cpu"] / loop["cpu"], spark, loop) for spark, loop in pairs)[len(pairs) // 2]
        figures = (
            f"{spark['cpu']:.1f} / {loop['cpu']:.1f} s CPU, {spark['wall']:.1f} / {loop['wall']:.1f} s wall; "
            f"{loop['n_pages']:,} pages; a run of ten records {measured['fixed'][stage]['cpu']:.1f} s CPU"
        )
        goals.append(Goal(f"`{stage}` / {loop_name}, CPU, {title}", ratio, 1.3, True, figures))
    goals.append(compare_chain(measured, title))
    first = measured["first"]
    memory = Goal(
        f"peak memory of a worker, `documents`, {title}",
        measured["peak_worker_bytes"] / GIB,
        1.0,
        True,
        f"first run of the session {first['cpu']:.1f} s CPU, {first['wall']:.1f} s wall",
        "GiB",
    )
    return [*goals, memory]


def compare_chain(measured: dict[str, Any], title: str) -> Goal:
    """All three stages against one loop that extracts and identifies the language."""
    rounds = []
    for stages, loop in measured["chain"]:
        cpu = [stage["cpu"] for stage in stages]
        rounds.append((sum(cpu) / loop["cpu"], cpu, sum(stage["wall"] for stage in stages), loop))
    ratio, cpu, wall, loop = sorted(rounds, key=lambda found: found[0])[len(rounds) // 2]
    parts = " + ".join(f"{seconds:.1f}" for seconds in cpu)
    fixed = sum(stage["cpu"] for stage in measured["fixed"].values())
    figures = (
        f"{parts} / {loop['cpu']:.1f} s CPU, {wall:.1f} / {loop['wall']:.1f} s wall; "
        f"{loop['n_pages']:,} pages; a run of ten records {fixed:.1f} s CPU"
    )
    return Goal(f"`run` (three stages) / bare loop with `predict`, CPU, {title}", ratio, 1.5, True, figures)


def compare_cores(files: Sequence[Path]) -> list[Goal]:
    """`documents` on two cores against one, on files of equal size and on the files as they are."""
    seconds = run("peers.bare", "documents", *files)["per_file"]
    with tempfile.TemporaryDirectory(prefix="dclm_spark-bench-") as scratch:
        even, as_is = Path(scratch) / "even", Path(scratch) / "as-is"
        cut_evenly(files, N_PARTS, even)
        as_is.mkdir()
        for file in files:
            shutil.copy(file, as_is)
        one, two = (in_spark("wall", n_cores, even, as_is) for n_cores in (1, 2))
    even_one, even_two, as_is_one, as_is_two = (w[str(f)] for f in (even, as_is) for w in (one, two))
    # One file is one task: the others wait for the largest, whose share is that of the bare loop's time.
    most = min(2.0, sum(seconds) / max(seconds))
    shares = ", ".join(f"{second:.1f}" for second in seconds)
    return [
        Goal(
            f"`local[1]` / `local[2]`, wall, {N_PARTS} equal files",
            even_one / even_two,
            1.8,
            False,
            f"{even_one:.1f} / {even_two:.1f} s wall",
        ),
        Goal(
            f"`local[1]` / `local[2]`, wall, the {len(files)} files as they are",
            as_is_one / as_is_two,
            0.95 * most,
            False,
            f"{as_is_one:.1f} / {as_is_two:.1f} s wall; bare loop {shares} s a file: {most:.2f} x is possible",
        ),
    ]


def measure_signals(files: Sequence[Path]) -> list[Goal]:
    """The kernels of `annotated` without the language's, a page."""
    measured = run("programs.signals", *files)
    goals = []
    for name, total, bound, names in (
        ("all signals of `dclm_baseline` but the language, for 5,000 characters", "dclm", 0.4, DCLM_PARTS),
        ("the same with those of Gopher, C4 and FineWeb", "all", 0.8, OTHER_PARTS),
    ):
        parts = ", ".join(f"{part} {measured[part]:.3f}" for part in names)
        goals.append(Goal(name, measured[total], bound, True, f"{parts}; {measured['n_pages']:,} pages", "ms"))
    return goals


def compare_peers(files: Sequence[Path], options: Iterable[str]) -> list[Goal]:
    """Our kernels against the code that their rules come from; a row that cannot be measured is a sentence instead."""
    measured = {found["name"]: found for found in run("peers.peers", *files, *options)["peers"]}
    goals = []
    for name, (bound, missing) in PEERS.items():
        if name not in measured:
            print(f"benchmarks: no row for {name}, since {missing}.", file=sys.stderr)
            continue
        found = measured[name]
        peer, ours = (1e3 * found[key] / found["n_pages"] for key in ("cpu", "ours"))
        early = f", {found['n_early']} of them dropped early" if found.get("n_early") else ""
        figures = f"{peer:.1f} / {ours:.2f} ms CPU a page; {found['n_pages']:,} pages{early}"
        title = f"{name} / our kernels, CPU, the same rules on the same texts"
        goals.append(Goal(title, found["ratio"], bound, False, figures))
    return goals


def measure_cold_start() -> list[Goal]:
    """What kernels that are not compiled cost a worker."""
    return [
        Goal(
            f"first batch of a worker on a new host, `{recipe}`, CPU",
            found["worker"],
            5.0,
            True,
            f"the driver compiles once a machine, {found['driver']:.1f} s; the next worker {found['next']:.2f} s",
            "s",
        )
        for recipe, found in run("programs.cold").items()
    ]


def measure_kernel_memory(files: Sequence[Path]) -> Goal:
    """The kernels of `annotated` on batches that are hard on memory."""
    measured = run("programs.memory", *files)
    real = max(row["pages"] for row in measured["kernels"].values())
    figures = f"{measured['kernel']} on {measured['batch']}; on real pages {real:.1f} x"
    name = "peak memory that a kernel adds / bytes of its batch's text, the worst"
    return Goal(name, measured["worst"], 40.0, True, figures)


def measure_memory() -> Goal:
    """A worker that meets pages of 1 to 100 MiB."""
    with tempfile.TemporaryDirectory(prefix="dclm_spark-bench-") as scratch:
        measured = in_spark("memory", write_large_pages(Path(scratch) / "large.warc.gz"))
    figures = f"{measured['n_rows']} documents, {measured['n_faults']} in quarantine as too large"
    return Goal(
        "peak memory of a worker, pages of 1 to 100 MiB", measured["peak_worker_bytes"] / GIB, 1.0, True, figures, "GiB"
    )
