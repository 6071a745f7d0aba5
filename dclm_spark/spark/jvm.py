"""Provides what a Spark installed by pip needs in addition: Java, and the jars of Delta Lake."""

import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from dclm_spark.errors import SessionError
from dclm_spark.kernels.compiled.private_folder import may_be_written
from dclm_spark.spark import interrupts

# Spark version -> artefact of Delta Lake: docs.delta.io, "Compatibility with Apache Spark".
DELTA_PACKAGES = {
    "3.5": "io.delta:delta-spark_2.12:3.3.2",
    "4.0": "io.delta:delta-spark_2.13:4.0.0",
    "4.1": "io.delta:delta-spark_4.1_2.13:4.4.0",
}
# Spark 3.5 is the last release whose Python package lacks the jar of its own Connect server.
CONNECT_PACKAGES = {"3.5": "org.apache.spark:spark-connect_2.12:{version}"}
# Dependencies that Spark already includes, and whose class loader prefers its own copies: 73 of Delta's 87 MB of jars.
PROVIDED = ",".join(
    f"{group}:*"
    for group in (
        "com.fasterxml.jackson.core",
        "com.github.luben",
        "commons-logging",
        "org.apache.hadoop",
        "org.apache.logging.log4j",
        "org.apache.parquet",
        "org.slf4j",
        "org.xerial.snappy",
    )
)
MIN_JAVA = 17


def check_java() -> str:
    """Returns the output of `java -version`.

    Raises:
        SessionError: No `java` is found, or it is older than Java 17.
    """
    home = os.environ.get("JAVA_HOME")
    java = os.path.join(home, "bin", "java") if home else shutil.which("java")
    advice = f"Spark needs Java {MIN_JAVA}, for example: apt-get install openjdk-{MIN_JAVA}-jre-headless"
    if not java or not os.access(java, os.X_OK):
        where = f"JAVA_HOME ({home}) holds no bin/java" if home else "Java is neither in JAVA_HOME nor on the PATH"
        raise SessionError([f"{where}. {advice}"])
    said = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    version = re.search(r'version "(?:1\.)?(\d+)', said)
    if not version or int(version[1]) < MIN_JAVA:
        raise SessionError([f"{java} is Java {version[1] if version else 'of an unknown version'}. {advice}"])
    return said


def resolve_jars(*, with_connect: bool = False, config: Mapping[str, str] | None = None) -> list[Path]:
    """Returns the jars of Delta Lake for the installed pyspark; fetches them from Maven Central at the first call.

    Spark itself resolves `spark.jars.packages` at each start: it prints a page and needs a network or a warm cache in
    the home directory. Here Spark's resolver fills a folder of the user's cache once, and later starts use these files.

    Args:
        with_connect: Whether to include the jar of the Connect server, if pyspark lacks it.
        config: Spark settings; those that name a mirror of Maven Central are used.

        Raises:
            SessionError: No Delta Lake is known for this Spark, the folder cannot be written, or a jar cannot be
                fetched.
    """
    import pyspark

    minor = minor_version(pyspark.__version__)
    if minor not in DELTA_PACKAGES:
        known = ", ".join(DELTA_PACKAGES)
        raise SessionError([f"No Delta Lake is known for pyspark {pyspark.__version__}; {known} work."])
    packages = [DELTA_PACKAGES[minor]]
    if with_connect and minor in CONNECT_PACKAGES:
        packages.append(CONNECT_PACKAGES[minor].format(version=pyspark.__version__))

    name = "+".join(package.split(":", 1)[1].replace(":", "-") for package in packages)
    return fetched(packages, name, PROVIDED, what="Delta's jars", config=config)


def fetched(
    packages: Sequence[str], name: str, excludes: str, *, what: str, config: Mapping[str, str] | None = None
) -> list[Path]:
    """Returns the jars of Maven packages and of their dependencies; fetches them at the first call.

    Args:
        packages: Maven coordinates of the packages.
        name: Name of the cache folder that keeps the jars.
        excludes: Coordinates of dependencies to leave out, because Spark includes them.
        what: Description of the jars, for messages.
        config: Spark settings; those that name a mirror of Maven Central are used.

    Raises:
        SessionError: The folder cannot be written, or a jar cannot be fetched.
    """
    from pyspark.find_spark_home import _find_spark_home

    kept = cache_folder() / name
    if not kept.is_dir():
        try:
            kept.parent.mkdir(parents=True, exist_ok=True)
            attempt = Path(tempfile.mkdtemp(dir=kept.parent, prefix="resolving-"))
        except OSError as error:
            raise SessionError(
                [f"The folder for {what} cannot be written ({error}). Set DCLM_SPARK_CACHE to one that can."]
            ) from error
        try:
            with interrupts.removing(attempt):
                _fetch(packages, attempt, Path(_find_spark_home()), config or {}, excludes=excludes, what=what)
            # The folder appears complete or not at all: another process may do the same, and the first one wins.
            if not kept.exists():
                (attempt / "jars").rename(kept)
        except OSError:
            if not kept.is_dir():
                raise
        finally:
            shutil.rmtree(attempt, ignore_errors=True)
    return sorted(kept.glob("*.jar"))


def _fetch(
    packages: Sequence[str], folder: Path, spark_home: Path, config: Mapping[str, str], *, excludes: str, what: str
) -> None:
    """Fills `folder/jars` by running spark-submit on an empty script."""
    script = folder / "nothing.py"
    script.touch()
    settings = {
        "spark.jars.packages": ",".join(packages),
        "spark.jars.excludes": excludes,
        "spark.jars.ivy": str(folder),
        **{key: config[key] for key in ("spark.jars.ivySettings", "spark.jars.repositories") if key in config},
    }
    command = [str(spark_home / "bin" / "spark-submit"), "--master", "local[1]"]
    for key, value in settings.items():
        command += ["--conf", f"{key}={value}"]
    unwanted = ("PYSPARK_GATEWAY_PORT", "PYSPARK_SUBMIT_ARGS", "SPARK_REMOTE")
    environment = {key: value for key, value in os.environ.items() if key not in unwanted}
    environment |= {"PYSPARK_PYTHON": sys.executable, "PYSPARK_DRIVER_PYTHON": sys.executable}
    done = subprocess.run([*command, str(script)], capture_output=True, text=True, check=False, env=environment)
    if done.returncode or not list((folder / "jars").glob("*.jar")):
        said = [line.strip() for line in done.stderr.splitlines() if re.search("error|exception|not found", line, re.I)]
        raise SessionError(
            [
                f"{what} could not be fetched ({', '.join(packages)}). The first start needs Maven Central, or a "
                "mirror of it named by spark.jars.repositories; DCLM_SPARK_CACHE may name a folder filled elsewhere.",
                *said[:5],
            ]
        )


def cache_folder() -> Path:
    """Returns the folder of jars and classes that a JVM loads.

    Raises:
        SessionError: Other users can write to it.
    """
    named = os.environ.get("DCLM_SPARK_CACHE")
    folder = Path(named or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dclm_spark")
    if folder.is_dir() and may_be_written(folder, stat.S_IWOTH):
        raise SessionError(
            [
                f"everybody can write to the folder of jars {folder}, and what is there is run; make it your own "
                "(chmod go-w), or name another as DCLM_SPARK_CACHE"
            ]
        )
    return folder


def minor_version(version: str) -> str:
    """Returns the first two numbers of a Spark version; Delta is built for each of them.

    >>> minor_version("4.1.4")
    '4.1'
    """
    return ".".join(version.split(".")[:2])
