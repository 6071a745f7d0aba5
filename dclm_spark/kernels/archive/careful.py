"""Reads archives carefully: checks every byte, and finds the next record after any damage.

Damage to a record loses only that record, and one damaged range is one fault, whatever its length.
"""

import re
from collections import Counter
from typing import BinaryIO

from dclm_spark.kernels.archive.frames import HEAD_BYTES, TRUNCATED
from dclm_spark.kernels.archive.http import MAX_HEAD_BYTES
from dclm_spark.kernels.archive.members import Members
from dclm_spark.kernels.archive.outcomes import BAD_HEADER, NOT_AN_ARCHIVE, PAGES, Fault, Page, Skip, Wanted
from dclm_spark.kernels.archive.records import (
    LONGEST_LINE,
    NEXT_RECORD,
    RECORD,
    Header,
    address_of,
    identity,
    is_record,
    read_arc_header,
    read_date,
    read_warc_header,
)

MAX_COUNTED = 1 << 20
"""Largest number of records of one member whose identities are remembered."""

_EMPTY_LINES = re.compile(rb"[\r\n]*")


class CarefulReader:
    """Reads record after record: finds the end of each, judges it, and after damage searches for the next one.

    Args:
        stream: The open file, binary and seekable.
        wanted: Says which records are pages.
    """

    def __init__(self, stream: BinaryIO, wanted: Wanted) -> None:
        self._members = Members(stream, is_record)
        self._wanted = wanted
        self._start = 0
        self.is_archive = False  # whether one record header was seen
        self._endless: dict[bytes, int] = {}  # end of a header -> position up to which it was not found
        self._member = -1  # file offset of the member that holds the counted records
        self._n_counted = 0
        self._counted: Counter[str] = Counter()  # by what they say they are

    @property
    def n_bytes(self) -> int:
        """Length of the file."""
        return self._members.raw.size

    def jump(self, offset: int) -> None:
        """Moves to a file offset where a member or a plain record begins, from any position of the stream."""
        self._members.raw.forget()
        self._members.jump(offset)
        self._start = self._members.position()

    def has_earned_change(self) -> bool:
        """Returns whether more bytes were read since the last jump than are ahead, which another reader would decode
        again."""
        members = self._members
        return members.position() - self._start >= members.ahead()

    def begun_member(self) -> int | None:
        """Returns the file offset of the compressed member that begins here with a WARC record; None if there is
        none."""
        members = self._members
        is_begun = members.has_edge(0, 1) and members.window.startswith(b"WARC/", members.at)
        return members.offset() if is_begun and not members.is_plain() else None

    def is_more(self) -> bool:
        """Skips empty lines between records; returns whether more bytes follow."""
        members = self._members
        while members.fill(1):
            members.at = _after_empty_lines(members.window, members.at)
            if members.ahead():
                return True
        return members.damage is not None

    def next(self) -> Page | Fault | Skip:
        """Returns the record at the cursor, and moves behind it or, after damage, to the next one found."""
        members = self._members
        offset = members.offset()
        if not members.ahead():
            damage = members.damage
            assert damage is not None  # `is_more` has said that something is left
            return self._recover(Fault(damage.offset, None, None, damage.kind, str(damage)))
        header = self._header(offset)
        if isinstance(header, Fault):
            return self._recover(header)
        header = self._told_apart(header, offset)
        n_bytes = header.n_bytes + header.n_body_bytes
        is_held = self._wanted.may_hold(header)
        if is_held:
            members.fill(n_bytes + len(header.end))
            problem = self._problem(header, offset, n_bytes)
        else:
            members.fill(header.n_bytes + MAX_HEAD_BYTES)
            begin = members.at + header.n_bytes
            beginning = members.window[begin : begin + min(header.n_body_bytes, MAX_HEAD_BYTES)]
            restart = offset + header.n_bytes if members.is_plain() else None
            members.at += header.n_bytes
            problem = self._skip_problem(header)
            if problem and restart is not None:
                members.jump(restart, is_plain=True)
        if problem:
            return self._recover(Fault(offset, header.record_id, header.url, *problem))
        if not is_held:
            return self._wanted.judge(header, offset, beginning, 0, len(beginning))
        start = members.at + header.n_bytes
        members.at += n_bytes
        return self._wanted.judge(header, offset, members.window, start, members.at)

    def _header(self, offset: int) -> Header | Fault:
        """Reads the record header at the cursor without moving; after a fault, moves to where the search begins."""
        members = self._members
        line = RECORD.match(members.window, members.at)
        if line is None:
            members.fill(LONGEST_LINE)
            line = RECORD.match(members.window, members.at)
        if line is None:
            url = address_of(members.window[members.at : members.at + LONGEST_LINE])
            members.at += 1
            return Fault(offset, None, url, BAD_HEADER, "no WARC or ARC record where one should begin")
        self.is_archive = True
        if line["arc"] is not None:
            return self._sound(read_arc_header(line["arc"]), offset)
        end = b"\r\n\r\n" if line[0].endswith(b"\r\n") else b"\n\n"
        here = members.position()
        searched = max(line.end() - line.start() - len(end) // 2, self._endless.get(end, 0) - here)
        while (stop := members.window.find(end, members.at + searched, members.at + MAX_HEAD_BYTES)) < 0:
            searched = max(searched, members.ahead() - len(end))
            if searched > MAX_HEAD_BYTES or not members.fill(members.ahead() + 1):
                break
        if stop < 0:
            self._endless[end] = here + min(members.ahead(), MAX_HEAD_BYTES) - len(end)
        n_bytes = (members.ahead() if stop < 0 else stop - members.at) + len(end)
        edge = members.record_edge(1, n_bytes)
        if edge is None and (found := members.window.find(b"\nWARC/", members.at, members.at + n_bytes)) >= 0:
            edge = found + 1 - members.at
        if stop < 0 or edge is not None:
            kind, why = self._why_short() if stop < 0 and edge is None else (BAD_HEADER, "the next record begins")
            members.at += edge or 1
            return Fault(offset, None, None, kind, f"the record header does not end: {why}")
        # By its length: asking for edges may have moved the window.
        return self._sound(
            read_warc_header(members.window[members.at : members.at + n_bytes - len(end)], n_bytes), offset
        )

    def _sound(self, header: Header, offset: int) -> Header | Fault:
        """Returns the header if it is sound, else a fault."""
        if header.problem is None:
            return header
        self._members.at += 1
        return Fault(offset, header.record_id, header.url, BAD_HEADER, header.problem)

    def _told_apart(self, header: Header, offset: int) -> Header:
        """Adds to a header the number of records before it in the member with the same identity."""
        if header.kind not in PAGES or self._members.is_plain():
            return header
        if offset != self._member:
            self._member, self._n_counted, self._counted = offset, 0, Counter()
        name = identity(header.record_id, header.url, read_date(header.date))
        n_twins = self._n_counted  # its place, where there are too many names to remember
        self._n_counted += 1
        if name in self._counted or len(self._counted) < MAX_COUNTED:
            n_twins = self._counted[name]
            self._counted[name] += 1
        return header._replace(n_twins=n_twins) if n_twins else header

    def _problem(self, header: Header, offset: int, n_bytes: int) -> tuple[str, str] | None:
        """Returns kind and message of a fault in the bounds of the record at the cursor, whose bytes are in memory.

        Where something is, the cursor goes to the place from which the next record is to be searched.
        """
        members = self._members
        if (edge := members.record_edge(1, n_bytes)) is not None:
            members.at += edge
            n_found = max(edge - header.n_bytes, 0)
            return TRUNCATED, f"the body has {n_found} of {header.n_body_bytes} bytes, then the next record begins"
        if members.ahead() < n_bytes:
            n_found = members.ahead() - header.n_bytes
            kind, why = self._why_short()
            members.at += header.n_bytes
            return kind, f"the body has {n_found} of {header.n_body_bytes} bytes: {why}"
        if not self._ends_at(n_bytes, header.end):
            members.at += header.n_bytes
            return BAD_HEADER, f"the length of {header.n_body_bytes} bytes does not lead to the next record"
        damage = members.damage
        if (
            damage
            and damage.offset == offset
            and _after_empty_lines(members.window, members.at + n_bytes) == len(members.window)
        ):
            members.at += n_bytes
            return damage.kind, str(damage)
        return None

    def _skip_problem(self, header: Header) -> tuple[str, str] | None:
        """Skips a body that is too large for memory, from its beginning; returns kind and message of a fault, or
        None."""
        members = self._members
        if not members.skip(header.n_body_bytes):
            kind, why = self._why_short()
            return kind, f"the body has fewer than {header.n_body_bytes} bytes: {why}"
        if not self._ends_at(0, header.end):
            return BAD_HEADER, f"the length of {header.n_body_bytes} bytes does not lead to the next record"
        return None

    def _ends_at(self, distance: int, end: bytes) -> bool:
        """Returns whether the record at the cursor may end here: before a record, a member or the end of the file."""
        members = self._members
        members.fill(distance + len(end))
        is_marked = members.window.startswith(end, members.at + distance)
        if is_marked and members.ahead() == distance + len(end):  # a member's end: the common case
            return True
        start = distance
        while members.fill(start + 1) and members.window[members.at + start] in b"\r\n" and start < distance + 64:
            start += 1
        members.fill(start + HEAD_BYTES)
        return (
            start == members.ahead()
            or (not members.is_plain() and members.has_edge(distance, start + 1))
            or members.window.startswith(b"WARC/", members.at + start)
            or (is_marked and RECORD.match(members.window, members.at + start) is not None)
            # What follows is damaged then, unless the length is wrong and has led over other records to just here.
            or (is_marked and NEXT_RECORD.search(members.window, members.at, members.at + distance) is None)
        )

    def _why_short(self) -> tuple[str, str]:
        """Returns kind and message of the reason why fewer bytes follow than expected."""
        members = self._members
        if members.damage is not None:
            return members.damage.kind, str(members.damage)
        if members.ahead() > MAX_HEAD_BYTES:
            return BAD_HEADER, f"it is longer than {MAX_HEAD_BYTES} bytes"
        return TRUNCATED, "the file ends"

    def _recover(self, fault: Fault) -> Fault:
        """Moves to the next record after the cursor, and adds the number of skipped bytes to the fault."""
        members = self._members
        is_found = self._scan() or (members.damage is not None and members.resume())
        end = members.offset() if is_found else members.raw.size
        is_none = fault.kind == BAD_HEADER and not (self.is_archive or is_found)
        kind = NOT_AN_ARCHIVE if is_none else fault.kind
        self.is_archive = True  # or it is none, and has had its fault
        return fault._replace(kind=kind, message=f"{fault.message} ({end - fault.offset} bytes passed over)")

    def _scan(self) -> bool:
        """Moves to the next record in the decompressed bytes, or to their end; returns whether there is one."""
        members = self._members
        while True:
            n_ahead = members.ahead()
            match = NEXT_RECORD.search(members.window, max(members.at - 1, 0))
            found = match.start() + 1 - members.at if match else n_ahead
            edge = members.record_edge(0, found)  # may decompress more than was searched
            if match or edge is not None:
                members.at += found if edge is None else edge
                return True
            # Invariant: no record begins before the cursor. A line that is still cut off stays ahead of it.
            n_passed = max(n_ahead - LONGEST_LINE, 0)
            members.at += n_passed
            if members.ahead() == n_ahead - n_passed and not members.fill(members.ahead() + 1):
                members.at = len(members.window)
                return False


def _after_empty_lines(window: bytes, at: int) -> int:
    lines = _EMPTY_LINES.match(window, at)
    assert lines is not None  # none at all match too
    return lines.end()
