"""A file that lies elsewhere, as one that can be read and sought in: by blocks, one ahead, each tried four times."""

import io
import os
import re
import tempfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from email.utils import parsedate_to_datetime
from functools import partial
from time import sleep, time
from typing import Any, TypeVar

from dclm_spark.files.addresses import identity_of, is_web, scheme_of, without_secrets
from dclm_spark.files.reach import RefusedError, guarded_client, host_of

T = TypeVar("T")

_SENDABLE = re.compile(r"(?:[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})+")  # RFC 3986

BLOCK_BYTES = 8 << 20
"""Of one request. An open file holds two blocks."""

PAUSES_SECONDS = (1.0, 5.0, 15.0)
"""Before the second try and those after it. Each is longer by up to a half, as the address decides: many tasks that
fail at once do not come back at once."""

LONGEST_PAUSE_SECONDS = 60.0
"""Of a server that says itself when to come back (Retry-After)."""


def store_of(
    address: str, storage_options: Mapping[str, Any], *, asked: tuple[str, ...] | None = None
) -> tuple[Any, str]:
    """The fsspec file system of an address, and the file's path there.

    Args:
        address: The file, or a folder.
        storage_options: In fsspec's words.
        asked: The hosts that the user has written, see `reach`; null takes the address for the user's own.

    Raises:
        ImportError: The package for the scheme is not installed.
        ValueError: No package is known for the scheme.
    """
    from fsspec.core import url_to_fs

    if scheme_of(address) is None:
        return url_to_fs(address)
    if not is_web(address):
        return url_to_fs(address, **storage_options)
    from aiohttp import ClientTimeout

    # Archives are wanted as they are stored: a server must not compress them on the way, and where one calls .gz an
    # encoding it must not be undone. A file may take its time, silence may not. Proxies are those of the environment.
    client = {
        "headers": {"Accept-Encoding": "identity"},
        "auto_decompress": False,
        "timeout": ClientTimeout(total=None, sock_connect=30, sock_read=60),
        "trust_env": True,
    }
    asked = (host_of(address),) if asked is None else asked
    # What is signed is sent as it is written, where it is written as it may be sent.
    is_sent_as_it_is = identity_of(address) != address and _SENDABLE.fullmatch(address) is not None
    get_client = partial(guarded_client, asked=asked)
    return url_to_fs(address, client_kwargs=client, get_client=get_client, encoded=is_sent_as_it_is)


def is_missing(error: FileNotFoundError, address: str) -> bool:
    """True if there is no such file; of a web server that fails to answer fsspec raises the same, with a cause."""
    return not is_web(address) or error.__cause__ is None or getattr(error.__cause__, "status", None) in (404, 410)


class RemoteFile(io.RawIOBase):
    """A remote file, open for reading.

    While one block is being consumed the next one is fetched by a thread, which alone touches the connection.
    What is raised says nothing of passwords and signatures.

    Args:
        address: The file, with all that gives access.
        storage_options: In fsspec's words.
        asked: See `store_of`.

    Raises:
        FileNotFoundError, PermissionError: At once.
        OSError: After all tries; also by later reads.
    """

    def __init__(
        self, address: str, storage_options: Mapping[str, Any], *, asked: tuple[str, ...] | None = None
    ) -> None:
        super().__init__()
        self._address = address
        self._asked = asked
        self._storage_options = dict(storage_options)
        self._source: Any = None
        self._has_ranges = True
        self._position = 0
        self._block, self._block_start = b"", 0
        self._ahead: tuple[int, Future[bytes]] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="dclm_spark-read-ahead")
        try:
            self._n_bytes = self._thread.submit(self._tried, lambda source: source.seek(0, os.SEEK_END)).result()
        except BaseException:
            self.close()
            raise

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._n_bytes}[whence]
        if base + offset < 0:
            raise ValueError(f"negative seek position {base + offset}")
        self._position = base + offset
        return self._position

    def readinto(self, buffer: Any) -> int:
        offset = self._position - self._block_start
        if not 0 <= offset < len(self._block):
            if self._position >= self._n_bytes:
                return 0
            self._block, self._block_start, offset = self._next_block(), self._position, 0
        piece = memoryview(self._block)[offset : offset + len(buffer)]
        buffer[: len(piece)] = piece
        self._position += len(piece)
        return len(piece)

    def close(self) -> None:
        if not self.closed:
            with suppress(RuntimeError):  # the interpreter is ending, and connections with it
                self._thread.submit(self._disconnect)
            self._thread.shutdown(wait=False)
            self._ahead, self._block = None, b""
        super().close()

    def _next_block(self) -> bytes:
        """The block at the position; the one after it is asked for."""
        if self._ahead is None or self._ahead[0] != self._position:
            self._ahead = self._position, self._fetched(self._position)
        (_, coming), self._ahead = self._ahead, None
        self._block = b""  # two blocks are held, never three
        block = coming.result()
        end = self._position + len(block)
        if end < self._n_bytes:
            self._ahead = end, self._fetched(end)
        return block

    def _fetched(self, start: int) -> "Future[bytes]":
        n_bytes = min(BLOCK_BYTES, self._n_bytes - start)

        def read(source: Any) -> bytes:
            source.seek(start)
            block = source.read(n_bytes)
            if len(block) != n_bytes:
                raise OSError(f"{len(block)} bytes came where {n_bytes} were asked for")
            return block

        return self._thread.submit(self._tried, read)

    def _tried(self, work: Callable[[Any], T]) -> T:
        """What a piece of work makes of the open file; a passing fault opens it anew."""
        pauses = list(PAUSES_SECONDS)
        while True:
            try:
                self._source = self._source or self._connect()
                return work(self._source)
            # The libraries below have errors of their own, few of which are OSErrors.
            except Exception as raised:
                error: BaseException = raised
                self._disconnect()
                refused = refusal(error)
                if refused is not None:
                    raise PermissionError(self._shown(refused)) from None
                if isinstance(error, FileNotFoundError):
                    if is_missing(error, self._address):
                        raise FileNotFoundError(self._shown(error)) from None
                    error = error.__cause__ or error
                if isinstance(error, PermissionError):
                    raise PermissionError(self._shown(error)) from None
                if isinstance(error, ImportError):
                    raise
                if isinstance(error, ValueError) and is_web(self._address):  # what fsspec says of such a server
                    self._has_ranges = False
                if not pauses:
                    tries = len(PAUSES_SECONDS) + 1
                    what = self._shown(f"{type(error).__name__}: {error}")
                    # Its cause would be told as well, with the whole address in it.
                    raise OSError(f"{self._shown(self._address)} could not be read in {tries} tries ({what})") from None
                sleep(_pause(pauses.pop(0), error, self._address))

    def _shown(self, said: object) -> str:
        return without_secrets(str(said), [self._address], self._storage_options)

    def _connect(self) -> Any:
        """The remote file, or a copy of it where the server gives no ranges, as a file that can be sought in."""
        store, path = store_of(self._address, self._storage_options, asked=self._asked)
        if self._has_ranges:
            source = store.open(path, "rb", block_size=BLOCK_BYTES, cache_type="none")
            if source.size is not None:
                return source
            source.close()
            self._has_ranges = False
        copy = tempfile.TemporaryFile()  # noqa: SIM115 - nameless, it goes with its last user
        try:
            store.get_file(path, copy)
        except BaseException:
            copy.close()
            raise
        return copy

    def _disconnect(self) -> None:
        source, self._source = self._source, None
        if source is not None:
            with suppress(Exception):  # it is of no use any more, whatever it says
                source.close()


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and those that it was raised from or beside, each once: they may form a ring."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def refusal(error: BaseException) -> RefusedError | None:
    """The refusal that lies behind what a library has made of it; null where there is none."""
    return next((one for one in _chain(error) if isinstance(one, RefusedError)), None)


def is_busy(error: BaseException) -> bool:
    """True where a server has answered that it cannot answer now."""
    statuses = [getattr(one, "status", None) for one in _chain(error)]
    return any(isinstance(one, int) and (one in (408, 425, 429) or one >= 500) for one in statuses)


def _pause(seconds: float, error: BaseException, address: str) -> float:
    """How long to leave a file alone: as planned and a bit more, or what its server has said, within reason."""
    spread = seconds * (1 + zlib.crc32(address.encode()) % 256 / 512)
    return min(max(spread, retry_after(error)), max(spread, LONGEST_PAUSE_SECONDS))


def retry_after(error: BaseException) -> float:
    """The seconds of the header Retry-After in the answer that an error speaks of; 0 where it has none."""
    for one in _chain(error):
        answer = getattr(one, "response", None)  # botocore's
        headers = getattr(one, "headers", None)  # aiohttp's
        if isinstance(answer, Mapping):
            headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders")
        said = {str(name).lower(): str(value).strip() for name, value in (headers or {}).items()}.get("retry-after")
        if said and said.isascii() and said.isdigit():
            return float(said[:9])
        if said:
            with suppress(TypeError, ValueError):
                return max(0.0, parsedate_to_datetime(said).timestamp() - time())
    return 0.0
