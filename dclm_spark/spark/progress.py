"""Shows the progress of a long stage: a bar on a terminal, occasional lines in a log."""

import sys
import threading
import time
from typing import TYPE_CHECKING, TextIO

from rich.console import Console
from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

POLL_SECONDS = 1.0
LINE_SECONDS = 30.0


class Progress:
    """Shows the progress of one stage over one dump.

    `start` and `advance` count whole units; between them Spark's count of finished tasks moves the bar, if the session
    tells it.

    Args:
        spark: The session that does the work.
        title: Name of the work, such as stage and dump.
        quiet: Whether to print nothing.
        out: Stream to print to; a terminal gets a bar, anything else gets lines.
    """

    def __init__(self, spark: "SparkSession", title: str, *, quiet: bool = False, out: TextIO | None = None):
        self._tasks = _TaskCount(spark)
        self._title = title
        self._out = out or sys.stderr
        self._quiet = quiet
        self._total, self._done, self._unit, self._n_rows = 0, 0.0, "tasks", 0
        self._done_before = 0.0
        self._started = time.monotonic()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._bar: Bar | None = None

    def __enter__(self) -> "Progress":
        if not self._quiet:
            if self._out.isatty():
                columns = (
                    TextColumn("{task.description}", markup=False),
                    BarColumn(),
                    TaskProgressColumn(),
                    TextColumn("{task.fields[words]}", markup=False),
                    TimeRemainingColumn(),
                )
                self._bar = Bar(*columns, console=Console(file=self._out), transient=True)
                self._bar.start()
                self._row = self._bar.add_task(self._title, total=None, words="")
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        if self._bar is not None:
            self._bar.stop()
        self._tasks.close()

    def start(self, total: int, unit: str, *, done: int = 0) -> None:
        """Sets the number of units, and how many were done before."""
        self._total, self._unit, self._done, self._done_before = total, unit, float(done), float(done)
        self._started = time.monotonic()

    def advance(self, n: int, *, n_rows: int = 0) -> None:
        """Adds finished units and the number of their rows."""
        self._done += n
        self._n_rows += n_rows
        if self._bar is None and not self._quiet:
            print(self._line(0.0), file=self._out, flush=True)

    def _watch(self) -> None:
        last_line = time.monotonic()
        while not self._stop.wait(POLL_SECONDS):
            share = self._tasks.share()
            if self._bar is not None:
                total = self._total or 1
                self._bar.update(self._row, total=total, completed=self._done + share, words=self._words(share))
            elif time.monotonic() - last_line >= LINE_SECONDS:
                last_line = time.monotonic()
                print(self._line(share), file=self._out, flush=True)

    def _words(self, share: float) -> str:
        seconds = max(time.monotonic() - self._started, 1e-3)
        words = f"{self._done + share:.0f}/{self._total} {self._unit}" if self._total else f"{share:.0%} of tasks"
        rate = self._n_rows / seconds
        return words + (f", {rate:,.{0 if rate >= 10 else 1}f} documents/s" if self._n_rows else "")

    def _line(self, share: float) -> str:
        seconds = time.monotonic() - self._started
        fresh = self._done + share - self._done_before
        left = (self._total - self._done - share) * seconds / fresh if self._total and fresh > 0 else None
        words = f"{self._title}: {self._words(share)}, {seconds:.0f} s"
        return words + (f", about {left:.0f} s left" if left else "")


class _TaskCount:
    """Counts finished tasks of the running Spark stages, by Spark's status tracker or Connect's progress handler."""

    def __init__(self, spark: "SparkSession"):
        self._spark = spark
        self._seen = (0, 0)
        self._has_handler = hasattr(spark, "registerProgressHandler") and "connect" in type(spark).__module__
        if self._has_handler:
            spark.registerProgressHandler(self._handle)

    def _handle(self, stages, **_: object) -> None:
        live = [stage for stage in stages or () if stage.num_completed_tasks < stage.num_tasks]
        self._seen = (sum(s.num_completed_tasks for s in live), sum(s.num_tasks for s in live))

    def share(self) -> float:
        """Returns the share of the running stages' tasks that are finished, [0, 1]; 0 if unknown."""
        done, total = self._seen if self._has_handler else self._classic()
        return done / total if total else 0.0

    def _classic(self) -> tuple[int, int]:
        if "connect" in type(self._spark).__module__:
            return 0, 0
        from pyspark import SparkContext

        tracker = SparkContext.getOrCreate().statusTracker()
        infos = [info for stage in tracker.getActiveStageIds() if (info := tracker.getStageInfo(stage)) is not None]
        return sum(info.numCompletedTasks for info in infos), sum(info.numTasks for info in infos)

    def close(self) -> None:
        if self._has_handler:
            self._spark.removeProgressHandler(self._handle)
