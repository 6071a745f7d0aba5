"""One content, however it was made: by spark-submit on a cluster, on local mode, over Spark Connect, by two at once."""

import json
import os
import subprocess
import sys
import textwrap
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pyspark.find_spark_home import _find_spark_home

from dclm_spark.pipeline.registry import STAGES
from dclm_spark.recipe.as_json import canonical_json
from dclm_spark.recipe.builtin import DCLM_BASELINE
from dclm_spark.recipe.deduplication import Bloom, Exact, Near
from dclm_spark.recipe.near_duplicates import MinHash, NearDuplicates
from dclm_spark.spark.jvm import resolve_jars
from dclm_spark.spark.session import DELTA_SETTINGS
from tests.support.archives import english_pages, write_warc
from tests.support.cluster import Cluster, standalone_cluster
from tests.support.commands import dclm
from tests.support.tables import COMPARED, NEAR, assert_balanced, assert_same, content, read

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
TABLES = (*COMPARED, *NEAR, "decisions")
DUMP, OTHER_DUMP = "CC-MAIN-2099-05", "CC-MAIN-2099-21"  # names that no page and no path holds
SECONDS = 900  # for one command on a machine that does much else
# A JVM that lives for seconds is best compiled lightly, and tables of a few rows need no spreading.
LIGHT_JAVA = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
SETTINGS = {
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.shuffle.partitions": "2",
    "spark.databricks.delta.snapshotPartitions": "1",
}

# The other jobs in one session, which then says for each task of a new stage where it found the package, and whether it
# found a kernel compiled.
REST = """
    import json
    import sys
    import pyarrow as pa
    from dclm_spark.cli.main import main
    from dclm_spark.pipeline.registry import STAGES
    from dclm_spark.spark.session import get_session

    for stage in list(STAGES)[1:]:
        assert main([stage, *sys.argv[1:]]) == 0

    def look(batches):
        import dclm_spark
        from dclm_spark.kernels.signals import quality

        for batch in batches:
            quality.measure_quality(pa.array(["The harbour of the old town."]), stop_words=("the",))
            stats = quality._measure_rows.stats
            found = [[dclm_spark.__file__], [sum(stats.cache_hits.values())], [sum(stats.cache_misses.values())]]
            yield pa.RecordBatch.from_arrays([pa.array(column) for column in found], ["file", "hits", "misses"])

    spark = get_session()
    rows = spark.range(0, 2, 1, 2).mapInArrow(look, "file string, hits long, misses long").collect()
    print(json.dumps([row.asDict() for row in rows]))
"""

# dclm-spark, but each write waits until another process is as far: whatever can meet, does.
IN_STEP = """
    import itertools, sys, time
    from pathlib import Path
    from dclm_spark.cli.main import main
    from dclm_spark.lake.warehouse import Warehouse

    folder, me, other, *command = sys.argv[1:]
    steps = itertools.count()

    def in_step(verb):
        original = getattr(Warehouse, verb)

        def call(self, *arguments, **options):
            step = next(steps)
            Path(folder, f"{me}-{step}").touch()
            deadline = time.monotonic() + 1800
            while not Path(folder, f"{other}-{step}").exists():
                assert time.monotonic() < deadline, f"{other} has never come to step {step}"
                time.sleep(0.002)
            return original(self, *arguments, **options)

        setattr(Warehouse, verb, call)

    for verb in ("prepare", "append", "replace"):
        in_step(verb)
    sys.exit(main(command))
"""


def environment(**more: str) -> dict[str, str]:
    """The variables of a user's shell; the checkout is on no path."""
    others = ("PYTHONPATH", "SPARK_REMOTE", "PYSPARK_GATEWAY_PORT", "SPARK_CONNECT_MODE_ENABLED", "SPARK_LOCAL_REMOTE")
    kept = {key: value for key, value in os.environ.items() if key not in others}
    return kept | {"PYSPARK_PYTHON": sys.executable, "JDK_JAVA_OPTIONS": LIGHT_JAVA} | more


def finished(process: subprocess.Popen) -> str:
    """What a process printed, once it has ended well."""
    try:
        out, err = process.communicate(timeout=SECONDS)
    finally:
        process.kill()
    assert process.returncode == 0, out + err
    return out


def started(command: list[str], folder: Path, **more: str) -> subprocess.Popen:
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=folder, env=environment(**more), stdout=pipe, stderr=pipe, text=True)


@pytest.fixture(scope="module")
def options(sample, tmp_path_factory) -> list[str]:
    """What to read: one small bundled file of each format, one that ends too early, and near-duplicates."""
    first, second = sample / "CC-MAIN-2022-05", sample / "CC-MAIN-2022-21"
    names = ("archive.arc.gz", "iana.warc.gz", "wikipedia.warc.gz", "wikipedia.warc.wet.gz")
    paths = [*(first / name for name in names), second / "docs-clipped.warc.gz"]
    paths.append(write_warc(tmp_path_factory.mktemp("near") / "near.warc.gz", english_pages(8)))
    return ["--batch-files", "3", "--max-fault-share", "1", "--input", *map(str, paths)]


@pytest.fixture(scope="module")
def recipe(tmp_path_factory) -> list[str]:
    """The default recipe with all methods that a dump can be deduplicated by, by itself."""
    methods = (Exact(), Near(), Bloom(min_ngram=5, max_ngram=5))
    chosen = replace(DCLM_BASELINE, signatures=MinHash(), duplicates=NearDuplicates(), deduplication=methods)
    path = tmp_path_factory.mktemp("recipe") / "all_methods.json"
    path.write_text(canonical_json(chosen), encoding="utf-8")
    return ["--recipe", str(path)]


@pytest.fixture(scope="module")
def dclm_spark(options, recipe):
    """Starts `dclm-spark run` as a process, from the checkout."""

    def start(folder: Path, *more: str, script: tuple[str, ...] = ("-m", "dclm_spark"), dump: str = DUMP):
        arguments = ["run", "--warehouse", str(folder / "lake"), "--dump", dump, "--quiet"]
        arguments += [*recipe, *options, *more]
        arguments += [f"--conf={key}={value}" for key, value in SETTINGS.items()]
        return started([sys.executable, *script, *arguments], folder, PYTHONPATH=str(ROOT))

    return start


@pytest.fixture(scope="module")
def local(spark, tmp_path_factory, options, recipe) -> dict[str, list[str]]:
    """The content that `dclm-spark run` makes on local mode, in this process."""
    lake = tmp_path_factory.mktemp("local") / "lake"
    said = dclm("run", "--warehouse", lake, "--dump", DUMP, "--quiet", *recipe, *options)
    assert said.status == 0, said.err
    assert_balanced(lake, DUMP)
    found = content(lake, TABLES)
    assert all(found.values()), "every table has rows to compare"
    return found


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JDK_JAVA_OPTIONS", LIGHT_JAVA)
        patch.delenv("PYTHONPATH", raising=False)
        with standalone_cluster() as running:
            yield running


@pytest.fixture(scope="module")
def submit(cluster, tmp_path_factory):
    """Runs a script by spark-submit on the cluster, from a folder that is not the checkout; the package is in a zip."""
    folder = tmp_path_factory.mktemp("submitted")
    package = folder / "dclm_spark.zip"
    with zipfile.ZipFile(package, "w") as archive:
        for path in sorted((ROOT / "dclm_spark").rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                archive.write(path, path.relative_to(ROOT))

    def run(script: Path, *arguments: str) -> str:
        command = [str(Path(_find_spark_home()) / "bin" / "spark-submit"), "--master", cluster.url]
        command += ["--py-files", str(package), "--jars", ",".join(map(str, resolve_jars()))]
        for key, value in (cluster.config | DELTA_SETTINGS | SETTINGS).items():
            command += ["--conf", f"{key}={value}"]
        return finished(started([*command, str(script), *arguments], folder))

    return run


def test_spark_submit_on_a_cluster(submit, options, recipe, local, tmp_path):
    lake = tmp_path / "lake"
    where = ["--warehouse", str(lake), "--dump", DUMP, "--quiet", *recipe]
    submit(ROOT / "jobs" / "documents.py", *where, *options)
    rest = tmp_path / "rest.py"
    rest.write_text(textwrap.dedent(REST))
    said = submit(rest, *where)
    assert_same(content(lake, TABLES), local)
    assert sorted(row["stage"] for row in read(lake, "runs")) == sorted(STAGES)

    for task in json.loads(said.splitlines()[-1]):
        assert "dclm_spark.zip" in task["file"], "a task has the package from where the driver sent it"
        assert (task["hits"], task["misses"]) == (1, 0), "`annotated` has left its kernels compiled"


def test_spark_connect(dclm_spark, local, tmp_path):
    finished(dclm_spark(tmp_path, "--remote", "local[2]"))
    assert_same(content(tmp_path / "lake", TABLES), local)


@pytest.mark.once
@pytest.mark.long
def test_two_dumps_written_at_once(dclm_spark, local, tmp_path):
    """Two processes make one warehouse; each write of the one meets the same write of the other."""
    dumps = (DUMP, OTHER_DUMP)
    in_step = ("-c", textwrap.dedent(IN_STEP), str(tmp_path))
    processes = [
        dclm_spark(tmp_path, "--master", "local[1]", script=(*in_step, me, other), dump=me)
        for me, other in (dumps, dumps[::-1])
    ]
    try:
        for process in processes:
            finished(process)
    finally:
        for process in processes:
            process.kill()
    for dump in dumps:
        renamed = {table: sorted(row.replace(DUMP, dump) for row in rows) for table, rows in local.items()}
        assert_same(content(tmp_path / "lake", TABLES, dump=dump), renamed)
