"""Reads remote files as seekable streams: in blocks, one ahead, each tried four times."""

import io
import os
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from time import sleep
from typing import Any, TypeVar

from dclm_spark.files import faults
from dclm_spark.files.addresses import is_web, without_secrets
from dclm_spark.files.stores import store_of

T = TypeVar("T")

BLOCK_BYTES = 8 << 20
"""Bytes of one request. An open file holds two blocks in memory."""


class RemoteFile(io.RawIOBase):
    """Opens a remote file for reading.

    While one block is read, a thread fetches the next one; only this thread uses the connection. Error messages hold no
    passwords and signatures.

    fsspec's own `background` cache reads ahead as well, but never tries a failed block again, and uses a connection in
    two threads, which FTP and SFTP do not support. Its HTTP file system has no retries.

    Args:
        address: Address of the file, with its credentials.
        storage_options: Options of fsspec for the file system.
        named_hosts: See `store_of`.

    Raises:
        FileNotFoundError, PermissionError: The file does not exist or may not be read; raised without retries.
        OSError: All tries have failed; later reads may raise it too.
    """

    def __init__(
        self, address: str, storage_options: Mapping[str, Any], *, named_hosts: tuple[str, ...] | None = None
    ) -> None:
        super().__init__()
        self._address = address
        self._named_hosts = named_hosts
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
                raise OSError(f"{len(block)} bytes came instead of {n_bytes}")
            return block

        return self._thread.submit(self._tried, read)

    def _tried(self, work: Callable[[Any], T]) -> T:
        """Calls `work` on the open file; after a temporary fault, reopens the file and tries again."""
        pauses = list(faults.PAUSES_SECONDS)
        while True:
            try:
                self._source = self._source or self._connect()
                return work(self._source)
            except Exception as error:  # the libraries raise errors of their own, few of which are OSErrors
                self._disconnect()
                cause = self._temporary(error)
                if not pauses:
                    n_tries = len(faults.PAUSES_SECONDS) + 1
                    what = self._shown(f"{type(cause).__name__}: {cause}")
                    # Without `from None` the cause would be shown, with the whole address.
                    raise OSError(
                        f"{self._shown(self._address)} could not be read in {n_tries} tries ({what})"
                    ) from None
                sleep(faults.pause(pauses.pop(0), cause, self._address))

    def _temporary(self, error: Exception) -> BaseException:
        """Returns the cause of an error after which another try may succeed; raises a lasting error."""
        if (refused := faults.refusal(error)) is not None:
            raise PermissionError(self._shown(refused)) from None
        cause: BaseException = error
        if isinstance(error, FileNotFoundError):
            if faults.is_missing(error, self._address):
                raise FileNotFoundError(self._shown(error)) from None
            cause = error.__cause__ or error
        if isinstance(cause, PermissionError):
            raise PermissionError(self._shown(cause)) from None
        if isinstance(cause, ImportError):
            raise cause
        if isinstance(cause, ValueError) and is_web(self._address):  # fsspec's error for a server without ranges
            self._has_ranges = False
        return cause

    def _shown(self, text: object) -> str:
        return without_secrets(str(text), [self._address], self._storage_options)

    def _connect(self) -> Any:
        """Opens the remote file, or copies it to a temporary file if the server does not support ranges."""
        store, path = store_of(self._address, self._storage_options, named_hosts=self._named_hosts)
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
