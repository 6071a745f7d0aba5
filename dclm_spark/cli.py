"""`dclm-spark COMMAND`: the jobs, the funnel and the explanations from one entry point."""

import argparse
import dataclasses
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dclm_spark import __version__, recipe_json, recipes
from dclm_spark.errors import DclmError, FaultLimitError, InputError, RecipeError
from dclm_spark.recipes import Recipe

DESCRIPTION = """\
Common Crawl in, Delta tables partitioned by dump out, every record accounted for.

  dclm-spark run --input 'warc/*.warc.gz' --dump CC-MAIN-2022-05 --warehouse lake
  dclm-spark funnel --warehouse lake
  dclm-spark explain --warehouse lake https://example.org/page

Each table is made by the command of its name (documents, annotated, filtered), `run` makes all of them. A command that
was killed goes on where it stopped when it is given again; one with nothing left to do says so.
"""

EXAMPLES = {
    "run": """\
Examples:
  dclm-spark run --input 'warc/*.warc.gz' --dump CC-MAIN-2022-05 --warehouse lake

  Common Crawl's own list of a dump's files; the job fails if more than 1 % of the records do:
  dclm-spark run --input https://data.commoncrawl.org/crawl-data/CC-MAIN-2022-05/warc.paths.gz \\
      --dump CC-MAIN-2022-05 --warehouse s3a://bucket/lake --max-fault-share 0.01

  Another recipe's bounds over the same documents and signals; only `filtered` and `removed` are made:
  dclm-spark run --recipe mine.json --dump CC-MAIN-2022-05 --upstream lake --warehouse ablation

The same command again goes on where a killed one stopped, and does nothing where nothing changed.
Exit status: 0, 2 for what you can mend, 3 if all is written but more records failed than the recipe allows.
""",
    "documents": """\
Example:
  dclm-spark documents --input warc/ more/file.warc.gz --dump CC-MAIN-2022-05 --warehouse lake

Makes `documents`, `quarantine` (records that failed) and `files` (what became of each file's records).
""",
    "annotated": """\
Example:
  dclm-spark annotated --dump CC-MAIN-2022-05 --warehouse lake --strict-words banned.txt

Reads `documents` of the warehouse, or of --upstream. A language model or a word list is a part of the recipe.
""",
    "filtered": """\
Example:
  dclm-spark filtered --dump CC-MAIN-2022-05 --warehouse lake --recipe mine.json --force

Makes `filtered` (what stays) and `removed` (what goes, and by which bound). A changed bound redoes this table alone.
""",
    "funnel": """\
Example:
  dclm-spark funnel --warehouse lake --dump CC-MAIN-2022-05 --json
""",
    "explain": """\
Examples:
  dclm-spark explain --warehouse lake https://example.org/page
  dclm-spark explain --html page.html --url https://example.org/page --recipe mine.json
""",
    "maintain": """\
Example:
  dclm-spark maintain --warehouse lake --retain-hours 168

A version that the latest run of some stage has read or written is pinned: its files stay, whatever their age. What
another warehouse borrowed as --upstream is not known here, and stays for --retain-hours.
""",
    "recipe": """\
Example:
  dclm-spark recipe --recipe dclm_baseline > mine.json
""",
}

EXIT_USAGE = 2
EXIT_FAULTS = 3
EXIT_INTERRUPTED = 130  # as shells have it


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit status: 0, 2 for an error of the user's, 3 for faults above the limit."""
    arguments = _parser().parse_args(argv)
    try:
        answer, words = arguments.command(arguments)
    except FaultLimitError as error:
        print(f"dclm-spark: {error}", file=sys.stderr)
        return EXIT_FAULTS
    except DclmError as error:
        for line in str(error).splitlines():
            print(f"dclm-spark: {line}", file=sys.stderr)
        return EXIT_USAGE
    except KeyboardInterrupt:
        print("dclm-spark: interrupted; the same command goes on from here", file=sys.stderr)
        return EXIT_INTERRUPTED
    print(_json(answer) if arguments.json else words)
    return 0


def _json(answer: Any) -> str:
    """An answer as JSON; a number without end, which JSON cannot hold, as the text "inf"."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(entry) for key, entry in value.items()}
        if isinstance(value, list):
            return [plain(entry) for entry in value]
        return str(value) if isinstance(value, float) and not math.isfinite(value) else value

    return json.dumps(plain(answer), default=str, ensure_ascii=False)


# -- commands: each returns its answer as data, and as words ----------------------------------------------------------


def _run(arguments: argparse.Namespace) -> tuple[Any, str]:
    stages = ("documents", "annotated", "filtered")
    if not arguments.input:
        if not arguments.upstream:
            raise InputError(["nothing to read: give --input, or --upstream with a warehouse that holds the documents"])
        stages = stages[1:]
    return _make(arguments, stages)


def _stage(arguments: argparse.Namespace) -> tuple[Any, str]:
    return _make(arguments, (arguments.stage,))


def _make(arguments: argparse.Namespace, stages: Sequence[str]) -> tuple[Any, str]:
    from dclm_spark import chain
    from dclm_spark.ingest import Source

    recipe = _recipe(arguments)
    job = chain.Job(
        warehouse=_warehouse(arguments, arguments.warehouse),
        dump=arguments.dump,
        recipe=recipe,
        upstream=_warehouse(arguments, arguments.upstream) if arguments.upstream else None,
        is_forced=arguments.force,
        is_quiet=arguments.quiet,
    )
    forced = chain.forced_stages(job, stages) if arguments.force else set()
    outcomes = []
    for stage in stages:
        job = dataclasses.replace(job, is_forced=stage in forced)
        if stage == "documents":
            source = Source(arguments.input, arguments.base_url, _storage_options(arguments))
            outcome = chain.make_documents(job, source, batch_files=arguments.batch_files, restart=arguments.restart)
        else:
            outcome = {"annotated": chain.make_annotated, "filtered": chain.make_filtered}[stage](job)
        outcomes.append(outcome)
        if not arguments.json:
            print(_sentence(outcome), file=sys.stderr)
    words = ""
    if "filtered" in stages:
        from dclm_spark.funnel import count_funnel, format_funnel

        words = format_funnel(count_funnel(job.warehouse, dump=job.dump, upstream=job.upstream))
    return [{**outcome.run, "is_new": outcome.is_new} for outcome in outcomes], words


def _sentence(outcome) -> str:
    run = outcome.run
    what = f"{run['stage']} {run['dump']}"
    if outcome.is_lent:
        return f"{what}: lent by the upstream, {run['n_rows_out']:,} rows; nothing done (--force makes one's own)"
    if not outcome.is_new:
        return f"{what}: up to date, {run['n_rows_out']:,} rows; nothing done (--force redoes it)"
    counts = [f"{run['n_rows_in']:,} in", f"{run['n_rows_out']:,} out"]
    counts += [f"{run[name]:,} {word}" for name, word in _COUNTS.items() if run[name]]
    return f"{what}: {', '.join(counts)}, {run['seconds']:.1f} s"


_COUNTS = {"n_removed": "removed", "n_faults": "in quarantine", "n_skipped": "skipped"}


def _funnel(arguments: argparse.Namespace) -> tuple[Any, str]:
    from dclm_spark.funnel import count_funnel, format_funnel

    upstream = _warehouse(arguments, arguments.upstream) if arguments.upstream else None
    entries = count_funnel(_warehouse(arguments, arguments.warehouse), dump=arguments.dump, upstream=upstream)
    return entries, format_funnel(entries)


def _explain(arguments: argparse.Namespace) -> tuple[Any, str]:
    from dclm_spark.explain import explain_html, format_explanation

    if (arguments.html is None) == (arguments.warehouse is None):
        raise InputError(["explain needs either --warehouse and a page, or --html (with --url)"])
    if arguments.html is not None:
        path = Path(arguments.html)
        if not path.is_file():
            raise InputError([f"{path} is no file; expected an html page"])
        found = [explain_html(path.read_bytes(), url=arguments.url, recipe=_recipe(arguments))]
    else:
        page = arguments.page or arguments.url
        if page is None:
            raise InputError(["which page? give its URL or doc_id"])
        from dclm_spark.lookup import explain_page

        upstream = _warehouse(arguments, arguments.upstream) if arguments.upstream else None
        found = explain_page(_warehouse(arguments, arguments.warehouse), page, upstream=upstream)
    return found, "\n\n".join(map(format_explanation, found))


def _maintain(arguments: argparse.Namespace) -> tuple[Any, str]:
    from dclm_spark.maintain import maintain

    done = maintain(_warehouse(arguments, arguments.warehouse), retain_hours=arguments.retain_hours)
    lines = [
        f"{entry['table']:<12}{entry['n_files_removed']:>8,} files -> {entry['n_files_added']:,}, "
        f"versions of the last {entry['retained_hours']:,} hours kept"
        for entry in done
    ]
    return done, "\n".join(lines) or "no tables yet"


def _show_recipe(arguments: argparse.Namespace) -> tuple[Any, str]:
    loaded = json.loads(recipe_json.canonical_json(_recipe(arguments)))
    return loaded, json.dumps(loaded, indent=2, ensure_ascii=False)


# -- what the options mean --------------------------------------------------------------------------------------------


def _warehouse(arguments: argparse.Namespace, location: str):
    from dclm_spark.session import get_session
    from dclm_spark.tables import Warehouse

    config = dict(_pairs(arguments.conf, "--conf"))
    return Warehouse(get_session(master=arguments.master, remote=arguments.remote, config=config), location)


def _recipe(arguments: argparse.Namespace) -> Recipe:
    name = arguments.recipe
    if name in recipes.RECIPES:
        recipe = recipes.RECIPES[name]
    elif Path(name).is_file():
        recipe = recipe_json.from_json(_text(name))
    else:
        known = ", ".join(recipes.RECIPES)
        raise RecipeError([f"no recipe {name!r}: neither one of {known}, nor a JSON file"])
    lists = {
        field: _words(path)
        for field in ("strict_words", "hard_words", "soft_words")
        if (path := getattr(arguments, field)) is not None
    }
    recipe = dataclasses.replace(recipe, annotation=dataclasses.replace(recipe.annotation, **lists))
    if arguments.language_model is not None:
        annotation = dataclasses.replace(recipe.annotation, language_model=arguments.language_model)
        recipe = dataclasses.replace(recipe, annotation=annotation)
    if arguments.max_fault_share is not None:
        recipe = dataclasses.replace(recipe, max_fault_share=arguments.max_fault_share)
    return recipe


def _words(path: str) -> tuple[str, ...]:
    if not Path(path).is_file():
        raise InputError([f"no word list {path}; expected a text file, one word a line"])
    return tuple(line for line in _text(path).splitlines() if line)


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError([f"{path} cannot be read as UTF-8 text: {error}"]) from None


def _storage_options(arguments: argparse.Namespace) -> dict[str, Any]:
    options: dict[str, Any] = dict(_pairs(arguments.storage_option, "--storage-option"))
    options = {key: {"true": True, "false": False}.get(value.lower(), value) for key, value in options.items()}
    return options | ({"anon": True} if arguments.anonymous else {})


def _pairs(values: Sequence[str], option: str) -> list[tuple[str, str]]:
    wrong = [value for value in values if "=" not in value]
    if wrong:
        raise InputError([f"{option} {value!r}: expected KEY=VALUE" for value in wrong])
    return [tuple(value.split("=", 1)) for value in values]  # type: ignore[misc]


def _whole(least: int):
    def read(text: str) -> int:
        if not text.isascii() or not text.isdigit() or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number from {least} up")
        return int(text)

    return read


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dclm-spark", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--version", action="version", version=f"dclm-spark {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    def command(name: str, run, help_: str, *groups, **defaults) -> argparse.ArgumentParser:
        sub = commands.add_parser(
            name,
            help=help_,
            description=help_[0].upper() + help_[1:] + ".",
            epilog=EXAMPLES[name],
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        for group in groups:
            group(sub)
        sub.add_argument("--json", action="store_true", help="answer in JSON, for a program to read")
        sub.set_defaults(command=run, **defaults)
        return sub

    made = (_warehouse_options, _recipe_options, _session_options, _work_options)
    command("run", _run, "make all tables of one dump from its archive files", *made, _input_options)
    command(
        "documents",
        _stage,
        "make one table: each page's main text, from archive files",
        *made,
        _input_options,
        stage="documents",
    )
    command("annotated", _stage, "make one table: documents with every signal measured", *made, stage="annotated")
    command(
        "filtered", _stage, "make one table: documents that broke none of the recipe's bounds", *made, stage="filtered"
    )
    funnel = command(
        "funnel",
        _funnel,
        "count how many records came in, what went where and why, what is left",
        _warehouse_options,
        _session_options,
    )
    funnel.add_argument("--dump", help="only this dump")
    explain = command(
        "explain",
        _explain,
        "show one page's way through the chain: each signal beside its bound",
        _recipe_options,
        _session_options,
    )
    explain.add_argument("page", nargs="?", help="its URL as the crawl wrote it, or its doc_id")
    explain.add_argument("--warehouse", help="where its tables are: a folder, or catalog.schema")
    explain.add_argument("--upstream", help="the warehouse that lends the tables which --warehouse does not hold")
    explain.add_argument("--html", help="an html file: a page in hand, no warehouse needed")
    explain.add_argument("--url", help="the URL of the page in --html")
    maintain = command(
        "maintain",
        _maintain,
        "compact small files and delete those that no pinned version needs",
        _warehouse_option,
        _session_options,
    )
    maintain.add_argument(
        "--retain-hours", type=_whole(0), default=168, help="keep all versions younger than this (%(default)s)"
    )
    recipe = command(
        "recipe", _show_recipe, "print a recipe as JSON: the file to start one's own from", _recipe_options
    )
    recipe.set_defaults(json=False)
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
        default=[],
        metavar="WHAT",
        help="WARC, ARC or WET files: paths, globs, folders, http(s):// or s3:// URLs, or lists of them (*.paths.gz)",
    )
    group.add_argument("--base-url", help="what a list's relative entries are joined to, such as s3://commoncrawl/")
    group.add_argument("--anonymous", action="store_true", help="read S3 without credentials")
    group.add_argument("--storage-option", action="append", default=[], metavar="KEY=VALUE", help="passed to fsspec")
    group.add_argument(
        "--batch-files", type=_whole(1), help="files to a commit (16 a core on a laptop, 1000 on a cluster)"
    )
    group.add_argument("--restart", action="store_true", help="replace what the dump holds, begin anew")


def _recipe_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("recipe")
    group.add_argument("--recipe", default="dclm_baseline", help="a name or a JSON file (%(default)s)")
    group.add_argument("--strict-words", metavar="FILE", help="words banned anywhere in a URL, one a line")
    group.add_argument("--hard-words", metavar="FILE", help="words banned in a URL as words of their own")
    group.add_argument("--soft-words", metavar="FILE", help="words of which a URL may hold one")
    group.add_argument("--language-model", help="a fastText model: path or URL (lid.176.ftz, bundled)")
    group.add_argument("--max-fault-share", type=float, help="share of records that may end in quarantine")


def _work_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dump", required=True, help="the dump's name, such as CC-MAIN-2022-05")
    parser.add_argument(
        "--force", action="store_true", help="redo what is up to date, replace what another recipe made"
    )
    parser.add_argument("--quiet", action="store_true", help="show no progress")


def _session_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("session (spark-submit, Databricks and EMR bring their own)")
    group.add_argument("--master", help="Spark master, such as local[4,4] or spark://host:7077 (all local cores)")
    group.add_argument("--remote", help="a Spark Connect server, such as sc://host:15002")
    group.add_argument("--conf", action="append", default=[], metavar="KEY=VALUE", help="a Spark setting")
