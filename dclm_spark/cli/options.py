"""Options that several commands have, in groups."""

import argparse
from collections.abc import Callable

QUIET = "print nothing but the answer and errors"


def whole_number(least: int) -> Callable[[str], int]:
    """What reads a whole number of at least so much from a word of the command line."""

    def read(text: str) -> int:
        if not text.isascii() or not text.isdigit() or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number from {least} up")
        return int(text)

    return read


def warehouse_option(parser: argparse.ArgumentParser) -> None:
    """Adds the warehouse alone, for a command that borrows nothing."""
    parser.add_argument(
        "--warehouse", required=True, help="where the tables are: a folder (path or URL), or catalog.schema"
    )


def warehouse_options(parser: argparse.ArgumentParser) -> None:
    """Adds the warehouse, and the one that lends what it does not hold."""
    warehouse_option(parser)
    parser.add_argument("--upstream", help="a warehouse that lends the tables which --warehouse does not hold")


def input_options(parser: argparse.ArgumentParser) -> None:
    """Adds which files are read, how they are reached, and how a dump is read from them."""
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
    group.add_argument("--base-url", help="what a list's relative entries are joined to, such as s3://commoncrawl/")
    storage_options(group)
    group.add_argument(
        "--batch-files", type=whole_number(1), help="files to a commit (16 a core on a laptop, 1000 on a cluster)"
    )
    group.add_argument("--restart", action="store_true", help="replace what the dump holds, begin anew")
    group.add_argument(
        "--skip-unreadable",
        action="store_true",
        help="finish the dump without files that cannot be read; without this option a later run reads them",
    )


def storage_options(group: argparse._ActionsContainer) -> None:
    """Adds how files that are no tables are reached."""
    group.add_argument("--anonymous", action="store_true", help="reach S3 without credentials")
    group.add_argument("--storage-option", action="append", default=[], metavar="KEY=VALUE", help="passed to fsspec")


def recipe_options(parser: argparse.ArgumentParser) -> None:
    """Adds the recipe, and what takes the place of single fields of it."""
    group = parser.add_argument_group("recipe")
    group.add_argument(
        "--recipe", default="dclm_baseline", help="a name, a JSON file or a YAML of DCLM's (%(default)s)"
    )
    group.add_argument("--extractor", help="resiliparse (main content) or trafilatura (precision) in place of its own")
    group.add_argument(
        "--banned-domains", metavar="FILE", help="domains whose pages go, one a line: path or URL, plain, gzip or zstd"
    )
    group.add_argument("--strict-words", metavar="FILE", help="words banned anywhere in a URL, one a line")
    group.add_argument("--hard-words", metavar="FILE", help="words banned in a URL as words of their own")
    group.add_argument("--soft-words", metavar="FILE", help="words of which a URL may hold one")
    group.add_argument(
        "--bad-words", metavar="FILE", help="words and phrases counted in texts for C4's rule, one a line"
    )
    group.add_argument(
        "--all-signals", action="store_true", help="measure every signal group, not only those that the bounds need"
    )
    group.add_argument("--language-model", help="a fastText model: path or URL (lid.176.ftz, bundled)")
    group.add_argument("--max-fault-share", type=float, help="share of records that may end in quarantine")


def work_options(parser: argparse.ArgumentParser, *, is_of_several_dumps: bool = False) -> None:
    """Adds the dump, or the dumps, of a command that makes tables, and how it goes about it."""
    number = {"nargs": "+", "action": "extend"} if is_of_several_dumps else {}
    parser.add_argument("--dump", required=True, help="the dump's name, such as CC-MAIN-2022-05", **number)
    parser.add_argument(
        "--force", action="store_true", help="redo what is up to date, replace what another recipe made"
    )
    parser.add_argument("--quiet", action="store_true", help=QUIET)


def session_options(parser: argparse.ArgumentParser) -> None:
    """Adds the settings of a session that is started here."""
    group = parser.add_argument_group("session (spark-submit, Databricks and EMR bring their own)")
    group.add_argument("--master", help="Spark master, such as local[4,4] or spark://host:7077 (all local cores)")
    group.add_argument("--remote", help="a Spark Connect server, such as sc://host:15002")
    group.add_argument("--conf", action="append", default=[], metavar="KEY=VALUE", help="a Spark setting")
