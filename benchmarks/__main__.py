"""The benchmark table of the README: python -m benchmarks [--data ../shared/data/warc] [--quick]

Every goal of speed but one is a ratio of two measurements made in one run on one machine, in turns, so that it holds on
a slow or busy machine too. CPU time is that of the whole process tree, JVM and Python workers included, in a session
that has done the same work once before. `--data` is a folder with the subfolders `docs-2026-10` and `docs-2026-14` of
WARC files; `--quick` takes the bundled sample instead and shows that the programs work, not how fast they are. Takes
some twenty minutes on two free cores; needs the extras `local` and `test`.
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.archives import copy_each, cut_evenly, write_large_pages

ROOT = Path(__file__).parents[1]
PACKAGES = ("pyspark", "delta-spark", "pyarrow", "numpy", "fastwarc", "resiliparse", "fasttext-community")
N_PARTS = 10
N_COPIES = 4  # a run has a fixed price; in a dump of the size of one file of Common Crawl it is small
GIB = 1 << 30


@dataclass(frozen=True)
class Goal:
    """One row of the table.

    Args:
        name: What is compared with what.
        measured: The ratio, GiB or milliseconds.
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


def run(program: str, *arguments: Any) -> dict[str, Any]:
    """What a program of this folder measured; its words pass through."""
    command = [sys.executable, "-m", f"benchmarks.{program}", *map(str, arguments)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    return json.loads(done.stdout.splitlines()[-1])


def in_spark(program: str, *arguments: Any) -> dict[str, Any]:
    """The same for a program that needs a session: it gets a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="dclm_spark-bench-") as scratch:
        return run("in_spark", program, scratch, *arguments)


def compare_cpu(files: Sequence[Path], title: str, *, n_runs: int) -> list[Goal]:
    """`documents` and `annotated` against their bare loops."""
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


def compare_cores(files: Sequence[Path]) -> list[Goal]:
    """`documents` on two cores against one, on files of equal size and on the files as they are."""
    seconds = run("bare", "documents", *files)["per_file"]
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


def measure_signals(files: Sequence[Path]) -> Goal:
    """The kernels of `annotated` without the language's, a page."""
    measured = run("signals", *files)
    parts = ", ".join(
        f"{name} {measured[name]:.3f}" for name in ("corrections", "urls", "quality", "repetition", "lines")
    )
    name = "all signals but the language, for 5,000 characters"
    return Goal(name, measured["milliseconds"], 0.4, True, f"{parts}; {measured['n_pages']:,} pages", "ms")


def measure_memory() -> Goal:
    """A worker that meets pages of 1 to 100 MiB."""
    with tempfile.TemporaryDirectory(prefix="dclm_spark-bench-") as scratch:
        measured = in_spark("memory", write_large_pages(Path(scratch) / "large.warc.gz"))
    figures = f"{measured['n_rows']} documents, {measured['n_faults']} in quarantine as too large"
    return Goal(
        "peak memory of a worker, pages of 1 to 100 MiB", measured["peak_worker_bytes"] / GIB, 1.0, True, figures, "GiB"
    )


def machine() -> str:
    """The machine and the versions, in a sentence."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        lines = (line for line in info.read_text().splitlines() if line.startswith("model name"))
        model = next(lines, model).rpartition(":")[2].strip()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIB
    java = subprocess.run(["java", "-version"], capture_output=True, text=True, check=False).stderr.splitlines()
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    load = ", ".join(f"{load:.1f}" for load in os.getloadavg())
    return (
        f"{model}, {os.cpu_count()} cores, {memory:.0f} GiB, load {load} at the end; "
        f"Python {platform.python_version()}, {java[0] if java else 'no java'}, {packages}"
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data" / "warc", help="%(default)s")
    parser.add_argument("--quick", action="store_true", help="the bundled sample: do the programs work?")
    arguments = parser.parse_args()
    names = ("CC-MAIN-2022-05",) if arguments.quick else ("docs-2026-14", "docs-2026-10")
    folder = ROOT / "tests" / "data" / "sample" if arguments.quick else arguments.data
    files = {name: sorted((folder / name).glob("docs-*.warc.gz")) for name in names}
    missing = [str(folder / name) for name in names if not files[name]]
    if missing:
        words = f"no docs-*.warc.gz in {', '.join(missing)}; name their folder with --data, or try --quick"
        print(f"benchmarks: {words}", file=sys.stderr)
        return 2
    all_files = [file for name in names for file in files[name]]
    title = " and ".join(names)
    goals = compare_cpu(all_files, title, n_runs=3)
    if not arguments.quick:
        with tempfile.TemporaryDirectory(prefix="dclm_spark-bench-") as scratch:
            copies = copy_each(all_files, N_COPIES, Path(scratch))
            goals += compare_cpu(copies, f"{title}, each file {N_COPIES} times", n_runs=1)
    goals += [measure_signals(all_files), *compare_cores(files[names[-1]]), measure_memory()]
    print("| goal | measured | bound | met | figures |\n|---|---|---|---|---|", *goals, "", machine(), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
