"""The house rules that a reader of one file cannot see: forbidden reaches, names, and what belongs to what."""

import ast
import inspect
import re
from importlib import import_module
from pathlib import Path

import pyarrow as pa

import dclm_spark
from dclm_spark import schemas
from dclm_spark.pipeline.registry import STAGES
from dclm_spark.recipe import as_json, builtin

PACKAGE = Path(dclm_spark.__file__).parent
TREES = {str(path.relative_to(PACKAGE)): ast.parse(path.read_text()) for path in sorted(PACKAGE.rglob("*.py"))}
ROOT = PACKAGE.parent

# Each breaks Spark Connect, determinism, or both.
FORBIDDEN = re.compile(
    r"\.rdd\b|\bsparkContext\b|\._jvm\b|\._jdf\b|monotonically_increasing_id|\bF\.rand\(|\bF\.randn\(|(?<![\w.])hash\("
)
# Rows come to the driver only where a ledger, a report or one page is read.
MAY_COLLECT = {
    "exports/pools.py",
    "lake/finished.py",
    "lake/maintenance.py",
    "lake/missing.py",
    "lake/runs.py",
    "lake/unread_files.py",
    "pipeline/batches.py",
    "pipeline/groups.py",
    "pipeline/ingest_plan.py",
    "pipeline/methods/bloom.py",
    "pipeline/methods/plan.py",
    "pipeline/methods/stored_filter.py",
    "reports/cluster_page.py",
    "reports/clusters.py",
    "reports/funnel.py",
    "reports/page.py",
    "reports/survey.py",
    "reports/thresholds.py",
    "reports/what_if.py",
}
NUMBERS = re.compile(
    r"(n|frac|mean|p|score|max|min)_|.*_(bytes|chars|per_word|per_token|offset|hash)$|position$|batch$|http_status$"
)


def test_no_forbidden_reach():
    for name, tree in TREES.items():
        code = ast.unparse(tree)  # without comments
        assert not FORBIDDEN.search(code), name
        assert name in MAY_COLLECT or not re.search(r"\.collect\(\)|\.toPandas\(\)", code), name
    assert TREES.keys() >= MAY_COLLECT


def test_every_module_says_what_it_is():
    for name, tree in TREES.items():
        assert not tree.body or ast.get_docstring(tree), f"{name} does not begin with a sentence that says what it is"


def test_every_module_can_be_imported():
    """Many are imported by one command alone, when it is given."""
    for name in TREES:
        if not name.endswith("__main__.py"):
            import_module(".".join(("dclm_spark", *Path(name).with_suffix("").parts)).removesuffix(".__init__"))


def test_kernels_have_names_of_their_own():
    """Numba names the files of its cache by a module's base name, a function and its line."""
    names = [name.rpartition("/")[2] for name in TREES if name.startswith("kernels/")]
    assert {name for name in names if names.count(name) > 1} == {"__init__.py"}


def test_a_table_a_stage_a_job_and_a_test_share_one_name():
    for table in STAGES:
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
    for name, recipe in builtin.RECIPES.items():
        assert recipe.name == name
        assert recipe.problems() == []
        assert as_json.from_json(as_json.canonical_json(recipe)) == recipe


def test_importing_the_package_imports_nothing_heavy():
    import subprocess
    import sys

    code = "import sys, dclm_spark; print([m for m in ('pyspark', 'pyarrow', 'numba', 'fsspec') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_public_names_exist():
    for name in dclm_spark.__all__:
        assert getattr(dclm_spark, name) is not None


def test_modules_that_docstrings_name_are_there():
    """`kernels.ROOM.MODULE`, perhaps with a name of it, in the text of any module."""
    for name in TREES:
        for found in re.findall(r"`kernels\.([a-z_0-9.]+)", (PACKAGE / name).read_text()):
            room, _, rest = found.partition(".")
            module = rest.partition(".")[0]
            assert f"kernels/{room}/{module}.py" in TREES, f"{name} speaks of kernels.{found}"


def test_a_type_checker_sees_what_python_does():
    (typed,) = (node for node in TREES["__init__.py"].body if isinstance(node, ast.If))
    homes = {alias.name: node.module for node in typed.body for alias in node.names}
    assert homes == {name: f"dclm_spark.{home}" for name, home in dclm_spark._HOMES.items()}
    assert set(dclm_spark.__all__) == homes.keys()


def test_the_help_of_a_verb_fits_a_screen():
    for name in dclm_spark.__all__:
        verb = getattr(dclm_spark, name)
        if inspect.isfunction(verb):
            assert len(str(inspect.signature(verb))) < 500, name


def test_programs_that_the_benchmarks_run_are_there():
    """The goals start other modules of `benchmarks` by name."""
    named = [
        f"benchmarks.{call.args[0].value}"
        for path in (ROOT / "benchmarks" / "goals").glob("*.py")
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Name)
        and call.func.id == "run"
        and isinstance(call.args[0], ast.Constant)
    ]
    assert len(named) > 5
    for name in named:
        assert (ROOT / f"{name.replace('.', '/')}.py").is_file(), name
