"""Runs `dclm-spark COMMAND`; each command is a module of this folder."""

import argparse
import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from dclm_spark import __version__
from dclm_spark.cli import (
    answers,
    clusters,
    dedup,
    explain,
    export,
    failures,
    funnel,
    lsh,
    maintain,
    recipe,
    run,
    thresholds,
)
from dclm_spark.cli.parsing import EXIT_USAGE, Parser
from dclm_spark.cli.stages import StageCommand
from dclm_spark.errors import DclmError, FaultLimitError
from dclm_spark.files.addresses import without_secrets
from dclm_spark.pipeline.registry import STAGES
from dclm_spark.spark import interrupts
from dclm_spark.terminal import Coloured, shown

DESCRIPTION = """\
Turns Common Crawl's archives into Delta tables, partitioned by dump, and accounts for every record.

  dclm-spark run --input 'warc/*.warc.gz' --dump CC-MAIN-2022-05 --warehouse lake
  dclm-spark funnel --warehouse lake
  dclm-spark explain --warehouse lake https://example.org/page

Each table is made by the command of its name (documents, annotated, filtered), `run` makes all of them. A command that
was killed continues where it stopped when it is run again; one with nothing left to do says so.
"""

STATUSES = """\
Exit status:
  0    done, or there was nothing to do
  1    Spark failed, or its Java process ended
  2    an error that you can fix: an option, a recipe, an input, a warehouse
  3    the rest is written, but more records or files failed than allowed
  130  interrupted, for example by Ctrl-C (143: terminated, for example by kill)
"""

EXIT_SPARK = 1
EXIT_FAULTS = 3
EXIT_INTERRUPTED = 130  # the convention of shells


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit status, one of `STATUSES`.

    Without `argv`, as a platform calls the entry point of a wheel, the process belongs to the command: termination
    signals are handled, and SystemExit is raised for any status but 0, since a platform such as Databricks ignores the
    returned value. If `DCLM_SPARK_TRACE` is set, Spark's errors are raised unchanged.
    """
    if argv is not None:
        return _run(argv)
    with interrupts.taken():
        status = _run(sys.argv[1:])
    if status:
        raise SystemExit(status)
    return status


class Command(Protocol):
    """Declares what a command's module has.

    `CONTINUES` says whether the same command, run again after an interruption, continues the work instead of beginning
    again.
    """

    @property
    def NAME(self) -> str: ...
    @property
    def HELP(self) -> str: ...
    @property
    def EXAMPLES(self) -> str: ...
    @property
    def CONTINUES(self) -> bool: ...

    def add_options(self, parser: argparse.ArgumentParser) -> None: ...
    def answer(self, arguments: argparse.Namespace) -> tuple[Any, str]: ...


def commands() -> list[Command]:
    """Lists all commands in the order of the help; those that make one table come from the registry."""
    makers = [StageCommand(stage) for stage in STAGES.values()]
    return [run, *makers, dedup, lsh, funnel, explain, clusters, export, thresholds, maintain, recipe]


def make_parser() -> Parser:
    """Makes the parser of all commands; parsed arguments hold the command's module as `command`."""
    parser = Parser(
        prog="dclm-spark",
        description=DESCRIPTION,
        epilog=STATUSES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"dclm-spark {__version__}")
    parsers = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for command in commands():
        own = parsers.add_parser(
            command.NAME,
            help=command.HELP,
            description=command.HELP[0].upper() + command.HELP[1:] + ".",
            epilog=command.EXAMPLES,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.add_options(own)
        own.add_argument("--json", action="store_true", help="answer in JSON, for a program to read")
        own.add_argument("--json-file", metavar="FILE", help="write only the answer, as JSON, to this file")
        own.set_defaults(command=command, parser=own)
    return parser


def job(command: str) -> None:
    """Runs one command with the arguments of the process, for `jobs/COMMAND.py`."""
    sys.argv.insert(1, command)
    main()


def _run(argv: Sequence[str]) -> int:
    arguments = make_parser().parse_args(argv)
    command = arguments.command
    ahead = "run the same command again to continue" if command.CONTINUES else "the same command begins anew"
    interrupts.sentence = f"interrupted; {ahead}"
    out, err = sys.stdout, sys.stderr

    def tell(*lines: str) -> None:
        for line in lines:
            print(f"dclm-spark: {shown(without_secrets(line))}", file=err, flush=True)

    try:
        if arguments.json_file is not None:
            answers.check_file(arguments.json_file)
        with _quiet() if getattr(arguments, "quiet", False) else contextlib.nullcontext():
            answer, words = command.answer(arguments)
        if arguments.json_file is not None:
            answers.write_file(arguments.json_file, answer)
    except KeyboardInterrupt:
        tell(interrupts.sentence)
        return EXIT_INTERRUPTED
    except Exception as error:
        status, said = _told(error)
        if not said or (status == EXIT_SPARK and os.environ.get("DCLM_SPARK_TRACE")):
            raise
        tell(*said)
        return status
    if arguments.json:
        words = answers.to_json(answer)
    try:
        if words:
            print(words if arguments.json or isinstance(words, Coloured) else shown(words), file=out, flush=True)
    except BrokenPipeError:
        # The reader has closed the pipe, as `head` does; the interpreter's last flush must not fail either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _told(error: Exception) -> tuple[int, list[str]]:
    """Returns the exit status and the message of an error; no message for an unexpected one."""
    end = failures.java_end(error)
    if end is not None:
        return EXIT_SPARK, failures.told_of_java(end)
    if isinstance(error, FaultLimitError):
        return EXIT_FAULTS, str(error).split("\n")
    if isinstance(error, DclmError):
        return EXIT_USAGE, str(error).split("\n")
    if isinstance(error, ImportError) and (error.name or "").partition(".")[0] == "pyspark":
        return EXIT_USAGE, [f"{error}; run: pip install 'dclm-spark[local]' (a cluster brings its own pyspark)"]
    return EXIT_SPARK, failures.told(error)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silences this process and Java; answer and errors are printed after it."""
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stderr(nowhere):
        before, interrupts.is_silent = interrupts.is_silent, True
        try:
            yield
        finally:
            interrupts.is_silent = before
