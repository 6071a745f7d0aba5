"""`dclm-spark COMMAND`: the jobs, the funnel and the explanations from one entry point."""

import argparse
import contextlib
import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from dclm_spark.cli import answers, clusters, dedup, failures, lsh, stages
from dclm_spark.cli.options import make_parser
from dclm_spark.cli.parsing import EXIT_USAGE
from dclm_spark.cli.resolve import recipe_of, storage_options_of, warehouse_of
from dclm_spark.errors import DclmError, FaultLimitError, InputError, refuse_recipe
from dclm_spark.files.addresses import without_secrets
from dclm_spark.pipeline.registry import STAGES
from dclm_spark.recipe import as_json
from dclm_spark.spark import interrupts
from dclm_spark.terminal import Coloured, shown

EXIT_SPARK = 1
EXIT_FAULTS = 3
EXIT_INTERRUPTED = 130  # as shells have it


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit status, one of `help_texts.STATUSES`.

    Without `argv`, as a platform calls the entry point of a wheel, the process is the command's: it takes the signals
    that would end it, and raises SystemExit for any status but 0, since a platform such as Databricks ignores what is
    returned. With `DCLM_SPARK_TRACE` set, what Spark raises passes through.
    """
    if argv is not None:
        return _run(argv)
    with interrupts.taken():
        status = _run(sys.argv[1:])
    if status:
        raise SystemExit(status)
    return status


def job(command: str) -> None:
    """What `jobs/COMMAND.py` does: the command as `main` does it, with the arguments of the process."""
    sys.argv.insert(1, command)
    main()


def _run(argv: Sequence[str]) -> int:
    arguments = make_parser(dict.fromkeys(STAGES, stages.make_one) | _COMMANDS).parse_args(argv)
    is_making = arguments.command_name in _MAKING
    interrupts.sentence = f"interrupted; the same command {'goes on from here' if is_making else 'begins anew'}"
    out, err = sys.stdout, sys.stderr

    def tell(*lines: str) -> None:
        for line in lines:
            print(f"dclm-spark: {shown(without_secrets(line))}", file=err, flush=True)

    try:
        if arguments.json_file is not None:
            answers.check_file(arguments.json_file)
        with _quiet() if getattr(arguments, "quiet", False) else contextlib.nullcontext():
            answer, words = arguments.command(arguments)
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
        # Whoever reads has seen enough, as `head` does; the interpreter's last flush must not fail either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _told(error: Exception) -> tuple[int, list[str]]:
    """The exit status of an error, and what is said of it; nothing of one that nobody foresaw."""
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
    """Inside, nothing is told, by this process or by Java; the answer and errors come after."""
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stderr(nowhere):
        before, interrupts.is_silent = interrupts.is_silent, True
        try:
            yield
        finally:
            interrupts.is_silent = before


# -- commands: each returns its answer as data, and as words ----------------------------------------------------------


def _lsh(arguments: argparse.Namespace) -> tuple[Any, str]:
    return lsh.show(recipe_of(arguments, finds_near=True).signatures, plot=arguments.plot)


def _funnel(arguments: argparse.Namespace) -> tuple[Any, str]:
    from dclm_spark.reports.funnel import count_funnel
    from dclm_spark.reports.funnel_words import format_funnel

    upstream = warehouse_of(arguments, arguments.upstream) if arguments.upstream else None
    if arguments.what_if:
        from dclm_spark.reports.what_if import count_what_if, format_what_if

        warehouse = warehouse_of(arguments, arguments.warehouse)
        entries = count_what_if(warehouse, arguments.what_if, dump=arguments.dump, upstream=upstream)
        return entries, format_what_if(entries)
    entries = count_funnel(warehouse_of(arguments, arguments.warehouse), dump=arguments.dump, upstream=upstream)
    return entries, format_funnel(entries)


def _explain(arguments: argparse.Namespace) -> tuple[Any, str]:
    from dclm_spark.reports.explain import explain_html, format_explanation

    if (arguments.html is None) == (arguments.warehouse is None):
        raise InputError(["explain needs either --warehouse and a page, or --html (with --url)"])
    if arguments.html is not None:
        path = Path(arguments.html)
        if not path.is_file():
            raise InputError([f"{path} is no file; expected an html page"])
        found = [explain_html(path.read_bytes(), url=arguments.url, recipe=recipe_of(arguments))]
    else:
        page = arguments.page or arguments.url
        if page is None:
            raise InputError(["which page? give its URL or doc_id"])
        from dclm_spark.reports.page import explain_page

        upstream = warehouse_of(arguments, arguments.upstream) if arguments.upstream else None
        found = explain_page(warehouse_of(arguments, arguments.warehouse), page, upstream=upstream)
    return found, "\n\n".join(map(format_explanation, found))


def _export(arguments: argparse.Namespace) -> tuple[Any, str]:
    from dclm_spark.exports.pools import export_table, format_export

    done = export_table(
        warehouse_of(arguments, arguments.warehouse),
        arguments.table,
        to=arguments.to,
        dump=arguments.dump,
        upstream=warehouse_of(arguments, arguments.upstream) if arguments.upstream else None,
        form=arguments.format,
        n_files=arguments.files,
        storage_options=storage_options_of(arguments),
        is_quiet=arguments.quiet,
    )
    return done, format_export(done)


def _thresholds(arguments: argparse.Namespace) -> tuple[Any, str]:
    from dclm_spark.reports.thresholds import Reference, derive_recipe, format_thresholds

    reference = Reference(
        languages=tuple(arguments.languages),
        dumps=tuple(arguments.dump),
        method=arguments.method,
        tail=arguments.tail,
        stop_word_share=arguments.stop_word_share,
        min_pages=arguments.min_pages,
    )
    out = Path(arguments.out)
    if not out.parent.is_dir():
        raise InputError([f"no folder {out.parent} for {out}"])
    derived, entries = derive_recipe(
        warehouse_of(arguments, arguments.warehouse), recipe_of(arguments), reference, name=arguments.name or out.stem
    )
    loaded = json.loads(as_json.canonical_json(derived, is_whole=True))
    out.write_text(json.dumps(loaded, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return entries, format_thresholds(derived, entries)


def _clusters(arguments: argparse.Namespace) -> tuple[Any, str]:
    return clusters.answer(arguments, lambda location: warehouse_of(arguments, location))


def _dedup(arguments: argparse.Namespace) -> tuple[Any, str]:
    return dedup.answer(
        arguments,
        lambda location: warehouse_of(arguments, location),
        lambda: recipe_of(arguments, finds_near=True),
    )


def _maintain(arguments: argparse.Namespace) -> tuple[Any, str]:
    from dclm_spark.lake.maintenance import maintain

    done = maintain(warehouse_of(arguments, arguments.warehouse), retain_hours=arguments.retain_hours)
    lines = [
        f"{entry['table']:<12}{entry['n_files_removed']:>8,} files -> {entry['n_files_added']:,}, "
        f"versions of the last {entry['retained_hours']:,} hours kept"
        for entry in done
    ]
    return done, "\n".join(lines) or "no tables yet"


def _show_recipe(arguments: argparse.Namespace) -> tuple[Any, str]:
    names = arguments.names or [arguments.recipe]
    expected = 1 if arguments.action == "show" else 2
    if len(names) != expected:
        raise InputError(
            [f"recipe {arguments.action} takes {expected} of them, found {len(names)}: {', '.join(names)}"]
        )
    found = [recipe_of(arguments, name) for name in names]
    refuse_recipe([problem for recipe in found for problem in recipe.problems()])
    if arguments.action == "diff":
        rows = as_json.differences(*found)
        answer = [dict(zip(("field", "one", "other"), row, strict=True)) for row in rows]
        lines = [f"{field}: {json.dumps(one)} -> {json.dumps(other)}" for field, one, other in rows]
        return answer, "\n".join(lines) or "the same"
    loaded = json.loads(as_json.canonical_json(found[0], is_whole=True))
    return loaded, json.dumps(loaded, indent=2, ensure_ascii=False)


_COMMANDS = {
    "run": stages.run,
    **dict.fromkeys(STAGES, stages.make_one),
    "dedup": _dedup,
    "lsh": _lsh,
    "funnel": _funnel,
    "explain": _explain,
    "clusters": _clusters,
    "export": _export,
    "thresholds": _thresholds,
    "maintain": _maintain,
    "recipe": _show_recipe,
}

# Of these the same command goes on where it was, or has done a part for good.
_MAKING = {*_COMMANDS} - {"lsh", "funnel", "explain", "clusters", "export", "thresholds", "recipe"}
