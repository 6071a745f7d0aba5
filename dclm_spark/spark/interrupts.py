"""Handles Ctrl-C and termination signals of a command: prints one sentence, ends all child processes, and exits.

By default, Python raises KeyboardInterrupt anywhere in the main thread, and pyspark first asks the JVM to cancel its
jobs, on a connection that may be in use; the result is unpredictable. A command can be killed at any time without harm,
so it ends its child processes and itself at once.
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
"""Seconds for the JVM to stop its work and delete its temporary files, before it is killed."""

sentence = "interrupted"
"""The sentence that is printed at a signal; a command replaces it by a more exact one."""

is_silent = False
"""True when nothing more may be printed except the last sentence."""

_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
_taken: list[signal.Signals] = []
_undoings: list[Callable[[], Any]] = []


@contextlib.contextmanager
def taken() -> Iterator[None]:
    """Handles termination signals as this module says; signals ignored by the parent stay
    ignored."""
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
    """Returns whether signals are handled here, that is, whether this process is one command."""
    return bool(_taken)


def retake() -> None:
    """Installs the handlers again after pyspark has replaced them, if signals are handled here."""
    if threading.current_thread() is threading.main_thread():
        _take()


def _take() -> None:
    for number in _taken:
        signal.signal(number, _end)


@contextlib.contextmanager
def undoing(undo: Callable[[], Any]) -> Iterator[None]:
    """Lets a termination signal inside also call this function, after the child processes have ended."""
    _undoings.append(undo)
    try:
        yield
    finally:
        _undoings.remove(undo)


def when_ended(undo: Callable[[], Any]) -> None:
    """Lets each later termination signal also call this function."""
    _undoings.append(undo)


def removing(folder: Path) -> contextlib.AbstractContextManager[None]:
    """Lets a termination signal inside also remove a folder."""
    return undoing(lambda: shutil.rmtree(folder, ignore_errors=True))


def fall_silent() -> None:
    """Prints no further errors, such as those of threads and libraries that lose the JVM."""
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
    screen = (
        "\r\x1b[J\x1b[?25h" if os.isatty(2) else ""
    )  # clears the line of a progress bar, and shows the cursor again
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
    """Ends all child processes and their children: terminates them, and after these seconds kills them."""
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
