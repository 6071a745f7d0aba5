"""`python -m benchmarks [--data FOLDER] [--pairs N]`: the README's benchmark table, ratios of one run on this machine.

CPU is that of the whole process tree, JVM and Python workers included, in a session that has done the work once before.
What is compared runs in turn, so that a machine that slows down slows both.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

DATA = Path(__file__).parent.parent.parent / "shared" / "data" / "warc"


def run(name: str, *arguments: object) -> dict:
    """One program of `benchmarks.programs` in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.programs", name, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA, help="a folder with docs-2026-10 and docs-2026-14")
    parser.add_argument("--pairs", type=int, default=3, help="pairs of runs to take the median of (%(default)s)")
    options = parser.parse_args()
    if not options.data.is_dir():
        raise SystemExit(f"no data in {options.data}: the benchmarks need docs-2026-10 and docs-2026-14; give --data")
    older = sorted((options.data / "docs-2026-10").glob("*.warc.gz"))
    newer = sorted((options.data / "docs-2026-14").glob("*.warc.gz"))
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}\n")
    print("| what | measured | goal | |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        one_core(newer, Path(folder), options.pairs)
        two_cores(older, Path(folder), options.pairs)
        memory(Path(folder))


def row(what: str, measured: float, goal: float, words: str, *, at_most: bool = True) -> None:
    met = measured <= goal if at_most else measured >= goal
    sign = "≤" if at_most else "≥"
    print(f"| {what} | {measured:.2f} | {sign} {goal:g} | {'met' if met else 'missed'}; {words} |", flush=True)


def one_core(files: list[Path], folder: Path, pairs: int) -> None:
    documents, annotated, walls = [], [], []
    for pair in range(pairs):
        texts = folder / f"texts-{pair}"
        bare = run("bare_documents", *files)
        ours = run("stages", 1, 2, texts, *files)
        language = run("bare_language", texts)
        warm = ours["documents"][1], ours["annotated"][1]
        documents.append(warm[0]["cpu"] / bare["cpu"])
        annotated.append(warm[1]["cpu"] / language["cpu"])
        walls.append((warm[0]["wall"], bare["wall"], warm[1]["wall"], language["wall"]))
    wall = [median(column) for column in zip(*walls, strict=True)]
    spread = f"{min(documents):.2f} to {max(documents):.2f}"
    row(
        "`documents`, 1 core: CPU / bare loop",
        median(documents),
        1.3,
        f"{spread}; wall {wall[0]:.0f} s / {wall[1]:.0f} s",
    )
    spread = f"{min(annotated):.2f} to {max(annotated):.2f}"
    row(
        "`annotated`, 1 core: CPU / bare fastText",
        median(annotated),
        1.3,
        f"{spread}; wall {wall[2]:.0f} s / {wall[3]:.0f} s",
    )


def two_cores(files: list[Path], folder: Path, pairs: int) -> None:
    equal = run("cut_anew", folder, 10, *files)["files"]
    work = run("bare_documents", *files)["files"].values()
    bound = min(2.0, sum(work) / max(work))
    speedups: dict[str, list[float]] = {"equal": [], "as they are": []}
    for _ in range(pairs):
        for name, paths in (("equal", equal), ("as they are", files)):
            one, two = (run("stages", cores, 2, "-", *paths)["documents"][1]["wall"] for cores in (1, 2))
            speedups[name].append(one / two)
    speedup = median(speedups["equal"])
    row("`documents`, 2 cores / 1, ten equal files: wall", speedup, 1.8, "speed-up", at_most=False)
    reached = median(speedups["as they are"])
    words = f"speed-up {reached:.2f}; the largest file allows {bound:.2f}"
    row("`documents`, 2 cores / 1, three unequal files: of the bound", reached / bound, 0.95, words, at_most=False)


def memory(folder: Path) -> None:
    path = run("large_pages", folder / "large.warc.gz")["path"]
    peak = run("stages", 1, 1, "-", path)["peak_worker_bytes"]
    row("peak memory of a Python worker, pages of 1 to 100 MB: GiB", peak / 2**30, 1, "resident")


if __name__ == "__main__":
    main()
