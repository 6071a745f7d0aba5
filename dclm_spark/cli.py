"""`dclm-spark COMMAND`: the jobs, the funnel and the explanations from one entry point."""

import argparse
import json
import math
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dclm_spark import clusters_command, dedup_command, lsh_command, recipe_json, stage_commands
from dclm_spark.arguments import make_parser
from dclm_spark.asked import recipe_of, storage_options_of, warehouse_of
from dclm_spark.errors import DclmError, FaultLimitError, InputError, refuse_recipe, spark_failure
from dclm_spark.terminal import Coloured, shown, shown_json

EXIT_SPARK = 1
EXIT_USAGE = 2
EXIT_FAULTS = 3
EXIT_INTERRUPTED = 130  # as shells have it


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit status.

    0; 1 if Spark failed, 2 for an error of the user's, 3 for faults above the limit. With `DCLM_SPARK_TRACE` set, what
    Spark raises passes through.
    """
    arguments = make_parser(_COMMANDS).parse_args(argv)
    try:
        answer, words = arguments.command(arguments)
    except FaultLimitError as error:
        print(f"dclm-spark: {shown(str(error))}", file=sys.stderr)
        return EXIT_FAULTS
    except DclmError as error:
        for line in shown(str(error)).split("\n"):
            print(f"dclm-spark: {line}", file=sys.stderr)
        return EXIT_USAGE
    except KeyboardInterrupt:
        print("dclm-spark: interrupted; the same command goes on from here", file=sys.stderr)
        return EXIT_INTERRUPTED
    except Exception as error:
        reason = spark_failure(error)
        if reason is None or os.environ.get("DCLM_SPARK_TRACE"):
            raise
        print(f"dclm-spark: Spark failed: {shown(reason)}", file=sys.stderr)
        print(
            "dclm-spark: what is written is safe, the same command goes on from here; "
            "DCLM_SPARK_TRACE=1 shows all that Spark said",
            file=sys.stderr,
        )
        return EXIT_SPARK
    try:
        if arguments.json or words:
            said = words if isinstance(words, Coloured) else shown(words)
            print(_json(answer) if arguments.json else said, flush=True)
    except BrokenPipeError:
        # Whoever reads has seen enough, as `head` does; the interpreter's last flush must not fail either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _json(answer: Any) -> str:
    """An answer as JSON; a number without end, which JSON cannot hold, as the text "inf"."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(entry) for key, entry in value.items()}
        if isinstance(value, list):
            return [plain(entry) for entry in value]
        return str(value) if isinstance(value, float) and not math.isfinite(value) else value

    return shown_json(json.dumps(plain(answer), default=str, ensure_ascii=False))


# -- commands: each returns its answer as data, and as words ----------------------------------------------------------


def _lsh(arguments: argparse.Namespace) -> tuple[Any, str]:
    return lsh_command.show(recipe_of(arguments, finds_near=True).signatures, plot=arguments.plot)


def _funnel(arguments: argparse.Namespace) -> tuple[Any, str]:
    from dclm_spark.funnel import count_funnel, format_funnel

    upstream = warehouse_of(arguments, arguments.upstream) if arguments.upstream else None
    if arguments.what_if:
        from dclm_spark.what_if import count_what_if, format_what_if

        warehouse = warehouse_of(arguments, arguments.warehouse)
        entries = count_what_if(warehouse, arguments.what_if, dump=arguments.dump, upstream=upstream)
        return entries, format_what_if(entries)
    entries = count_funnel(warehouse_of(arguments, arguments.warehouse), dump=arguments.dump, upstream=upstream)
    return entries, format_funnel(entries)


def _explain(arguments: argparse.Namespace) -> tuple[Any, str]:
    from dclm_spark.explain import explain_html, format_explanation

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
        from dclm_spark.lookup import explain_page

        upstream = warehouse_of(arguments, arguments.upstream) if arguments.upstream else None
        found = explain_page(warehouse_of(arguments, arguments.warehouse), page, upstream=upstream)
    return found, "\n\n".join(map(format_explanation, found))


def _export(arguments: argparse.Namespace) -> tuple[Any, str]:
    from dclm_spark.export import export_table, format_export

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
    from dclm_spark.thresholds import Reference, derive_recipe, format_thresholds

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
    loaded = json.loads(recipe_json.canonical_json(derived, is_whole=True))
    out.write_text(json.dumps(loaded, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return entries, format_thresholds(derived, entries)


def _clusters(arguments: argparse.Namespace) -> tuple[Any, str]:
    return clusters_command.answer(arguments, lambda location: warehouse_of(arguments, location))


def _dedup(arguments: argparse.Namespace) -> tuple[Any, str]:
    return dedup_command.answer(
        arguments,
        lambda location: warehouse_of(arguments, location),
        lambda: recipe_of(arguments, finds_near=True),
    )


def _maintain(arguments: argparse.Namespace) -> tuple[Any, str]:
    from dclm_spark.maintain import maintain

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
        rows = recipe_json.differences(*found)
        answer = [dict(zip(("field", "one", "other"), row, strict=True)) for row in rows]
        lines = [f"{field}: {json.dumps(one)} -> {json.dumps(other)}" for field, one, other in rows]
        return answer, "\n".join(lines) or "the same"
    loaded = json.loads(recipe_json.canonical_json(found[0], is_whole=True))
    return loaded, json.dumps(loaded, indent=2, ensure_ascii=False)


_COMMANDS = {
    "run": stage_commands.run,
    "documents": stage_commands.make_one,
    "annotated": stage_commands.make_one,
    "filtered": stage_commands.make_one,
    "signatures": stage_commands.make_one,
    "duplicates": stage_commands.make_one,
    "deduplicated": stage_commands.make_one,
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
