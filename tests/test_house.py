"""The house rules that a reader of one file cannot see: forbidden reaches, names, and what belongs to what."""

import ast
import re
from pathlib import Path

import pyarrow as pa
import pytest

import dclm_spark
from dclm_spark import recipe_json, recipes, schemas

PACKAGE = Path(dclm_spark.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))
ROOT = PACKAGE.parent

# Each breaks Spark Connect, determinism, or both.
FORBIDDEN = re.compile(
    r"\.rdd\b|\bsparkContext\b|\._jvm\b|\._jdf\b|monotonically_increasing_id|\bF\.rand\(|\bF\.randn\(|(?<![\w.])hash\("
)
# Rows come to the driver only where a ledger, a report or one page is read.
MAY_COLLECT = {
    "ingest.py",
    "reading.py",
    "runs.py",
    "funnel.py",
    "unread_files.py",
    "lookup.py",
    "maintain.py",
    "missing.py",
    "export.py",
    "what_if.py",
    "thresholds.py",
    "near_chain.py",
    "dedup_chain.py",
    "dedup_plan.py",
    "ngram_step.py",
    "stored_filter.py",
    "clusters.py",
    "cluster_pages.py",
    "places.py",
    "dedup_survey.py",
}
NUMBERS = re.compile(
    r"(n|frac|mean|p|score|max|min)_|.*_(bytes|chars|per_word|per_token|offset|hash)$|position$|batch$|http_status$"
)


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_forbidden_reach(module):
    code = ast.unparse(ast.parse(module.read_text()))  # without comments
    assert not FORBIDDEN.search(code)
    if module.name not in MAY_COLLECT:
        assert not re.search(r"\.collect\(\)|\.toPandas\(\)", code)


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_every_module_says_what_it_is(module):
    tree = ast.parse(module.read_text())
    if tree.body:
        assert ast.get_docstring(tree), "a module begins with one sentence that says what it is"


def test_a_table_a_stage_a_job_and_a_test_share_one_name():
    for table in schemas.FLOW:
        assert table in schemas.TABLES
        assert (PACKAGE / "stages" / f"{table}.py").is_file()
        assert (ROOT / "jobs" / f"{table}.py").is_file()
        assert (ROOT / "tests" / "stages" / f"test_{table}.py").is_file()


def test_field_names_say_their_unit():
    for schema in schemas.TABLES.values():
        for field in schema:
            assert field.name == field.name.lower()
            if pa.types.is_timestamp(field.type):
                assert field.name.endswith("_at")
            if pa.types.is_boolean(field.type):
                assert field.name.startswith(("is_", "has_"))
    for signal in schemas.signals():
        assert NUMBERS.match(signal.split(".")[1]), signal


def test_every_table_has_its_partitions_first_class():
    for table, columns in schemas.PARTITIONS.items():
        for column in columns:
            assert not schemas.TABLES[table].field(column).nullable


def test_built_in_recipes_are_sound_and_survive_json():
    for name, recipe in recipes.RECIPES.items():
        assert recipe.name == name
        assert recipe.problems() == []
        assert recipe_json.from_json(recipe_json.canonical_json(recipe)) == recipe


def test_importing_the_package_imports_nothing_heavy():
    import subprocess
    import sys

    code = "import sys, dclm_spark; print([m for m in ('pyspark', 'pyarrow', 'numba', 'fsspec') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_public_names_exist():
    for name in dclm_spark.__all__:
        assert getattr(dclm_spark, name) is not None
