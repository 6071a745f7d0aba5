"""Extractors in a process of their own, which a page may slow down, fill or kill without harm to any other page.

An html page of a few hundred kilobytes can take an extractor hours, gigabytes, or its stack. So every page is handed to
a process that stays for the next one, and that is ended when a page takes more than its share. The share is counted in
CPU time, so that a busy machine refuses the same pages as an idle one.
"""

import atexit
import contextlib
import marshal
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import dclm_spark
from dclm_spark.kernels.html.extractor_process import (
    ERROR,
    HEAD,
    NATIVE_OUT_OF_MEMORY,
    NO_MEMORY,
    PANIC,
    TEXT,
    TOO_LARGE,
)

MIB = 1 << 20

EXTRACTION = "extraction"
"""Fault kind: the extractor failed on the page."""
TOO_SLOW = "too_slow"
"""Fault kind: the extractor takes more CPU time for the page than the limit."""
CRASHED = "crashed"
"""Fault kind: the page ends the extractor's process."""
GROWN = "too_large"
"""Fault kind: the page's text, or the memory that the extractor takes for it, is larger than the limit."""


class Limits(NamedTuple):
    """What one page may take of an extractor.

    Attributes:
        cpu_seconds: CPU time.
        memory_bytes: Memory beyond what an idle extractor has. macOS keeps no such limit.
        text_bytes: Length of the text as UTF-8.
    """

    cpu_seconds: float = 10.0
    memory_bytes: int = 1024 * MIB
    text_bytes: int = 8 * MIB


class Failure(NamedTuple):
    """Why a page has no text.

    Attributes:
        kind: A kind of fault.
        message: What happened, for a person.
    """

    kind: str
    message: str


def extract_alone(
    html: str, *, extractor: str, options: Mapping[str, Any], limits: Limits
) -> tuple[str | None, Failure | None]:
    """A page's text and the failure, of which one is None.

    A page is at fault only if a fresh process fails on it: what an earlier page left behind, or a process that someone
    else has killed, is no fault of it. CPU time needs no second look.

    Raises:
        ExtractorError: The process does not start.
    """
    try:
        page = html.encode()
    except UnicodeEncodeError as error:
        return None, Failure(EXTRACTION, f"UnicodeEncodeError: {error}")
    settings = _settings(extractor, options, limits)
    with _one_at_a_time:
        kind, answer = _running(settings).ask(page)
        if kind in (NO_MEMORY, PANIC):
            _end()
            kind, answer = _running(settings).ask(page)
        if kind not in (TEXT, ERROR, TOO_LARGE):
            _end()
    answer = str(answer, "utf-8", "replace")
    return (answer, None) if kind == TEXT else (None, _failure(kind, answer, limits))


class ExtractorError(RuntimeError):
    """The extractor's process does not start, whatever the page."""


def _failure(kind: int, answer: str, limits: Limits) -> Failure:
    if kind == ERROR:
        return Failure(EXTRACTION, answer)
    if kind == TOO_LARGE:
        return Failure(GROWN, f"a text of {answer} bytes; the limit is {limits.text_bytes}")
    if kind == NO_MEMORY:
        memory = limits.memory_bytes // MIB
        return Failure(GROWN, f"the extractor takes more than {memory} MiB of memory, which is the limit")
    if kind == _OUT_OF_TIME:
        seconds = limits.cpu_seconds
        return Failure(TOO_SLOW, f"the extractor takes more than {seconds:g} s of CPU time, which is the limit")
    return Failure(CRASHED, f"the extractor's process ended: {answer}")


_OUT_OF_TIME = -1
_STUCK_SECONDS = 60.0


class _Process:
    """A process that extracts, and the wire to it."""

    def __init__(self, settings: bytes):
        self.settings = settings
        self.owner = os.getpid()
        self._wire, theirs = socket.socketpair()
        self._words, words = os.pipe()
        os.set_blocking(self._words, False)
        # A look at the process now and then, should it be stuck.
        self._wire.settimeout(_STUCK_SECONDS)
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _program()],
                stdin=theirs,
                stdout=subprocess.DEVNULL,
                stderr=words,
                env=os.environ | {"RUST_BACKTRACE": "0"},
            )
        except OSError as error:
            self.let_go()
            raise ExtractorError(f"the extractor's process does not start: {error}") from error
        finally:
            theirs.close()
            os.close(words)
        self._ticks: str | None = None
        kind, answer = self.ask(settings)
        if kind != TEXT:
            self.end()
            raise ExtractorError(f"the extractor's process does not start: {str(answer, 'utf-8', 'replace')}")

    def ask(self, message: bytes) -> tuple[int, bytes | bytearray]:
        """The kind of the answer, and the answer."""
        try:
            self._send(HEAD.pack(0, len(message)) + message)
            kind, n_bytes = HEAD.unpack(self._receive(HEAD.size))
            return kind, self._receive(n_bytes)
        except (ConnectionError, EOFError):
            return self._last_words()

    def _send(self, message: bytes) -> None:
        left = memoryview(message)
        while left:
            try:
                left = left[self._wire.send(left) :]
            except TimeoutError:
                self._look()

    def _receive(self, n_bytes: int) -> bytearray:
        found = bytearray(n_bytes)
        left = memoryview(found)
        while left:
            try:
                n_read = self._wire.recv_into(left)
            except TimeoutError:
                self._look()
                continue
            if n_read == 0:
                raise EOFError
            left = left[n_read:]
        return found

    def _look(self) -> None:
        """Kills a process that is neither at work nor waiting for its turn, and was not when last looked at."""
        try:
            state, *numbers = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:  # macOS has no such file
            return
        ticks = " ".join(numbers[10:12])
        if state in "STt" and ticks == self._ticks:
            self._process.kill()
        self._ticks = ticks

    def _last_words(self) -> tuple[int, bytes]:
        """What became of a process that has ended."""
        try:
            status = self._process.wait(timeout=_STUCK_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            status = self._process.wait()
        if status == -signal.SIGPROF:
            return _OUT_OF_TIME, b""
        words = b""
        with contextlib.suppress(BlockingIOError):
            words = os.read(self._words, 1 << 16)
        if NATIVE_OUT_OF_MEMORY in words:
            return NO_MEMORY, b""
        if status < 0:
            return PANIC, _signal_name(-status).encode()
        last = words.strip().rpartition(b"\n")[2]
        return PANIC, b"status %d %s" % (status, last)

    def let_go(self) -> None:
        """Closes this end of the wire, at which the process ends by itself."""
        self._wire.close()
        os.close(self._words)

    def end(self) -> None:
        """Ends the process, and leaves nothing of it."""
        self.let_go()
        self._process.kill()
        self._process.wait()


def _program() -> str:
    """What the process runs: its own path first, then this one's, so that it finds all that this one finds."""
    home = str(Path(dclm_spark.__file__).parents[1])
    path = [os.path.abspath(entry) for entry in (home, *sys.path)]
    return (
        f"import sys; sys.path += [entry for entry in {path!r} if entry not in sys.path]; "
        f"from dclm_spark.kernels.html.extractor_process import main; main({os.getpid()})"
    )


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _settings(extractor: str, options: Mapping[str, Any], limits: Limits) -> bytes:
    return marshal.dumps({"extractor": extractor, "options": dict(options), **limits._asdict()})


_process: _Process | None = None  # of this process: a fork of it starts its own
_one_at_a_time = threading.Lock()


def _running(settings: bytes) -> _Process:
    global _process
    if _process is not None and (_process.owner != os.getpid() or _process.settings != settings):
        _end()
    if _process is None:
        _process = _Process(settings)
    return _process


def _end() -> None:
    global _process
    if _process is not None:
        if _process.owner == os.getpid():
            _process.end()
        else:
            _process.let_go()
        _process = None


atexit.register(_end)
