"""`docs/add-a-dedup-method.md` is true: its changes, made to a copy of the package, give the method it speaks of."""

import re

import pytest

from tests.support.archives import english_pages, write_warc
from tests.support.guides import dclm, follow, read_guide

GUIDE = read_guide("add-a-dedup-method.md")
CHANGED = [
    "dclm_spark/recipe/deduplication.py",
    "dclm_spark/stages/first_lines.py",
    "dclm_spark/pipeline/methods/first_line.py",
    "dclm_spark/pipeline/methods/__init__.py",
]


@pytest.fixture
def copy(tmp_path):
    """A folder with the package, as the guide leaves it."""
    assert follow(GUIDE, tmp_path) == CHANGED
    return tmp_path


def test_the_command_line_knows_the_method(copy):
    shown = " ".join(dclm(copy, "deduplicated", "--help").stdout.split())
    assert "bloom (n-grams), first_line (the same first line)" in shown


@pytest.mark.slow
def test_the_method_removes_documents_with_its_reason(copy):
    pages = english_pages(8)
    title = b"<p>Opening hours of the harbour museum, and how to get there by tram and on foot</p>"
    pages[:4] = [(url, page.replace(b"<p>", title + b"<p>", 1)) for url, page in pages[:4]]
    write_warc(copy / "warc" / "pages.warc.gz", pages)
    commands, shown = re.search(r"```text\n((?:\$ .*\n)+)(.*)\n```", GUIDE).groups()
    for command in re.findall(r"\$ dclm-spark (.*)", commands):
        done = dclm(copy, *command.split())
    assert shown in done.stdout.splitlines(), done.stdout
