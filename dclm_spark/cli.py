"""`dclm-spark COMMAND`: the jobs, the funnel and the explanations from one entry point."""

import argparse
import dataclasses
import json
import math
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dclm_spark import clusters_command, lsh_command, recipe_files, recipe_json
from dclm_spark.arguments import make_parser
from dclm_spark.errors import DclmError, FaultLimitError, InputError, spark_failure
from dclm_spark.recipe import Recipe

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
        print(f"dclm-spark: {error}", file=sys.stderr)
        return EXIT_FAULTS
    except DclmError as error:
        for line in str(error).splitlines():
            print(f"dclm-spark: {line}", file=sys.stderr)
        return EXIT_USAGE
    except KeyboardInterrupt:
        print("dclm-spark: interrupted; the same command goes on from here", file=sys.stderr)
        return EXIT_INTERRUPTED
    except Exception as error:
        reason = spark_failure(error)
        if reason is None or os.environ.get("DCLM_SPARK_TRACE"):
            raise
        print(f"dclm-spark: Spark failed: {reason}", file=sys.stderr)
        print(
            "dclm-spark: what is written is safe, the same command goes on from here; "
            "DCLM_SPARK_TRACE=1 shows all that Spark said",
            file=sys.stderr,
        )
        return EXIT_SPARK
    try:
        if arguments.json or words:
            print(_json(answer) if arguments.json else words, flush=True)
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

    return json.dumps(plain(answer), default=str, ensure_ascii=False)


# -- commands: each returns its answer as data, and as words ----------------------------------------------------------


def _run(arguments: argparse.Namespace) -> tuple[Any, str]:
    recipe = _recipe(arguments)
    stages = ("documents", "annotated", "filtered")
    if recipe.duplicates is not None:
        # All at once takes dumps that are not there yet.
        stages += ("signatures",) if recipe.duplicates.scope == "all" else ("signatures", "duplicates", "deduplicated")
    if not arguments.input:
        if not arguments.upstream:
            raise InputError(["nothing to read: give --input, or --upstream with a warehouse that holds the documents"])
        stages = stages[1:]
    return _make(arguments, recipe, stages)


def _stage(arguments: argparse.Namespace) -> tuple[Any, str]:
    is_near = arguments.stage in ("signatures", "duplicates", "deduplicated")
    return _make(arguments, _recipe(arguments, finds_near=is_near), (arguments.stage,))


def _make(arguments: argparse.Namespace, recipe: Recipe, stages: Sequence[str]) -> tuple[Any, str]:
    from dclm_spark import chain, near_chain
    from dclm_spark.ingest import Source

    dumps = arguments.dump if isinstance(arguments.dump, list) else [arguments.dump]
    job = chain.Job(
        warehouse=_warehouse(arguments, arguments.warehouse),
        dump=dumps[0],
        recipe=recipe,
        upstream=_warehouse(arguments, arguments.upstream) if arguments.upstream else None,
        is_forced=arguments.force,
        is_quiet=arguments.quiet,
    )

    def make_documents(job: chain.Job) -> chain.Outcome:
        source = Source(arguments.input, arguments.base_url, _storage_options(arguments))
        return chain.make_documents(job, source, batch_files=arguments.batch_files, restart=arguments.restart)

    makers = {
        "documents": make_documents,
        "annotated": chain.make_annotated,
        "filtered": chain.make_filtered,
        "signatures": near_chain.make_signatures,
        "duplicates": lambda job: near_chain.make_duplicates(job, dumps),
        "deduplicated": near_chain.make_deduplicated,
    }
    forced = chain.forced_stages(job, stages) if arguments.force else set()
    outcomes = []
    for stage in stages:
        if stage == "signatures" and not arguments.json and not arguments.quiet:
            print(lsh_command.curve(recipe.signatures), file=sys.stderr)
        made = makers[stage](dataclasses.replace(job, is_forced=stage in forced))
        for outcome in made if isinstance(made, list) else [made]:
            outcomes.append(outcome)
            if not arguments.json:
                print(_sentence(outcome), file=sys.stderr)
    words = ""
    if {"filtered", "deduplicated"} & set(stages):
        from dclm_spark.funnel import count_funnel, format_funnel

        words = format_funnel(count_funnel(job.warehouse, dump=job.dump, upstream=job.upstream))
    return [{**outcome.run, "is_new": outcome.is_new} for outcome in outcomes], words


def _lsh(arguments: argparse.Namespace) -> tuple[Any, str]:
    return lsh_command.show(_recipe(arguments, finds_near=True).signatures, plot=arguments.plot)


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
    if arguments.what_if:
        from dclm_spark.what_if import count_what_if, format_what_if

        warehouse = _warehouse(arguments, arguments.warehouse)
        entries = count_what_if(warehouse, arguments.what_if, dump=arguments.dump, upstream=upstream)
        return entries, format_what_if(entries)
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


def _export(arguments: argparse.Namespace) -> tuple[Any, str]:
    from dclm_spark.export import export_table, format_export

    done = export_table(
        _warehouse(arguments, arguments.warehouse),
        arguments.table,
        to=arguments.to,
        dump=arguments.dump,
        upstream=_warehouse(arguments, arguments.upstream) if arguments.upstream else None,
        form=arguments.format,
        n_files=arguments.files,
        storage_options=_storage_options(arguments),
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
        _warehouse(arguments, arguments.warehouse), _recipe(arguments), reference, name=arguments.name or out.stem
    )
    loaded = json.loads(recipe_json.canonical_json(derived))
    out.write_text(json.dumps(loaded, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return entries, format_thresholds(derived, entries)


def _clusters(arguments: argparse.Namespace) -> tuple[Any, str]:
    return clusters_command.answer(arguments, lambda location: _warehouse(arguments, location))


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
    names = arguments.names or [arguments.recipe]
    expected = 1 if arguments.action == "show" else 2
    if len(names) != expected:
        raise InputError(
            [f"recipe {arguments.action} takes {expected} of them, found {len(names)}: {', '.join(names)}"]
        )
    found = [_recipe(arguments, name) for name in names]
    if arguments.action == "diff":
        rows = recipe_json.differences(*found)
        answer = [dict(zip(("field", "one", "other"), row, strict=True)) for row in rows]
        lines = [f"{field}: {json.dumps(one)} -> {json.dumps(other)}" for field, one, other in rows]
        return answer, "\n".join(lines) or "the same"
    loaded = json.loads(recipe_json.canonical_json(found[0]))
    return loaded, json.dumps(loaded, indent=2, ensure_ascii=False)


# -- what the options mean --------------------------------------------------------------------------------------------


def _warehouse(arguments: argparse.Namespace, location: str):
    from dclm_spark.session import get_session
    from dclm_spark.tables import Warehouse

    config = dict(_pairs(arguments.conf, "--conf"))
    return Warehouse(get_session(master=arguments.master, remote=arguments.remote, config=config), location)


def _recipe(arguments: argparse.Namespace, name: str | None = None, *, finds_near: bool = False) -> Recipe:
    return recipe_files.load_recipe(
        name or arguments.recipe,
        words={kind: getattr(arguments, kind) for kind in ("strict_words", "hard_words", "soft_words", "bad_words")},
        banned_domains=arguments.banned_domains,
        language_model=arguments.language_model,
        extractor=arguments.extractor,
        max_fault_share=arguments.max_fault_share,
        all_signals=arguments.all_signals,
        near=lsh_command.near_fields(arguments),
        finds_near=finds_near,
    )


def _storage_options(arguments: argparse.Namespace) -> dict[str, Any]:
    options: dict[str, Any] = dict(_pairs(arguments.storage_option, "--storage-option"))
    options = {key: {"true": True, "false": False}.get(value.lower(), value) for key, value in options.items()}
    return options | ({"anon": True} if arguments.anonymous else {})


def _pairs(values: Sequence[str], option: str) -> list[tuple[str, str]]:
    wrong = [value for value in values if "=" not in value]
    if wrong:
        raise InputError([f"{option} {value!r}: expected KEY=VALUE" for value in wrong])
    return [tuple(value.split("=", 1)) for value in values]  # type: ignore[misc]


_COMMANDS = {
    "run": _run,
    "documents": _stage,
    "annotated": _stage,
    "filtered": _stage,
    "signatures": _stage,
    "duplicates": _stage,
    "deduplicated": _stage,
    "lsh": _lsh,
    "funnel": _funnel,
    "explain": _explain,
    "clusters": _clusters,
    "export": _export,
    "thresholds": _thresholds,
    "maintain": _maintain,
    "recipe": _show_recipe,
}
