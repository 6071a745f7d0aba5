"""The command `dclm-spark explain`: one page's way through the chain."""

import argparse
from pathlib import Path
from typing import Any

from dclm_spark.cli import options
from dclm_spark.cli.resolve import recipe_of, upstream_of, warehouse_of
from dclm_spark.errors import InputError

NAME = "explain"
HELP = "show one page's way through the chain: each signal beside its bound"
EXAMPLES = """\
Examples:
  dclm-spark explain --warehouse lake https://example.org/page
  dclm-spark explain --html page.html --url https://example.org/page --recipe mine.json
"""
GOES_ON = False


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds the page, and where it lies: in a warehouse, or in an html file."""
    options.recipe_options(parser)
    options.session_options(parser)
    parser.add_argument("page", nargs="?", help="its URL as the crawl wrote it, or its doc_id")
    parser.add_argument("--warehouse", help="where its tables are: a folder, or catalog.schema")
    parser.add_argument("--upstream", help="the warehouse that lends the tables which --warehouse does not hold")
    parser.add_argument("--html", help="an html file: a page in hand, no warehouse needed")
    parser.add_argument("--url", help="the URL of the page in --html")


def answer(arguments: argparse.Namespace) -> tuple[Any, str]:
    """The explanations of a page, as data and as words."""
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
