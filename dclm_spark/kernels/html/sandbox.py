"""Extractors in a process of their own, which a page may slow down, fill or kill without harm to any other page.

An html page of a few hundred kilobytes can take an extractor hours, gigabytes, or its stack. So every page is sent to
a process that is kept for the next one, and that is ended when a page takes more than its limits. Time is counted in
CPU time, so that a busy machine refuses the same pages as an idle one. Pages are sent ahead, so that neither process
waits for the other.
"""

import atexit
import contextlib
import marshal
import os
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Generic, NamedTuple, TypeVar

from dclm_spark.kernels.html.extractor import OUT_OF_TIME, Extractor
from dclm_spark.kernels.html.extractor_process import ERROR, NO_MEMORY, PANIC, TEXT, TOO_LARGE

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


# How much is sent ahead of the page whose text is awaited.
_AHEAD_BYTES = 2 * MIB
_AHEAD_PAGES = 32

Item = TypeVar("Item")
_Extracted = tuple[Item, str | None, Failure | None]


def extract_alone(
    pages: Iterable[tuple[Item, str | None]], *, extractor: str, options: Mapping[str, Any], limits: Limits
) -> Iterator[_Extracted[Item]]:
    """Every item in order, with its page's text and the failure, of which one is null; both are if there is no page.

    A page is at fault only if a fresh process fails on it: what an earlier page left behind, or a process that someone
    else has killed, is no fault of it. CPU time needs no second look.

    Args:
        pages: Items and their pages, of which some are read ahead. An error of this iterator is raised before the texts
            of these.

    Raises:
        ExtractorError: The process does not start.
    """
    settings = marshal.dumps({"extractor": extractor, "options": dict(options), **limits._asdict()})
    with contextlib.closing(_Queue[Item](settings, limits)) as queue:
        for item, page in pages:
            question = failure = None
            try:
                question = page.encode() if page else None
            except UnicodeEncodeError as error:
                failure = Failure(EXTRACTION, f"UnicodeEncodeError: {error}")
            while queue.is_full() or (queue and question is None):
                yield queue.take()
            if question is None:
                yield item, None if failure else page, failure
            else:
                queue.put(item, question)
        while queue:
            yield queue.take()


class _Queue(Generic[Item]):
    """Items whose pages have been sent to a process, oldest first. A process that a page has ended is replaced."""

    def __init__(self, settings: bytes, limits: Limits):
        self._settings = settings
        self._limits = limits
        self._items: deque[tuple[Item, bytes]] = deque()
        self._n_bytes = 0
        self._extractor: Extractor | None = None

    def __len__(self) -> int:
        return len(self._items)

    def is_full(self) -> bool:
        return self._n_bytes >= _AHEAD_BYTES or len(self._items) >= _AHEAD_PAGES

    def put(self, item: Item, page: bytes) -> None:
        if self._extractor is None:
            self._extractor = _borrow(self._settings)
        self._items.append((item, page))
        self._n_bytes += len(page)
        self._extractor.send(page)

    def take(self) -> _Extracted[Item]:
        """The oldest item, its text and the failure."""
        item, page = self._items.popleft()
        self._n_bytes -= len(page)
        kind, answer = self._receive()
        if kind in (NO_MEMORY, PANIC):
            self._start_anew(page)
            kind, answer = self._receive()
        if kind not in (TEXT, ERROR, TOO_LARGE):
            self._start_anew()
        said = str(answer, "utf-8", "replace")
        return (item, said, None) if kind == TEXT else (item, None, _failure(kind, said, self._limits))

    def _receive(self) -> tuple[int, bytes | bytearray]:
        assert self._extractor is not None  # it was sent the item that is waited for
        return self._extractor.receive()

    def _start_anew(self, *first: bytes) -> None:
        """A fresh process in place of the last, which is sent these pages and those that have no answer yet."""
        if self._extractor is not None:
            self._extractor.end()
        self._extractor = None
        pages = [*first, *(page for _, page in self._items)]
        if pages:
            self._extractor = Extractor(self._settings)
            for page in pages:
                self._extractor.send(page)

    def close(self) -> None:
        """Keeps the process for the next queue, or ends it in the middle of a page."""
        if self._extractor is None:
            return
        if self._items:
            self._extractor.end()
        else:
            _idle.append(self._extractor)


def _failure(kind: int, answer: str, limits: Limits) -> Failure:
    if kind == ERROR:
        return Failure(EXTRACTION, answer)
    if kind == TOO_LARGE:
        return Failure(GROWN, f"a text of {answer} bytes; the limit is {limits.text_bytes}")
    if kind == NO_MEMORY:
        memory = limits.memory_bytes // MIB
        return Failure(GROWN, f"the extractor takes more than {memory} MiB of memory, which is the limit")
    if kind == OUT_OF_TIME:
        seconds = limits.cpu_seconds
        return Failure(TOO_SLOW, f"the extractor takes more than {seconds:g} s of CPU time, which is the limit")
    return Failure(CRASHED, f"the extractor's process ended: {answer}")


_idle: list[Extractor] = []
"""Processes that wait for a page; in a fork of this process those of its parent, which are not to be used."""


def _borrow(settings: bytes) -> Extractor:
    while True:
        try:
            extractor = _idle.pop()
        except IndexError:
            return Extractor(settings)
        if extractor.settings == settings and extractor.owner == os.getpid():
            return extractor
        _dismiss(extractor)


def _dismiss(extractor: Extractor) -> None:
    if extractor.owner == os.getpid():
        extractor.end()
    else:
        extractor.let_go()


def end_idle() -> None:
    """Ends the processes that wait for a page."""
    while _idle:
        _dismiss(_idle.pop())


atexit.register(end_idle)
