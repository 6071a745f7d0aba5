"""CPU time and memory of a process and of all that it has started: the JVM, PySpark's daemon, its workers."""

import contextlib
import threading
import time
from pathlib import Path

import psutil

SAMPLE_SECONDS = 0.25


class Tree:
    """The tree of this process, as a context manager; it is looked at now and then, as workers may end unseen.

    A worker's parent, PySpark's daemon, ignores the end of its children, and the kernel then adds their times to
    nobody's. So a worker counts by what was last seen of it, any other process by its own time and that of the children
    that it has waited for. The time spent on looking is left out.
    """

    def __init__(self) -> None:
        self._root = psutil.Process()
        self._workers: dict[tuple[int, float], float] = {}
        self._peak_worker_bytes = 0
        self._looking = 0.0
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "Tree":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def cpu_seconds(self) -> float:
        """User and system time since this process began."""
        with self._lock:
            return self._look() - self._looking

    def peak_worker_bytes(self) -> int:
        """The most memory (resident, pages shared with the daemon included) that one worker has held so far."""
        with self._lock:
            self._look()
            return self._peak_worker_bytes

    def _watch(self) -> None:
        while not self._stop.wait(SAMPLE_SECONDS):
            with self._lock:
                self._look()

    def _look(self) -> float:
        began = time.thread_time()
        total = 0.0
        for process in [self._root, *self._root.children(recursive=True)]:
            with contextlib.suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                if _is_daemon(process.parent()):
                    self._workers[process.pid, process.create_time()] = times.user + times.system
                    self._peak_worker_bytes = max(self._peak_worker_bytes, _peak_bytes(process))
                else:
                    total += times.user + times.system
                    total += getattr(times, "children_user", 0.0) + getattr(times, "children_system", 0.0)
        self._looking += time.thread_time() - began
        return total + sum(self._workers.values())


def _is_daemon(process: psutil.Process | None) -> bool:
    with contextlib.suppress(psutil.Error):
        if process is not None and "dclm_spark.spark.daemon" in process.cmdline():
            # A worker is a fork of the daemon and has its command line; the daemon itself is started by the JVM.
            parent = process.parent()
            return parent is not None and "dclm_spark.spark.daemon" not in parent.cmdline()
    return False


def _peak_bytes(process: psutil.Process) -> int:
    """The kernel's own high-water mark where there is one (Linux), else what the process holds now."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        return int(Path(f"/proc/{process.pid}/status").read_text().split("VmHWM:")[1].split()[0]) << 10
    return process.memory_info().rss
