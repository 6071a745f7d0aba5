"""Reads remote files as seekable streams: in blocks, one ahead, each tried four times."""

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
"""Bytes of one request. An open file holds two blocks in memory."""

PAUSES_SECONDS = (1.0, 5.0, 15.0)
"""Pauses before the second try and later ones. Each is longer by up to a half, depending on the address, so that many
tasks that fail together do not retry together."""

LONGEST_PAUSE_SECONDS = 60.0
"""Longest pause that a server can request (Retry-After)."""


def store_of(
    address: str, storage_options: Mapping[str, Any], *, asked: tuple[str, ...] | None = None
) -> tuple[Any, str]:
    """Returns the fsspec file system of an address, and the file's path in it.

    Args:
        address: Address of a file or folder.
        storage_options: Options of fsspec for the file system.
        asked: Hosts that the user has named, see `reach`; null: the user has named the address.

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

    # Archives must arrive as they are stored: the server must not compress them, and if it declares .gz as an encoding,
    # it must not be decoded. There is no limit on the total time, but on time without data. Proxies are those of the
    # environment.
    client = {
        "headers": {"Accept-Encoding": "identity"},
        "auto_decompress": False,
        "timeout": ClientTimeout(total=None, sock_connect=30, sock_read=60),
        "trust_env": True,
    }
    asked = (host_of(address),) if asked is None else asked
    # A signed address is sent unchanged, if all its characters are allowed in a URL.
    is_sent_as_it_is = identity_of(address) != address and _SENDABLE.fullmatch(address) is not None
    get_client = partial(guarded_client, asked=asked)
    return url_to_fs(address, client_kwargs=client, get_client=get_client, encoded=is_sent_as_it_is)


def is_missing(error: FileNotFoundError, address: str) -> bool:
    """Returns whether a file does not exist; for a web server that does not answer, fsspec raises the same with a
    cause."""
    return not is_web(address) or error.__cause__ is None or getattr(error.__cause__, "status", None) in (404, 410)


class RemoteFile(io.RawIOBase):
    """Opens a remote file for reading.

    While one block is read, a thread fetches the next one; only this thread uses the connection. Error messages hold no
    passwords and signatures.

    Args:
        address: Address of the file, with its credentials.
        storage_options: Options of fsspec for the file system.
        asked: See `store_of`.

    Raises:
        FileNotFoundError, PermissionError: The file does not exist or may not be read; raised without retries.
        OSError: All tries have failed; later reads may raise it too.
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
            with suppress(RuntimeError):  # the interpreter is shutting down and closes connections itself
                self._thread.submit(self._disconnect)
            self._thread.shutdown(wait=False)
            self._ahead, self._block = None, b""
        super().close()

    def _next_block(self) -> bytes:
        """Returns the block at the position, and starts to fetch the next one."""
        if self._ahead is None or self._ahead[0] != self._position:
            self._ahead = self._position, self._fetched(self._position)
        (_, coming), self._ahead = self._ahead, None
        self._block = b""  # frees the block, so that never three are in memory
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
        """Calls `work` on the open file; after a temporary fault, reopens the file and tries again."""
        pauses = list(PAUSES_SECONDS)
        while True:
            try:
                self._source = self._source or self._connect()
                return work(self._source)
            # The libraries raise errors of their own, few of which are OSErrors.
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
                if isinstance(error, ValueError) and is_web(
                    self._address
                ):  # fsspec's error for a server without ranges
                    self._has_ranges = False
                if not pauses:
                    tries = len(PAUSES_SECONDS) + 1
                    what = self._shown(f"{type(error).__name__}: {error}")
                    # Without `from None` the cause would be shown, with the whole address.
                    raise OSError(f"{self._shown(self._address)} could not be read in {tries} tries ({what})") from None
                sleep(_pause(pauses.pop(0), error, self._address))

    def _shown(self, said: object) -> str:
        return without_secrets(str(said), [self._address], self._storage_options)

    def _connect(self) -> Any:
        """Opens the remote file, or copies it to a temporary file if the server does not support ranges."""
        store, path = store_of(self._address, self._storage_options, asked=self._asked)
        if self._has_ranges:
            source = store.open(path, "rb", block_size=BLOCK_BYTES, cache_type="none")
            if source.size is not None:
                return source
            source.close()
            self._has_ranges = False
        copy = tempfile.TemporaryFile()  # noqa: SIM115 - without a name, so it is deleted when closed
        try:
            store.get_file(path, copy)
        except BaseException:
            copy.close()
            raise
        return copy

    def _disconnect(self) -> None:
        source, self._source = self._source, None
        if source is not None:
            with suppress(Exception):  # the connection is not used again, so errors do not matter
                source.close()


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yields an error and all its causes and contexts, each once, since they may form a cycle."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def refusal(error: BaseException) -> RefusedError | None:
    """Finds the `RefusedError` among the causes of a library's error; null if there is none."""
    return next((one for one in _chain(error) if isinstance(one, RefusedError)), None)


def is_busy(error: BaseException) -> bool:
    """Returns whether a server has answered that it is busy."""
    statuses = [getattr(one, "status", None) for one in _chain(error)]
    return any(isinstance(one, int) and (one in (408, 425, 429) or one >= 500) for one in statuses)


def _pause(seconds: float, error: BaseException, address: str) -> float:
    """Returns the pause before the next try in seconds: the planned one and a bit more, or what the server requests."""
    spread = seconds * (1 + zlib.crc32(address.encode()) % 256 / 512)
    return min(max(spread, retry_after(error)), max(spread, LONGEST_PAUSE_SECONDS))


def retry_after(error: BaseException) -> float:
    """Returns the seconds in the header Retry-After of the response behind an error; 0 if there is none."""
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
