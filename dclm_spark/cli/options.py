"""The arguments of `dclm-spark`: its commands, their options, and the help that teaches them."""

import argparse
from collections.abc import Callable, Mapping
from typing import Any

from dclm_spark import __version__
from dclm_spark.cli import clusters, dedup, dedup_options, lsh
from dclm_spark.cli.help_texts import DESCRIPTION, EXAMPLES, STATUSES
from dclm_spark.cli.parsing import Parser
from dclm_spark.pipeline.registry import STAGES

Command = Callable[[argparse.Namespace], tuple[Any, str]]
"""Does what the arguments ask; returns its answer as data, and as words."""
Group = Callable[[argparse.ArgumentParser], None]
QUIET = "print nothing but the answer and errors"


def _whole(least: int):
    def read(text: str) -> int:
        if not text.isascii() or not text.isdigit() or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number from {least} up")
        return int(text)

    return read


def make_parser(commands_by_name: Mapping[str, Command]) -> argparse.ArgumentParser:
    """The parser of all commands; the parsed arguments carry the function of their command as `command`.

    Args:
        commands_by_name: The function of each command.
    """
    parser = Parser(
        prog="dclm-spark",
        description=DESCRIPTION,
        epilog=STATUSES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"dclm-spark {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    def command(name: str, help_: str, *groups: Group, **defaults: object) -> argparse.ArgumentParser:
        sub = commands.add_parser(
            name,
            help=help_,
            description=help_[0].upper() + help_[1:] + ".",
            epilog=EXAMPLES[name] if name in EXAMPLES else STAGES[name].examples,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        for group in groups:
            group(sub)
        sub.add_argument("--json", action="store_true", help="answer in JSON, for a program to read")
        sub.add_argument("--json-file", metavar="FILE", help="write the answer as JSON, and nothing else, to this file")
        sub.set_defaults(command=commands_by_name[name], command_name=name, parser=sub, **defaults)
        return sub

    made = (_warehouse_options, _recipe_options, _session_options, _work_options)
    command("run", "make all tables of one dump from its archive files", *made, lsh.add_options, _input_options)
    near_made = (*made[:2], lsh.add_options, *made[2:])
    for stage in STAGES.values():
        groups = [*(near_made if stage.needs_near else made)[:-1]]
        groups.append(_works_options if stage.is_of_several_dumps else _work_options)
        groups += [dedup_options.add_options] if stage.needs_methods else []
        groups += [] if stage.reads else [_input_options]
        command(stage.name, stage.help, *groups, stage=stage.name)
    command(
        "dedup",
        "see what methods and scopes of deduplication would leave, before one is chosen",
        *(*near_made[:-1], _works_options, dedup_options.add_options, dedup.add_options),
    )
    curve = command("lsh", "show what a choice of bands and rows finds: its S-curve", _recipe_options, lsh.add_options)
    curve.add_argument("--plot", metavar="FILE", help="the curve as an image, PNG or SVG")
    funnel = command(
        "funnel",
        "count how many records came in, what went where and why, what is left",
        _warehouse_options,
        _session_options,
    )
    funnel.add_argument("--dump", help="only this dump")
    funnel.add_argument(
        "--what-if",
        nargs="+",
        action="extend",
        metavar="CHANGE",
        help="what other bounds would keep: SIGNAL=80, SIGNAL>=80 (or >, <=, <), SIGNAL=none",
    )
    explain = command(
        "explain",
        "show one page's way through the chain: each signal beside its bound",
        _recipe_options,
        _session_options,
    )
    explain.add_argument("page", nargs="?", help="its URL as the crawl wrote it, or its doc_id")
    explain.add_argument("--warehouse", help="where its tables are: a folder, or catalog.schema")
    explain.add_argument("--upstream", help="the warehouse that lends the tables which --warehouse does not hold")
    explain.add_argument("--html", help="an html file: a page in hand, no warehouse needed")
    explain.add_argument("--url", help="the URL of the page in --html")
    command(
        "clusters",
        "look into near-duplicates: how many clusters, the largest, one page's members and what differs",
        _warehouse_options,
        _session_options,
        clusters.add_options,
    )
    export = command(
        "export",
        "write a table's texts as files that DCLM's own code reads, one JSON object a line",
        _warehouse_options,
        _session_options,
    )
    export.add_argument("table", metavar="TABLE", help="a table that holds texts, such as filtered")
    export.add_argument("--to", required=True, metavar="FOLDER", help="a new or empty folder: a path or a URL")
    export.add_argument("--dump", help="only this dump")
    export.add_argument("--format", default="jsonl.zst", help="jsonl.zst, jsonl.gz or jsonl (%(default)s)")
    export.add_argument("--files", type=_whole(1), help="files a dump (one of every 50,000 documents)")
    export.add_argument("--quiet", action="store_true", help=QUIET)
    _storage_options(export)
    thresholds = command(
        "thresholds",
        "derive a recipe's limits and stop words for other languages from reference pages",
        _warehouse_option,
        _recipe_options,
        _session_options,
    )
    thresholds.add_argument(
        "--languages", nargs="+", action="extend", required=True, metavar="CODE", help="such as de ja ko"
    )
    thresholds.add_argument(
        "--dump", nargs="+", action="extend", default=[], help="dumps that hold the reference pages (all)"
    )
    thresholds.add_argument("--out", required=True, metavar="FILE", help="where the recipe goes, as JSON")
    thresholds.add_argument("--name", help="the recipe's name (the file's)")
    thresholds.add_argument(
        "--method",
        default="auto",
        help="tail: the limit removes a tenth; quantile, mean_std, median_ratio: as in English; auto: mean_std for "
        "repetition, tail for the rest (%(default)s)",
    )
    thresholds.add_argument(
        "--min-pages", type=_whole(1), default=100, help="fewer pages of a language are no reference (%(default)s)"
    )
    thresholds.add_argument("--tail", type=float, default=0.1, help="the share that tail removes (%(default)s)")
    thresholds.add_argument(
        "--stop-word-share",
        type=float,
        default=0.008,
        help="of all words, from which on one is a stop word (%(default)s)",
    )
    maintain = command(
        "maintain",
        "compact small files and delete those that no pinned version needs",
        _warehouse_option,
        _session_options,
    )
    maintain.add_argument(
        "--retain-hours", type=_whole(0), default=168, help="keep all versions younger than this (%(default)s)"
    )
    recipe = command("recipe", "print a recipe as JSON, or say where two differ", _recipe_options)
    recipe.add_argument("action", nargs="?", choices=("show", "diff"), default="show", help="what to do (%(default)s)")
    recipe.add_argument("names", nargs="*", metavar="RECIPE", help="one to show, two to compare")
    return parser


def _warehouse_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--warehouse", required=True, help="where the tables are: a folder (path or URL), or catalog.schema"
    )


def _warehouse_options(parser: argparse.ArgumentParser) -> None:
    _warehouse_option(parser)
    parser.add_argument("--upstream", help="a warehouse that lends the tables which --warehouse does not hold")


def _input_options(parser: argparse.ArgumentParser) -> None:
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
    _storage_options(group)
    group.add_argument(
        "--batch-files", type=_whole(1), help="files to a commit (16 a core on a laptop, 1000 on a cluster)"
    )
    group.add_argument("--restart", action="store_true", help="replace what the dump holds, begin anew")
    group.add_argument(
        "--skip-unreadable",
        action="store_true",
        help="finish the dump without files that cannot be read; without this option a later run reads them",
    )


def _storage_options(group: argparse._ActionsContainer) -> None:
    group.add_argument("--anonymous", action="store_true", help="reach S3 without credentials")
    group.add_argument("--storage-option", action="append", default=[], metavar="KEY=VALUE", help="passed to fsspec")


def _recipe_options(parser: argparse.ArgumentParser) -> None:
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


def _works_options(parser: argparse.ArgumentParser) -> None:
    _work_options(parser, is_one=False)


def _work_options(parser: argparse.ArgumentParser, *, is_one: bool = True) -> None:
    number = {} if is_one else {"nargs": "+", "action": "extend"}
    parser.add_argument("--dump", required=True, help="the dump's name, such as CC-MAIN-2022-05", **number)
    parser.add_argument(
        "--force", action="store_true", help="redo what is up to date, replace what another recipe made"
    )
    parser.add_argument("--quiet", action="store_true", help=QUIET)


def _session_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("session (spark-submit, Databricks and EMR bring their own)")
    group.add_argument("--master", help="Spark master, such as local[4,4] or spark://host:7077 (all local cores)")
    group.add_argument("--remote", help="a Spark Connect server, such as sc://host:15002")
    group.add_argument("--conf", action="append", default=[], metavar="KEY=VALUE", help="a Spark setting")
