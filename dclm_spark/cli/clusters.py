"""Defines the command `dclm-spark clusters`, which reports on clusters of near-duplicates."""

import argparse
import os
import sys
from typing import Any

from dclm_spark.cli import options
from dclm_spark.cli.resolve import upstream_of, warehouse_of
from dclm_spark.errors import InputError
from dclm_spark.terminal import Coloured

NAME = "clusters"
HELP = "report on near-duplicates: number of clusters, the largest ones, one page's cluster and what differs"
EXAMPLES = """\
Examples:
  dclm-spark clusters --warehouse lake
  dclm-spark clusters --warehouse lake --dump CC-MAIN-2022-05 --chained 20

  One page's cluster: its members, and word by word what differs from the survivor:
  dclm-spark clusters --warehouse lake https://example.org/page --members 5

  Number of clusters of each size, as bars and as a picture:
  dclm-spark clusters --warehouse lake --sizes --plot sizes.svg

  Buckets with too many texts, and clusters that a later dump has merged:
  dclm-spark clusters --warehouse lake --giants
  dclm-spark clusters --warehouse lake --merged

Reads `duplicates`, `edges` and `merged_clusters`. A cluster's id is its survivor's
doc_id; similarities are those to the survivor.
"""
CONTINUES = False


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the command; some exclude each other."""
    options.warehouse_options(parser)
    options.session_options(parser)
    parser.add_argument("--dump", help="only clusters with a document of this dump")
    group = parser.add_argument_group("what to show (figures and the largest clusters)").add_mutually_exclusive_group()
    group.add_argument("page", nargs="?", help="show this page's cluster: its URL as crawled, or its doc_id")
    group.add_argument("--largest", type=_count, default=10, metavar="N", help="number of clusters (%(default)s)")
    group.add_argument(
        "--chained",
        type=_count,
        nargs="?",
        const=10,
        metavar="N",
        help="the clusters whose members are least similar to the survivor (10 clusters)",
    )
    group.add_argument("--sizes", action="store_true", help="number of clusters of each size")
    group.add_argument("--giants", action="store_true", help="giant buckets, with pages as examples")
    group.add_argument("--merged", action="store_true", help="clusters that a later dump has merged")
    parser.add_argument("--plot", metavar="FILE", help="draw --sizes to this .png or .svg file (needs matplotlib)")
    parser.add_argument(
        "--members",
        type=_count,
        metavar="N",
        help="members of a page's cluster to compare with the survivor (the page, or 3)",
    )


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= _MOST:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1 to {_MOST}")
    return int(text)


_MOST = 1_000


def answer(arguments: argparse.Namespace) -> tuple[Any, str]:
    """Returns the requested report, as data and as text.

    Args:
        arguments: The parsed arguments.

    Raises:
        InputError: Options do not fit together, or a plot cannot be written.
        WarehouseError: The reports raise it.
    """
    from dclm_spark.reports import cluster_page, cluster_text, clusters, plots

    problems = []
    if arguments.plot and not arguments.sizes:
        problems.append("--plot draws --sizes; give both")
    if arguments.members is not None and arguments.page is None:
        problems.append("--members are those of a page's cluster; name a page")
    if (arguments.members or 0) > cluster_page.MAX_DIFFS:
        problems.append(f"--members {arguments.members}; expected {cluster_page.MAX_DIFFS} at most")
    if arguments.page is not None and arguments.dump is not None:
        problems.append("--dump and a page do not go together: a page's cluster is shown whole")
    if problems:
        raise InputError(problems)
    target = plots.check_plot(arguments.plot) if arguments.plot else None
    warehouse = warehouse_of(arguments, arguments.warehouse)
    upstream = upstream_of(arguments)
    if arguments.page is not None:
        entries = cluster_page.show_page(warehouse, arguments.page, n_diffs=arguments.members, upstream=upstream)
        has_colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
        return entries, Coloured(cluster_text.format_pages(entries, has_colour=has_colour))
    if arguments.sizes:
        sizes = clusters.count_sizes(warehouse, dump=arguments.dump, upstream=upstream)
        words = cluster_text.format_sizes(sizes)
        if target is not None:
            if not sizes:
                raise InputError(["no clusters, nothing to plot"])
            plots.plot_sizes(sizes, target)
            words += f"\nplot: {target}"
        return sizes, words
    if arguments.chained is not None:
        chained = clusters.list_chained(warehouse, arguments.chained, dump=arguments.dump, upstream=upstream)
        return chained, cluster_text.format_chained(chained)
    if arguments.giants:
        giants = clusters.list_giants(warehouse, dump=arguments.dump, upstream=upstream)
        return giants, cluster_text.format_giants(giants)
    if arguments.merged:
        merged = clusters.list_merged(warehouse, dump=arguments.dump, upstream=upstream)
        return merged, cluster_text.format_merged(merged)
    figures = clusters.count_clusters(warehouse, dump=arguments.dump, n_largest=arguments.largest, upstream=upstream)
    return figures, cluster_text.format_clusters(figures)
