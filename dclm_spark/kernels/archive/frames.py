"""Decompresses one member of an open file: gzip, Zstandard or LZ4.

Each decoder reads exactly one member, leaves the file directly behind it, yields its bytes in pieces of limited size,
and raises `Damaged` if they end too early or are invalid.
"""

import io
import re
import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO

from fastwarc.stream_io import Lz4Reader, ZstdReader

GZIP, ZSTD, LZ4 = b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd", b"\x04\x22\x4d\x18"
READ_BYTES = 1 << 18  # bytes of one read from the file
_FIRST_BYTES = 1 << 13  # of the first read after a seek, since a reader that seeks often needs few bytes each time
_INPUT_BYTES = 1 << 15  # passed to inflate at once: most members whole, and little is returned unused
_FIRST_INPUT_BYTES = 1 << 12  # the same at a member's beginning: it may be tiny, and unused input is copied
_OUTPUT_BYTES = 1 << 20  # largest output of one step of a decompressor, which protects against decompression bombs
_STEP_BYTES = 1 << 12  # read from fastwarc's decoders at once; they lose that much if their bytes end early
HEAD_BYTES = 1 << 12  # enough of a member to recognize a record, and to read the header of a damaged one
_ZSTD_BLOCK_BYTES = 1 << 17  # RFC 8878, section 3.1.1.2.4
_LONGEST_MAGIC = 7
_ZEROS = re.compile(rb"\0+")

TRUNCATED = "truncated"
"""Kind of damage: the bytes end before the record or the member does."""
UNREADABLE = "unreadable"
"""Kind of damage: the bytes cannot be decompressed, or fail their checksum."""


class Damaged(ValueError):
    """Bytes that cannot be decompressed, or end too early.

    Attributes:
        kind: `TRUNCATED` or `UNREADABLE`, or what a caller adds to them.
        offset: Where the damaged member begins in the file; set by the reader of members.
        reached: How far in the file the decoder had been handed bytes; set by the reader of members.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.offset = 0
        self.reached = 0


class RawBytes:
    """Reads the raw bytes of the file with a buffer and a position. Errors of the stream are raised unchanged."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        stream.seek(0, io.SEEK_END)
        self.size = stream.tell()
        self._buffer = b""
        self._at = 0
        self._n_asked = _FIRST_BYTES
        self.position = self.size
        self.seek(0)

    def peek(self, n: int) -> bytes:
        """Returns the next `n` bytes without moving; fewer only at the end of the file."""
        self._hold(n)
        return self._buffer[self._at : self._at + n]

    def _hold(self, n: int) -> None:
        """Fills the buffer to `n` bytes after the position, or to the file's end."""
        missing = min(n, self.size - self.position) - (len(self._buffer) - self._at)
        if missing > 0:
            pieces = [self._buffer[self._at :]]
            while missing > 0 and (piece := self._stream.read(max(missing, self._n_asked))):
                pieces.append(piece)
                missing -= len(piece)
                self._n_asked = min(2 * self._n_asked, READ_BYTES)
            self._buffer, self._at = b"".join(pieces), 0

    def advance(self, n: int) -> None:
        """Skips `n` bytes that were peeked at."""
        self._at += n
        self.position += n

    def take(self, n: int) -> bytes:
        """Returns the next `n` bytes, and moves behind them."""
        if n > self.size - self.position or len(taken := self.peek(n)) < n:
            raise Damaged(TRUNCATED, "the file ends inside a compressed member")
        self.advance(n)
        return taken

    def seek(self, position: int) -> None:
        """Moves to a position, at most to the file's end."""
        position = min(position, self.size)
        at = self._at + position - self.position
        self.position = position
        if 0 <= at < len(self._buffer):
            self._at = at
            return
        self._buffer, self._at, self._n_asked = b"", 0, _FIRST_BYTES
        self._stream.seek(position)

    def forget(self) -> None:
        """Discards the buffer, because another reader has moved the stream."""
        self._buffer, self._at, self._n_asked = b"", 0, _FIRST_BYTES
        self._stream.seek(self.position)

    def find(self, pattern: re.Pattern[bytes], start: int) -> int | None:
        """Returns the first match of the pattern at or after `start` (> 0); None if there is none."""
        self.seek(start - 1)  # one byte early, for a pattern that looks behind
        while True:
            self._hold(_FIRST_BYTES)
            if match := pattern.search(self._buffer, self._at + 1):
                return self.position + match.start() - self._at
            n_searched = len(self._buffer) - self._at
            if self.position + n_searched >= self.size:
                return None
            self.advance(n_searched - _LONGEST_MAGIC)

    def pass_zeros(self) -> None:
        """Skips bytes that are zero."""
        while zeros := _ZEROS.match(self.peek(_FIRST_INPUT_BYTES)):
            self.advance(zeros.end())


def read_plain(raw: RawBytes) -> Iterator[bytes]:
    """Yields uncompressed bytes, to the end of the file."""
    while piece := raw.peek(READ_BYTES):
        raw.advance(len(piece))
        yield piece


def read_gzip(raw: RawBytes) -> Iterator[bytes]:
    """Decompresses a gzip member (RFC 1952), and verifies its checksum."""
    member = zlib.decompressobj(wbits=31)
    is_first = True
    n_handed = _FIRST_INPUT_BYTES
    while not member.eof:
        given = raw.peek(n_handed)
        if not given:
            raise Damaged(TRUNCATED, "the file ends inside a compressed member")
        try:
            piece = member.decompress(given, _OUTPUT_BYTES)
        except zlib.error as error:
            # zlib keeps what it had decoded before the error to itself; the head says which record is lost.
            if is_first and (head := _gzip_head(given)):
                yield head
            raise Damaged(UNREADABLE, f"gzip: {error}") from None
        raw.advance(len(given) - len(member.unused_data if member.eof else member.unconsumed_tail))
        is_first = False
        n_handed = _INPUT_BYTES
        if piece:
            yield piece


def _gzip_head(given: bytes) -> bytes:
    try:
        return zlib.decompressobj(wbits=31).decompress(given, HEAD_BYTES)
    except zlib.error:
        return b""


class _Frame:
    """File object with the bytes of one frame, for fastwarc."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._piece = b""
        self._at = 0
        self.error: BaseException | None = None

    def read(self, n: int) -> bytes:
        try:
            if self._at == len(self._piece):
                self._piece, self._at = next(self._pieces, b""), 0
        except BaseException as error:
            self.error = error
            raise
        given = self._piece[self._at : self._at + n]
        self._at += len(given)
        return given

    def tell(self) -> int:
        return 0


def read_zstd(raw: RawBytes, dictionary: bytes | None) -> Iterator[bytes]:
    """Decompresses a Zstandard frame, and verifies its checksum if it has one."""
    return _read_frame("zstd", lambda frame: ZstdReader(frame, dictionary=dictionary), _zstd_pieces(raw))


def read_lz4(raw: RawBytes) -> Iterator[bytes]:
    """Decompresses an LZ4 frame, and verifies its checksums if it has any."""
    return _read_frame("lz4", Lz4Reader, _lz4_pieces(raw))


def _read_frame(name: str, reader: Callable, pieces: Iterator[bytes]) -> Iterator[bytes]:
    frame = _Frame(pieces)
    steps: list[bytes] = []
    try:
        opened = reader(frame)
        while step := opened.read(_STEP_BYTES):
            steps.append(step)
            if len(steps) * _STEP_BYTES >= _OUTPUT_BYTES:
                yield b"".join(steps)
                steps.clear()
        if steps:
            yield b"".join(steps)
    except (Damaged, OSError) as error:
        if steps:
            yield b"".join(steps)
        if isinstance(error, Damaged):
            raise
        # fastwarc says OSError for a broken frame; what the file itself raised is not the frame's fault.
        if frame.error is not None:
            raise frame.error from None
        raise Damaged(UNREADABLE, f"{name}: {error}") from None
    for _ in pieces:  # a checksum that the reader had no need of
        pass


def _zstd_pieces(raw: RawBytes) -> Iterator[bytes]:
    """Yields a Zstandard frame block by block (RFC 8878, section 3.1.1): only the blocks' headers tell its end."""
    descriptor = (raw.peek(5) + b"\0")[4]
    has_single_segment = descriptor >> 5 & 1
    size_bytes = (has_single_segment, 2, 4, 8)[descriptor >> 6]
    yield raw.take(5 + (1 - has_single_segment) + (0, 1, 2, 4)[descriptor & 3] + size_bytes)
    is_last = False
    while not is_last:
        header = raw.take(3)
        word = int.from_bytes(header, "little")
        is_last, kind, size = bool(word & 1), word >> 1 & 3, word >> 3
        if kind == 3 or size > _ZSTD_BLOCK_BYTES:
            raise Damaged(UNREADABLE, "zstd: a block is larger, or of another kind, than the format allows")
        yield header + raw.take(1 if kind == 1 else size)
    if descriptor >> 2 & 1:
        yield raw.take(4)


def _lz4_pieces(raw: RawBytes) -> Iterator[bytes]:
    """Yields an LZ4 frame block by block (LZ4 Frame Format 1.6.4)."""
    flags = (raw.peek(5) + b"\0")[4]
    yield raw.take(7 + (8 if flags & 8 else 0) + (4 if flags & 1 else 0))
    while True:
        header = raw.take(4)
        size = int.from_bytes(header, "little") & 0x7FFFFFFF
        if size > 4 << 20:
            raise Damaged(UNREADABLE, "lz4: a block is larger than the format allows")
        if not size:
            yield header + (raw.take(4) if flags & 4 else b"")
            return
        yield header + raw.take(size + (4 if flags & 16 else 0))
