"""Defines the command `dclm-spark maintain`, which compacts small files and deletes old ones."""

import argparse
from typing import Any

from dclm_spark.cli import options
from dclm_spark.cli.resolve import warehouse_of

NAME = "maintain"
HELP = "compact small files and delete those that no pinned version needs"
EXAMPLES = """\
Example:
  dclm-spark maintain --warehouse lake --retain-hours 168

A version that the latest run of some stage has read or written is pinned: its files are kept, whatever their age.
Versions that another warehouse reads as its --upstream are not known here, and are kept for --retain-hours only.
"""
CONTINUES = True


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds the warehouse, and the hours for which versions are kept."""
    options.warehouse_option(parser)
    options.session_options(parser)
    parser.add_argument(
        "--retain-hours",
        type=options.whole_number(0),
        default=168,
        help="keep all versions younger than this (%(default)s)",
    )


def answer(arguments: argparse.Namespace) -> tuple[Any, str]:
    """Maintains every table; returns what was done, as data and as text."""
    from dclm_spark.lake.maintenance import maintain

    done = maintain(warehouse_of(arguments, arguments.warehouse), retain_hours=arguments.retain_hours)
    lines = [
        f"{entry['table']:<12}{entry['n_files_removed']:>8,} files -> {entry['n_files_added']:,}, "
        f"versions of the last {entry['retained_hours']:,} hours kept"
        for entry in done
    ]
    return done, "\n".join(lines) or "no tables yet"
