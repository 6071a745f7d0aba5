"""The command `dclm-spark maintain`: small files made large, old ones deleted."""

import argparse
from typing import Any

from dclm_spark.cli import options
from dclm_spark.cli.resolve import warehouse_of

NAME = "maintain"
HELP = "compact small files and delete those that no pinned version needs"
EXAMPLES = """\
Example:
  dclm-spark maintain --warehouse lake --retain-hours 168

A version that the latest run of some stage has read or written is pinned: its files stay, whatever their age. What
another warehouse borrowed as --upstream is not known here, and stays for --retain-hours.
"""
GOES_ON = True


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds the warehouse, and how long its versions are kept."""
    options.warehouse_option(parser)
    options.session_options(parser)
    parser.add_argument(
        "--retain-hours",
        type=options.whole_number(0),
        default=168,
        help="keep all versions younger than this (%(default)s)",
    )


def answer(arguments: argparse.Namespace) -> tuple[Any, str]:
    """Maintains every table; what was done, as data and as words."""
    from dclm_spark.lake.maintenance import maintain

    done = maintain(warehouse_of(arguments, arguments.warehouse), retain_hours=arguments.retain_hours)
    lines = [
        f"{entry['table']:<12}{entry['n_files_removed']:>8,} files -> {entry['n_files_added']:,}, "
        f"versions of the last {entry['retained_hours']:,} hours kept"
        for entry in done
    ]
    return done, "\n".join(lines) or "no tables yet"
