"""A dclm-spark command that a kill -9 meets at one exact moment.

    python doomed.py NOTES VICTIM MOMENT COMMAND ...

NOTES is a folder: `opened` there gets a line for each archive that a worker opens, `reached` the pid of the worker that
came to the moment.

VICTIM is `driver` (this process alone), `group` (with its JVM), `worker` (the Python worker that reads), or `nobody`:
then whoever waits for `reached` does the killing.

MOMENT is `reading file-1`: half way through that archive, once; or `inside with_ngrams 0`: in the first pass of that
adapter, in a worker that has taken one batch and waits for the next; or as `before append documents 1`: before the
second commit to `documents` of this process. `within replace annotated 0` is inside the commit: one file of the table
is written, another is not, and no version names them. `after` is the third.
"""

import io
import itertools
import os
import signal
import sys
import threading
import time
from functools import partial
from pathlib import Path

from dclm_spark.cli import main as cli
from dclm_spark.lake.warehouse import Warehouse
from dclm_spark.pipeline import batches

try:
    from pyspark.sql.classic.dataframe import DataFrame
except ImportError:  # Spark 3.5
    from pyspark.sql import DataFrame

BLOCK_BYTES = 4096
FOREVER_SECONDS = 1800  # nobody waits this long: the process is dead by then, and no test is left hanging if not


def kill(victim: str) -> None:
    if victim == "group":
        os.killpg(0, signal.SIGKILL)
    elif victim != "nobody":
        os.kill(os.getpid(), signal.SIGKILL)


def kill_when(condition, victim: str) -> None:
    def wait() -> None:
        while not condition():
            time.sleep(0.01)
        kill(victim)

    threading.Thread(target=wait, daemon=True).start()


def stop_here(reached: Path, victim: str) -> None:
    """Where a worker gets no further."""
    reached.with_suffix(".new").write_text(str(os.getpid()))
    reached.with_suffix(".new").rename(reached)
    if victim == "worker":
        kill("worker")
    time.sleep(FOREVER_SECONDS)


class Faltering(io.FileIO):
    """An archive that is read in small blocks; the worker gets no further than the first."""

    def __init__(self, path: str, reached: Path, victim: str):
        super().__init__(path)
        self._reached, self._victim = reached, victim

    def readinto(self, buffer) -> int:
        if self.tell() > 0:
            stop_here(self._reached, self._victim)
        return super().readinto(memoryview(buffer)[:BLOCK_BYTES])


def open_noted(path: str, *, storage_options, notes: Path, falters_at: str | None, victim: str):
    with open(notes / "opened", "a") as opened:
        opened.write(Path(path).name + "\n")
    reached = notes / "reached"
    if falters_at is not None and Path(path).name.startswith(falters_at) and not reached.exists():
        return io.BufferedReader(Faltering(path, reached, victim), BLOCK_BYTES)
    return open(path, "rb")


def never_ending(rows):
    """The same rows on two tasks, of which one ends and one does not."""

    def stall(batches):
        from pyspark import TaskContext

        if TaskContext.get().partitionId() == 1:
            time.sleep(FOREVER_SECONDS)
        yield from batches

    return rows.repartition(2).mapInArrow(stall, rows.schema)


def halt(adapter: str, nth: int, reached: Path, victim: str) -> None:
    """Makes the nth pass of an adapter stop once, after the first batch of its rows."""
    original = DataFrame.mapInArrow
    calls = itertools.count()

    def map_in_arrow(self, function, *arguments, **options):
        def halting(batches):
            def taken():
                yield from itertools.islice(batches, 1)
                if not reached.exists():
                    stop_here(reached, victim)
                yield from batches

            return function(taken())

        is_meant = function.__qualname__.startswith(f"{adapter}.") and next(calls) == nth
        return original(self, halting if is_meant else function, *arguments, **options)

    DataFrame.mapInArrow = map_in_arrow


def doom(when: str, verb: str, table: str, nth: int, victim: str) -> None:
    """Makes the nth call of a verb of `Warehouse` for a table the last thing that the victim does."""
    original = getattr(Warehouse, verb)
    calls = itertools.count()

    def doomed(self, *arguments, **options):
        is_meant = table == (arguments[0] if verb == "delete" else arguments[1]) and next(calls) == nth
        if is_meant and when == "before":
            kill(victim)
        if is_meant and when == "within":
            folder = Path(self.location) / table
            before = set(folder.rglob("part-*.parquet"))
            kill_when(lambda: set(folder.rglob("part-*.parquet")) - before, victim)
            arguments = (never_ending(arguments[0]), *arguments[1:])
        result = original(self, *arguments, **options)
        if is_meant:
            kill(victim)
        return result

    setattr(Warehouse, verb, doomed)


def main() -> int:
    notes, victim, moment, *command = sys.argv[1:]
    when, *what = moment.split()
    falters_at = None
    reached = Path(notes) / "reached"
    if when in ("reading", "inside") and victim in ("driver", "group"):
        kill_when(reached.exists, victim)
    if when == "reading":
        falters_at = what[0]
    elif when == "inside":
        halt(what[0], int(what[1]), reached, victim)
    else:
        verb, table, nth = what
        doom(when, verb, table, int(nth), victim)
    batches.open_source = partial(open_noted, notes=Path(notes), falters_at=falters_at, victim=victim)
    sys.argv[1:] = command
    return cli.main()


if __name__ == "__main__":
    sys.exit(main())
