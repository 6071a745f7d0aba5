"""Our kernels beside the code that their rules come from, on the same texts.

    python -m benchmarks.peers.peers FILE... OPTIONS

    --dclm CHECKOUT             mlfoundations/dclm
    --dclm-python PYTHON        an environment that its filters run in; once for each release of uniseg
    --datatrove-python PYTHON   an environment with datatrove and spaCy

`benchmarks/peers/peer_dclm.py` and `benchmarks/peers/peer_datatrove.py` say how to make an environment. Texts are the
main content of the first pages of WARC files. Each is one thread, in a process of its own, and is measured in turns
with ours: CPU seconds of one pass over all texts, compiled code warm. Prints as JSON, for each peer, the median ratio
of its seconds to ours with the two that it is made of; a peer that an option is missing for is left out.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from benchmarks.programs.signals import read_texts
from dclm_spark.kernels.signals.c4 import clean_c4
from dclm_spark.kernels.signals.corrections import correct_text
from dclm_spark.kernels.signals.fineweb import measure_fineweb
from dclm_spark.kernels.signals.gopher import measure_gopher
from dclm_spark.kernels.signals.lines import correct_lines
from dclm_spark.kernels.signals.quality import measure_quality
from dclm_spark.kernels.signals.repetition import measure_repetition
from dclm_spark.recipe.builtin import C4_FAITHFUL, DCLM_BASELINE_FAITHFUL, FINEWEB_FAITHFUL, GOPHER_FAITHFUL

HERE = Path(__file__).parent
N_ROUNDS = 3
N_PASSES = 5  # of ours in a round: one takes a fraction of a second
MAX_CHARS = 1_000_000  # a peer needs some ten seconds for them
ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}


def some_texts(paths: list[str]) -> pa.Array:
    """The first texts that are not blank, as many as have MAX_CHARS characters together."""
    _, text = read_texts(paths)
    text = text.filter(pc.not_equal(pc.utf8_trim_whitespace(text), ""))
    is_within = pc.less_equal(pc.cumulative_sum(pc.cast(pc.utf8_length(text), pa.int64())), MAX_CHARS)
    return text.filter(is_within)


def like_dclm(text: pa.Array) -> None:
    """What `peer_dclm` measures and corrects, in its order."""
    annotation = DCLM_BASELINE_FAITHFUL.annotation
    text = correct_text(text, url_removal=annotation.url_removal, max_newlines=annotation.max_newlines)
    measure_quality(text, stop_words=annotation.stop_words)
    measure_repetition(text)
    correct_lines(text, rules=annotation.line_rules)


def like_datatrove(text: pa.Array) -> None:
    """What `peer_datatrove` measures; Gopher's and FineWeb's rules look at the same tokens in both."""
    gopher, c4, fineweb = (recipe.annotation for recipe in (GOPHER_FAITHFUL, C4_FAITHFUL, FINEWEB_FAITHFUL))
    signals = measure_gopher(text, tokens="spacy_en", stop_words=gopher.stop_words, reading=gopher.reading)
    clean_c4(text, rules=c4.c4, tokens="spacy_en", reading=c4.reading, bad_words=None)
    measure_fineweb(
        text,
        tokens="spacy_en",
        reading=fineweb.reading,
        short_line_chars=fineweb.short_line_chars,
        n_tokens=signals.field("n_tokens"),
    )


def seconds_of(measure: Callable[[pa.Array], None], text: pa.Array) -> float:
    """Median CPU seconds of a pass."""
    seconds = []
    for _ in range(N_PASSES):
        began = time.process_time()
        measure(text)
        seconds.append(time.process_time() - began)
    return statistics.median(seconds)


def compare(peer: list[str], ours: Callable[[pa.Array], None], text: pa.Array) -> dict[str, Any]:
    """The round with the median ratio, and what the peer says of itself."""
    ours(text)  # the first pass compiles
    rounds = []
    for _ in range(N_ROUNDS):
        done = subprocess.run(peer, check=True, stdout=subprocess.PIPE, text=True, env={**os.environ, **ONE_THREAD})
        said = json.loads(done.stdout.splitlines()[-1])
        seconds = seconds_of(ours, text)
        rounds.append({**said, "ours": seconds, "ratio": said["cpu"] / seconds})
    return sorted(rounds, key=lambda measured: measured["ratio"])[N_ROUNDS // 2]


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options that name peers."""
    parser.add_argument("--dclm", metavar="CHECKOUT", help="a checkout of mlfoundations/dclm")
    parser.add_argument(
        "--dclm-python",
        metavar="PYTHON",
        action="append",
        default=[],
        help="Python of an environment for it (benchmarks/peers/peer_dclm.py); may be given more than once",
    )
    parser.add_argument(
        "--datatrove-python", metavar="PYTHON", help="Python of an environment with datatrove (peer_datatrove.py)"
    )


def options_of(arguments: argparse.Namespace) -> Iterable[str]:
    """The same options as words of a command."""
    if arguments.dclm:
        yield f"--dclm={arguments.dclm}"
    yield from (f"--dclm-python={python}" for python in arguments.dclm_python)
    if arguments.datatrove_python:
        yield f"--datatrove-python={arguments.datatrove_python}"


def main(words: list[str]) -> dict[str, Any]:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers.peers", description=__doc__.partition("\n")[0])
    parser.add_argument("files", nargs="+", metavar="FILE", help="WARC files")
    add_options(parser)
    arguments = parser.parse_args(words)
    text = some_texts(arguments.files)
    n_chars = pc.sum(pc.utf8_length(text)).as_py()
    peers = []
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl", encoding="utf-8") as texts:
        texts.writelines(json.dumps({"text": page}) + "\n" for page in text.to_pylist())
        texts.flush()
        if arguments.dclm and arguments.dclm_python:
            for python in arguments.dclm_python:
                peer = [python, str(HERE / "peer_dclm.py"), arguments.dclm, texts.name]
                found = compare(peer, like_dclm, text)
                peers.append({"name": f"DCLM, uniseg {found['uniseg']}", **found})
        if arguments.datatrove_python:
            peer = [arguments.datatrove_python, str(HERE / "peer_datatrove.py"), texts.name]
            found = compare(peer, like_datatrove, text)
            peers.append({"name": f"datatrove {found['datatrove']}", **found})
    return {"n_pages": len(text), "n_chars": n_chars, "peers": peers}


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1:])))
