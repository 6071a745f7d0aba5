"""Runs an extractor in a separate process: receives pages one by one, and sends the text of each, or the error.

`sandbox` starts it. It imports almost nothing except the extractor, so that it starts in hundredths of a second. The
operating system limits each page: a timer of CPU time ends the process, and its memory is limited.
"""

import contextlib
import marshal
import os
import resource
import signal
import struct
import sys
from collections.abc import Callable

TEXT, ERROR, TOO_LARGE, NO_MEMORY, PANIC = range(5)
"""Kind of an answer: a text, the message of an exception, the length of a text above the limit, out of memory (no
content), or the message of a panic, which Python code may not catch. After the last two the process must not be used
again."""

HEAD = struct.Struct("<BQ")
"""Header of a message: its kind, and the number of bytes that follow."""

NATIVE_OUT_OF_MEMORY = b"memory allocation of "
"""Message of Rust before it ends a process that is out of memory."""
_NO_PYTHON_OBJECT = "PyObject pointer is null"  # panic of native code that could not allocate a Python string

_WIRE, _WORDS = 0, 2
_MAX_MESSAGE_CHARS = 300
_SET_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG, linux/prctl.h


def load(extractor: str) -> Callable[..., str | None]:
    """Returns the function of an extractor, from html and its options to text.

    Raises:
        ImportError: The extractor is not installed.
    """
    if extractor == "trafilatura":
        import trafilatura  # takes a second to import, and is rarely used

        return trafilatura.extract
    from resiliparse.extract.html2text import extract_plain_text

    return extract_plain_text


def main(parent: int) -> None:
    """Answers pages until the parent process has ended.

    Args:
        parent: Process id of the parent.
    """
    _follow(parent)
    _, config = _receive()
    settings = marshal.loads(config)
    extract = load(settings["extractor"])
    _limit_memory(settings["memory_bytes"])
    # Output of the extractor's Python code is discarded; the last output of native code is kept.
    os.set_blocking(_WORDS, False)
    sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - until the process ends
    _send(TEXT, b"")
    while True:
        _, page = _receive()
        signal.setitimer(signal.ITIMER_PROF, settings["cpu_seconds"])
        kind, answer = _answer(extract, page, settings["options"], settings["text_bytes"])
        signal.setitimer(signal.ITIMER_PROF, 0)
        del page
        _send(kind, answer)


def _answer(extract: Callable[..., str | None], page: bytearray, options: dict, text_bytes: int) -> tuple[int, bytes]:
    try:
        text = extract(str(page, "utf-8"), **options) or ""
        if len(text) > text_bytes:  # checked before encoding, which needs the same memory again
            return TOO_LARGE, b"%d" % len(text)
        encoded = _encode(text)
        return (TEXT, encoded) if len(encoded) <= text_bytes else (TOO_LARGE, b"%d" % len(encoded))
    except BaseException as error:  # any error concerns only this page
        if isinstance(error, MemoryError) or _NO_PYTHON_OBJECT in str(error) or _is_full():
            return NO_MEMORY, b""
        # Neither a panic in Rust nor SystemExit is an Exception.
        return (ERROR if isinstance(error, Exception) else PANIC), _message(error)


def _encode(text: str) -> bytes:
    """Encodes text as UTF-8; surrogates, which Python strings may hold, become U+FFFD."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return "".join("\ufffd" if "\ud800" <= letter <= "\udfff" else letter for letter in text).encode()


def _message(error: BaseException) -> bytes:
    return " ".join(f"{type(error).__name__}: {error}".split())[:_MAX_MESSAGE_CHARS].encode("utf-8", "replace")


def _follow(parent: int) -> None:
    """Ignores signals meant for the parent, and ends with it, also in the middle of a page if the system supports
    it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGPROF])
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            raise SystemExit


def _is_full() -> bool:
    """Returns whether the process has used nearly all its memory; parsers then raise errors of their own."""
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    if soft == resource.RLIM_INFINITY or sys.platform != "linux":
        return False
    with open("/proc/self/status", "rb") as stream:
        kilobytes = next(int(line.split()[1]) for line in stream if line.startswith(b"VmPeak"))
    return kilobytes << 10 > soft - soft // 10


def _limit_memory(memory_bytes: int) -> None:
    """Limits the memory that the process may use in addition to the present one; macOS does not enforce such limits."""
    if sys.platform == "linux":
        with open("/proc/self/statm", "rb") as stream:
            memory_bytes += int(stream.read().split()[0]) * resource.getpagesize()
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    limits = [memory_bytes, *(limit for limit in (soft, hard) if limit != resource.RLIM_INFINITY)]
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_AS, (min(limits), hard))


def _receive() -> tuple[int, bytearray]:
    kind, n_bytes = HEAD.unpack(_read(HEAD.size))
    return kind, _read(n_bytes)


def _read(n_bytes: int) -> bytearray:
    found = bytearray(n_bytes)
    view, at = memoryview(found), 0
    while at < n_bytes:
        n_read = os.readv(_WIRE, [view[at:]])
        if n_read == 0:  # the parent has ended
            os._exit(0)
        at += n_read
    return found


def _send(kind: int, answer: bytes) -> None:
    message = memoryview(HEAD.pack(kind, len(answer)) + answer)
    try:
        while message:
            message = message[os.write(_WIRE, message) :]
    except BrokenPipeError:
        os._exit(0)
