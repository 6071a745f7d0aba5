"""Records what datatrove's filters decide, and from which numbers: the oracle of `gopher` and `fineweb`.

    pip install datatrove==0.10.1 spacy==3.8.18      # in an environment of its own: no dependency of this project
    python tools/record_datatrove.py TEXTS.jsonl RECORDED.jsonl.gz

A line of TEXTS has an `id` and a `text`, and perhaps `tokens`, which then stand for those that spaCy would give
(`python -m benchmarks.corpora.hard_texts` makes such lines). The first line of RECORDED names the columns; each line
after it is one text: its id, per filter `true` or the reason why the text goes, and per signal the number that the rule
compares, null where datatrove has none: it divides by zero, or stops before. `--with-text` puts the text into the
record.

Numbers come out of datatrove's own code, each rule run alone: its threshold is an object that notes what it is compared
with.
"""

import argparse
import gzip
import json
import math
import warnings
from collections.abc import Callable, Iterator

import datatrove.pipeline.filters as filters
from datatrove.data import Document
from datatrove.pipeline.filters import fineweb_quality_filter, gopher_quality_filter, gopher_repetition_filter

MODULES = (gopher_repetition_filter, gopher_quality_filter, fineweb_quality_filter)
SPLIT_INTO_WORDS = gopher_quality_filter.split_into_words
DIVISION_BY_ZERO = "division by zero"
FILTERS = {
    "gopher_repetition": filters.GopherRepetitionFilter,
    "gopher_quality": filters.GopherQualityFilter,
    "fineweb": filters.FineWebQualityFilter,
}
QUALITY_THRESHOLDS = {
    "min_doc_words": ["n_words"],
    "min_avg_word_length": ["mean_word_chars"],
    "max_symbol_word_ratio": ["hashes_per_token", "ellipses_per_token"],
    "max_bullet_lines_ratio": ["frac_bullet_lines"],
    "max_ellipsis_lines_ratio": ["frac_ellipsis_lines"],
    "max_non_alpha_words_ratio": ["frac_tokens_with_letter"],
    "min_stop_words": ["n_stop_words"],
}
OTHER_QUALITY_THRESHOLDS = ("max_doc_words", "max_avg_word_length")
REPETITION_THRESHOLDS = {
    "dup_line_frac": "frac_duplicate_lines",
    "dup_para_frac": "frac_duplicate_paragraphs",
    "dup_line_char_frac": "frac_duplicate_line_chars",
    "dup_para_char_frac": "frac_duplicate_paragraph_chars",
}
FINEWEB_THRESHOLDS = {
    "line_punct_thr": "frac_punctuated_lines",
    "short_line_thr": "frac_short_lines",
    "char_duplicates_ratio": "frac_duplicate_line_chars",
    "new_line_ratio": "newlines_per_token",
}


class Probe:
    """A threshold that nothing breaks, and that notes what it is compared with."""

    __array_ufunc__ = None  # NumPy's numbers leave the comparison to this class

    def __init__(self):
        self.seen = []

    def _note(self, number) -> bool:
        self.seen.append(float(number))
        return False

    __lt__ = __gt__ = _note


def decide(filter_: Callable, text: str) -> bool | str:
    """True for a text that stays, else the reason."""
    try:
        result = filter_(Document(text=text, id=""))
    except ZeroDivisionError:
        return DIVISION_BY_ZERO
    return result if result is True else result[1]


def numbers(text: str) -> Iterator[tuple[str, float | None]]:
    """Each signal and the number that datatrove compares for it."""
    yield "gopher.n_tokens", float(len(gopher_quality_filter.split_into_words(text)))
    no_quality = dict.fromkeys((*QUALITY_THRESHOLDS, *OTHER_QUALITY_THRESHOLDS))
    for threshold, signals in QUALITY_THRESHOLDS.items():
        probe = Probe()
        decide(filters.GopherQualityFilter(**no_quality | {threshold: probe}).filter, text)
        yield from (("gopher." + signal, _number(probe, index)) for index, signal in enumerate(signals))
    no_repetition = dict.fromkeys(REPETITION_THRESHOLDS) | {"top_n_grams": (), "dup_n_grams": ()}
    for threshold, signal in REPETITION_THRESHOLDS.items():
        probe = Probe()
        decide(filters.GopherRepetitionFilter(**no_repetition | {threshold: probe}).filter, text)
        yield "gopher." + signal, _number(probe, 0)
    for kind, threshold, sizes in (("top", "top_n_grams", (2, 3, 4)), ("duplicate", "dup_n_grams", range(5, 11))):
        for size in sizes:
            probe = Probe()
            decide(filters.GopherRepetitionFilter(**no_repetition | {threshold: ((size, probe),)}).filter, text)
            # A text with fewer words is compared with nothing: no n-gram has a share.
            none = None if text == "" else 0.0
            yield f"gopher.frac_{kind}_{size}gram_chars", _number(probe, 0) if probe.seen else none
    probes = {threshold: Probe() for threshold in FINEWEB_THRESHOLDS}
    decide(filters.FineWebQualityFilter(**probes).filter, text)
    yield from (("fineweb." + FINEWEB_THRESHOLDS[threshold], _number(probe, 0)) for threshold, probe in probes.items())


def _number(probe: Probe, index: int) -> float | None:
    number = probe.seen[index] if index < len(probe.seen) else math.nan
    return None if math.isnan(number) else number


def record(page: dict, built: dict[str, filters.base_filter.BaseFilter]) -> dict:
    """One text's decisions, then its numbers."""

    def split(text: str, language: str = "") -> list[str]:
        return page["tokens"] if "tokens" in page else SPLIT_INTO_WORDS(text)

    for module in MODULES:
        module.split_into_words = split
    decisions = {name: decide(filter_.filter, page["text"]) for name, filter_ in built.items()}
    return {"id": page["id"], **decisions, **dict(numbers(page["text"]))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("texts")
    parser.add_argument("recorded")
    parser.add_argument("--with-text", action="store_true")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", RuntimeWarning)  # NumPy's, of the mean of nothing
    built = {name: filter_() for name, filter_ in FILTERS.items()}
    # No name and no time in the file: the same texts give the same bytes.
    with (
        open(arguments.texts, encoding="utf-8") as texts,
        open(arguments.recorded, "wb") as target,
        gzip.GzipFile(filename="", mode="wb", fileobj=target, mtime=0) as recorded,
    ):
        for index, line in enumerate(texts):
            page = json.loads(line)
            row = record(page, built) | ({"text": page["text"]} if arguments.with_text else {})
            if index == 0:
                recorded.write(json.dumps(list(row)).encode() + b"\n")
            recorded.write(json.dumps(list(row.values())).encode() + b"\n")


if __name__ == "__main__":
    main()
