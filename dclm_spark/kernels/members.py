"""An open archive file -> its decompressed bytes, member after member, and the way back after damage.

A crawl archive is a row of members: gzip members, Zstandard frames or LZ4 frames, as a rule of one record each, or one
plain stretch to the end of the file. What a member is compressed with is read from its first bytes, never from a name.
"""

import contextlib
import io
import re
from collections import deque
from collections.abc import Callable, Iterator
from typing import BinaryIO

from fastwarc.stream_io import ZstdReader

from dclm_spark.kernels.frames import (
    GZIP,
    HEAD_BYTES,
    LZ4,
    READ_BYTES,
    ZSTD,
    Damaged,
    RawBytes,
    read_gzip,
    read_lz4,
    read_plain,
    read_zstd,
)

NO_RECORD = "bad_header"
"""Kind of damage: neither a compressed member nor a record, where one of them is due."""

# Where a member may begin, for the search after damage. A plain record counts at the start of a line only.
_MEMBER = re.compile(b"|".join([*map(re.escape, (GZIP, ZSTD, LZ4)), rb"(?<=\n)WARC/[01]\."]))

# Frames without data (RFC 8878, section 3.1.2), the same in Zstandard and LZ4.
_SKIPPABLE = re.compile(rb"[\x50-\x5f]\x2a\x4d\x18")
# The one among them that holds a file's dictionary, by the IIPC's "Zstandard Compression for WARC Files 1.0".
_DICTIONARY = b"\x5d\x2a\x4d\x18"
_DICTIONARY_BYTES = 1 << 24


class Members:
    """The decompressed bytes of an archive behind a cursor, and the places where its members begin.

    `window[at:]` is what lies decompressed ahead of the cursor; `fill` makes it longer, `at += n` passes over.
    Distances given to methods count from the cursor.

    Args:
        stream: A seekable binary file. It is read from its start.
        is_record: Whether some bytes begin like a record. A plain file must, and a member found after damage.
    """

    def __init__(self, stream: BinaryIO, is_record: Callable[[bytes], bool]) -> None:
        self.raw = RawBytes(stream)
        self._is_record = is_record
        self._dictionary: bytes | None = None
        self._decoded = 0  # position, among all decompressed bytes, of the window's end
        self.jump(0)

    def jump(self, offset: int, *, is_plain: bool = False) -> None:
        """Go on at a file offset where a member begins or, with `is_plain`, anywhere in a plain file."""
        self.raw.seek(offset)
        self.window = b""
        self.at = 0
        self.damage: Damaged | None = None  # why the decompressed bytes end, None where the file does
        self._edges: deque[tuple[int, int, bool]] = deque()  # beginnings: (position, file offset, is it plain)
        self._pieces = self._decode(is_plain)

    def fill(self, n: int) -> bool:
        """Whether `n` bytes lie ahead of the cursor, after as many were decompressed as there are."""
        missing = n - (len(self.window) - self.at)
        if missing <= 0:
            return True
        pieces = [rest] if (rest := self.window[self.at :]) else []
        while missing > 0 and (piece := next(self._pieces, None)) is not None:
            pieces.append(piece)
            missing -= len(piece)
        self.window, self.at = b"".join(pieces), 0
        return missing <= 0

    def ahead(self) -> int:
        """Bytes that lie decompressed ahead of the cursor."""
        return len(self.window) - self.at

    def offset(self) -> int:
        """File offset of the cursor: in a plain file of its byte, else of the member that holds it."""
        here = self._decoded - self.ahead()
        while len(self._edges) > 1 and self._edges[1][0] <= here:
            self._edges.popleft()
        if not self._edges:
            return self.raw.position
        start, offset, is_plain = self._edges[0]
        return offset + here - start if is_plain else offset

    def is_plain(self) -> bool:
        """Whether the bytes at the cursor lie in the file as they are."""
        self.offset()
        return bool(self._edges) and self._edges[0][2]

    def edges(self, first: int, last: int) -> list[int]:
        """Distances, in [first, last), at which members begin."""
        here = self._decoded - self.ahead()
        return [start - here for start, _, _ in self._edges if first <= start - here < last]

    def record_edge(self, first: int, last: int) -> int | None:
        """Distance, in [first, last), to the first member that begins there with a record, None where none does."""
        for edge in self.edges(first, last):
            self.fill(edge + HEAD_BYTES)
            if self._is_record(self.window[self.at + edge :][:HEAD_BYTES]):
                return edge
        return None

    def skip(self, n: int) -> bool:
        """Pass over `n` bytes without holding them, or, giving False, up to a member that begins with a record."""
        while n > 0:
            if self.is_plain() and n > self.ahead():
                target = self.offset() + n
                self.jump(target, is_plain=True)
                return target <= self.raw.size
            if not self.fill(1):
                return False
            step = min(n, self.ahead())
            edge = self.record_edge(0, step)
            self.at += step if edge is None else edge
            if edge is not None:
                return False
            n -= step
        return True

    def resume(self) -> bool:
        """Go on at the first member behind the damage that begins with a record; False where there is none."""
        start = self.damage.offset + 1
        while (found := self.raw.find(_MEMBER, start)) is not None:
            self.jump(found)
            self.fill(1)
            if self._is_record(self.window[:HEAD_BYTES]):
                return True
            start = found + 1
        self.jump(self.raw.size)
        return False

    def _decode(self, is_plain: bool) -> Iterator[bytes]:
        raw = self.raw
        while head := raw.peek(4):
            if not is_plain and head[0] == 0 and raw.position:  # padding between members, which gzip passes over too
                block = raw.peek(READ_BYTES)
                raw.advance(len(block) - len(block.lstrip(b"\0")))
                continue
            if not is_plain and _SKIPPABLE.match(head):
                self._pass_frame(head)
                continue
            offset = raw.position
            # The last piece is held back until the member has proved sound, so that whoever gets it knows.
            held = b""
            try:
                pieces, is_plain = (read_plain(raw), True) if is_plain else self._decoder(head)
                self._edges.append((self._decoded, offset, is_plain))
                for piece in pieces:
                    if held:
                        self._decoded += len(held)
                        yield held
                    held = piece
            except Damaged as damage:
                damage.offset = offset
                self.damage = damage
            if held:
                self._decoded += len(held)
                yield held
            if self.damage is not None:
                return

    def _decoder(self, head: bytes) -> tuple[Iterator[bytes], bool]:
        raw = self.raw
        if head.startswith(GZIP):
            return read_gzip(raw), False
        if head == ZSTD:
            return read_zstd(raw, self._dictionary), False
        if head == LZ4:
            return read_lz4(raw), False
        if self._is_record(raw.peek(HEAD_BYTES).lstrip(b"\r\n")):
            return read_plain(raw), True
        raise Damaged(NO_RECORD, "neither a record nor a member compressed with gzip, zstd or lz4")

    def _pass_frame(self, head: bytes) -> None:
        raw = self.raw
        size = int.from_bytes(raw.peek(8)[4:], "little")
        if head == _DICTIONARY and raw.position == 0 and size <= _DICTIONARY_BYTES:
            dictionary = raw.peek(8 + size)[8:]
            # Without its dictionary each record fails by itself.
            with contextlib.suppress(OSError):
                if dictionary.startswith(ZSTD):
                    dictionary = ZstdReader(io.BytesIO(dictionary)).read(_DICTIONARY_BYTES)
                self._dictionary = dictionary
        raw.seek(raw.position + 8 + size)
