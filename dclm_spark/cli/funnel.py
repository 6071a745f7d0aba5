"""Defines the command `dclm-spark funnel`, which counts records and documents stage by stage, also for other bounds."""

import argparse
from typing import Any

from dclm_spark.cli import options
from dclm_spark.cli.resolve import upstream_of, warehouse_of

NAME = "funnel"
HELP = "count the records read, and the documents removed (why) and kept, stage by stage"
EXAMPLES = """\
Example:
  dclm-spark funnel --warehouse lake --dump CC-MAIN-2022-05 --json

  What would another minimum length keep, without the rule on letters? Counted from the signals; no text is read:
  dclm-spark funnel --warehouse lake --what-if quality.n_words=80 quality.frac_words_without_letter=none
"""
CONTINUES = False


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds the warehouse, the dump, and changes of bounds."""
    options.warehouse_options(parser)
    options.session_options(parser)
    parser.add_argument("--dump", help="only this dump")
    parser.add_argument(
        "--what-if",
        nargs="+",
        action="extend",
        metavar="CHANGE",
        help="what other bounds would keep: SIGNAL=80, SIGNAL>=80 (or >, <=, <), SIGNAL=none",
    )


def answer(arguments: argparse.Namespace) -> tuple[Any, str]:
    """Returns the funnel, or what other bounds would keep, as data and as text."""
    from dclm_spark.reports.funnel import count_funnel
    from dclm_spark.reports.funnel_words import format_funnel

    upstream = upstream_of(arguments)
    if arguments.what_if:
        from dclm_spark.reports.what_if import count_what_if, format_what_if

        warehouse = warehouse_of(arguments, arguments.warehouse)
        entries = count_what_if(warehouse, arguments.what_if, dump=arguments.dump, upstream=upstream)
        return entries, format_what_if(entries)
    entries = count_funnel(warehouse_of(arguments, arguments.warehouse), dump=arguments.dump, upstream=upstream)
    return entries, format_funnel(entries)
