"""Explains failures of Spark to the user: the reason, and what to do before running the same command again."""

import os
import re
import sys
import threading
import time

from dclm_spark.errors import JavaEnd, JavaEndedError, spark_failure
from dclm_spark.spark import interrupts

CONTINUES = "what is written is safe; run the same command again to continue"
_TRACE = "DCLM_SPARK_TRACE=1 shows Spark's whole message"

# (pattern in Spark's message, advice); the first pattern that matches is used. For other failures no advice is given,
# since nobody knows whether they are temporary.
_KINDS = (
    (
        r"No space left on device|Disk quota exceeded",
        "what is written is safe: free some space, or name another folder for Spark's temporary files "
        "(--conf spark.local.dir=FOLDER), then run the same command again to continue",
    ),
    (
        r"java\.lang\.OutOfMemoryError|GC overhead limit|UNABLE_TO_ACQUIRE_MEMORY|SparkOutOfMemoryError",
        "what is written is safe; give Java more memory (--conf spark.driver.memory=8g on one machine, "
        "spark.executor.memory on a cluster) or fewer tasks at once (--master local[1]): with "
        "no more it would end here again",
    ),
    (
        r"\bMemoryError\b|ArrowMemoryError|Cannot allocate memory",
        "what is written is safe; a Python worker had too little memory: fewer tasks at once (--master local[1]) leave "
        "each one more",
    ),
    (
        r"FAILED_READ_FILE|CANNOT_READ_FILE|READ_FILE_NOT_EXIST|FileNotFoundException|FileReadException|"
        r"is not a Parquet file|ParquetDecodingException|ChecksumException|"
        r"DELTA_\w*(NOT_FOUND|NOT_EXIST|CORRUPT|TRUNCATED)|DELTA_STATE_RECOVER_ERROR|DELTA_FAILED_TO_RECOGNIZE|JsonParseException|DeltaFileNotFound",
        "a file of a table is damaged or missing, and the same command would meet it again: bring it back, or "
        "make that table again (the command of its name with --force; --restart for documents)",
    ),
    (
        r"S3AFileSystem not found|ClassNotFoundException: [\w.]*(s3a|amazon)",
        "this Spark has no S3: start it with --packages org.apache.hadoop:hadoop-aws:VERSION, the "
        "version of its Hadoop",
    ),
    (
        r"No FileSystem for scheme|UnsupportedFileSystem|ClassNotFoundException|NoClassDefFoundError|NoSuchMethodError",
        "a class is missing from Spark, or of another version: name its jar by --conf "
        "spark.jars.packages=GROUP:NAME:VERSION",
    ),
    (
        r"AccessDenied|Access Denied|AccessControlException|No AWS Credentials|NoAuthWithAWSException|Forbidden|"
        r"Unable to load credentials|InvalidAccessKeyId|SignatureDoesNotMatch|Status Code: 40[13]|Permission denied",
        "what is written is safe; Spark may not read or write there: give it credentials that may (for s3a:// the "
        "variables AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY)",
    ),
    (
        r"NoSuchBucket|Bucket does not exist|bucket does not exist|UnknownHostException",
        "what is written is safe; the bucket or host does not exist as it was named",
    ),
    (
        r"Concurrent\w*Exception|DELTA_CONCURRENT|DELTA_\w*_CONFLICT|timed? ?out|TimeoutException|Connection reset|"
        r"Connection refused|SlowDown|Service Unavailable|Status Code: 50[0-9]|ExecutorLostFailure|FetchFailed|"
        r"Broken pipe|NoHttpResponseException|SocketException|ConnectionClosed|worker exited unexpectedly|UNAVAILABLE",
        CONTINUES,
    ),
)


def told(error: Exception) -> list[str]:
    """Returns the message for an error of Spark: the reason and the advice; empty for other errors."""
    reason = spark_failure(error)
    if reason is None:
        return []
    message = f"{reason}\n{error}"
    for pattern, advice in _KINDS:
        if re.search(pattern, message):
            return [f"Spark failed: {reason}", f"{advice}; {_TRACE}"]
    return [f"Spark failed: {reason}", f"what is written is safe; {_TRACE}"]


def told_of_java(end: JavaEnd) -> list[str]:
    """Returns the message for the end of the JVM: how it ended, and the setting that helps."""
    if "OutOfMemoryError" in "\n".join(end.words) or end.status in _OUT_OF_MEMORY:
        return [
            f"Spark's Java process ran out of memory: its heap has {end.memory} (spark.driver.memory)",
            "what is written is safe; give it more, --conf spark.driver.memory=8g for example, or fewer tasks at once, "
            "--master local[1], then run the same command again to continue",
        ]
    if end.status == -9:
        return [
            "Spark's Java process was killed (signal 9): by the system, if memory ran out, or by someone",
            f"{CONTINUES}; if memory ran out, leave the rest of the machine more: --conf spark.driver.memory=2g for "
            f"example (it may take {end.memory} now), or fewer tasks at once, --master local[1]",
        ]
    how = f"was ended (signal {-end.status})" if end.status < 0 else f"ended with status {end.status}"
    words = f": {end.words[-1]}" if end.words else ""
    return [f"Spark's Java process {how}{words}", CONTINUES if end.status in _TERMINATED else "what is written is safe"]


_OUT_OF_MEMORY = (3, 52)  # exit statuses of -XX:+ExitOnOutOfMemoryError, and of Spark's own handler
_TERMINATED = (-15, -2, -1, 129, 130, 143)  # exit statuses after a termination signal


def java_end(error: BaseException) -> JavaEnd | None:
    """Returns how the JVM has ended, if its end has caused the error; else null."""
    if isinstance(error, JavaEndedError):
        return error.end
    launch = sys.modules.get("dclm_spark.spark.launch")
    if launch is None:
        return None
    is_cut_off = False
    one: BaseException | None = error
    while one is not None:
        names = {kind.__name__ for kind in type(one).__mro__}
        is_cut_off |= bool(names & {"Py4JNetworkError", "ConnectionError", "EOFError", "RetriesExceeded"})
        one = one.__cause__ or one.__context__
    end = launch.java_end(SECONDS_TO_FAIL if is_cut_off else 0.0)
    if end is not None:
        interrupts.fall_silent()
        if not _telling.acquire(blocking=False):
            time.sleep(SECONDS_TO_FAIL)  # meanwhile another thread prints the message and ends the process
    return end


SECONDS_TO_FAIL = 5.0
_telling = threading.Lock()


def watch_java() -> None:
    """Ends this process, if it is a command, when its JVM has ended and the command does not notice.

    A client of Spark Connect would try to reach the server for ten minutes.
    """
    if interrupts.are_taken():
        from dclm_spark.spark import launch

        launch.watch_java(_end)


def _end(end: JavaEnd) -> None:
    interrupts.fall_silent()
    time.sleep(SECONDS_TO_FAIL)
    if _telling.acquire(blocking=False):
        os.write(2, "".join(f"dclm-spark: {line}\n" for line in told_of_java(end)).encode())
    interrupts.end_children(0)
    os._exit(1)
