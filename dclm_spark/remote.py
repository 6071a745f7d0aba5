"""A file that lies elsewhere, as one that can be read and sought in: by blocks, one ahead, each tried three times."""

import io
import os
import tempfile
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar

T = TypeVar("T")

BLOCK_BYTES = 8 << 20
"""Of one request. An open file holds two blocks."""

PAUSES_SECONDS = (1.0, 5.0)
"""Before the second and the third try; there is no fourth."""


def scheme_of(address: str) -> str | None:
    """The scheme of a URL; null for a local path.

    >>> scheme_of("s3://bucket/a.warc.gz"), scheme_of("/data/a.warc.gz")
    ('s3', None)
    """
    scheme, separator, _ = address.partition("://")
    return scheme if separator else None


def is_web(address: str) -> bool:
    """True for http and https, where nothing but the address itself can be asked for."""
    return scheme_of(address) in ("http", "https")


def store_of(address: str, storage_options: Mapping[str, Any]) -> tuple[Any, str]:
    """The fsspec file system of an address, and the file's path there.

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
    return url_to_fs(address, client_kwargs=client)


def is_missing(error: FileNotFoundError, address: str) -> bool:
    """True if there is no such file; of a web server that fails to answer fsspec raises the same, with a cause."""
    return not is_web(address) or error.__cause__ is None or getattr(error.__cause__, "status", None) in (404, 410)


class RemoteFile(io.RawIOBase):
    """A remote file, open for reading.

    While one block is being consumed the next one is fetched by a thread, which alone touches the connection.

    Raises:
        FileNotFoundError, PermissionError: At once.
        OSError: After three tries; also by later reads.
    """

    def __init__(self, address: str, storage_options: Mapping[str, Any]):
        super().__init__()
        self._address = address
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
        """What a piece of work makes of the open file; a passing fault opens it anew, at most twice."""
        pauses = list(PAUSES_SECONDS)
        while True:
            try:
                self._source = self._source or self._connect()
                return work(self._source)
            # The libraries below have errors of their own, few of which are OSErrors.
            except Exception as error:
                self._disconnect()
                if isinstance(error, FileNotFoundError):
                    if is_missing(error, self._address):
                        raise
                    error = error.__cause__ or error
                if isinstance(error, PermissionError | ImportError):
                    raise
                if isinstance(error, ValueError) and is_web(self._address):  # what fsspec says of such a server
                    self._has_ranges = False
                if not pauses:
                    tries = len(PAUSES_SECONDS) + 1
                    what = f"{type(error).__name__}: {error}"
                    raise OSError(f"{self._address} could not be read in {tries} tries ({what})") from error
                time.sleep(pauses.pop(0))

    def _connect(self) -> Any:
        """The remote file, or a copy of it where the server gives no ranges, as a file that can be sought in."""
        store, path = store_of(self._address, self._storage_options)
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
