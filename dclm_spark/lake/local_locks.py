"""Locks tables and stages of a folder of Delta tables against other processes on this machine."""

import contextlib
import fcntl
import os
import re
import shutil
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from dclm_spark.errors import WarehouseError
from dclm_spark.lake.local_log import LocalLog
from dclm_spark.terminal import shown

_CHECKSUM = re.compile(r"\.?(\d{20})\.(?:.+\.)?crc")  # Delta's checksum of a version, and Hadoop's of any file

WAIT_SECONDS = 10.0  # wait for another process, before a message is printed


class LocalLocks:
    """Locks the tables of a folder, and the stages that make them; the lock of a killed process is released.

    Args:
        location: Path of the folder, which may not exist.
    """

    def __init__(self, location: str):
        self._folder = Path(location)
        self._log = LocalLog(location)

    @contextlib.contextmanager
    def creating(self, table: str) -> Iterator[None]:
        """Locks a table while it is created, against other processes on this machine.

        On a local disk nothing else prevents two first versions of a table: Delta checks whether one exists, then
        renames its own into place.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            with contextlib.suppress(OSError):  # a network disk without locks
                fcntl.flock(folder, fcntl.LOCK_EX)
            # Spark takes a log without versions for a table: it neither creates it nor writes to it. Under the lock,
            # such a log can only come from a process that was killed.
            if not self._log.versions(table):
                shutil.rmtree(self._log.folder(table), ignore_errors=True)
            yield
        finally:
            os.close(folder)  # releases the lock

    @contextlib.contextmanager
    def writing(self, table: str) -> Iterator[bool]:
        """Locks an existing table while it is written, against other processes on this machine.

        On a local disk, of two commits of the same version the later would replace the earlier one and its rows. Other
        stores refuse the later one, and Delta commits it again. A process that waits long prints a message. Yields
        false on a network disk without locks, where nothing is locked.
        """
        lock = os.open(self._folder / table, os.O_RDONLY)
        try:
            is_locked = self._wait_for(lock, table)
            if is_locked:
                self._drop_checksums(table)
            yield is_locked
        finally:
            os.close(lock)  # releases the lock

    def _drop_checksums(self, table: str) -> None:
        """Deletes the checksums of lost versions, which would be applied to the next version with the same number."""
        last = max(self._log.versions(table), default=-1)
        for entry in os.listdir(self._log.folder(table)):
            if (match := _CHECKSUM.match(entry)) and int(match[1]) > last:
                (self._log.folder(table) / entry).unlink(missing_ok=True)

    @contextlib.contextmanager
    def making(self, stage: str, dump: str | None, *, what: str) -> Iterator[bool]:
        """Locks a stage of a dump, or of several dumps if `dump` is null, against other processes on this machine.

        The table `runs` must exist. Yields false on a network disk without locks, where nothing is locked.

        Raises:
            WarehouseError: Another process holds the lock.
        """
        folder = self._folder / "runs" / "_claims"  # readers of Delta ignore names with an underscore
        folder.mkdir(exist_ok=True)
        names = [stage] if dump is None else [stage, f"{stage}.{dump}"]
        with contextlib.ExitStack() as held:
            for name in names:
                lock = os.open(folder / name, os.O_RDONLY | os.O_CREAT, 0o666)
                held.callback(os.close, lock)  # releases the lock
                # Two dumps may be made at the same time, but not while a stage of several dumps is made.
                kind = fcntl.LOCK_SH if dump is not None and name == stage else fcntl.LOCK_EX
                try:
                    fcntl.flock(lock, kind | fcntl.LOCK_NB)
                except BlockingIOError:
                    by = (dump is not None and os.pread(lock, 200, 0).decode()) or "another process"
                    raise WarehouseError(
                        [
                            f"{by} makes {what}, and this one has ended; when that one is done, run the same command "
                            "again to continue"
                        ]
                    ) from None
                except OSError:
                    yield False
                    return
            with contextlib.suppress(OSError):  # another user's file
                (folder / names[-1]).write_text(f"process {os.getpid()} on {socket.gethostname()}")
            yield True

    def _wait_for(self, lock: int, table: str) -> bool:
        """Takes a table's lock, however long that takes; returns false on a disk without locks."""
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            message = threading.Timer(WAIT_SECONDS, print, [shown(self._waiting(table))], {"file": sys.stderr})
            message.daemon = True
            message.start()
            try:
                fcntl.flock(lock, fcntl.LOCK_EX)
            finally:
                message.cancel()
        except OSError:
            return False
        return True

    def _waiting(self, table: str) -> str:
        return f"another process writes {self._folder / table}; on a local disk only one can at a time: waiting for it"
