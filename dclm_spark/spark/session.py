"""Provides a SparkSession with Delta: that of the platform if there is one, else a local one.

Only commands and entry points import `get_session`; stages use the session of the DataFrame that they are given.
"""

import os
import re
import socket
import sys
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from dclm_spark.errors import SessionError
from dclm_spark.spark import interrupts, launch, s3a
from dclm_spark.spark.jvm import DELTA_PACKAGES, minor_version
from dclm_spark.spark.launch import BATCH_SETTINGS, DELTA_SETTINGS, ROWS_WITHOUT_BYTES

if TYPE_CHECKING:
    from pyspark.sql import SparkSession
    from pyspark.sql import SparkSession as Classic

TASK_ATTEMPTS = 4
MAX_ROWS, MAX_BYTES = BATCH_SETTINGS
CONNECT_PORT = 15002  # default port of a Connect server


def get_session(
    *,
    master: str | None = None,
    remote: str | None = None,
    app_name: str = "dclm_spark",
    config: Mapping[str, str] | None = None,
    s3_options: Mapping[str, Any] | None = None,
) -> "SparkSession":
    """Returns a SparkSession that can read and write Delta tables.

    With neither `master` nor `remote`, the platform's session is used: the active session of a notebook, the session
    that `spark-submit` or Databricks has prepared, or the server that `SPARK_REMOTE` names. Of its settings only those
    that limit the memory of Python workers are changed, and while a table is made those without which it could not be
    made (`spark.planning`). If there is no such session, a local one is started.

    Args:
        master: `local[2]`, `spark://host:port`, ...; `None` means `local[*]`. A local master retries a failed task as a
            cluster does (`local[2]` becomes `local[2,4]`); by default, Spark's `local[2]` never retries.
        remote: `sc://host:port` for a Spark Connect server, or `local[2]` for one started inside this process.
        app_name: Name in Spark's pages and logs of a session that is started here.
        config: Further settings, which override those chosen here.
        s3_options: Storage options of fsspec if tables are in S3 (`s3a://`), else null. A session that is started here
            then gets the jars for S3, and the settings of the store from these options and the environment.

    Raises:
        SessionError: Java, pyspark or the jars are missing, or the existing session has no Delta or another master than
            `master`.
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

    from dclm_spark.spark.planning import own

    remote_asked = bool(remote)
    if not master:
        remote = remote or os.environ.get("SPARK_REMOTE")
    found = SparkSession.getActiveSession()
    if found is not None and remote_asked and not _is_connect(found):
        raise SessionError([f"A classic session is active, {remote} was requested: stop() the active one first."])
    if found is not None:
        return _adopt(found, master=master, config=config)
    if not master and not remote and _is_prepared():
        return own(_adopt(SparkSession.builder.getOrCreate(), master=master, config=config))
    if remote and not _is_local(remote):
        spark = own(_connect(remote, config=config))
        interrupts.when_ended(lambda: _interrupt(spark))  # otherwise the server would continue the work
        return spark

    requested = _with_retries(master or remote or "local[*]")
    settings = launch.settings(requested, app_name, with_connect=bool(remote))
    settings |= (s3a.settings(s3_options) if s3_options is not None else {}) | config
    if not remote:
        spark = launch.start(settings)
        if not config.keys() & BATCH_SETTINGS.keys():
            _bound_batches(spark)
        return own(spark)
    return own(_start_connected(settings, config))


def is_active() -> bool:
    """Returns whether `get_session` would use an existing session of this process, such as a notebook's."""
    try:
        from pyspark.sql import SparkSession
    except ImportError:
        return False
    return SparkSession.getActiveSession() is not None


def shuffle_tasks(spark: "SparkSession") -> int:
    """Returns the number of tasks of a shuffle: the session's setting, or 200 if the platform chooses it itself."""
    chosen = spark.conf.get("spark.sql.shuffle.partitions", "") or ""
    return int(chosen) if chosen.isdigit() else DEFAULT_TASKS


DEFAULT_TASKS = 200


def _is_prepared() -> bool:
    """Returns whether a platform (Databricks, spark-submit) has prepared a session that `getOrCreate` returns."""
    return "DATABRICKS_RUNTIME_VERSION" in os.environ or "PYSPARK_GATEWAY_PORT" in os.environ


def _is_connect(spark: "SparkSession") -> bool:
    return ".connect." in type(spark).__module__


def _is_local(master: str) -> bool:
    return master == "local" or master.startswith("local[")


def _with_retries(master: str) -> str:
    """Adds task retries to a local master; any other master is unchanged.

    >>> _with_retries("local"), _with_retries("local[*]"), _with_retries("local[2,1]"), _with_retries("spark://a:7077")
    ('local[1,4]', 'local[*,4]', 'local[2,1]', 'spark://a:7077')
    """
    if master == "local":
        master = "local[1]"
    return re.sub(r"^local\[(\d+|\*)\]$", rf"local[\1,{TASK_ATTEMPTS}]", master)


def _adopt(spark: "SparkSession", *, master: str | None, config: Mapping[str, str]) -> "SparkSession":
    """Checks an existing session for Delta and master, and limits the size of its Python batches."""
    problems = []
    running = spark.conf.get("spark.master", "")
    if master and running and _with_retries(master) != _with_retries(running):
        problems.append(f"A session on {running} is active, {master} was requested: stop() the active one first.")
    # Databricks has Delta without any setting; elsewhere both settings are needed, and both are fixed at the start.
    lacking = {key: value for key, value in DELTA_SETTINGS.items() if value not in (spark.conf.get(key, "") or "")}
    if lacking and "DATABRICKS_RUNTIME_VERSION" not in os.environ:
        package = DELTA_PACKAGES.get(minor_version(spark.version), "io.delta:delta-spark_...")
        conf = " ".join(f"--conf {key}={value}" for key, value in lacking.items())
        problems.append(f"The Spark session has no Delta Lake. Start it with: --packages {package} {conf}")
    if problems:
        raise SessionError(problems)
    _bound_batches(spark)
    for key, value in config.items():
        if not spark.conf.isModifiable(key):
            problems.append(f"{key} is fixed when a session starts, and one runs already: set it where it starts.")
        else:
            spark.conf.set(key, value)
    if problems:
        raise SessionError(problems)
    return spark


def _bound_batches(spark: "SparkSession") -> None:
    """Limits the rows and bytes of batches for Python; smaller limits that are already set are kept."""
    settings = dict(BATCH_SETTINGS)
    if not spark.conf.isModifiable(MAX_BYTES):
        settings[MAX_ROWS] = str(ROWS_WITHOUT_BYTES)
    for key, value in settings.items():
        if int(spark.conf.get(key, None) or sys.maxsize) > int(value):
            spark.conf.set(key, value)


def _connect(remote: str, *, config: Mapping[str, str]) -> "SparkSession":
    """Connects to a running Spark Connect server."""
    try:
        from pyspark.sql.connect.session import SparkSession
    except ImportError as error:
        problem = f"Spark Connect lacks a package ({error}). Run: pip install 'dclm-spark[connect]'"
        raise SessionError([problem]) from error
    address = urlsplit(remote)
    try:
        # The client itself would retry for ten minutes.
        socket.create_connection((address.hostname, address.port or CONNECT_PORT), timeout=10).close()
        spark = SparkSession.builder.remote(remote).getOrCreate()
        spark.version  # noqa: B018 - the first call that reaches the server
    except Exception as error:
        raise SessionError([f"No Spark Connect server answers at {remote}: {error}"]) from error
    os.environ["SPARK_CONNECT_MODE_ENABLED"] = "1"  # makes pyspark.sql.functions use Connect
    # It has the methods of a classic session, and no class in common with it.
    return _adopt(cast("Classic", spark), master=None, config=config)


def _interrupt(spark: "SparkSession") -> None:
    """Stops the server's work for this session, if the server answers."""
    asking = threading.Thread(target=spark.interruptAll, daemon=True)
    asking.start()
    asking.join(INTERRUPT_SECONDS)


INTERRUPT_SECONDS = 5.0


def _start_connected(settings: dict[str, str], config: Mapping[str, str]) -> "SparkSession":
    """Starts a Spark Connect server inside this process, and connects to it.

    `builder.remote("local")` does the same with a fixed port, so that a second one on the same machine connects to the
    wrong server, and with a warning for each static setting.
    """
    launch.start(settings)
    os.environ["SPARK_LOCAL_REMOTE"] = "1"  # stop() then ends the server too
    port = settings["spark.connect.grpc.binding.port"]
    return _connect(f"sc://localhost:{port}", config={})
