"""The goals of near-duplicate detection: from text to signatures, from the table `filtered` to `duplicates`."""

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from benchmarks.corpora.near_corpora import N_CROWD, write_crowd, write_part
from benchmarks.corpora.near_pages import DUMPS, read_pages, variants, write
from benchmarks.goals.chain import GIB, ROOT, Goal, growth, run

N_RUNS = 3
N_NODES = 1_000_000
MEGABYTES = 300.0
PART = 4
# datatrove's steps up to the point where ours end; it then reads all documents again and writes those that stay.
PEER_STEPS = ("signatures", "buckets", "clusters")
PEER_BOUNDS = {("docs", "spacy"): 25.0, ("variants", "spacy"): 60.0, ("docs", "split"): 8.0, ("variants", "split"): 8.0}


@dataclass(frozen=True)
class Corpora:
    """What is measured.

    Args:
        folder: Holds docs and variants, each as .parquet and .jsonl, as `near_pages` writes them.
        scratch: For what is made of them, and for warehouses.
        n_runs: Of each corpus.
        n_crowd: Pages of a crowd.
        n_nodes: Of a graph.
    """

    folder: Path
    scratch: Path
    n_runs: int = N_RUNS
    n_crowd: int = N_CROWD
    n_nodes: int = N_NODES

    def parquet(self, name: str) -> Path:
        return self.folder / f"{name}.parquet"

    def n_rows(self, name: str) -> int:
        return pq.read_metadata(self.parquet(name)).num_rows


def add_near_options(parser: argparse.ArgumentParser) -> None:
    """The options that save time where something has been made or measured before."""
    parser.add_argument(
        "--near", type=Path, metavar="FOLDER", help="what benchmarks.corpora.near_pages has made; else it is made"
    )
    parser.add_argument(
        "--datatrove-measured",
        type=Path,
        metavar="FOLDER",
        help="docs-spacy.json, docs-split.json, variants-spacy.json, variants-split.json: what "
        "benchmarks/peers/peer_datatrove_minhash.py printed on this machine; else it runs, for half an hour",
    )


def make_corpora(data: Path, folder: Path, *, is_quick: bool) -> None:
    """docs and variants of the WARC files of `data`: of those of the bundled sample, where quick, only a few."""
    names = sorted(path.name for path in data.iterdir() if path.is_dir()) if is_quick else DUMPS
    write(read_pages(data, names), folder / "docs")
    megabytes = 2.0 if is_quick else MEGABYTES
    write(variants(pq.read_table(folder / "docs.parquet"), megabytes * 1e6), folder / "variants")


def near_goals(corpora: Corpora, warcs: Sequence[Path], *, python: str | None, measured: Path | None) -> list[Goal]:
    """All rows.

    Args:
        corpora: The corpora.
        warcs: Files whose pages are signed beside datasketch.
        python: An environment with datatrove; without it, or `measured`, its rows are missing.
        measured: A folder of what datatrove took before.
    """
    one, two = (_stages(corpora, n_cores) for n_cores in (1, 2))
    return [
        *compare_signatures(warcs),
        *compare_datatrove(corpora, one, python=python, measured=measured),
        measure_shuffle(corpora, "docs"),
        measure_shuffle(corpora, "variants"),
        measure_growth(corpora, one),
        measure_cores(one, two),
        measure_crowds(corpora, one),
        measure_memory(corpora),
        *measure_components(corpora.n_nodes),
    ]


def compare_signatures(warcs: Sequence[Path]) -> Iterator[Goal]:
    found = run("programs.minhash", *warcs)
    ours = found["ours"]
    for peer, bound in (("sha1", 30.0), ("xxh32", 20.0)):
        theirs = found[f"datasketch_{peer}"]
        figures = (
            f"{theirs['ms_per_document']:.2f} / {ours['ms_per_document']:.3f} ms CPU a page, "
            f"{ours['mb_per_s']:.0f} MB/s; {found['n_pages']:,} pages"
        )
        ratio = found[f"ratio_to_datasketch_{peer}"]
        yield Goal(f"datasketch with {peer} / our signatures, CPU, the same texts", ratio, bound, False, figures)


def compare_datatrove(
    corpora: Corpora, one: Mapping[str, Any], *, python: str | None, measured: Path | None
) -> Iterator[Goal]:
    """Its four steps but the last, on one core, against both of our stages on local[1]."""
    if python is None and measured is None:
        print("benchmarks: no rows for datatrove's near-duplicates: --datatrove-python is missing.", file=sys.stderr)
        return
    for (name, words), bound in PEER_BOUNDS.items():
        if measured is not None:
            peer, when = json.loads((measured / f"{name}-{words}.json").read_text()), "; datatrove measured earlier"
        else:
            peer, when = _datatrove(corpora, name, words, python), ""
        cpu, wall = (sum(peer["steps"][step][unit] for step in PEER_STEPS) for unit in ("cpu", "wall"))
        ours = one["corpora"][name]
        figures = f"{cpu:.1f} / {_both(ours)} s CPU, {wall:.1f} / {ours['wall']:.1f} s wall; {_fixed(one)}{when}"
        title = f"datatrove {peer['datatrove']}, words by {peer['words']} / ours, CPU, {name}"
        yield Goal(f"{title} ({corpora.n_rows(name):,} documents)", cpu / ours["cpu"], bound, False, figures)


def measure_shuffle(corpora: Corpora, name: str) -> Goal:
    found = _near_spark(corpora, "shuffle", f"{name}={corpora.parquet(name)}")
    figures = (
        f"{found['keys_bytes'] / 1e6:.1f} MB of band keys; with all else that `duplicates` shuffles "
        f"{found['duplicates_bytes_a_key']:.1f} bytes, spilled {found['spilled_bytes'] / 1e6:.1f} MB; "
        f"{found['n_documents']:,} documents with a signature"
    )
    title = f"shuffle of band keys, a band and document, {name}"
    return Goal(title, found["bytes_a_key"], 15.0, True, figures, "bytes")


def measure_growth(corpora: Corpora, one: Mapping[str, Any]) -> Goal:
    whole, part = (one["corpora"][name] for name in ("variants", "part"))
    ratio, figures = growth(whole, part, one["fixed"])
    figures += f"; {whole['n_documents']:,} / {part['n_documents']:,} documents"
    return Goal(f"variants / every {PART}-th page's, CPU", ratio, 4.4, True, figures)


def measure_cores(one: Mapping[str, Any], two: Mapping[str, Any]) -> Goal:
    single, double = (found["corpora"]["variants"] for found in (one, two))
    figures = (
        f"{single['wall']:.1f} / {double['wall']:.1f} s wall, best {single['best_wall']:.1f} / "
        f"{double['best_wall']:.1f}; {single['cpu']:.1f} / {double['cpu']:.1f} s CPU; a run of a few rows "
        f"{one['fixed']['wall']:.1f} / {two['fixed']['wall']:.1f} s wall"
    )
    ratio = single["wall"] / double["wall"]
    return Goal("`local[1]` / `local[2]`, wall, near-duplicates of variants", ratio, 1.8, False, figures)


def measure_crowds(corpora: Corpora, one: Mapping[str, Any]) -> Goal:
    """`duplicates` of variants and a crowd against that of the variants alone; texts are signed one by one in both."""
    without, same, alike = (one["corpora"][name] for name in ("variants", "same", "alike"))

    def against(found: Mapping[str, Any], key: str) -> float:
        return found[key] / without[key]

    figures = (
        f"{same['duplicates_cpu']:.1f} / {without['duplicates_cpu']:.1f} s CPU, {same['duplicates_wall']:.1f} / "
        f"{without['duplicates_wall']:.1f} s wall, with signatures {against(same, 'cpu'):.2f} x CPU; where one word "
        f"differs {against(alike, 'duplicates_cpu'):.2f} x CPU, {against(alike, 'duplicates_wall'):.2f} x wall; "
        f"{same['n_documents']:,} / {without['n_documents']:,} documents"
    )
    title = f"`duplicates` of variants with {corpora.n_crowd:,} identical pages / without, CPU"
    return Goal(title, against(same, "duplicates_cpu"), 1.2, True, figures)


def measure_memory(corpora: Corpora) -> Goal:
    found = _near_spark(corpora, "memory", f"variants={corpora.parquet('variants')}")
    figures = (
        f"{found['n_documents']:,} documents; a worker that makes signatures "
        f"{found['signatures_peak_worker_bytes'] / GIB:.2f} GiB"
    )
    name = "peak memory of a worker, `duplicates` of variants"
    return Goal(name, found["peak_worker_bytes"] / GIB, 1.0, True, figures, "GiB")


def scopes_in_words(corpora: Corpora) -> str:
    """What scopes of several dumps cost; no goal is set for it."""
    found = _near_spark(corpora, "scopes", corpora.n_runs, f"docs={corpora.parquet('docs')}")
    seconds = {
        scope: " + ".join(
            f"{cpu:.1f} s CPU ({wall:.1f} s wall)" for cpu, wall in zip(taken["cpu"], taken["wall"], strict=True)
        )
        for scope, taken in found.items()
    }
    return (
        f"`duplicates` of the dumps of docs, `local[1]`: {seconds['all']} at once, {seconds['incremental']} one after "
        "the other."
    )


def measure_components(n_nodes: int) -> Iterator[Goal]:
    found = run("programs.components", n_nodes)
    for way, words in (("one_task", "in one task"), ("rounds", "in rounds")):
        graphs = {name: taken for name, taken in found[way].items() if isinstance(taken, dict)}
        name, slowest = max(graphs.items(), key=lambda graph: graph[1]["wall"])
        figures = ", ".join(
            f"{graph} {taken['wall']:.1f} s wall, {taken['cpu']:.1f} s CPU, {taken['n_rounds']} rounds"
            for graph, taken in graphs.items()
        )
        title = f"components of {n_nodes:,} nodes {words}, `local[2]`, the slowest graph ({name})"
        yield Goal(title, slowest["wall"], 60.0, True, figures, "s")


# -- programs ---------------------------------------------------------------------------------------------------------


def _stages(corpora: Corpora, n_cores: int) -> dict[str, Any]:
    """What both stages take; on one core, of the derived corpora too."""
    variants_file, scratch = corpora.parquet("variants"), corpora.scratch
    files = {"variants": [variants_file]}
    if n_cores == 1:
        crowd = {"n_pages": corpora.n_crowd}
        files |= {
            "docs": [corpora.parquet("docs")],
            "part": [write_part(variants_file, PART, scratch / "part.parquet")],
            "same": [variants_file, write_crowd(variants_file, scratch / "same.parquet", is_same=True, **crowd)],
            "alike": [variants_file, write_crowd(variants_file, scratch / "alike.parquet", is_same=False, **crowd)],
        }
    words = [f"{name}={','.join(map(str, paths))}" for name, paths in files.items()]
    found = _near_spark(corpora, "stages", n_cores, corpora.n_runs, *words)
    for taken in found["corpora"].values():
        taken["n_documents"] = taken["middle"]["signatures"]["n_rows"]
    return found


def _near_spark(corpora: Corpora, program: str, *arguments: Any) -> dict[str, Any]:
    lake = corpora.scratch / "near"
    try:
        return run("programs.near_spark", program, lake, *arguments)
    finally:
        shutil.rmtree(lake, ignore_errors=True)


def _datatrove(corpora: Corpora, name: str, words: str, python: str | None) -> dict[str, Any]:
    """What datatrove takes on one core."""
    program = [str(python), str(ROOT / "benchmarks" / "peers" / "peer_datatrove_minhash.py")]
    if shutil.which("taskset"):
        program = ["taskset", "-c", "0", *program]
    out = corpora.scratch / "datatrove"
    arguments = [str(corpora.folder / f"{name}.jsonl"), str(out), *(["--split"] if words == "split" else [])]
    log = corpora.scratch / "datatrove.log"
    with log.open("w") as stream:
        done = subprocess.run([*program, *arguments], stdout=subprocess.PIPE, stderr=stream, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"datatrove failed: {log.read_text()[-2000:]}")
    shutil.rmtree(out, ignore_errors=True)
    return json.loads(done.stdout.splitlines()[-1])


def _both(taken: Mapping[str, Any]) -> str:
    return f"({taken['signatures_cpu']:.1f} + {taken['duplicates_cpu']:.1f})"


def _fixed(found: Mapping[str, Any]) -> str:
    return f"a run of a few rows {found['fixed']['cpu']:.1f} s CPU"
