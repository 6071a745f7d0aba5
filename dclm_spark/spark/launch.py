"""Starts a local Spark for this process: chooses its settings, starts Java, and captures Java's output meanwhile."""

import atexit
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from dclm_spark.errors import JavaEnd, JavaEndedError, SessionError
from dclm_spark.spark import interrupts, s3a
from dclm_spark.spark.jvm import check_java, resolve_jars
from dclm_spark.terminal import shown

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

DELTA_SETTINGS = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
}
# Size of the batches that the JVM sends to a Python worker. Spark's default of 10,000 rows is a gigabyte of web pages.
# A batch may end with a text of `Extraction.max_text_bytes`, 8 MiB, so it has at most 16 MiB.
BATCH_SETTINGS = {
    "spark.sql.execution.arrow.maxRecordsPerBatch": "1000",
    "spark.sql.execution.arrow.maxBytesPerBatch": str(8 << 20),
}
# Spark 3.5 limits batches by rows only: 16 texts of 8 MiB are 128 MiB. Workers merge them to batches of the usual size.
ROWS_WITHOUT_BYTES = 16
# What the JVM reads and writes at a time, which Spark and Parquet count in rows too: 4,096 texts of 8 MiB are 32 GiB,
# and a writer first looks at the size of a page or of a row group after 100 rows. So 64 MiB are read (thrice that while
# their array grows), a page has 32 MiB at most, a row group 64 MiB more than its 128 MiB: some 450 MiB a task that
# reads and writes.
TEXT_SETTINGS = {
    "spark.sql.parquet.columnarReaderBatchSize": "8",
    "spark.hadoop.parquet.page.size.row.check.min": "2",
    "spark.hadoop.parquet.page.size.row.check.max": "4",
    "spark.hadoop.parquet.block.size.row.check.min": "4",
    "spark.hadoop.parquet.block.size.row.check.max": "8",
}
# Some readers cannot read INT96, Spark's default.
TIMESTAMP_SETTINGS = {"spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS"}
# The heavy work is Python's; the JVM plans many small queries, and its second compiler costs more than it gives back:
# with it, the JVM's CPU time of a first run is 1.9 times as much, of a second run 1.7 times; a large shuffle gains a
# quarter (measured with the serial collector). With the first compiler alone the JVM would keep a fifth of its usual
# room for code, and compile in circles. A JVM out of memory would continue without some of its threads, and a command
# could wait for them forever.
LOCAL_JAVA_OPTIONS = "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=240m -XX:+ExitOnOutOfMemoryError"
# The G1 collector has threads of its own, which on few cores take time from the work: a first run needed 15.3 s of CPU
# with it, 13.2 s without.
FEW_CORES = 4
FEW_CORES_JAVA_OPTIONS = "-XX:+UseSerialGC"
GIB = 1 << 30


def settings(master: str, app_name: str, *, with_connect: bool) -> dict[str, str]:
    """Returns the settings of a session that is started here."""
    settings = {
        "spark.master": master,
        "spark.app.name": app_name,
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.execution.arrow.pyspark.enabled": "true",
        # As default options, they still hold if a user sets spark.driver.extraJavaOptions.
        "spark.driver.defaultJavaOptions": f"-Dlog4j2.configurationFile={_quiet_logging().as_uri()}",
        **BATCH_SETTINGS,
        **TEXT_SETTINGS,
        **DELTA_SETTINGS,
        **TIMESTAMP_SETTINGS,
    }
    if master.startswith("local"):
        settings["spark.driver.defaultJavaOptions"] += f" {LOCAL_JAVA_OPTIONS}"
        if (os.cpu_count() or 1) <= FEW_CORES:
            settings["spark.driver.defaultJavaOptions"] += f" {FEW_CORES_JAVA_OPTIONS}"
        settings |= {
            "spark.driver.memory": f"{_driver_memory() >> 20}m",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.driver.host": "127.0.0.1",
            "spark.python.daemon.module": "dclm_spark.spark.daemon",
            # With the defaults, 200 of Spark and 50 of Delta, a write of ten rows takes 20 seconds.
            "spark.sql.shuffle.partitions": str(max(2, os.cpu_count() or 1)),
            "spark.databricks.delta.snapshotPartitions": "1",
            # VACUUM lists folders in this number of tasks; the default is 10,000.
            "spark.sql.sources.parallelPartitionDiscovery.parallelism": str(max(2, os.cpu_count() or 1)),
        }
    if with_connect:
        settings |= {
            "spark.plugins": "org.apache.spark.sql.connect.SparkConnectPlugin",
            "spark.connect.grpc.binding.address": "127.0.0.1",
            "spark.connect.grpc.binding.port": str(_free_port()),
        }
    return settings


def prepare() -> None:
    """Fetches the jars of Delta Lake, as the first start would."""
    check_java()
    resolve_jars()


def start(settings: dict[str, str]) -> "SparkSession":
    """Starts a classic session in a new JVM, whose output is shown only if the start fails."""
    from pyspark import SparkConf, SparkContext
    from pyspark.java_gateway import launch_gateway
    from pyspark.sql import SparkSession

    check_java()
    if "delta" not in settings.get("spark.jars.packages", "") + settings.get("spark.jars", ""):
        jars = resolve_jars(with_connect="spark.plugins" in settings, config=settings)
        settings = settings | {"spark.jars": ",".join(filter(None, [settings.get("spark.jars"), *map(str, jars)]))}
    if s3a.is_wanted(settings):
        jars = s3a.resolve_jars(config=settings)
        settings = settings | {"spark.jars": ",".join(filter(None, [settings.get("spark.jars"), *map(str, jars)]))}
    # Workers use the driver's interpreter, not the first `python3` on the path.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    remote_asked = os.environ.pop("SPARK_REMOTE", None)  # spark-submit refuses to start a classic session if it is set
    words = _Words()
    try:
        if SparkContext._gateway is None:  # a stopped session leaves its JVM behind for the next
            conf = SparkConf().setAll(list((_with_catalog_folder(settings)).items()))
            # Delta prints to standard output, which must hold only the answer for programs that use --json.
            gateway = launch_gateway(conf, popen_kwargs={"stdout": words.inlet, "stderr": words.inlet})
            _running.append(_Java(gateway.proc, words, settings.get("spark.driver.memory", "1g")))
            SparkContext(conf=conf, gateway=gateway)
            interrupts.retake()
        return SparkSession.builder.config(map={**settings}).getOrCreate()
    except Exception as error:
        ended = java_end()
        if ended is not None and ended.status < 0:
            raise JavaEndedError(ended) from None
        raise SessionError([f"Spark did not start: {error}", *words.said(), *_memory_advice(words)]) from error
    finally:
        words.let_through()
        if remote_asked is not None:
            os.environ["SPARK_REMOTE"] = remote_asked


class _Java(NamedTuple):
    process: subprocess.Popen
    words: "_Words"
    memory: str


_running: list[_Java] = []


def java_end(seconds: float = 0.0) -> JavaEnd | None:
    """Returns how the JVM started here has ended; null while it runs, or if none was started.

    Args:
        seconds: Seconds to wait for its end: calls to a dying JVM fail a moment before its process ends.
    """
    if not _running:
        return None
    java = _running[-1]
    try:
        status = java.process.wait(seconds)
    except subprocess.TimeoutExpired:
        return None
    return JavaEnd(status, java.memory, tuple(java.words.said()))


def watch_java(then: Callable[[JavaEnd], None]) -> None:
    """Calls a function, on a new thread, when the JVM started here has ended unexpectedly."""
    if _running:
        java = _running[-1]

        def wait() -> None:
            java.process.wait()
            ended = java_end()
            if ended is not None:  # another may have been started since
                then(ended)

        threading.Thread(target=wait, daemon=True, name="java-end").start()


def _memory_advice(words: "_Words") -> list[str]:
    if re.search(r"object heap|heap size|OutOfMemory|allocate memory", "\n".join(words.said())):
        return ["--conf spark.driver.memory=2g, for example, sets another amount of memory"]
    return []


def _with_catalog_folder(settings: dict[str, str]) -> dict[str, str]:
    """Adds a temporary folder for the tables of the session's own catalog to the settings.

    Spark would make `spark-warehouse` in the working folder at every start.
    """
    if "spark.sql.warehouse.dir" in settings or settings.get("spark.sql.catalogImplementation") == "hive":
        return settings
    folder = Path(tempfile.mkdtemp(prefix="dclm_spark-catalog-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    interrupts.when_ended(lambda: shutil.rmtree(folder, ignore_errors=True))
    return settings | {"spark.sql.warehouse.dir": str(folder)}


def _quiet_logging() -> Path:
    return Path(__file__).resolve().parents[1] / "data" / "log4j2.properties"


def _driver_memory() -> int:
    """Returns the memory for a local driver in bytes: half of the machine's or container's, between 1 and 8 GiB."""
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
    """Captures the JVM's standard output and error: keeps them while it starts, then forwards them to standard
    error."""

    KEPT = 200  # lines

    def __init__(self) -> None:
        outlet, self.inlet = os.pipe()
        self._lines: deque[bytes] = deque(maxlen=self.KEPT)
        self._is_starting = True
        threading.Thread(target=self._listen, args=(outlet,), daemon=True, name="spark-stderr").start()

    def _listen(self, outlet: int) -> None:
        with os.fdopen(outlet, "rb") as stream:
            for line in stream:
                self._lines.append(line)
                if not self._is_starting and not interrupts.is_silent:
                    os.write(2, shown(line.decode(errors="backslashreplace")).encode())

    def said(self, last: int = 15) -> list[str]:
        """Returns the last lines so far, without stack frames."""
        lines = [line.decode(errors="replace").rstrip() for line in list(self._lines)]
        return [line for line in lines if line and not line.startswith("\tat ")][-last:]

    def let_through(self) -> None:
        self._is_starting = False
        os.close(self.inlet)
