"""DCLM's own filters on texts, in an environment of its own: PYTHON benchmarks/peers/peer_dclm.py CHECKOUT TEXTS.jsonl

    git clone https://github.com/mlfoundations/dclm CHECKOUT
    python3.11 -m venv VENV
    VENV/bin/pip install fasttext-community==0.11.9 nltk retrie unidecode pyyaml uniseg==0.10.1

The program of `benchmarks.peers.peers` that runs the peer; it needs the checkout, the packages above and nothing else.

Runs every step of DCLM-Baseline's heuristics but those of URLs and of the language, through DCLM's own factory of
mappers and from its own recipe, and prints as JSON the CPU seconds of one pass. Each step works on every text in full,
whatever the steps before have decided: a text that a filter drops goes on to the next.

What its modules import and these steps never call is replaced by empty modules (`UNUSED`). `uniseg` is the word
breaker: 0.10.1 is what an install without a version brings, and 0.7.2 some five times as fast.
"""

import importlib.util
import json
import math
import os
import sys
import time
import types
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

RECIPE = "baselines/baselines_configs/dclm_baseline_refinedweb.yaml"
LEFT_OUT = ("move_url_modifier", "url_substring_filter", "detect_lang_whole_page_enricher", "language_filter")
N_WARM_UP = 5
UNUSED = {
    "boto3": (),
    "bs4": ("BeautifulSoup",),
    "cloudpathlib": ("S3Path",),
    "jsonlines": (),
    "justext": (),
    "kenlm": (),
    "langdetect": ("detect_langs",),
    "lxml": (),
    "lxml.etree": ("ParserError",),
    "sentencepiece": (),
    "transformers": ("AutoTokenizer",),
    "zstandard": (),
}


def put_in_place_of_unused() -> None:
    """Empty modules for those of UNUSED that are not installed."""
    for name, members in UNUSED.items():
        if name.partition(".")[0] in sys.modules or importlib.util.find_spec(name.partition(".")[0]) is None:
            module = types.ModuleType(name)
            vars(module).update(dict.fromkeys(members))
            sys.modules[name] = module


def read_steps() -> list:
    """The steps of the recipe as functions: page -> pages."""
    import yaml
    from baselines.core.factories import get_mapper

    (source,) = yaml.safe_load(Path(RECIPE).read_text(encoding="utf-8"))
    steps = [get_mapper(**step) for step in source["steps"] if step["func"] not in LEFT_OUT]
    # DCLM's filter of repetition stops at the first of its thirteen limits that a text breaks; without limits it is the
    # same code, run to its end. Its module is imported under two names.
    for name, module in list(sys.modules.items()):
        if name.endswith("mappers.filters.content_filters"):
            module.repetition_filter = unlimited(module.repetition_filter)
    return steps


def unlimited(repetition_filter: Callable) -> Callable:
    """The filter with a limit that no text breaks."""
    return lambda page, granularity, _, **options: repetition_filter(page, granularity, math.inf, **options)


def measure(texts: list, steps: list) -> float:
    """CPU seconds of all steps on all texts."""
    pages = [{"text": text} for text in texts]
    began = time.process_time()
    for page in pages:
        for step in steps:
            step(page)  # changes the page in place, or drops it and leaves it as it is
    return time.process_time() - began


def main(checkout: str, texts_file: str) -> dict:
    with open(texts_file, encoding="utf-8") as lines:
        texts = [json.loads(line)["text"] for line in lines]
    os.chdir(checkout)  # its paths are relative
    sys.path.insert(0, checkout)
    put_in_place_of_unused()
    steps = read_steps()
    measure(texts[:N_WARM_UP], steps)
    return {"cpu": measure(texts, steps), "n_pages": len(texts), "uniseg": version("uniseg"), "n_steps": len(steps)}


if __name__ == "__main__":
    print(json.dumps(main(*map(os.path.abspath, sys.argv[1:3]))))
