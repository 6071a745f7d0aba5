"""A SparkSession with Delta: the platform's own where there is one, else one fit for a laptop.

Only the edge of the package imports this module; stages take their session from the DataFrame they are given.
"""

import os
import re
import socket
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from dclm_spark.errors import SessionError
from dclm_spark.jvm import DELTA_PACKAGES, check_java, minor_version, resolve_jars

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

DELTA_SETTINGS = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
}
# What a Python worker holds at a time: Spark's default of 10,000 web pages is a gigabyte. 3.5 ignores the bytes.
BATCH_SETTINGS = {
    "spark.sql.execution.arrow.maxRecordsPerBatch": "1000",
    "spark.sql.execution.arrow.maxBytesPerBatch": str(8 << 20),
}
# The heavy work is Python's; the JVM plans many small queries, and its second compiler costs more than it gives back:
# with it, the JVM's CPU time of a first run is 1.9 times as much, of a second run 1.7 times; a large shuffle gains a
# quarter (measured with the serial collector). With the first compiler alone the JVM would keep a fifth of its usual
# room for code, and compile in circles.
LOCAL_JAVA_OPTIONS = "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=240m"
# G1 marks and refines on threads of their own, which on a few cores are taken from the work: 8 % of the JVM's CPU time.
FEW_CORES = 4
FEW_CORES_JAVA_OPTIONS = "-XX:+UseSerialGC"
TASK_ATTEMPTS = 4
CONNECT_PORT = 15002  # where a Connect server listens unless told otherwise
GIB = 1 << 30


def get_session(
    *,
    master: str | None = None,
    remote: str | None = None,
    app_name: str = "dclm_spark",
    config: Mapping[str, str] | None = None,
) -> "SparkSession":
    """A SparkSession that can read and write Delta tables.

    With neither `master` nor `remote`, the session of the platform is adopted: the active session of a notebook, the
    one that `spark-submit` or Databricks has prepared, the server that `SPARK_REMOTE` names. Of its settings only those
    that bound the memory of Python workers are changed. Where there is none, a local session starts.

    Args:
        master: `local[2]`, `spark://host:port`, ...; `None` is `local[*]`. A local master retries a failed task as a
            cluster does (`local[2]` becomes `local[2,4]`), since Spark's own `local[2]` never does.
        remote: `sc://host:port` for a Spark Connect server, or `local[2]` for one started inside this process.
        app_name: What Spark's pages and logs call a session that is started here.
        config: Further settings, which win over those chosen here.

    Raises:
        SessionError: Java, pyspark or the jars are missing, the session found has no Delta, or it runs on another
            master than the one asked for.
    """
    config = dict(config or {})
    if master and remote:
        raise SessionError([f"A session runs on a master or on a remote server, not both: {master} and {remote}."])
    try:
        from pyspark.sql import SparkSession
    except ImportError as error:
        raise SessionError(
            [f"pyspark cannot be imported ({error}). Run: pip install 'dclm-spark[local]'; a cluster brings its own."]
        ) from error

    remote_asked = bool(remote)
    if not master:
        remote = remote or os.environ.get("SPARK_REMOTE")
    found = SparkSession.getActiveSession()
    if found is not None and remote_asked and not _is_connect(found):
        raise SessionError([f"A classic session is active, {remote} was asked for: stop() the active one first."])
    if found is None and not master and not remote and _is_prepared():
        found = SparkSession.builder.getOrCreate()
    if found is not None:
        return _adopt(found, master=master, config=config)
    if remote and not _is_local(remote):
        return _connect(remote, config=config)

    settings = _settings(_with_retries(master or remote or "local[*]"), app_name, with_connect=bool(remote)) | config
    if not remote:
        return _start(settings)
    return _start_connected(settings, config)


@contextmanager
def planned_for_python(spark: "SparkSession") -> Iterator[None]:
    """Plans made inside suit stages whose work is in Python: the JVM hands rows on, and spends nothing on haste.

    Such a stage plans many small queries, most of them Delta's own. Java code generated for each took a third of the
    JVM's CPU time; rows of long texts were compressed for a cache that is read once or twice, and sorted by a partition
    that they all share.
    """
    before = {key: spark.conf.get(key) for key in _PYTHON_SETTINGS if spark.conf.isModifiable(key)}
    for key in before:
        spark.conf.set(key, _PYTHON_SETTINGS[key])
    try:
        yield
    finally:
        for key, value in before.items():
            spark.conf.set(key, value)


_PYTHON_SETTINGS = {
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.inMemoryColumnarStorage.compressed": "false",
    "spark.sql.maxConcurrentOutputFileWriters": "2",
}


def _is_prepared() -> bool:
    """Whether a platform has a session ready that `getOrCreate` gives without a master: Databricks, spark-submit."""
    return "DATABRICKS_RUNTIME_VERSION" in os.environ or "PYSPARK_GATEWAY_PORT" in os.environ


def _is_connect(spark: "SparkSession") -> bool:
    return ".connect." in type(spark).__module__


def _is_local(master: str) -> bool:
    return master == "local" or master.startswith("local[")


def _with_retries(master: str) -> str:
    """The same local master with task retries; any other master unchanged.

    >>> _with_retries("local"), _with_retries("local[*]"), _with_retries("local[2,1]"), _with_retries("spark://a:7077")
    ('local[1,4]', 'local[*,4]', 'local[2,1]', 'spark://a:7077')
    """
    if master == "local":
        master = "local[1]"
    return re.sub(r"^local\[(\d+|\*)\]$", rf"local[\1,{TASK_ATTEMPTS}]", master)


def _adopt(spark: "SparkSession", *, master: str | None, config: Mapping[str, str]) -> "SparkSession":
    """The session that was found, checked for Delta, its Python batches bounded."""
    problems = []
    running = spark.conf.get("spark.master", "")
    if master and running and _with_retries(master) != _with_retries(running):
        problems.append(f"A session on {running} is active, {master} was asked for: stop() the active one first.")
    # Databricks has Delta without any setting; elsewhere both settings are needed, and both are fixed at the start.
    lacking = {key: value for key, value in DELTA_SETTINGS.items() if value not in (spark.conf.get(key, "") or "")}
    if lacking and "DATABRICKS_RUNTIME_VERSION" not in os.environ:
        package = DELTA_PACKAGES.get(minor_version(spark.version), "io.delta:delta-spark_...")
        conf = " ".join(f"--conf {key}={value}" for key, value in lacking.items())
        problems.append(f"The Spark session has no Delta Lake. Start it with: --packages {package} {conf}")
    if problems:
        raise SessionError(problems)
    # Another notebook's smaller batch is left alone.
    for key, value in BATCH_SETTINGS.items():
        if int(spark.conf.get(key, None) or sys.maxsize) > int(value):
            spark.conf.set(key, value)
    for key, value in config.items():
        if not spark.conf.isModifiable(key):
            problems.append(f"{key} is fixed when a session starts, and one runs already: set it where it starts.")
        else:
            spark.conf.set(key, value)
    if problems:
        raise SessionError(problems)
    return spark


def _settings(master: str, app_name: str, *, with_connect: bool) -> dict[str, str]:
    """The settings of a session started here."""
    settings = {
        "spark.master": master,
        "spark.app.name": app_name,
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.execution.arrow.pyspark.enabled": "true",
        # The default options: those a user adds as spark.driver.extraJavaOptions do not undo them.
        "spark.driver.defaultJavaOptions": f"-Dlog4j2.configurationFile={_quiet_logging().as_uri()}",
        **BATCH_SETTINGS,
        **DELTA_SETTINGS,
    }
    if _is_local(master):
        settings["spark.driver.defaultJavaOptions"] += f" {LOCAL_JAVA_OPTIONS}"
        if (os.cpu_count() or 1) <= FEW_CORES:
            settings["spark.driver.defaultJavaOptions"] += f" {FEW_CORES_JAVA_OPTIONS}"
        settings |= {
            "spark.driver.memory": f"{_driver_memory() >> 20}m",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.driver.host": "127.0.0.1",
            "spark.python.daemon.module": "dclm_spark.daemon",
            # Spark's 200 and Delta's 50 make a write of ten rows take 20 seconds.
            "spark.sql.shuffle.partitions": str(max(2, os.cpu_count() or 1)),
            "spark.databricks.delta.snapshotPartitions": "1",
            # VACUUM lists folders in as many tasks as this, 10,000 by default.
            "spark.sql.sources.parallelPartitionDiscovery.parallelism": str(max(2, os.cpu_count() or 1)),
        }
    if with_connect:
        settings |= {
            "spark.plugins": "org.apache.spark.sql.connect.SparkConnectPlugin",
            "spark.connect.grpc.binding.address": "127.0.0.1",
            "spark.connect.grpc.binding.port": str(_free_port()),
        }
    return settings


def _start(settings: dict[str, str]) -> "SparkSession":
    """A classic session in a JVM of its own, which stays silent unless it fails."""
    from pyspark import SparkConf, SparkContext
    from pyspark.java_gateway import launch_gateway
    from pyspark.sql import SparkSession

    check_java()
    if "delta" not in settings.get("spark.jars.packages", "") + settings.get("spark.jars", ""):
        jars = resolve_jars(with_connect="spark.plugins" in settings, config=settings)
        settings = settings | {"spark.jars": ",".join(filter(None, [settings.get("spark.jars"), *map(str, jars)]))}
    # Workers run the interpreter of the driver, not whichever `python3` comes first on the path.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    remote_asked = os.environ.pop("SPARK_REMOTE", None)  # spark-submit refuses to start a classic session beside it
    words = _Words()
    try:
        if SparkContext._gateway is None:  # a stopped session leaves its JVM behind for the next
            conf = SparkConf().setAll(list(settings.items()))
            # Delta prints to standard output, where a program that asks for --json reads the answer.
            gateway = launch_gateway(conf, popen_kwargs={"stdout": words.inlet, "stderr": words.inlet})
            SparkContext(conf=conf, gateway=gateway)
        return SparkSession.builder.config(map=settings).getOrCreate()
    except Exception as error:
        raise SessionError([f"Spark did not start: {error}", *words.said()]) from error
    finally:
        words.let_through()
        if remote_asked is not None:
            os.environ["SPARK_REMOTE"] = remote_asked


def _connect(remote: str, *, config: Mapping[str, str]) -> "SparkSession":
    """A session on a Spark Connect server that runs already."""
    try:
        from pyspark.sql.connect.session import SparkSession
    except ImportError as error:
        problem = f"Spark Connect lacks a package ({error}). Run: pip install 'dclm-spark[connect]'"
        raise SessionError([problem]) from error
    address = urlsplit(remote)
    try:
        # The client itself would go on trying for ten minutes.
        socket.create_connection((address.hostname, address.port or CONNECT_PORT), timeout=10).close()
        spark = SparkSession.builder.remote(remote).getOrCreate()
        spark.version  # noqa: B018 - the first call that reaches the server
    except Exception as error:
        raise SessionError([f"No Spark Connect server answers at {remote}: {error}"]) from error
    os.environ["SPARK_CONNECT_MODE_ENABLED"] = "1"  # makes pyspark.sql.functions speak Connect
    return _adopt(spark, master=None, config=config)


def _start_connected(settings: dict[str, str], config: Mapping[str, str]) -> "SparkSession":
    """A Spark Connect session on a server inside this process.

    `builder.remote("local")` does the same with a fixed port, so that two of them on one machine meet the wrong server,
    and with a warning for each setting that is fixed at the start.
    """
    _start(settings)
    os.environ["SPARK_LOCAL_REMOTE"] = "1"  # stop() then ends the server too
    port = settings["spark.connect.grpc.binding.port"]
    return _connect(f"sc://localhost:{port}", config={})


def _quiet_logging() -> Path:
    return Path(__file__).resolve().parent / "data" / "log4j2.properties"


def _driver_memory() -> int:
    """Bytes for a local driver: half of what the machine or the container has, between 1 and 8 GiB."""
    have = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = Path("/sys/fs/cgroup/memory.max")
    if limit.is_file() and (text := limit.read_text().strip()).isdigit():
        have = min(have, int(text))
    return max(GIB, min(8 * GIB, have // 2))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class _Words:
    """What the JVM writes to its standard output and error: kept while it starts, then passed on to standard error."""

    def __init__(self) -> None:
        outlet, self.inlet = os.pipe()
        self._lines: list[bytes] = []
        self._is_starting = True
        threading.Thread(target=self._listen, args=(outlet,), daemon=True, name="spark-stderr").start()

    def _listen(self, outlet: int) -> None:
        with os.fdopen(outlet, "rb") as stream:
            for line in stream:
                if self._is_starting:
                    self._lines.append(line)
                else:
                    os.write(2, line)

    def said(self, last: int = 15) -> list[str]:
        """The last lines so far, without the stack frames."""
        lines = (line.decode(errors="replace").rstrip() for line in self._lines)
        return [line for line in lines if line and not line.startswith("\tat ")][-last:]

    def let_through(self) -> None:
        self._is_starting = False
        os.close(self.inlet)
