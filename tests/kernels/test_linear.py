"""Every parser of bytes from elsewhere is linear: of four times the input it makes at most eight times the work."""

import gzip
import io
import json
import random
import time
import zlib
from collections.abc import Callable, Iterable

import pyarrow as pa
import pytest
from fastwarc.stream_io import BrotliWriter

from dclm_spark.kernels.archive.codings import BadCoding, decode_payload
from dclm_spark.kernels.archive.http import Head, read_content_type, read_fields, read_head
from dclm_spark.kernels.archive.pools import read_pool
from dclm_spark.kernels.archive.records import NEXT_RECORD, RECORD, read_date
from dclm_spark.kernels.archive.sniffing import binary_type
from dclm_spark.kernels.archive.warc import read_archive
from dclm_spark.kernels.signals.urls import measure_urls
from tests.kernels.test_warc import COMPRESS, HTML, arc, page, response, warc, written_by

pytestmark = [pytest.mark.once, pytest.mark.busy]

LIMIT = 8 << 20
HEAD = b"WARC/1.0\r\nWARC-Type: response\r\nContent-Length: %d\r\n\r\n"
EMPTY_RECORD = HEAD % 0 + b"\r\n\r\n"
STORED = b"\x1f\x8b\x08\0\0\0\0\0\0\3\0\xff\xff\0\0"  # a gzip member that claims a block of 65,535 bytes
ZSTD_CLAIM = b"\x28\xb5\x2f\xfd\0\x58\0\0\x10"  # a Zstandard frame that claims a block of 128 KiB
NO_HEAD = Head(200, "text/html", None, (), False, 0)


def repeated(unit: bytes, n: int) -> bytes:
    return unit * (n // len(unit) + 1)


def member(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)


def lz4_claim(n: int) -> bytes:
    return b"\x04\x22\x4d\x18\x40\x70\xdf" + (1 << 31 | min(n // 4, (4 << 20) - 1)).to_bytes(4, "little")


ARCHIVES: dict[str, Callable[[int], bytes]] = {
    # Damage, and places where a member may begin, none of which leads anywhere
    "file names without end": lambda n: repeated(b"\x1f\x8b\x08\x08\0\0\0\0\0\3aaaa", n),
    "the same behind a record": lambda n: member(page(1)) + repeated(b"\x1f\x8b\x08\x08\0\0\0\0\0\3aaaa", n),
    "comments without end": lambda n: repeated(b"\x1f\x8b\x08\x10\0\0\0\0\0\3aaaa", n),
    "extra fields that claim much": lambda n: repeated(b"\x1f\x8b\x08\x04\0\0\0\0\0\3\xff\xff", n),
    "magic numbers": lambda n: member(page(1)) + repeated(b"\x1f\x8b\x08", n),
    "blocks that claim much": lambda n: repeated(STORED + b"x" * 10, n),
    "the same with records": lambda n: repeated(STORED + HEAD % (7 << 20), n),
    "frames that claim much": lambda n: repeated(ZSTD_CLAIM + HEAD % (7 << 20), n),
    "lz4 that claims much": lambda n: repeated(lz4_claim(n) + HEAD % (7 << 20), n),
    "members with a bad checksum": lambda n: repeated(member(page(1))[:-4] + b"1234", n),
    "a member with a bad end": lambda n: member(repeated(EMPTY_RECORD, n))[:-9],
    "noise in a member": lambda n: member(random.Random(1).randbytes(n)),
    "noise": lambda n: random.Random(1).randbytes(n),
    # Members and frames of little or nothing
    "empty members": lambda n: repeated(member(b""), n),
    "members of one byte": lambda n: repeated(member(b"x"), n),
    "zeros between members": lambda n: member(page(1)) + repeated(b"\0" + member(b""), n),
    "a header in many members": lambda n: member(HEAD[:40] + b"\r\nX: ") + repeated(member(b"x"), n),
    "a body in many members": lambda n: member(HEAD % (n // 21)) + repeated(member(b"x"), n),
    "a body behind many members": lambda n: member(HEAD % 9) + repeated(member(b""), n) + member(b"123456789\r\n\r\n"),
    "tiny records": lambda n: repeated(member(EMPTY_RECORD), n),
    "tiny records not by the book": lambda n: repeated(member(EMPTY_RECORD.replace(b": ", b":")), n),
    "the same, by turns": lambda n: repeated(member(EMPTY_RECORD) + member(EMPTY_RECORD.replace(b": ", b":")), n),
    "tiny frames": lambda n: repeated(COMPRESS["zst"](b"x"), n),
    "tiny frames with records": lambda n: repeated(COMPRESS["zst"](EMPTY_RECORD), n),
    "tiny lz4 frames": lambda n: repeated(COMPRESS["lz4"](EMPTY_RECORD), n),
    "empty blocks": lambda n: b"\x28\xb5\x2f\xfd\0\x58" + repeated(b"\0\0\0", n),
    "frames without data": lambda n: member(page(1)) + repeated(b"\x50\x2a\x4d\x18\0\0\0\0", n),
    # Headers that claim more than there is
    "claims in members": lambda n: repeated(member(HEAD % (7 << 20)), n),
    "claims behind members' beginnings": lambda n: repeated(member(b"\n" + HEAD % (7 << 20)), n),
    "claims": lambda n: repeated(HEAD % (7 << 20), n),
    "claims that are in the file": lambda n: repeated(HEAD % (n // 4), n),
    "claims beyond the limit": lambda n: repeated(HEAD % (9 << 20) + b"HTTP/1.0 200 OK\r\n", n),
    "claims beyond the limit that differ": lambda n: b"".join(
        HEAD % (9 << 20 | random.Random(i).randrange(1 << 20)) for i in range(n // 60)
    ),
    "claims of ARC": lambda n: repeated(b"http://a 1.2.3.4 20200131010203 text/html 7000000\n", n),
    "headers without end": lambda n: repeated(b"WARC/1.0\r\nWARC-a:\r\n", n),
    # Lines
    "an ARC header of dates": lambda n: arc(1) + b"http:" + repeated(b" 20200131010203", n),
    "ARC headers of dates": lambda n: arc(1) + repeated(b"\nhttp:" + b" 20200131010203" * 40, n),
    "ARC headers that end badly": lambda n: arc(1) + repeated(b"http://a 1.2.3.4 20200131010203 text/html x\n", n),
    "blanks in an ARC header": lambda n: arc(1) + b"http:" + repeated(b" ", n),
    "blanks in a WARC line": lambda n: page(1) + b"WARC/1.0" + repeated(b" ", n),
    "empty lines": lambda n: page(1) + repeated(b"\r\n", n) + b"x",
    "a line without end": lambda n: page(1) + repeated(b"x", n),
    # Answers
    "blanks behind charset=": lambda n: repeated(
        warc(1, response(b"x", content_type=b"text/html; charset=" + b" " * 60_000)), n
    ),
    "interim answers": lambda n: repeated(warc(1, b"HTTP/1.1 100\n\n" * 5_000), n),
    "fields": lambda n: repeated(warc(1, response(b"x", *[b"Content-Type: text/html"] * 2_000)), n),
}


def read_file(data: bytes) -> Iterable:
    return read_archive(io.BytesIO(data), max_page_bytes=LIMIT, content_types=HTML, http_statuses=(200,))


def decoded(codings: tuple[str, ...], *, is_chunked: bool = False) -> Callable[[bytes], bytes | None]:
    head = NO_HEAD._replace(codings=codings, is_chunked=is_chunked)

    def decode(payload: bytes) -> bytes | None:
        try:
            return decode_payload(payload, head, limit=2 * LIMIT)
        except BadCoding:
            return None

    return decode


def read_lines(data: bytes) -> Iterable:
    return read_pool(io.BytesIO(data), path="a.jsonl", max_line_bytes=LIMIT << 1)


def read_url(url: bytes) -> pa.Array:
    return measure_urls(pa.array([url.decode()]), strict=("bad",), hard=("ugly", "a-b"), soft=("page",))


def field_of(name: bytes) -> Callable[[int], bytes]:
    return lambda n: b"\r\n".join([name + b": gzip"] * (n // (len(name) + 8)))


OTHERS: dict[str, tuple[Callable[[bytes], object], Callable[[int], bytes]]] = {
    "fields: folded": (read_fields, lambda n: b"A: b" + repeated(b"\r\n b", n)),
    "fields: blanks": (read_fields, lambda n: repeated(b"\r\n" + b" " * 999, n)),
    "fields: of one name": (read_fields, field_of(b"content-encoding")),
    "fields: short": (read_fields, lambda n: repeated(b"\n:", n)),
    "head": (lambda head: read_head(head, 0, len(head)), lambda n: b"HTTP/1.1 200 OK\r\n" + repeated(b"\r", n)),
    "head: interim": (lambda head: read_head(head, 0, len(head)), lambda n: repeated(b"HTTP/1.1 100\n\n", n)),
    "type: blanks": (read_content_type, lambda n: b"text/html; charset=" + b" " * n),
    "type: charsets": (read_content_type, lambda n: repeated(b"charset  = ", n)),
    "type: no type": (read_content_type, lambda n: repeated(b"a", n)),
    "type: commas": (read_content_type, lambda n: repeated(b",", n)),
    "type: a list": (read_content_type, lambda n: repeated(b"text/html, ", n)),
    "type: quotes": (read_content_type, lambda n: repeated(b'",', n)),
    "chunks: of one byte": (decoded((), is_chunked=True), lambda n: repeated(b"1\r\nx\r\n", n)),
    "chunks: blanks": (decoded((), is_chunked=True), lambda n: b"1\r\nx\r\n" + b" " * n),
    "chunks: an extension": (decoded((), is_chunked=True), lambda n: b"1\r\nx\r\n1;" + b"x" * n),
    "gzip: empty members": (decoded(("gzip",)), lambda n: repeated(member(b""), n)),
    "gzip: undeclared empty members": (decoded(()), lambda n: repeated(member(b""), n)),
    "gzip: tiny members": (decoded(("gzip",)), lambda n: repeated(member(b"x"), n)),
    "gzip: names": (decoded(("gzip",)), lambda n: b"\x1f\x8b\x08\x08\0\0\0\0\0\3" + b"a" * n),
    "gzip: empty blocks": (decoded(("gzip",)), lambda n: STORED[:10] + repeated(b"\0\0\0\xff\xff", n)),
    "gzip: noise": (decoded(("gzip",)), lambda n: member(random.Random(1).randbytes(n))),
    "deflate": (decoded(("deflate",)), lambda n: zlib.compress(random.Random(1).randbytes(n))),
    "zstd: tiny frames": (decoded(("zstd",)), lambda n: repeated(COMPRESS["zst"](b"x"), n)),
    "zstd: empty blocks": (decoded(("zstd",)), lambda n: b"\x28\xb5\x2f\xfd\0\x58" + repeated(b"\0\0\0", n)),
    "br": (decoded(("br",)), lambda n: written_by(BrotliWriter)(random.Random(1).randbytes(n))),
    "br: empty blocks": (decoded(("br",)), lambda n: b"\x0b" + repeated(b"\x06", n)),
    "sniffing: blanks": (binary_type, lambda n: b" " * n),
    "sniffing: zeros": (binary_type, bytes),
    "sniffing: tags": (binary_type, lambda n: repeated(b"\1<html<html", n)),
    "record: WARC": (RECORD.match, lambda n: b"WARC/1.0" + b" " * n),
    "record: ARC": (RECORD.match, lambda n: b"http:" + repeated(b" 20200131010203", n)),
    "record: ARC of type": (RECORD.match, lambda n: b"http:a 1.1.1.1 20200131010203 " + repeated(b"a ", n)),
    "search: ARC": (NEXT_RECORD.search, lambda n: repeated(b"\nhttp: 1.1.1.1 20200131010203 a a a", n)),
    "search: fields": (NEXT_RECORD.search, lambda n: repeated(b"\nWARC/1.0\r\nWARC-Type", n)),
    "date": (read_date, lambda n: repeated(b"2020", n)),
    "pool: a line": (read_lines, lambda n: b'{"text": "' + b"x" * n),
    "pool: empty lines": (read_lines, lambda n: repeated(b"   \n", n)),
    "pool: short lines": (read_lines, lambda n: repeated(b'{"text":""}\n', n)),
    "pool: bad lines": (read_lines, lambda n: repeated(b"{" + b"x" * 30 + b"\n", n)),
    "pool: escapes": (read_lines, lambda n: b'{"text": "%b"}' % repeated(rb"\ud800\udc00", n)),
    "pool: half pairs": (read_lines, lambda n: b'{"text": "%b"}' % repeated(rb"\ud800", n)),
    "pool: fields": (read_lines, lambda n: json.dumps({"text": "", **{f"{i}": i for i in range(n // 16)}}).encode()),
    "pool: fields of one name": (read_lines, lambda n: b'{"text": ""%b}' % repeated(b',"a":1', n)),
    "pool: digits": (read_lines, lambda n: b'{"text": "", "a": 1%b}' % repeated(b"1", n)),
    "pool: depth": (read_lines, lambda n: b'{"text": "", "a": %b}' % repeated(b"[", n)),
    "pool: blanks": (read_lines, lambda n: b'{"text": "" %b' % repeated(b" ", n)),
    "pool: members": (read_lines, lambda n: repeated(member(b"x"), n)),
    "url: scheme": (read_url, lambda n: b"a" * n),
    "url: users": (read_url, lambda n: b"http://" + repeated(b"a@", n)),
    "url: host": (read_url, lambda n: b"http://" + b"a" * n + b" "),
    "url: dots": (read_url, lambda n: b"http://" + repeated(b".", n)),
    "url: words": (read_url, lambda n: b"http://a/" + repeated(b"ugl-", n)),
    "url: signs": (read_url, lambda n: b"http://" + repeated(b"%C3%A4", n)),
}

PARSERS = {name: (read_file, make) for name, make in ARCHIVES.items()} | OTHERS

MAX_GROWTH = 8  # for four times the input; of a parser that is quadratic it is 16
LEAST_SECONDS = 0.02


def work(parse: Callable[[bytes], object], data: bytes) -> float:
    """Seconds of CPU of this process, whatever else the machine does."""
    start = time.process_time()
    found = parse(data)
    if isinstance(found, Iterable) and not isinstance(found, bytes):
        for _ in found:
            pass
    return max(time.process_time() - start, LEAST_SECONDS)


def growth(name: str, n: int, *, n_tries: int) -> tuple[float, float]:
    """How much more work four times `n` bytes are, the least of several tries, and its seconds."""
    parse, make = PARSERS[name]
    small, large = make(n), make(4 * n)
    found: list[tuple[float, float]] = []
    while len(found) < n_tries and (not found or found[-1][0] >= MAX_GROWTH):  # mostly the first will do
        seconds = work(parse, large)
        found.append((seconds / work(parse, small), seconds))
    return min(found)


@pytest.mark.parametrize("name", PARSERS)
def test_four_times_the_input_is_no_more_than_eight_times_the_work(name):
    assert growth(name, 1 << 16, n_tries=5)[0] < MAX_GROWTH


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("name", PARSERS)
def test_so_it_is_up_to_8_mib(name):
    grown, seconds = growth(name, 1 << 19, n_tries=3)
    assert grown < MAX_GROWTH
    if seconds < 0.4:  # for the others 2 MiB must do
        assert growth(name, 1 << 21, n_tries=3)[0] < MAX_GROWTH
