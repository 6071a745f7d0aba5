"""Defines the command `dclm-spark explain`, which shows what happened to one page in each stage."""

import argparse
from pathlib import Path
from typing import Any

from dclm_spark.cli import options
from dclm_spark.cli.resolve import recipe_of, upstream_of, warehouse_of
from dclm_spark.errors import InputError

NAME = "explain"
HELP = "show what happened to one page in each stage: its signals with their bounds"
EXAMPLES = """\
Examples:
  dclm-spark explain --warehouse lake https://example.org/page
  dclm-spark explain --html page.html --url https://example.org/page --recipe mine.json
"""
CONTINUES = False


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds the page and its source: a warehouse, or an html file."""
    options.recipe_options(parser)
    options.session_options(parser)
    parser.add_argument("page", nargs="?", help="the page's URL as crawled, or its doc_id")
    parser.add_argument("--warehouse", help="the warehouse of its tables: a folder, or catalog.schema")
    parser.add_argument("--upstream", help="another warehouse, for tables that --warehouse does not hold")
    parser.add_argument("--html", help="explain an html file instead, without a warehouse")
    parser.add_argument("--url", help="the URL of the page in --html")


def answer(arguments: argparse.Namespace) -> tuple[Any, str]:
    """Returns the explanations of a page, as data and as text."""
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

        upstream = upstream_of(arguments)
        found = explain_page(warehouse_of(arguments, arguments.warehouse), page, upstream=upstream)
    return found, "\n\n".join(map(format_explanation, found))
