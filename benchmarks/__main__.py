"""The table of docs/performance.md: python -m benchmarks [--data ../shared/data/warc] [--quick] [--only PART] [PEERS]

Every goal of speed but one is a ratio of two measurements made in one run on one machine, in turns, so that it holds on
a slow or busy machine too. CPU time is that of the whole process tree, JVM and Python workers included, in a session
that has done the same work once before. `--data` is a folder with the subfolders `docs-2026-10` and `docs-2026-14` of
WARC files, and `articles` for the peers; `--quick` takes the bundled sample instead and shows that the programs work,
not how fast they are. PEERS are `--bff` and the options of `benchmarks.peers.peers`, which name a program and
environments with other people's code; without one its rows are missing. Takes some sixty minutes on two free cores, and
fifty more with datatrove's near-duplicates; needs the extras `local` and `test`.
"""

import argparse
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

from benchmarks.corpora.archives import copy_each
from benchmarks.goals.chain import (
    GIB,
    ROOT,
    Goal,
    compare_cores,
    compare_cpu,
    compare_peers,
    measure_cold_start,
    measure_kernel_memory,
    measure_memory,
    measure_signals,
)
from benchmarks.goals.near import Corpora, add_near_options, make_corpora, near_goals, scopes_in_words
from benchmarks.goals.ngrams import add_dedup_options, dedup_goals
from benchmarks.peers.peers import add_options, options_of

PACKAGES = ("pyspark", "delta-spark", "pyarrow", "numpy", "fastwarc", "resiliparse", "fasttext-community")
N_COPIES = 4  # a run has a fixed price; in a dump of the size of one file of Common Crawl it is small


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


def chain_goals(arguments: argparse.Namespace, folder: Path, files: Mapping[str, Sequence[Path]]) -> list[Goal]:
    """Rows of what leads to `filtered`."""
    all_files = [file for of_dump in files.values() for file in of_dump]
    title = " and ".join(files)
    goals = compare_cpu(all_files, title, n_runs=3)
    if not arguments.quick:
        with tempfile.TemporaryDirectory(prefix="dclm_spark-bench-") as scratch:
            copies = copy_each(all_files, N_COPIES, Path(scratch))
            goals += compare_cpu(copies, f"{title}, each file {N_COPIES} times", n_runs=1)
    articles = sorted((folder / "articles").glob("*.warc.gz")) or all_files
    goals += [*measure_signals(all_files), *compare_peers(articles, options_of(arguments))]
    goals += measure_cold_start()
    last = list(files.values())[-1]
    return [*goals, *compare_cores(last), measure_memory(), measure_kernel_memory(all_files)]


def goals_of_duplicates(
    arguments: argparse.Namespace, folder: Path, files: Sequence[Path]
) -> tuple[list[Goal], list[str]]:
    """Rows of what follows `filtered`, and sentences."""
    goals: list[Goal] = []
    notes: list[str] = []
    with tempfile.TemporaryDirectory(prefix="dclm_spark-bench-") as scratch:
        corpora = Corpora(arguments.near or Path(scratch), Path(scratch))
        if arguments.quick:
            corpora = Corpora(Path(scratch), Path(scratch), n_runs=1, n_crowd=200, n_nodes=10_000)
        if not corpora.parquet("variants").exists():
            make_corpora(folder, corpora.folder, is_quick=arguments.quick)
        if arguments.only != "dedup":
            measured = None if arguments.quick else arguments.datatrove_measured
            goals += near_goals(corpora, files, python=arguments.datatrove_python, measured=measured)
            notes += [scopes_in_words(corpora), ""]
        if arguments.only != "near":
            goals += dedup_goals(corpora, bff=arguments.bff)
    return goals, notes


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data" / "warc", help="%(default)s")
    parser.add_argument("--quick", action="store_true", help="the bundled sample: do the programs work?")
    parser.add_argument("--only", choices=("chain", "near", "dedup"), help="the rows of one part")
    add_options(parser)
    add_near_options(parser)
    add_dedup_options(parser)
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
    goals, notes = [], []
    if arguments.only in (None, "chain"):
        goals += chain_goals(arguments, folder, files)
    if arguments.only != "chain":
        found, notes = goals_of_duplicates(arguments, folder, all_files)
        goals += found
    print("| goal | measured | bound | met | figures |\n|---|---|---|---|---|", *goals, "", *notes, machine(), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
