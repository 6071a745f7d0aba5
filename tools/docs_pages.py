"""Makes the pages of tables, commands and the API from the code, while mkdocs builds the site (a hook of mkdocs.yml).

Run by itself it prints one page: `python -m tools.docs_pages tables`.
"""

import argparse
import importlib
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))  # mkdocs loads this file by its path

import dclm_spark  # noqa: E402
from dclm_spark import schemas  # noqa: E402

# -- tables ----------------------------------------------------------------------------------------------------------


def tables_page() -> str:
    """Markdown of all tables and signal groups: each column's name, type and comment."""
    lines = [
        "# Tables",
        "",
        "This page lists every column of every table. It is made from `dclm_spark/schemas.py`.",
        "",
        "Delta tables are partitioned by `dump`, ledgers by `dump` and `stage`. Columns in **bold** are never null.",
        "",
    ]
    for table, schema in schemas.TABLES.items():
        lines += [f"## {table}", "", schemas.DESCRIPTIONS[table], "", *_columns(schema), ""]
    lines += ["## Signal groups", "", "The structs of `annotated`. A bound reads them as `quality.n_words`.", ""]
    for group, struct in schemas.SIGNAL_GROUPS.items():
        lines += [f"### Signals: {group}", "", schemas.SIGNAL_DESCRIPTIONS[group], "", *_columns(struct), ""]
    return "\n".join(lines)


def _columns(fields: Any) -> Iterator[str]:
    yield "| column | type | |"
    yield "|---|---|---|"
    for field in fields:
        shown = f"`{field.name}`" if field.nullable else f"**`{field.name}`**"
        yield f"| {shown} | {_type(field.type)} | {_cell(_comment(field))} |"


def _comment(field: pa.Field) -> str:
    return (field.metadata or {}).get(b"comment", b"").decode()


def _type(type_: pa.DataType) -> str:
    if type_ in schemas.SIGNAL_GROUPS.values():
        group = next(group for group, struct in schemas.SIGNAL_GROUPS.items() if struct == type_)
        return f"[signals: {group}](#signals-{group})"
    if pa.types.is_struct(type_):
        return "struct of " + ", ".join(f"`{field.name}` {_type(field.type)}" for field in type_)
    if pa.types.is_list(type_):
        return f"list of {_type(type_.value_type)}"
    if pa.types.is_map(type_):
        return f"map of {_type(type_.key_type)} to {_type(type_.item_type)}"
    return "timestamp, UTC" if pa.types.is_timestamp(type_) else str(type_)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


# -- commands --------------------------------------------------------------------------------------------------------


def commands_page() -> str:
    """Markdown of all commands: what each does, its options, and its examples."""
    parser = _parser()
    lines = [
        "# Commands",
        "",
        "This page lists every command and option. It is made from the parsers of `dclm-spark`.",
        "",
    ]
    lines += [
        "```text",
        (parser.description or "").rstrip(),
        "```",
        "",
        "```text",
        (parser.epilog or "").rstrip(),
        "```",
        "",
    ]
    for name, command in _commands(parser).items():
        lines += [f"## {name}", "", _escaped(command.description or ""), ""]
        if command.epilog:
            lines += ["```text", command.epilog.rstrip(), "```", ""]
        lines += [*_options(command), ""]
    return "\n".join(lines)


def _parser() -> argparse.ArgumentParser:
    from dclm_spark.cli import main

    return main.make_parser()


def _commands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    return next(action.choices for action in parser._actions if isinstance(action, argparse._SubParsersAction))


def _options(command: argparse.ArgumentParser) -> Iterator[str]:
    for group in command._action_groups:
        actions = [action for action in group._group_actions if not isinstance(action, argparse._HelpAction)]
        if not actions:
            continue
        yield from ("", "| " + _escaped(group.title or "options") + " | |", "|---|---|")
        for action in actions:
            names = ", ".join(action.option_strings) or str(action.metavar or action.dest)
            value = "" if action.nargs == 0 or not action.option_strings else f" {_metavar(action)}"
            said = command._get_formatter()._expand_help(action) if action.help else ""
            yield f"| `{names}{value}` | {_escaped(said)} |"


def _metavar(action: argparse.Action) -> str:
    named = "{" + ",".join(map(str, action.choices)) + "}" if action.choices else action.dest.upper()
    return str(action.metavar or named) + (" ..." if action.nargs in ("+", "*") else "")


def _escaped(text: str) -> str:
    return re.sub(r"([|*_<>\[\]])", r"\\\1", text)


# -- API -------------------------------------------------------------------------------------------------------------


def api_page() -> str:
    """Markdown of the public names, each as a directive of mkdocstrings."""
    public = {name: getattr(dclm_spark, name) for name in dclm_spark.__all__}
    functions = [name for name, value in public.items() if inspect.isfunction(value)]
    classes = [name for name, value in public.items() if inspect.isclass(value)]
    values = [name for name in public if name not in functions and name not in classes]
    lines = [
        "# API",
        "",
        "These are the public names of the package: `import dclm_spark as dclm`, then `dclm.annotate`.",
        "",
    ]
    for title, names in (("Functions", functions), ("Classes", classes)):
        lines += [f"## {title}", ""]
        for name in names:
            lines += [f"::: {public[name].__module__}.{public[name].__qualname__}", ""]
    lines += ["## Values", ""]
    for name in values:
        kind = type(public[name]).__name__
        lines += [f"- `{name}`: {'the built-in recipes by name' if kind == 'dict' else f'a `{kind}`'}"]
    return "\n".join([*lines, ""])


# -- hook ------------------------------------------------------------------------------------------------------------


def contributing_page() -> str:
    """CONTRIBUTING.md, as a page of the site."""
    return (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


PAGES = {
    "reference/tables.md": tables_page,
    "reference/commands.md": commands_page,
    "reference/api.md": api_page,
    "contributing.md": contributing_page,
}


def on_files(files: Any, config: Any) -> Any:
    """Adds the made pages to those of the folder `docs`, before mkdocs reads any."""
    generated = importlib.import_module("mkdocs.structure.files").File.generated
    for path, make in PAGES.items():
        files.append(generated(config, path, content=make()))
    return files


if __name__ == "__main__":
    print(next(make for path, make in PAGES.items() if Path(path).stem == sys.argv[1])())
