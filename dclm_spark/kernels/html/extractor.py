"""A process that extracts pages, and the wire to it."""

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
from collections import deque
from pathlib import Path

import dclm_spark
from dclm_spark.kernels.html.extractor_process import HEAD, NATIVE_OUT_OF_MEMORY, NO_MEMORY, PANIC, TEXT

OUT_OF_TIME = -1
"""Beside the kinds of answers in `extractor_process`: the process took more CPU time for the page than it may."""

_STUCK_SECONDS = 60.0
_CHUNK_BYTES = 1 << 18


class ExtractorError(RuntimeError):
    """The extractor's process does not start, whatever the page."""


class Extractor:
    """A process that extracts. Pages may be sent ahead; answers come in the pages' order.

    Args:
        settings: What `extractor_process.main` reads first.

    Attributes:
        owner: The process that started it, and alone may use it.

    Raises:
        ExtractorError: It does not start.
    """

    def __init__(self, settings: bytes):
        self.settings = settings
        self.owner = os.getpid()
        self._unsent: deque[memoryview] = deque()
        self._received = bytearray()
        self._wire, theirs = socket.socketpair()
        self._wire.setblocking(False)
        self._poll = select.poll()
        self._words, words = os.pipe()
        os.set_blocking(self._words, False)
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _program()],
                stdin=theirs.fileno(),
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
        self.send(settings)
        kind, answer = self.receive()
        if kind != TEXT:
            self.end()
            raise ExtractorError(f"the extractor's process does not start: {str(answer, 'utf-8', 'replace')}")

    def send(self, page: bytes) -> None:
        """Sends a page, or as much of it as goes without waiting; later calls send the rest."""
        self._unsent.append(memoryview(HEAD.pack(0, len(page)) + page))
        # If the process has ended, `receive` says so after the answers that it gave before.
        with contextlib.suppress(ConnectionError, EOFError):
            self._exchange(wait=False)

    def receive(self) -> tuple[int, bytes | bytearray]:
        """Waits for the next answer: its kind, and what it says."""
        try:
            kind, n_bytes = HEAD.unpack(self._take(HEAD.size))
            return kind, self._take(n_bytes)
        except (ConnectionError, EOFError):
            return self._last_words()

    def _take(self, n_bytes: int) -> bytearray:
        while len(self._received) < n_bytes:
            self._exchange(wait=True)
        taken = self._received[:n_bytes]
        del self._received[:n_bytes]
        return taken

    def _exchange(self, *, wait: bool) -> None:
        """Sends and receives what it can; with `wait` not before something is received."""
        while True:
            self._poll.register(self._wire, select.POLLIN | (select.POLLOUT if self._unsent else 0))
            ready = self._poll.poll(_STUCK_SECONDS * 1000 if wait else 0)
            if not ready and not wait:
                return
            if not ready:
                self._look()
            elif ready[0][1] & ~select.POLLOUT:
                chunk = self._wire.recv(_CHUNK_BYTES)
                if not chunk:
                    raise EOFError
                self._received += chunk
                wait = False
            else:
                self._send_some()

    def _send_some(self) -> None:
        try:
            n_sent = self._wire.send(self._unsent[0])
        except ConnectionError:
            self._unsent.clear()
            return
        self._unsent[0] = self._unsent[0][n_sent:]
        if not self._unsent[0]:
            self._unsent.popleft()

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
            return OUT_OF_TIME, b""
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
