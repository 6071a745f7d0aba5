"""A SparkSession with Delta: the platform's own where there is one, else one fit for a laptop.

Only the edge of the package imports this module; stages take their session from the DataFrame they are given.
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
CONNECT_PORT = 15002  # where a Connect server listens unless told otherwise


def get_session(
    *,
    master: str | None = None,
    remote: str | None = None,
    app_name: str = "dclm_spark",
    config: Mapping[str, str] | None = None,
    s3_options: Mapping[str, Any] | None = None,
) -> "SparkSession":
    """A SparkSession that can read and write Delta tables.

    With neither `master` nor `remote`, the session of the platform is adopted: the active session of a notebook, the
    one that `spark-submit` or Databricks has prepared, the server that `SPARK_REMOTE` names. Of its settings only those
    that bound the memory of Python workers are changed, and while a table is made those that it could not be made
    without (`spark.planning`). Where there is none, a local session starts.

    Args:
        master: `local[2]`, `spark://host:port`, ...; `None` is `local[*]`. A local master retries a failed task as a
            cluster does (`local[2]` becomes `local[2,4]`), since Spark's own `local[2]` never does.
        remote: `sc://host:port` for a Spark Connect server, or `local[2]` for one started inside this process.
        app_name: What Spark's pages and logs call a session that is started here.
        config: Further settings, which win over those chosen here.
        s3_options: Not null where tables lie in S3 (`s3a://`): a session that is started here then gets the jars for
            it, and what these options, in fsspec's words, and the environment say of the store.

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

    from dclm_spark.spark.planning import own

    remote_asked = bool(remote)
    if not master:
        remote = remote or os.environ.get("SPARK_REMOTE")
    found = SparkSession.getActiveSession()
    if found is not None and remote_asked and not _is_connect(found):
        raise SessionError([f"A classic session is active, {remote} was asked for: stop() the active one first."])
    if found is not None:
        return _adopt(found, master=master, config=config)
    if not master and not remote and _is_prepared():
        return own(_adopt(SparkSession.builder.getOrCreate(), master=master, config=config))
    if remote and not _is_local(remote):
        spark = own(_connect(remote, config=config))
        interrupts.when_ended(lambda: _interrupt(spark))  # the server would go on working
        return spark

    asked = _with_retries(master or remote or "local[*]")
    settings = launch.settings(asked, app_name, with_connect=bool(remote))
    settings |= (s3a.settings(s3_options) if s3_options is not None else {}) | config
    if not remote:
        spark = launch.start(settings)
        if not config.keys() & BATCH_SETTINGS.keys():
            _bound_batches(spark)
        return own(spark)
    return own(_start_connected(settings, config))


def is_active() -> bool:
    """True if `get_session` would adopt a session of this process, such as a notebook's."""
    try:
        from pyspark.sql import SparkSession
    except ImportError:
        return False
    return SparkSession.getActiveSession() is not None


def shuffle_tasks(spark: "SparkSession") -> int:
    """Tasks of a shuffle: the session's setting, or 200 where a platform chooses by itself."""
    chosen = spark.conf.get("spark.sql.shuffle.partitions", "") or ""
    return int(chosen) if chosen.isdigit() else DEFAULT_TASKS


DEFAULT_TASKS = 200


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
    """Batches for Python of no more rows and bytes than chosen here; another notebook's smaller ones are left alone."""
    settings = dict(BATCH_SETTINGS)
    if not spark.conf.isModifiable(MAX_BYTES):
        settings[MAX_ROWS] = str(ROWS_WITHOUT_BYTES)
    for key, value in settings.items():
        if int(spark.conf.get(key, None) or sys.maxsize) > int(value):
            spark.conf.set(key, value)


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
    # It has the methods of a classic session, and no class in common with it.
    return _adopt(cast("Classic", spark), master=None, config=config)


def _interrupt(spark: "SparkSession") -> None:
    """Ends what a server does for this session, if it answers."""
    asking = threading.Thread(target=spark.interruptAll, daemon=True)
    asking.start()
    asking.join(INTERRUPT_SECONDS)


INTERRUPT_SECONDS = 5.0


def _start_connected(settings: dict[str, str], config: Mapping[str, str]) -> "SparkSession":
    """A Spark Connect session on a server inside this process.

    `builder.remote("local")` does the same with a fixed port, so that two of them on one machine meet the wrong server,
    and with a warning for each setting that is fixed at the start.
    """
    launch.start(settings)
    os.environ["SPARK_LOCAL_REMOTE"] = "1"  # stop() then ends the server too
    port = settings["spark.connect.grpc.binding.port"]
    return _connect(f"sc://localhost:{port}", config={})
