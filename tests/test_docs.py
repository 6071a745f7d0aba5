"""The pages in `docs` are true: their blocks run as written, their links lead somewhere, and the changes that
`docs/add-a-signal.md` shows, made to a copy of the package, give the signal it speaks of."""

import re

import pytest

import dclm_spark
from dclm_spark import schemas
from tests.support.archives import ENGLISH, html
from tests.support.blocks import MARKS, ROOT, Runner, blocks_of, check_page
from tests.support.guides import dclm, follow, read_guide
from tools import docs_pages

PAGES = sorted((ROOT / "docs").glob("*.md"))
GUIDE = read_guide("add-a-signal.md")


@pytest.mark.parametrize("guide", ["add-a-signal.md", "add-a-stage.md", "add-a-dedup-method.md"])
def test_the_changes_of_a_guide_fit_the_code_as_it_stands(guide, tmp_path):
    assert follow(read_guide(guide), tmp_path)


@pytest.mark.slow
def test_a_signal_takes_one_kernel_one_schema_line_and_one_bound(tmp_path):
    changed = follow(GUIDE, tmp_path)
    assert changed == ["dclm_spark/kernels/signals/quality.py", "dclm_spark/schemas.py", "dclm_spark/recipe/builtin.py"]
    shouted = "! ".join(reversed(ENGLISH.split()[:25]))  # in an order that repeats no phrase of the text
    (tmp_path / "page.html").write_bytes(html(f"<p>{ENGLISH}</p><p>{shouted}</p>"))
    asked, shown = re.search(r"\$ dclm-spark (explain --html page.html .*?)\n(.*?)\n```", GUIDE, re.DOTALL).groups()
    done = dclm(tmp_path, *asked.split())
    assert shown in done.stdout.splitlines()


def test_every_mark_is_known():
    for page in PAGES:
        assert {block.mark for block in blocks_of(page)} <= MARKS, page.name


def test_links_lead_to_pages_of_the_site():
    for page in PAGES:
        for path in re.findall(r"\]\((?!https?:)([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
            assert (page.parent / path).exists() or path in docs_pages.PAGES, f"{page.name}: {path}"


def test_every_page_is_in_the_menu():
    menu = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    for path in [page.name for page in PAGES] + list(docs_pages.PAGES):
        assert f": {path}\n" in menu, path


def test_made_pages_have_every_table_command_and_public_name():
    tables, commands, api = docs_pages.tables_page(), docs_pages.commands_page(), docs_pages.api_page()
    assert set(re.findall(r"^## (\w+)$", tables, re.MULTILINE)) == set(schemas.TABLES)
    for table, schema in schemas.TABLES.items():
        section = tables.split(f"\n## {table}\n")[1].split("\n## ")[0]
        assert re.findall(r"^\| \*{0,2}`(\w+)`", section, re.MULTILINE) == schema.names
    assert "| |\n" not in tables.replace("| | |\n", "").replace("| type | |\n", "")  # every column has a comment
    assert {"run", "documents", "deduplicated", "funnel", "explain"} <= set(
        re.findall(r"^## ([\w-]+)$", commands, re.MULTILINE)
    )
    assert all(re.search(rf"[.`]{name}\b", api) for name in dclm_spark.__all__)


def test_the_map_names_every_room():
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rooms = [path.parent.name for path in (ROOT / "dclm_spark").glob("*/__init__.py")]
    assert rooms and all(f"`{room}/`" in page for room in rooms)


@pytest.mark.slow
def test_the_whole_funnel_is_what_the_demo_prints(demo):
    page = ROOT / "docs" / "results.md"
    shown = next(block.code for block in blocks_of(page) if block.mark == "output: make demo")
    assert demo.printed.strip() == shown.strip()


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if blocks_of(page)], ids=lambda page: page.stem)
def test_blocks_run_as_written(page, demo, spark, tmp_path, monkeypatch):
    check_page(page, Runner(demo.checkout(tmp_path), spark, monkeypatch))
