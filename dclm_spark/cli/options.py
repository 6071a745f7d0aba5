"""Defines options that several commands have, in groups."""

import argparse
from collections.abc import Callable

QUIET = "print only the answer and errors"


def whole_number(least: int) -> Callable[[str], int]:
    """Returns a function that parses a whole number of at least `least`, for argparse."""

    def read(text: str) -> int:
        if not text.isascii() or not text.isdigit() or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number from {least} up")
        return int(text)

    return read


def warehouse_option(parser: argparse.ArgumentParser) -> None:
    """Adds the warehouse, for a command without an upstream."""
    parser.add_argument(
        "--warehouse", required=True, help="the warehouse of the tables: a folder (path or URL), or catalog.schema"
    )


def warehouse_options(parser: argparse.ArgumentParser) -> None:
    """Adds the warehouse and its upstream."""
    warehouse_option(parser)
    parser.add_argument("--upstream", help="another warehouse, for tables that --warehouse does not hold")


def input_options(parser: argparse.ArgumentParser) -> None:
    """Adds the files to read, and how they are opened and read."""
    group = parser.add_argument_group("input")
    group.add_argument(
        "--input",
        nargs="+",
        action="extend",
        default=[],
        metavar="WHAT",
        help="WARC, ARC or WET files, or DCLM's pools (*.jsonl.zst, *.jsonl.gz, *.jsonl): paths, globs, folders, "
        "http(s):// or s3:// URLs, or lists of them (*.paths.gz)",
    )
    group.add_argument("--base-url", help="base of relative paths in a list, such as s3://commoncrawl/")
    storage_options(group)
    group.add_argument(
        "--batch-files",
        type=whole_number(1),
        help="files in each commit (16 for each core on a laptop, 1000 on a cluster)",
    )
    group.add_argument("--restart", action="store_true", help="delete the dump's rows and begin again")
    group.add_argument(
        "--skip-unreadable",
        action="store_true",
        help="finish the dump without files that cannot be read; without this option a later run reads them",
    )


def storage_options(group: argparse._ActionsContainer) -> None:
    """Adds how files that are not tables are opened."""
    group.add_argument("--anonymous", action="store_true", help="read S3 without credentials")
    group.add_argument("--storage-option", action="append", default=[], metavar="KEY=VALUE", help="passed to fsspec")


def recipe_options(parser: argparse.ArgumentParser) -> None:
    """Adds the recipe, and options that override single fields of it."""
    group = parser.add_argument_group("recipe")
    group.add_argument(
        "--recipe", default="dclm_baseline", help="a name, a JSON file or one of DCLM's YAML files (%(default)s)"
    )
    group.add_argument("--extractor", help="resiliparse (main content) or trafilatura (precision)")
    group.add_argument(
        "--banned-domains",
        metavar="FILE",
        help="domains whose pages are removed, one a line: path or URL, plain, gzip or zstd",
    )
    group.add_argument("--strict-words", metavar="FILE", help="words banned anywhere in a URL, one a line")
    group.add_argument("--hard-words", metavar="FILE", help="words banned in a URL as whole words, one a line")
    group.add_argument("--soft-words", metavar="FILE", help="words of which a URL may hold only one, one a line")
    group.add_argument(
        "--bad-words", metavar="FILE", help="words and phrases counted in texts for C4's rule, one a line"
    )
    group.add_argument(
        "--all-signals", action="store_true", help="measure every signal group, not only those that the bounds need"
    )
    group.add_argument("--language-model", help="a fastText model: path or URL (lid.176.ftz, bundled)")
    group.add_argument("--max-fault-share", type=float, help="largest share of records that may go to quarantine")


def work_options(parser: argparse.ArgumentParser, *, is_of_several_dumps: bool = False) -> None:
    """Adds the dump or dumps of a command that makes tables, and options on its work."""
    number = {"nargs": "+", "action": "extend"} if is_of_several_dumps else {}
    parser.add_argument("--dump", required=True, help="the dump's name, such as CC-MAIN-2022-05", **number)
    parser.add_argument(
        "--force", action="store_true", help="make again what is up to date, replace rows of another recipe"
    )
    parser.add_argument("--quiet", action="store_true", help=QUIET)


def session_options(parser: argparse.ArgumentParser) -> None:
    """Adds the settings of a session that is started by the command."""
    group = parser.add_argument_group("session (not with spark-submit, Databricks or EMR, which have their own)")
    group.add_argument("--master", help="Spark master, such as local[4,4] or spark://host:7077 (all local cores)")
    group.add_argument("--remote", help="a Spark Connect server, such as sc://host:15002")
    group.add_argument("--conf", action="append", default=[], metavar="KEY=VALUE", help="a Spark setting")
