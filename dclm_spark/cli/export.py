"""Defines the command `dclm-spark export`, which writes a table's texts as files."""

import argparse
from typing import Any

from dclm_spark.cli import options
from dclm_spark.cli.resolve import storage_options_of, upstream_of, warehouse_of

NAME = "export"
HELP = "write a table's texts as files that DCLM's own code reads, one JSON object a line"
EXAMPLES = """\
Examples:
  dclm-spark export --warehouse lake --dump CC-MAIN-2022-05 --to pool filtered
  dclm-spark export documents --warehouse s3a://bucket/lake --to s3://bucket/pool --format jsonl.gz --files 100

Lines have `url`, `text` and `metadata`, as DCLM's code reads them; documents from a pool keep their other fields. The
same rows and number of files give the same bytes.
"""
CONTINUES = False


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds the table, the target folder, and the number and format of files."""
    options.warehouse_options(parser)
    options.session_options(parser)
    parser.add_argument("table", metavar="TABLE", help="a table that holds texts, such as filtered")
    parser.add_argument("--to", required=True, metavar="FOLDER", help="a new or empty folder: a path or a URL")
    parser.add_argument("--dump", help="only this dump")
    parser.add_argument("--format", default="jsonl.zst", help="jsonl.zst, jsonl.gz or jsonl (%(default)s)")
    parser.add_argument(
        "--files", type=options.whole_number(1), help="number of files for each dump (one for every 50,000 documents)"
    )
    parser.add_argument("--quiet", action="store_true", help=options.QUIET)
    options.storage_options(parser)


def answer(arguments: argparse.Namespace) -> tuple[Any, str]:
    """Writes the files; returns what was written, as data and as text."""
    from dclm_spark.exports.pools import export_table, format_export

    done = export_table(
        warehouse_of(arguments, arguments.warehouse),
        arguments.table,
        to=arguments.to,
        dump=arguments.dump,
        upstream=upstream_of(arguments),
        form=arguments.format,
        n_files=arguments.files,
        storage_options=storage_options_of(arguments),
        is_quiet=arguments.quiet,
    )
    return done, format_export(done)
