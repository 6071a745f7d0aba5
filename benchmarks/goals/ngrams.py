"""The goals of deduplication by n-grams: against BFF, from the table `filtered` to `deduplicated`."""

import argparse
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.corpora.near_corpora import write_part
from benchmarks.goals.chain import GIB, Goal, growth, run
from benchmarks.goals.near import Corpora

PART = 4
AGAINST_BFF = {"shards": 3.5, "whole": 1.6}
SHUFFLE = 0.7
WORDS = {"shards": "one shard", "whole": "whole corpus", "eight_shards": "eight shards"}


def add_dedup_options(parser: argparse.ArgumentParser) -> None:
    """The option that names BFF."""
    parser.add_argument("--bff", type=Path, metavar="PROGRAM", help="BFF's executable (benchmarks/peers/bff.py)")


def dedup_goals(corpora: Corpora, *, bff: Path | None) -> list[Goal]:
    """All rows."""
    part = write_part(corpora.parquet("variants"), PART, corpora.scratch / "part.parquet")
    twins = {name: f"{name}={corpora.parquet(name)},{corpora.folder / name}.jsonl" for name in ("docs", "variants")}
    program = bff or "-"
    one = _spark(corpora, "methods", 1, corpora.n_runs, program, *twins.values(), f"part={part}")
    two = _spark(corpora, "methods", 2, corpora.n_runs, "-", f"variants={corpora.parquet('variants')}")
    if bff is None:
        print("benchmarks: no rows for BFF: --bff names no program", file=sys.stderr)
    return [
        *(against_bff(one, name, method) for method in AGAINST_BFF for name in twins if bff is not None),
        *(shuffle(one, name) for name in twins),
        *(measure_growth(one, method) for method in AGAINST_BFF),
        *(second_core(one, two, method) for method in ("whole", "eight_shards")),
        memory(corpora),
    ]


def against_bff(one: Mapping[str, Any], name: str, method: str) -> Goal:
    """By the clock: BFF reads and writes with the same thread that decides. The price of a run is in ours."""
    theirs, ours, fixed = (*(one["corpora"][name][who] for who in ("bff", method)), one["fixed"][method])
    megabytes = one["text_bytes"][name] / 1e6
    figures = (
        f"{megabytes / ours['wall']:.1f} / {megabytes / theirs['wall']:.1f} MB/s; {theirs['wall']:.1f} / "
        f"{ours['wall']:.1f} s wall, {theirs['cpu']:.1f} / {ours['cpu']:.1f} s CPU ({ours['workers']:.1f} of them in "
        f"Python workers); without the {fixed['wall']:.1f} s of a run of few rows "
        f"{theirs['wall'] / (ours['wall'] - fixed['wall']):.2f} x"
    )
    title = f"BFF / ours, wall, {WORDS[method]}, {name} ({megabytes:.0f} MB of text)"
    return Goal(title, theirs["wall"] / ours["wall"], AGAINST_BFF[method], False, figures)


def shuffle(one: Mapping[str, Any], name: str) -> Goal:
    found, n_bytes = one["corpora"][name]["whole"], one["text_bytes"][name]
    figures = (
        f"{found['shuffle_bytes'] / 1e6:.0f} MB shuffled, {found['spilled_bytes'] / 1e6:.0f} MB spilled; "
        f"{found['n_ngrams'] / 1e6:.1f} million n-grams, rate of false positives reached {found['fp_rate']:.4f}"
    )
    title = f"bytes shuffled, a byte of text, whole corpus, {name}"
    return Goal(title, found["shuffle_bytes"] / n_bytes, SHUFFLE, True, figures, "bytes")


def measure_growth(one: Mapping[str, Any], method: str) -> Goal:
    whole, part = (one["corpora"][name][method] for name in ("variants", "part"))
    ratio, figures = growth(whole, part, one["fixed"][method])
    return Goal(f"variants / every {PART}-th page's, CPU, {WORDS[method]}", ratio, 4.4, True, figures)


def second_core(one: Mapping[str, Any], two: Mapping[str, Any], method: str) -> Goal:
    single, double = (found["corpora"]["variants"][method] for found in (one, two))
    figures = (
        f"{single['wall']:.1f} / {double['wall']:.1f} s wall, {single['cpu']:.1f} / {double['cpu']:.1f} s CPU; a run "
        f"of a few rows {one['fixed'][method]['wall']:.1f} / {two['fixed'][method]['wall']:.1f} s wall"
    )
    title = f"`local[1]` / `local[2]`, wall, {WORDS[method]}, variants"
    return Goal(title, single["wall"] / double["wall"], 1.8, False, figures)


def memory(corpora: Corpora) -> Goal:
    found = _spark(corpora, "memory", f"variants={corpora.parquet('variants')}")
    figures = f"{found['n_ngrams'] / 1e6:.1f} million n-grams"
    name = "peak memory of a worker, whole corpus, variants"
    return Goal(name, found["peak_worker_bytes"] / GIB, 1.0, True, figures, "GiB")


def _spark(corpora: Corpora, program: str, *arguments: Any) -> dict[str, Any]:
    lake = corpora.scratch / "dedup"
    lake.mkdir(parents=True, exist_ok=True)
    try:
        return run("programs.dedup_spark", program, lake, *arguments)
    finally:
        shutil.rmtree(lake, ignore_errors=True)
