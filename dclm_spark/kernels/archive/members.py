"""Decompresses an open archive file, member after member, and finds the next member after damage.

A crawl archive is a sequence of members: gzip members, Zstandard frames or LZ4 frames, usually of one record each, or
one uncompressed range to the end of the file. The first bytes of a member tell its compression, never a file name.
"""

import contextlib
import io
import re
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterator
from typing import BinaryIO

from fastwarc.stream_io import ZstdReader

from dclm_spark.kernels.archive.frames import (
    GZIP,
    HEAD_BYTES,
    LZ4,
    ZSTD,
    Damaged,
    RawBytes,
    read_gzip,
    read_lz4,
    read_plain,
    read_zstd,
)

NO_RECORD = "bad_header"
"""Kind of damage: there is neither a compressed member nor a record where one is expected."""

# Where a member may begin, for the search after damage. A plain record counts at the start of a line only.
# The upper bits of a gzip member's flags are zero.
_MEMBER = re.compile(
    rb"%b[\x00-\x1f]|%b|%b|(?<=\n)WARC/[01]\.\d" % tuple(map(re.escape, (GZIP, ZSTD, LZ4))),
)

# Behind damage each place where a member may begin is tried, inside the damaged member too, whose bytes may hold sound
# ones. Bytes can be made so that each of them leads far and to nothing. So the work in vain is bounded by the size of
# the file; after that the search goes on where the last member in vain had led.
_MAX_VAIN = 64
_VAIN_BYTES = 1 << 12  # cost of one attempt at least, in decoded bytes
_VAIN_LZ4_BYTES = 1 << 17  # its decoder begins with large buffers
_VAIN_STEP = 1 << 15

_KEPT_EDGES = 1 << 10
_COPIED_FOR_ONE = 8  # of the window, bytes that may be copied for each that is added

# Frames without data (RFC 8878, section 3.1.2), the same in Zstandard and LZ4.
_SKIPPABLE = re.compile(rb"[\x50-\x5f]\x2a\x4d\x18")
# The one among them that holds a file's dictionary, by the IIPC's "Zstandard Compression for WARC Files 1.0".
_DICTIONARY = b"\x5d\x2a\x4d\x18"
_DICTIONARY_BYTES = 1 << 24


class Members:
    """Provides the decompressed bytes of an archive at a cursor, and the positions where its members begin.

    `window[at:]` are the decompressed bytes ahead of the cursor; `fill` extends them, `at += n` skips bytes. Distances
    in arguments count from the cursor.

    Args:
        stream: A seekable binary file. It is read from its start.
        is_record: Whether some bytes begin like a record. A plain file must, and a member found after damage.
    """

    def __init__(self, stream: BinaryIO, is_record: Callable[[bytes], bool]) -> None:
        self.raw = RawBytes(stream)
        self._is_record = is_record
        self._dictionary: bytes | None = None
        self._decoded = 0  # position, among all decompressed bytes, of the window's end
        self._is_lz4 = False
        self._n_vain = 0  # bytes handed to decoders and given by them, of members that proved to be damaged
        self.jump(0)

    def jump(self, offset: int, *, is_plain: bool = False) -> None:
        """Moves to a file offset where a member begins, or with `is_plain` to any offset in an uncompressed file."""
        self.raw.seek(offset)
        self.window = b""
        self.at = 0
        self.damage: Damaged | None = None  # why the decompressed bytes end, None where the file does
        # Where members begin: (position, file offset, is it plain). The cursor lies in the one at `_here`. Those before
        # `_n_judged` have been asked for a record; `_begun` has the positions, from the cursor on, where one begins.
        self._edges: list[tuple[int, int, bool]] = []
        self._here = self._n_judged = 0
        self._begun: deque[int] = deque()
        self._pieces = self._decode(is_plain)

    def fill(self, n: int) -> bool:
        """Decompresses until `n` bytes are ahead of the cursor; returns whether there are that many."""
        missing = n - (len(self.window) - self.at)
        if missing <= 0:
            return True
        if (piece := next(self._pieces, None)) is None:
            return False
        rest = self.window[self.at :]
        # The rest is copied, so more than is missing is added where it is long: pieces may be of one byte each.
        wanted = max(missing, len(rest) // _COPIED_FOR_ONE)
        pieces = [rest, piece] if rest else [piece]
        n_added = len(piece)
        while n_added < wanted and (piece := next(self._pieces, None)) is not None:
            pieces.append(piece)
            n_added += len(piece)
        self.window, self.at = b"".join(pieces), 0
        return n_added >= missing

    def ahead(self) -> int:
        """Number of decompressed bytes ahead of the cursor."""
        return len(self.window) - self.at

    def position(self) -> int:
        """The cursor's position among all decompressed bytes."""
        return self._decoded - self.ahead()

    def offset(self) -> int:
        """File offset of the cursor in an uncompressed file, else of the member that holds it."""
        here, edges = self.position(), self._edges
        if not edges:
            return self.raw.position
        while self._here + 1 < len(edges) and edges[self._here + 1][0] <= here:
            self._here += 1
        start, offset, is_plain = edges[self._here]
        return offset + here - start if is_plain else offset

    def is_plain(self) -> bool:
        """Whether the bytes at the cursor are not compressed in the file."""
        self.offset()
        return bool(self._edges) and self._edges[self._here][2]

    def has_edge(self, first: int, last: int) -> bool:
        """Returns whether a member begins at a distance in [first, last)."""
        here = self.position()
        at = bisect_left(self._edges, (here + first,))
        return at < len(self._edges) and self._edges[at][0] < here + last

    def record_edge(self, first: int, last: int) -> int | None:
        """Returns the distance, in [first, last), to the first member that begins with a record; None if there is
        none."""
        here = self.position()
        while self._begun and self._begun[0] < here:
            self._begun.popleft()
        # Of the positions in `_begun` at most one lies before `first`: it is 0 or 1.
        while not self._begun or self._begun[-1] < here + first:
            if self._n_judged == len(self._edges) or self._edges[self._n_judged][0] >= here + last:
                return None
            edge = self._edges[self._n_judged][0] - here
            self._n_judged += 1
            if edge >= 0:
                self.fill(edge + HEAD_BYTES)
                start = self.at + edge
                if self._is_record(self.window[start : start + HEAD_BYTES]):
                    self._begun.append(here + edge)
        edge = next(position for position in self._begun if position >= here + first) - here
        return edge if edge < last else None

    def skip(self, n: int) -> bool:
        """Skips `n` bytes without keeping them; stops at a member that begins with a record, and then returns False."""
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
        """Moves to the first member after the damage that begins with a record; returns False if there is none."""
        damage = self.damage
        assert damage is not None  # else there is nothing to pass over
        start = self._start_after(damage.offset, damage.reached)
        while (found := self.raw.find(_MEMBER, start)) is not None:
            self.jump(found)
            decoded = self._decoded
            self.fill(1)
            if self._is_record(self.window[:HEAD_BYTES]):
                return True
            if self.damage is None:
                self._n_vain += self._decoded - decoded + self.raw.position - found
            self._n_vain += _VAIN_LZ4_BYTES if self._is_lz4 else _VAIN_BYTES
            start = self._start_after(found, self.damage.reached if self.damage else self.raw.position)
        self.jump(self.raw.size)
        return False

    def _start_after(self, vain: int, reached: int) -> int:
        """Returns where to continue the search after a damaged member, given how far its decoder has read."""
        is_spent = self._n_vain > _MAX_VAIN * self.raw.size
        return max(vain + _VAIN_STEP, reached) if is_spent else vain + 1

    def _add_edge(self, offset: int, is_plain: bool) -> None:
        edges = self._edges
        if edges and edges[-1][0] == self._decoded:  # the member before is empty
            edges.pop()
            self._n_judged = min(self._n_judged, len(edges))
        elif self._here > len(edges) // 2 > _KEPT_EDGES:
            del edges[: self._here]
            self._n_judged = max(self._n_judged - self._here, 0)
            self._here = 0
        edges.append((self._decoded, offset, is_plain))

    def _decode(self, is_plain: bool) -> Iterator[bytes]:
        raw = self.raw
        while head := raw.peek(4):
            if not is_plain and head[0] == 0 and raw.position:  # padding between members, which gzip passes over too
                raw.pass_zeros()
                continue
            if not is_plain and _SKIPPABLE.match(head):
                self._pass_frame(head)
                continue
            offset = raw.position
            # The last piece is held back until the member has proved sound, so that whoever gets it knows.
            held = b""
            decoded = self._decoded
            try:
                pieces, is_plain = (read_plain(raw), True) if is_plain else self._decoder(head)
                self._add_edge(offset, is_plain)
                for piece in pieces:
                    if held:
                        self._decoded += len(held)
                        yield held
                    held = piece
            except Damaged as damage:
                damage.offset, damage.reached = offset, raw.position
                self.damage = damage
                self._n_vain += self._decoded + len(held) - decoded + raw.position - offset
            if held:
                self._decoded += len(held)
                yield held
            if self.damage is not None:
                return

    def _decoder(self, head: bytes) -> tuple[Iterator[bytes], bool]:
        raw = self.raw
        self._is_lz4 = head == LZ4
        if head.startswith(GZIP):
            return read_gzip(raw), False
        if head == ZSTD:
            return read_zstd(raw, self._dictionary), False
        if self._is_lz4:
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
