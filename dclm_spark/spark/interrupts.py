"""Ctrl-C and requests to end, for a process that is one command: one sentence, no process left behind, an exit status.

Python raises KeyboardInterrupt wherever the main thread is, and pyspark asks the JVM to cancel its jobs first, on a
connection that may be in the middle of an answer: what comes of it is a matter of luck. A command has nothing to tidy
up that a kill would not leave in order as well, so it ends its processes and itself, there and then.
"""

import contextlib
import logging
import os
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

SECONDS_TO_END = 8.0
"""That the JVM has to stop what runs and to delete its temporary files; then it is killed."""

sentence = "interrupted"
"""What is said when a signal comes; a command says more once it is known."""

is_silent = False
"""True once nothing more is told, but the last sentence."""

_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
_taken: list[signal.Signals] = []
_undoings: list[Callable[[], Any]] = []


@contextlib.contextmanager
def taken() -> Iterator[None]:
    """Inside, a signal to end is answered as above; one that the parent has told this process to ignore is ignored."""
    if threading.current_thread() is not threading.main_thread() or _taken:
        yield
        return
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    _taken.extend(n for n, handler in before.items() if handler in (signal.SIG_DFL, signal.default_int_handler))
    _take()
    try:
        yield
    finally:
        for number in _taken:
            signal.signal(number, before[number])
        _taken.clear()


def are_taken() -> bool:
    """True if this process is one command's."""
    return bool(_taken)


def retake() -> None:
    """Undoes that pyspark has put a handler of its own in place, where signals are taken."""
    if threading.current_thread() is threading.main_thread():
        _take()


def _take() -> None:
    for number in _taken:
        signal.signal(number, _end)


@contextlib.contextmanager
def undoing(undo: Callable[[], Any]) -> Iterator[None]:
    """Inside, a signal to end also calls this function, once no other process is at work."""
    _undoings.append(undo)
    try:
        yield
    finally:
        _undoings.remove(undo)


def when_ended(undo: Callable[[], Any]) -> None:
    """From here on a signal to end also calls this function."""
    _undoings.append(undo)


def removing(folder: Path) -> contextlib.AbstractContextManager[None]:
    """Inside, a signal to end also removes a folder."""
    return undoing(lambda: shutil.rmtree(folder, ignore_errors=True))


def fall_silent() -> None:
    """From here on nothing that fails in passing is told: threads and libraries that miss the JVM, workers that go."""
    global is_silent
    is_silent = True
    logging.disable()
    threading.excepthook = lambda _: None
    sys.unraisablehook = lambda _: None
    with contextlib.suppress(OSError, ValueError):
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - until the process ends


def _end(number: int, _: FrameType | None) -> None:
    for taken_one in _taken:
        signal.signal(taken_one, _end_at_once)
    screen = "\r\x1b[J\x1b[?25h" if os.isatty(2) else ""  # a progress bar's line, and the cursor that it hides
    fall_silent()
    end_children(SECONDS_TO_END)
    for undo in reversed(_undoings):
        with contextlib.suppress(Exception):
            undo()
    with contextlib.suppress(OSError):
        os.write(2, f"{screen}dclm-spark: {sentence}\n".encode())
    os._exit(128 + number)


def _end_at_once(number: int, _: FrameType | None) -> None:
    end_children(0)
    os._exit(128 + number)


def end_children(seconds: float) -> None:
    """Ends the processes that this one has started, and theirs: asked first, killed after some seconds."""
    import psutil

    children = psutil.Process().children()
    family = [*children, *(below for child in children for below in _below(child))]
    if seconds:
        for child in children:
            with contextlib.suppress(psutil.Error):
                child.terminate()
        _, family = psutil.wait_procs(family, timeout=seconds)
    for process in [*family, *psutil.Process().children(recursive=True)]:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(family, timeout=2)


def _below(process: Any) -> list[Any]:
    import psutil

    try:
        return process.children(recursive=True)
    except psutil.Error:
        return []
