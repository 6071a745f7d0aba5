"""A session is had in every way the documentation names, or its absence is explained in one sentence.

Each start runs in a process of its own: a JVM stays with the process that started it.
"""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from dclm_spark.errors import SessionError
from dclm_spark.spark import jvm, launch, planning, session
from dclm_spark.spark.daemon import without_spark_zips

ROOT = Path(__file__).parents[2]
# A table written with a Python worker in between, read back, and found in its own history.
ROUND_TRIP = """
    import sys
    from dclm_spark.spark.session import get_session
    from pyspark.sql import functions as F

    def unchanged(batches):
        yield from batches

    def round_trip(spark, path):
        rows = spark.range(10).withColumn("dump", F.lit("a")).mapInArrow(unchanged, "id long, dump string")
        rows.write.format("delta").partitionBy("dump").option("userMetadata", "why").save(path)
        assert spark.read.format("delta").load(path).count() == 10
        history = spark.sql(f"DESCRIBE HISTORY delta.`{path}`").head()
        assert history["userMetadata"] == "why"
        assert history["operationMetrics"]["numOutputRows"] == "10"
"""


def run_python(code: str, *arguments: str, **environment: str | None) -> subprocess.CompletedProcess:
    """A fresh interpreter; a variable given as `None` is unset for it."""
    unset = ("SPARK_REMOTE", "PYSPARK_GATEWAY_PORT", "SPARK_CONNECT_MODE_ENABLED", "SPARK_LOCAL_REMOTE")
    inherited = {key: value for key, value in os.environ.items() if key not in unset}
    merged = inherited | {"PYTHONPATH": str(ROOT)} | environment
    command = [sys.executable, "-c", textwrap.dedent(code), *arguments]
    present = {key: value for key, value in merged.items() if value is not None}
    return subprocess.run(command, capture_output=True, text=True, timeout=1800, env=present, check=False)


def refusal(call: str = "get_session()", **environment: str | None) -> str:
    """The words of the SessionError that a call in a fresh process raises."""
    code = f"""
        from dclm_spark.errors import SessionError
        from dclm_spark.spark.session import get_session
        try:
            {call}
        except SessionError as error:
            print(error)
        else:
            raise SystemExit("no SessionError")
    """
    done = run_python(code, **environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("way", ["master", pytest.param("remote", marks=pytest.mark.slow)])
def test_a_fresh_start_gives_delta_and_prints_nothing(way, tmp_path):
    code = (
        textwrap.dedent(ROUND_TRIP)
        + f"spark = get_session({way}='local[2]')\n"
        + textwrap.dedent("""
            round_trip(spark, sys.argv[1])
            assert (".connect." in type(spark).__module__) == ("remote" == sys.argv[2])
            assert spark.conf.get("spark.master") == "local[2,4]"
            assert spark.conf.get("spark.sql.session.timeZone") == "UTC"
            has_bytes = spark.conf.isModifiable("spark.sql.execution.arrow.maxBytesPerBatch")
            assert spark.conf.get("spark.sql.execution.arrow.maxRecordsPerBatch") == ("1000" if has_bytes else "16")
            assert get_session() is spark
            get_session(config={"spark.sql.shuffle.partitions": "3"})
            assert spark.conf.get("spark.sql.shuffle.partitions") == "3"
            spark.stop()
        """)
    )
    done = run_python(code, str(tmp_path / "table"), way)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.slow
def test_a_server_that_runs_already_is_used_and_checked(tmp_path):
    code = textwrap.dedent(ROUND_TRIP) + textwrap.dedent("""
            import os, subprocess
            get_session(remote="local[1]")
            port = get_session().conf.get("spark.connect.grpc.binding.port")
            again = 'from dclm_spark.spark.session import get_session; print(get_session().range(3).count())'
            url = f"sc://localhost:{port}"
            print(subprocess.run([sys.executable, "-c", again], env=os.environ | {"SPARK_REMOTE": url},
                                 capture_output=True, text=True, check=True).stdout)
        """)
    done = run_python(code)
    assert done.stdout.strip() == "3", done.stderr


def test_an_active_session_is_not_replaced():
    code = """
        from dclm_spark.errors import SessionError
        from dclm_spark.spark.session import get_session
        spark = get_session(master="local[1]")
        for call in (dict(master="local[2]"), dict(remote="sc://localhost"), dict(config={"spark.jars": "a.jar"})):
            try:
                get_session(**call)
            except SessionError as error:
                print(error)
        assert get_session(master="local[1]") is spark
    """
    done = run_python(code)
    assert done.returncode == 0, done.stderr
    other_master, other_server, fixed = done.stdout.splitlines()
    assert "local[1,4]" in other_master and "local[2]" in other_master
    assert "sc://localhost" in other_server
    assert "spark.jars is fixed" in fixed


def spark_submit(script: Path, *options: str) -> subprocess.CompletedProcess:
    from pyspark.find_spark_home import _find_spark_home

    command = [str(Path(_find_spark_home()) / "bin" / "spark-submit"), "--master", "local[1]", *options, str(script)]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYSPARK_PYTHON": sys.executable}
    for mark in ("SPARK_REMOTE", "SPARK_LOCAL_REMOTE", "SPARK_CONNECT_MODE_ENABLED"):  # of this process's own session
        environment.pop(mark, None)
    return subprocess.run(command, capture_output=True, text=True, timeout=1800, env=environment, check=False)


@pytest.mark.slow
def test_spark_submit_keeps_its_own_session(tmp_path):
    script = tmp_path / "job.py"
    script.write_text(
        textwrap.dedent(ROUND_TRIP)
        + "spark = get_session()\n"
        + f"round_trip(spark, {str(tmp_path / 'table')!r})\n"
        + "print(spark.conf.get('spark.app.name'), spark.conf.get('spark.master'))\n"
    )
    options = [word for key, value in session.DELTA_SETTINGS.items() for word in ("--conf", f"{key}={value}")]
    jars = ",".join(map(str, jvm.resolve_jars()))
    done = spark_submit(script, "--name", "nightly", "--jars", jars, *options)
    assert done.stdout.strip() == "nightly local[1]", done.stderr[-2000:]


@pytest.mark.slow
def test_spark_submit_without_delta_is_told_what_to_pass(tmp_path):
    script = tmp_path / "job.py"
    script.write_text(
        "from dclm_spark.errors import SessionError\nfrom dclm_spark.spark.session import get_session\n"
        "try:\n    get_session()\nexcept SessionError as error:\n    print(error)\n"
    )
    said = spark_submit(script).stdout
    assert "--packages io.delta:delta-spark_" in said
    assert all(f"--conf {key}={value}" in said for key, value in session.DELTA_SETTINGS.items())


def test_no_java(tmp_path):
    assert "openjdk-17-jre-headless" in refusal(PATH=str(tmp_path), JAVA_HOME=None)
    assert f"JAVA_HOME ({tmp_path}) holds no bin/java" in refusal(PATH=str(tmp_path), JAVA_HOME=str(tmp_path))


@pytest.mark.parametrize(("said", "major"), [('openjdk version "11.0.2"', "11"), ('java version "1.8.0_402"', "8")])
def test_old_java(tmp_path, said, major):
    java = tmp_path / "bin" / "java"
    java.parent.mkdir()
    java.write_text(f"#!/bin/sh\necho '{said}' >&2\n")
    java.chmod(0o755)
    assert f"is Java {major}. Spark needs Java 17" in refusal(JAVA_HOME=str(tmp_path))


def test_jars_that_cannot_be_fetched(tmp_path):
    nowhere = tmp_path / "ivysettings.xml"
    nowhere.write_text(
        '<ivysettings><settings defaultResolver="dead"/><resolvers>'
        '<ibiblio name="dead" m2compatible="true" root="http://127.0.0.1:9/"/></resolvers></ivysettings>'
    )
    cache = tmp_path / "cache"
    call = f"get_session(config={{'spark.jars.ivySettings': {str(nowhere)!r}}})"
    assert "Delta's jars could not be fetched (io.delta:delta-spark_" in refusal(call, DCLM_SPARK_CACHE=str(cache))
    assert not list(cache.iterdir()), "a failed attempt must leave nothing that a later start takes for jars"


def test_a_cache_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    assert "Set DCLM_SPARK_CACHE" in refusal(DCLM_SPARK_CACHE=str(tmp_path / "file" / "cache"))


def test_a_spark_that_does_not_start_says_why():
    said = refusal("get_session(config={'spark.driver.memory': '1 elephant'})")
    assert "Spark did not start" in said
    assert "elephant" in said


def test_no_server_answers():
    assert "No Spark Connect server answers at sc://127.0.0.1:9" in refusal(
        "get_session(remote='sc://127.0.0.1:9/;user_id=a')"
    )


def test_two_places_at_once():
    with pytest.raises(SessionError, match="not both"):
        session.get_session(master="local[1]", remote="sc://localhost")


def test_no_pyspark(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyspark.sql", None)
    with pytest.raises(SessionError, match=r"pip install 'dclm-spark\[local\]'"):
        session.get_session()


def test_the_settings_of_the_log_are_there():
    assert launch._quiet_logging().is_file()


def test_driver_memory_is_bounded():
    assert launch.GIB <= launch._driver_memory() <= 8 * launch.GIB


def test_workers_of_a_local_session_import_the_installed_pyspark(spark):
    def path_of(batches):
        import pyarrow as pa
        import pyspark

        for batch in batches:
            yield pa.RecordBatch.from_pydict({"file": [pyspark.__file__] * batch.num_rows})

    (row,) = spark.range(1).mapInArrow(path_of, "file string").collect()
    assert ".zip" not in row["file"]


def test_only_the_installed_sparks_own_archives_leave_the_path(tmp_path):
    import pyspark

    home = Path(pyspark.__file__).parent
    own = [str(home / "python" / "lib" / "pyspark.zip"), str(home / "jars" / "spark-core_2.13-4.1.4.jar")]
    others = [str(tmp_path / "pyspark_helpers.zip"), "/opt/spark/python/lib/pyspark.zip", str(home.parent)]
    assert without_spark_zips([*own, *others]) == others
    assert without_spark_zips(own) == own  # nothing else would give pyspark


CODEGEN, TIMEOUT = "spark.sql.codegen.wholeStage", "spark.sql.broadcastTimeout"


def test_settings_for_python_stages_end_with_the_last_of_them(spark):
    before = [spark.conf.get(key) for key in (CODEGEN, TIMEOUT)]
    with planning.planned_for_python(spark):
        with planning.planned_for_python(spark):
            assert spark.conf.get(CODEGEN) == "false"
            with planning.planned_for_java(spark):
                assert spark.conf.get(CODEGEN) == "true"
        assert [spark.conf.get(key) for key in (CODEGEN, TIMEOUT)] == ["false", "86400"]
    assert [spark.conf.get(key) for key in (CODEGEN, TIMEOUT)] == before


def test_a_session_of_somebody_else_keeps_its_settings_for_speed(spark):
    theirs = spark.newSession()
    before = [theirs.conf.get(key) for key in (CODEGEN, TIMEOUT)]
    with planning.planned_for_python(theirs), planning.planned_for_java(theirs):
        assert [theirs.conf.get(key) for key in (CODEGEN, TIMEOUT)] == [before[0], "86400"]
    assert [theirs.conf.get(key) for key in (CODEGEN, TIMEOUT)] == before


def test_batches_for_python_are_bounded_by_bytes_or_by_few_rows(spark):
    def sizes(batches):
        import pyarrow as pa

        for batch in batches:
            yield pa.RecordBatch.from_pydict({"n_rows": [batch.num_rows], "n_bytes": [batch.nbytes]})

    texts = spark.range(0, 40, 1, 1).selectExpr(f"repeat('x', {1 << 20}) AS text")
    rows = texts.mapInArrow(sizes, "n_rows long, n_bytes long").collect()
    assert sum(row["n_rows"] for row in rows) == 40
    if spark.conf.isModifiable(session.MAX_BYTES):
        assert max(row["n_bytes"] for row in rows) <= (9 << 20) + 1000
    else:
        assert max(row["n_rows"] for row in rows) <= launch.ROWS_WITHOUT_BYTES
