"""What the logs of tables on this machine's disk say, at a look, where Spark would run a job."""

import contextlib
import fcntl
import json
import os
import re
import shutil
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_VERSION = re.compile(r"(\d{20})\.(?:json|checkpoint)")

WAIT_SECONDS = 10.0  # of waiting for another process before it is told


class Commit(NamedTuple):
    """One version of one table."""

    version: int
    n_rows: int


class LocalLog:
    """The Delta logs of a folder of tables.

    Args:
        location: The folder, there or not.
    """

    def __init__(self, location: str):
        self._folder = Path(location)

    def versions(self, table: str) -> list[int]:
        """The versions that a table's log still holds, some of them twice; none where there is no table."""
        log = self._log(table)
        entries = os.listdir(log) if log.is_dir() else []
        return [int(match[1]) for entry in entries if (match := _VERSION.match(entry))]

    def commit(self, table: str, metadata: str) -> Commit | None:
        """The latest commit with this user metadata, its rows as Delta counts them; null where the log does not say."""
        for version in sorted(set(self.versions(table)), reverse=True):
            entry = self._log(table) / f"{version:020d}.json"
            if not entry.is_file():  # a checkpoint has taken its place
                return None
            for line in entry.read_text(encoding="utf-8").splitlines():
                info = json.loads(line).get("commitInfo") if '"commitInfo"' in line else None
                if info and info.get("userMetadata") == metadata and "operationMetrics" in info:
                    return Commit(version, int(info["operationMetrics"].get("numOutputRows", 0)))
        return None

    @contextlib.contextmanager
    def sole_maker(self, table: str) -> Iterator[None]:
        """Held by one process of this machine at a time, while it makes a table.

        On a local disk nothing else keeps two first versions of a table apart: Delta looks whether there is one, then
        renames its own into place. The lock of a killed process is free.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            with contextlib.suppress(OSError):  # a network disk without locks
                fcntl.flock(folder, fcntl.LOCK_EX)
            # Spark takes a log without versions for a table: it neither creates it nor writes to it. Under the lock,
            # such a log is what a killed maker has left.
            if not self.versions(table):
                shutil.rmtree(self._log(table), ignore_errors=True)
            yield
        finally:
            os.close(folder)  # lets go of the lock

    @contextlib.contextmanager
    def sole_writer(self, table: str) -> Iterator[None]:
        """Held by one process of this machine at a time, while it writes to a table that is there.

        For the same reason: of two commits of one version, the later would take the place of the earlier, rows and all.
        Elsewhere a store refuses the later one, and Delta commits it anew. Who has to wait says so.
        """
        lock = os.open(self._folder / table, os.O_RDONLY)
        try:
            with contextlib.suppress(OSError):  # a network disk without locks
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    said = threading.Timer(WAIT_SECONDS, print, [self._waiting(table)], {"file": sys.stderr})
                    said.daemon = True
                    said.start()
                    try:
                        fcntl.flock(lock, fcntl.LOCK_EX)
                    finally:
                        said.cancel()
            yield
        finally:
            os.close(lock)  # lets go of the lock

    def _waiting(self, table: str) -> str:
        return f"another process writes {self._folder / table}; on a local disk they take turns, and this one waits"

    def _log(self, table: str) -> Path:
        return self._folder / table / "_delta_log"
