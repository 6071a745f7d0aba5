"""Defines the command `dclm-spark thresholds`, which derives a recipe for other languages from reference pages."""

import argparse
import json
from pathlib import Path
from typing import Any

from dclm_spark.cli import options
from dclm_spark.cli.resolve import recipe_of, warehouse_of
from dclm_spark.errors import InputError
from dclm_spark.recipe import as_json

NAME = "thresholds"
HELP = "derive a recipe's limits and stop words for other languages from reference pages"
EXAMPLES = """\
Examples:
  dclm-spark run --input warc/ --dump reference --warehouse lake --recipe fineweb2
  dclm-spark thresholds --warehouse lake --recipe fineweb2 --languages de ja ko --out german.json
  dclm-spark run --input more/ --dump CC-MAIN-2022-05 --warehouse other --recipe german.json

Reads the signals of reference pages in `annotated` and, for stop words, their texts. Limits on shares,
ratios and means get one value for each language; other limits do not change.
"""
CONTINUES = False


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds the languages, the reference pages, how limits are derived from them, and the file of the recipe."""
    options.warehouse_option(parser)
    options.recipe_options(parser)
    options.session_options(parser)
    parser.add_argument(
        "--languages",
        nargs="+",
        action="extend",
        required=True,
        metavar="CODE",
        help="labels of the languages, such as de ja ko",
    )
    parser.add_argument(
        "--dump", nargs="+", action="extend", default=[], help="dumps that hold the reference pages (all)"
    )
    parser.add_argument("--out", required=True, metavar="FILE", help="write the recipe to this file, as JSON")
    parser.add_argument("--name", help="the recipe's name (name of the file)")
    parser.add_argument(
        "--method",
        default="auto",
        help="tail: the limit removes a tenth; quantile, mean_std, median_ratio: derived from English; auto: mean_std "
        "for repetition, tail for the rest (%(default)s)",
    )
    parser.add_argument(
        "--min-pages",
        type=options.whole_number(1),
        default=100,
        help="smallest number of reference pages of a language (%(default)s)",
    )
    parser.add_argument("--tail", type=float, default=0.1, help="share of pages that tail removes (%(default)s)")
    parser.add_argument(
        "--stop-word-share",
        type=float,
        default=0.008,
        help="smallest share of all words that a stop word has (%(default)s)",
    )


def answer(arguments: argparse.Namespace) -> tuple[Any, str]:
    """Writes the recipe; returns what its limits were derived from, as data and as text."""
    from dclm_spark.reports.thresholds import Reference, derive_recipe, format_thresholds

    reference = Reference(
        languages=tuple(arguments.languages),
        dumps=tuple(arguments.dump),
        method=arguments.method,
        tail=arguments.tail,
        stop_word_share=arguments.stop_word_share,
        min_pages=arguments.min_pages,
    )
    out = Path(arguments.out)
    if not out.parent.is_dir():
        raise InputError([f"no folder {out.parent} for {out}"])
    derived, entries = derive_recipe(
        warehouse_of(arguments, arguments.warehouse), recipe_of(arguments), reference, name=arguments.name or out.stem
    )
    loaded = json.loads(as_json.canonical_json(derived, is_whole=True))
    out.write_text(json.dumps(loaded, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return entries, format_thresholds(derived, entries)
