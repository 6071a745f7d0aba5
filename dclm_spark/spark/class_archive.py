"""The classes of a local Spark, laid out once in a file that later JVMs map: a start takes 4 seconds instead of 7.

Java calls it dynamic application class-data sharing. The file is made by a rehearsal, the whole chain over one page,
which also leaves the compiled kernels in their cache. It fits one Java and one pyspark; a JVM that it does not fit goes
on without it.
"""

import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from dclm_spark.spark import interrupts
from dclm_spark.spark.jvm import cache_folder

_KEPT = 4  # archives, of some 200 MB each: several environments may take turns
_SECONDS = 300  # that a rehearsal may take; it takes 40
_REHEARSAL = """
import sys
from dclm_spark.cli import main
status = main(sys.argv[1:])
from pyspark import SparkContext
SparkContext.getOrCreate().stop()
java = SparkContext._gateway.proc
java.stdin.close()  # ends the JVM, which then writes the archive
sys.exit(status or java.wait())
"""
_BODY = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html><body><main><p>"
    + b"The pages of the rehearsal have to be of the length that a page has. " * 9
    + b"</p></main></body></html>"
)
_PAGE = (
    b"WARC/1.0\r\nWARC-Type: response\r\nWARC-Record-ID: <urn:uuid:00000000-0000-0000-0000-000000000000>\r\n"
    b"WARC-Target-URI: http://example.org/\r\nWARC-Date: 2022-01-17T00:00:00Z\r\n"
    b"Content-Type: application/http; msgtype=response\r\nContent-Length: %d\r\n\r\n%b\r\n\r\n" % (len(_BODY), _BODY)
)


def archive_options(java: str) -> list[str]:
    """The Java options that use the archive, which is made if there is none; empty where there can be none.

    Args:
        java: What `java -version` says.
    """
    if "Server VM" not in java or _is_rehearsal():  # others than HotSpot share classes in other ways
        return []
    archive = cache_folder() / f"classes-{_identity(java)}.jsa"
    if " " in str(archive):  # options are parted by spaces
        return []
    try:
        if not archive.exists():
            print("dclm_spark: first start here: laying out Java's classes, once, in about 40 seconds", file=sys.stderr)
            _make(archive)
        os.utime(archive)  # the last to be cleared away
        return [f"-XX:SharedArchiveFile={archive}"] if archive.stat().st_size else []
    except OSError:  # a cache that cannot be written, or is cleared away by another process
        return []


def _is_rehearsal() -> bool:
    return "DCLM_SPARK_REHEARSAL" in os.environ


def _identity(java: str) -> str:
    import pyspark
    from pyspark.find_spark_home import _find_spark_home

    jars = Path(_find_spark_home()) / "jars"
    told = f"{java}\0{pyspark.__version__}\0{jars}\0{jars.stat().st_mtime_ns}"
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def _make(archive: Path) -> None:
    """Makes the archive, or an empty file where that fails, so that it is not tried at every start."""
    archive.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=archive.parent, prefix="rehearsal-") as name, interrupts.removing(Path(name)):
        folder = Path(name)
        (folder / "page.warc").write_bytes(_PAGE)
        made = folder / "made.jsa"
        if not _rehearse(folder, made):
            made.unlink(missing_ok=True)
            made.touch()
        made.replace(archive)  # whole or absent: a JVM that maps half an archive crashes
    archives = sorted(archive.parent.glob("classes-*.jsa"), key=lambda path: path.stat().st_mtime_ns)
    for old in archives[:-_KEPT]:
        old.unlink(missing_ok=True)


def _rehearse(folder: Path, made: Path) -> bool:
    """Whether a chain over the page in a folder has run to its end, and its JVM has left the archive."""
    arguments = ["run", "--input", str(folder / "page.warc"), "--dump", "rehearsal", "--quiet"]
    arguments += ["--warehouse", str(folder / "lake"), "--master", "local[1]"]
    arguments += ["--conf", f"spark.driver.extraJavaOptions=-XX:ArchiveClassesAtExit={made}"]
    unwanted = ("PYSPARK_GATEWAY_PORT", "PYSPARK_SUBMIT_ARGS", "SPARK_REMOTE", "SPARK_CONNECT_MODE_ENABLED")
    environment = {key: value for key, value in os.environ.items() if key not in unwanted}
    environment["DCLM_SPARK_REHEARSAL"] = "1"
    command = [sys.executable, "-c", _REHEARSAL, *arguments]
    try:
        done = subprocess.run(command, env=environment, capture_output=True, check=False, timeout=_SECONDS)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0 and made.exists()
