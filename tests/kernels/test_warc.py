"""The archive reader against files built here, against warcio, against damage, and on real crawls."""

import gzip
import io
import itertools
import random
import zlib
from collections import Counter
from datetime import UTC, datetime

import pytest
from fastwarc.stream_io import BrotliWriter, Lz4Writer, ZstdReader, ZstdWriter, zstd_train_dictionary_from_samples
from warcio.archiveiterator import ArchiveIterator
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from dclm_spark.kernels.archive.careful import CarefulReader
from dclm_spark.kernels.archive.outcomes import KINDS, Fault, Page, Skip, Wanted
from dclm_spark.kernels.archive.warc import read_archive

pytestmark = pytest.mark.once

HTML = ("text/html", "application/xhtml+xml")
WORDS = [bytes(random.Random(1).choices(b"abcdefghijklmnopqrst", k=n)) for n in range(2, 10) for _ in range(60)]


def read(data: bytes, *, limit: int = 1 << 20, types=HTML, statuses=(200,)) -> list:
    return list(read_archive(io.BytesIO(data), max_page_bytes=limit, content_types=types, http_statuses=statuses))


def tally(records) -> dict[str, int]:
    """Pages, and faults by kind, and skips by reason."""
    return dict(
        Counter("page" if isinstance(r, Page) else r.kind if isinstance(r, Fault) else r.reason for r in records)
    )


def body(number: int) -> bytes:
    words = random.Random(number).choices(WORDS, k=200 + 40 * number)
    return b"<html><body><p>" + b" ".join(words) + b"</p>\n</body></html>"


def response(payload: bytes, *headers: bytes, status: bytes = b"200 OK", content_type: bytes | None = b"text/html"):
    fields = [*([b"Content-Type: " + content_type] if content_type is not None else []), *headers]
    return b"\r\n".join([b"HTTP/1.1 " + status, *fields, b"", payload])


def warc(number: int, block: bytes, *headers: bytes, kind: bytes = b"response", length: bytes | None = None) -> bytes:
    return b"\r\n".join(
        [
            b"WARC/1.0",
            b"WARC-Type: " + kind,
            b"WARC-Record-ID: <urn:uuid:%d>" % number,
            b"WARC-Target-URI: http://e.example/%d" % number,
            b"WARC-Date: 2020-01-31T01:02:03Z",
            b"Content-Type: application/http; msgtype=response",
            *headers,
            b"Content-Length: " + (b"%d" % len(block) if length is None else length),
            b"",
            block + b"\r\n\r\n",
        ]
    )


def page(number: int) -> bytes:
    return warc(number, response(body(number)))


def arc(number: int, block: bytes | None = None) -> bytes:
    block = response(body(number)) if block is None else block
    return b"http://e.example/%d 1.2.3.4 20200131010203 text/html %d\n%b\n" % (number, len(block), block)


def arc_head() -> bytes:
    text = b"1 0 tests\nURL IP-address Archive-date Content-type Archive-length\n"
    return b"filedesc://tests.arc 0.0.0.0 20200131010203 text/plain %d\n%b\n" % (len(text), text)


def written_by(writer):
    def compress(data: bytes) -> bytes:
        out = io.BytesIO()
        opened = writer(out)
        for at in range(0, len(data), 1 << 20):  # fastwarc's zstd writer loses what one call gives it beyond 8 MiB
            opened.write(data[at : at + (1 << 20)])
        opened.close()
        return out.getvalue()

    return compress


COMPRESS = {"plain": bytes, "gz": gzip.compress, "zst": written_by(ZstdWriter), "lz4": written_by(Lz4Writer)}
N = 12
FILES = {name: [compress(page(i)) for i in range(N)] for name, compress in COMPRESS.items()}
FILES |= {f"arc.{name}": [COMPRESS[name](r) for r in [arc_head(), *map(arc, range(1, N))]] for name in ("plain", "gz")}


@pytest.mark.parametrize("name", FILES)
def test_pages_are_the_same_in_every_format(name):
    members = FILES[name]
    records = read(b"".join(members))
    pages = [r for r in records if isinstance(r, Page)]
    first = 1 if name.startswith("arc") else 0
    assert tally(records) == ({"page": N - 1, "type:warcinfo": 1} if first else {"page": N})
    assert [p.payload for p in pages] == [body(i) for i in range(first, N)]
    assert [p.offset for p in pages] == [sum(map(len, members[:i])) for i in range(first, N)]
    assert pages[-1] == Page(
        offset=sum(map(len, members[:-1])),
        record_id=None if first else f"<urn:uuid:{N - 1}>",
        url=f"http://e.example/{N - 1}",
        fetched_at=datetime(2020, 1, 31, 1, 2, 3, tzinfo=UTC),
        http_status=200,
        content_type="text/html",
        charset=None,
        payload=body(N - 1),
        is_text=False,
    )


@pytest.mark.parametrize("name", FILES)
def test_a_record_is_found_again_at_its_offset(name):
    data = b"".join(FILES[name])
    for record in read(data)[1:]:
        assert read(data[record.offset :])[0]._replace(offset=record.offset) == record


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("seed", range(200))
def test_damage_costs_one_fault_and_no_other_record(name, seed):
    """Flipped, cut, inserted, zeroed or cut off: the records that the damage does not touch are all there, once."""
    members = FILES[name]
    data = b"".join(members)
    starts = [sum(map(len, members[:i])) for i in range(N)]
    rng = random.Random(seed)
    at = rng.randrange(len(data))
    n = rng.choice([1, 2, 10, 100, 1000])
    how = rng.choice(["flip", "cut", "insert", "zero", "end"])
    damaged, touched_to = {
        "flip": (data[:at] + bytes([data[at] ^ rng.randint(1, 255)]) + data[at + 1 :], at + 1),
        "cut": (data[:at] + data[at + n :], at + n),
        "insert": (data[:at] + rng.randbytes(n) + data[at:], at + 1),
        "zero": (data[:at] + bytes(n) + data[at + n :], at + n),
        "end": (data[:at], len(data)),
    }[how]
    records = read(damaged)
    urls = [r.url for r in records if isinstance(r, Page)]
    # The line end before a record is how it is found: a record is untouched when that is.
    untouched = [i for i in range(N) if (starts + [len(data)])[i + 1] <= at or starts[i] > touched_to]
    expected = {f"http://e.example/{i}" for i in untouched if i or not name.startswith("arc")}
    assert expected <= set(urls), (how, n, at)
    assert len(urls) == len(set(urls))
    assert sum(isinstance(r, Fault) for r in records) <= 1, records


@pytest.mark.parametrize("seed", range(150))
def test_members_may_be_cut_anywhere(seed):
    """Members of no record, half a record or several: all records are there, as the careful reader finds them."""
    rng = random.Random(seed)
    records = [warc(i, response(body(i)), kind=rng.choice([b"response", b"request"])) for i in range(6)]
    if rng.random() < 0.3:
        records = [rng.choice([b"", b"\r\n", b"\r\n\r\n"]) + record for record in records]
    data = b"".join(records)
    ends = [sum(map(len, records[: i + 1])) for i in range(len(records))]
    cuts = {end + rng.choice([0, 0, 0, -2, 2, -4, 10, 12, 60, 200, -100]) for end in ends if rng.random() < 0.8}
    bounds = [0, *sorted(cut for cut in cuts if 0 < cut < len(data)), len(data)]
    members = b"".join(gzip.compress(data[start:end]) for start, end in itertools.pairwise(bounds))
    found = read(members)
    assert not [record for record in found if isinstance(record, Fault)]
    assert len(found) == len(records)
    assert found == read_carefully(members)


def read_carefully(data: bytes) -> list:
    careful = CarefulReader(io.BytesIO(data), Wanted(1 << 20, frozenset(HTML), frozenset({200})))
    found = []
    while careful.is_more():
        found.append(careful.next())
    return found


@pytest.mark.parametrize("seed", range(200))
@pytest.mark.parametrize("name", ["plain", "gz", "zst"])
def test_odd_headers_cost_no_other_record(name, seed):
    """Records with headers that cannot be read, garbage between them, long bodies: each sound one is found, once."""
    rng = random.Random(seed)
    pieces, expected = [], []
    for i in range(8):
        what = rng.choice(["sound", "sound", "long", "no type", "garbage", "cut header"])
        record = warc(i, response(body(i) * (6 if what == "long" else 1)))
        if what in ("sound", "long"):
            expected.append(f"http://e.example/{i}")
        elif what == "no type":
            record = record.replace(b"WARC-Type", b"WARC-Tpye")
        elif what == "garbage":
            record = rng.randbytes(rng.choice([10, 5_000, 20_000])).replace(b"WARC", b"....") + b"\r\n"
        else:
            record = record[: record.index(b"WARC-Date")]
        pieces.append(record)
    found = read(b"".join(COMPRESS[name](piece) for piece in pieces))
    assert [record.url for record in found if isinstance(record, Page)] == expected


def test_a_bad_end_after_sound_records_is_no_other_file():
    (fault,) = [r for r in read(b"".join(FILES["gz"]) + gzip.compress(b"junk\r\n")) if isinstance(r, Fault)]
    assert fault.kind == "bad_header"


def test_a_folded_line_belongs_to_its_field():
    folded = page(1).replace(b"<urn:uuid:1>", b"\r\n <urn:uuid:1>")
    for data in (folded, gzip.compress(folded) + gzip.compress(page(2))):
        assert read(data)[0].record_id == "<urn:uuid:1>"


DAMAGE = {
    "body cut by the next member": (lambda c: [c(warc(1, b"HTTP/1.1 200 OK\r\n\r\n", length=b"30000"))], "truncated"),
    "length too small": (lambda c: [c(warc(1, response(body(1)), length=b"700"))], "bad_header"),
    "length negative": (lambda c: [c(warc(1, response(body(1)), length=b"-5"))], "bad_header"),
    "length in words": (lambda c: [c(warc(1, response(body(1)), length=b"very lengthy"))], "bad_header"),
    "length absurd": (lambda c: [c(warc(1, response(body(1)), length=b"9" * 30))], "bad_header"),
    "length far": (lambda c: [c(warc(1, response(body(1)), length=b"9" * 15))], "truncated"),
    "length absent": (lambda c: [c(page(1).replace(b"Content-Length: ", b"Content-Lenght: "))], "bad_header"),
    "type absent": (lambda c: [c(page(1).replace(b"WARC-Type", b"WARC-Tpye"))], "bad_header"),
    "header cut": (lambda c: [c(page(1)[: page(1).index(b"WARC-Date")])], "bad_header"),
    "header endless": (lambda c: [c(warc(1, b"", b"X: " + b"x" * 100_000))], "bad_header"),
    "no record": (lambda c: [c(b"The monkeys are coming!\r\n" * 9)], "bad_header"),
    "three of them": (
        lambda c: [c(b"monkeys\n"), c(page(2).replace(b"WARC/1", b"warc/1")), c(b"a\0b\n")],
        "bad_header",
    ),
}


@pytest.mark.parametrize("name", COMPRESS)
@pytest.mark.parametrize("what", DAMAGE)
def test_each_damage_has_its_kind(name, what):
    make, kind = DAMAGE[what]
    compress = COMPRESS[name]
    members = [compress(page(7)), *make(compress), compress(page(8)), compress(page(9))]
    records = read(b"".join(members))
    (fault,) = [r for r in records if isinstance(r, Fault)]
    assert fault.kind == kind
    assert fault.offset == len(members[0])
    assert [r.record_id for r in records if isinstance(r, Page)] == [f"<urn:uuid:{i}>" for i in (7, 8, 9)]


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", "not_an_archive"),
        (b"\r\n\r\n", "not_an_archive"),
        (b"hello\n" * 100_000, "not_an_archive"),
        (bytes(1000), "not_an_archive"),
        (random.Random(2).randbytes(1_000_000), "not_an_archive"),
        (gzip.compress(b"hello\n" * 100_000), "not_an_archive"),
        (gzip.compress(b""), "not_an_archive"),
        (gzip.compress(page(1))[:15], "truncated"),
        (gzip.compress(page(1))[:-4], "truncated"),
        (gzip.compress(page(1))[:400], "truncated"),
        (page(1)[:-400], "truncated"),
        (page(1)[:100], "truncated"),
        (arc(1)[:-30], "truncated"),
        (gzip.compress(page(1))[:-8] + bytes(8), "unreadable"),
    ],
)
def test_a_file_that_is_wholly_bad_is_one_fault(data, kind):
    (fault,) = read(data)
    assert (fault.kind, fault.offset) == (kind, 0)
    assert kind in KINDS


def test_an_unreadable_record_is_named():
    damaged = bytearray(gzip.compress(page(11)))
    damaged[-6] ^= 1
    (fault,) = read(bytes(damaged))
    assert (fault.kind, fault.record_id, fault.url) == ("unreadable", "<urn:uuid:11>", "http://e.example/11")


@pytest.mark.parametrize(
    ("data", "n_pages"),
    [
        (gzip.compress(page(1) + page(2)) + gzip.compress(page(3)), 3),
        (gzip.compress(page(1)) + gzip.compress(b"") + gzip.compress(page(3)), 2),
        (gzip.compress(page(1)) + bytes(512) + gzip.compress(page(3)) + bytes(512), 2),
        (gzip.compress(page(1)) + page(2), 2),
        (b"\r\n\r\n" + page(1) + b"\r\n" * 5 + page(2), 2),
        (page(1)[:-4] + page(2)[:-4], 2),
        (gzip.compress(page(1)[:-4]) + gzip.compress(page(2)[:-4]), 2),
        (page(1).replace(b"WARC/1.0", b"WARC/0.18") + page(2).replace(b"WARC/1.0", b"WARC/1.1"), 2),
        (b"".join(gzip.compress((page(1) + page(2))[i : i + 1000]) for i in range(0, len(page(1) + page(2)), 1000)), 2),
        (warc(1, response(body(1)), b"Content-Length: %d" % len(response(body(1)))), 1),
        (warc(1, response(body(1)), b"X-Folded: one", b"  two", b"no colon here"), 1),
    ],
)
def test_unusual_files_are_sound(data, n_pages):
    records = read(data)
    assert tally(records) == {"page": n_pages}
    assert [r.payload for r in records] == [body(int(r.url[-1])) for r in records]


def test_header_lines_may_end_with_lf_alone():
    block = response(body(1)).replace(b"\r\n", b"\n")
    record = warc(1, block).replace(b"\r\n", b"\n")
    assert [r.payload for r in read(record + record)] == [body(1)] * 2


def test_skips_come_in_the_order_of_the_questions():
    not_found = response(b"", status=b"404 Not Found", content_type=b"image/png")
    records = [
        *(warc(1, not_found, kind=kind) for kind in (b"request", b"warcinfo", b"metadata", b"revisit", b"resource")),
        warc(1, b"", kind=b"continuation"),
        warc(1, b"", kind=b"monkeys"),
        warc(1, b"20200131010203\ne.example. 1 IN A 1.2.3.4\n").replace(b"application/http", b"text/dns"),
        warc(1, not_found),
        warc(1, response(b"x", content_type=b"image/png")),
        warc(1, response(b"x", content_type=b"Text/HTML;charset=UTF-8")),
    ]
    assert [r.reason for r in read(b"".join(records)) if isinstance(r, Skip)] == [
        "type:request",
        "type:warcinfo",
        "type:metadata",
        "type:revisit",
        "type:resource",
        "type:continuation",
        "type:unknown",
        "not_http",
        "http_status",
        "content_type",
    ]
    assert tally(read(b"".join(records), types=(), statuses=()))["page"] == 3


@pytest.mark.parametrize(
    ("payload", "content_type", "expected"),
    [
        (b" <!doctype html><p>x", None, "page"),
        (b"<HTML>", b"", "page"),
        (b"<p>x", b"html", "page"),
        (b"<p>x", b"unknown/unknown", "page"),
        (b"\x89PNG\r\n", None, "content_type"),
        (b"some words", None, "content_type"),
        (b"", b"text/html", "page"),
    ],
)
def test_a_page_without_a_media_type_is_known_by_its_first_bytes(payload, content_type, expected):
    assert tally(read(warc(1, response(payload, content_type=content_type)))) == {expected: 1}


@pytest.mark.parametrize(
    ("written", "content_type", "charset"),
    [
        (b"text/html; charset=ISO-8859-1", "text/html", "ISO-8859-1"),
        (b'text/html;Charset = "utf-8" ; x=y', "text/html", "utf-8"),
        (b"text/html charset=utf8", "text/html", "utf8"),
        (b"text/html;", "text/html", None),
        (b"TEXT/HTML; charset=", "text/html", None),
    ],
)
def test_content_type_is_read_leniently(written, content_type, charset):
    (record,) = read(warc(1, response(b"<p>x", content_type=written)))
    assert (record.content_type, record.charset) == (content_type, charset)


def test_header_values_are_safe_text():
    strange = page(1).replace(b"http://e.example/1", b"<http://e.example/a b\xe9\0\xed\xa0\x80?\xc2\xa7>")
    (record,) = read(strange)
    assert record.url == "http://e.example/a bé\xed\xa0\x80?Â§"
    record.url.encode("utf-8")
    (record,) = read(page(1).replace(b"2020-01-31T01:02:03Z", b"2008-10-294T05:21:46-0700"))
    assert record.fetched_at is None
    (record,) = read(page(1).replace(b"2020-01-31T01:02:03Z", b"2020-01-31T01:02:03.123456789+02:00"))
    assert record.fetched_at == datetime(2020, 1, 30, 23, 2, 3, 123456, tzinfo=UTC)


def chunked(payload: bytes, *sizes: int) -> bytes:
    out, at = b"", 0
    for size in (*sizes, len(payload) - sum(sizes)):
        out += b"%x\r\n%b\r\n" % (size, payload[at : at + size])
        at += size
    return out + b"0\r\n\r\n"


PAGE = body(5)
RAW_DEFLATE = zlib.compressobj(wbits=-15)
CODED = {
    "gzip": (gzip.compress(PAGE), [b"Content-Encoding: gzip"]),
    "x-gzip in two members": (gzip.compress(PAGE[:50]) + gzip.compress(PAGE[50:]), [b"Content-Encoding: X-GZIP"]),
    "gzip and something after": (gzip.compress(PAGE) + b"\r\n", [b"Content-Encoding: gzip"]),
    "deflate": (zlib.compress(PAGE), [b"Content-Encoding: deflate"]),
    "raw deflate": (RAW_DEFLATE.compress(PAGE) + RAW_DEFLATE.flush(), [b"Content-Encoding: deflate"]),
    "br": (written_by(BrotliWriter)(PAGE), [b"Content-Encoding: br"]),
    "zstd": (COMPRESS["zst"](PAGE), [b"content-encoding: zstd"]),
    "gzip twice": (gzip.compress(gzip.compress(PAGE)), [b"Content-Encoding: gzip, gzip"]),
    "chunked": (chunked(PAGE, 10, 300), [b"Transfer-Encoding: chunked"]),
    "chunked gzip": (chunked(gzip.compress(PAGE), 10), [b"Transfer-Encoding: chunked", b"Content-Encoding: gzip"]),
    "chunked, last chunk missing": (chunked(PAGE, 10)[:-5], [b"Transfer-Encoding: chunked"]),
    "chunked, with extensions": (chunked(PAGE).replace(b"\r\n", b";a=b\r\n", 1), [b"Transfer-Encoding: chunked"]),
    "said to be gzip, stored decoded": (PAGE, [b"Content-Encoding: gzip"]),
    "said to be br, stored decoded": (PAGE, [b"Content-Encoding: br"]),
    "said to be deflate, stored decoded": (PAGE, [b"Content-Encoding: deflate"]),
    "said to be chunked, stored decoded": (PAGE, [b"Transfer-Encoding: chunked"]),
    "a coding of its own": (PAGE, [b"Content-Encoding: utf-8"]),
    "identity": (PAGE, [b"Content-Encoding: identity"]),
}


@pytest.mark.parametrize("how", CODED)
def test_codings_are_taken_off(how):
    stored, headers = CODED[how]
    (record,) = read(warc(1, response(stored, *headers)))
    assert record.payload == PAGE


@pytest.mark.parametrize(
    ("stored", "header"),
    [
        (gzip.compress(PAGE)[:-50], b"Content-Encoding: gzip"),
        (gzip.compress(PAGE)[:200] + bytes(50) + gzip.compress(PAGE)[250:], b"Content-Encoding: gzip"),
        (bytes(100), b"Content-Encoding: br"),
        (gzip.compress(PAGE), b"Content-Encoding: br"),
        (bytes(100), b"Content-Encoding: compress"),
        (chunked(PAGE, 10, 200).replace(b"\r\nc8\r\n", b"\r\nzz\r\n"), b"Transfer-Encoding: chunked"),
        (chunked(PAGE, 10)[:-50], b"Transfer-Encoding: chunked"),
        (PAGE, b"Content-Encoding: gzip, gzip, gzip, gzip, gzip"),
    ],
)
def test_a_broken_coding_is_a_fault(stored, header):
    (fault, sound) = read(warc(1, response(stored, header)) + page(2))
    assert (fault.kind, fault.url) == ("bad_encoding", "http://e.example/1")
    assert isinstance(sound, Page)


def test_bodies_that_are_no_response_are_faults():
    endless = b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000
    records = read(warc(1, b"GET / HTTP/1.1\r\n\r\n") + warc(2, b"") + warc(3, endless) + arc(4, b"<html>"))
    assert tally(records) == {"bad_http": 4}
    (segment,) = read(warc(1, response(PAGE), b"WARC-Segment-Number: 1"))
    assert segment.kind == "truncated"


@pytest.mark.parametrize("name", COMPRESS)
def test_a_page_above_the_limit_is_passed_over(name):
    compress = COMPRESS[name]
    large = response(b"<p>" + b"words " * 500_000)
    members = [
        compress(page(1)),
        compress(warc(2, large)),
        compress(warc(3, large.replace(b"text/html", b"video/mp4"))),
        compress(warc(4, large, kind=b"request")),
        compress(warc(5, large, kind=b"conversion").replace(b"application/http; msgtype=response", b"text/plain")),
        compress(page(6)),
    ]
    records = read(b"".join(members), limit=100_000)
    assert [tally([r]) for r in records] == [
        {"page": 1}, {"too_large": 1}, {"content_type": 1}, {"type:request": 1}, {"too_large": 1}, {"page": 1}
    ]  # fmt: skip
    assert [r.offset for r in records if isinstance(r, Fault)] == [len(members[0]), sum(map(len, members[:4]))]


def test_a_large_plain_record_that_lies_is_searched_for_the_records_it_would_swallow():
    large = response(b"<p>" + b"words " * 500_000)
    for file in (
        [page(1), warc(2, large, length=b"3005000"), *map(page, range(3, 12))],
        [arc_head(), arc(1), arc(2, large).replace(b" 3000", b" 3005"), *map(arc, range(3, 12))],
    ):
        records = read(b"".join(file), limit=100_000)
        assert [int(r.url[17:]) for r in records if isinstance(r, Page)] == [1, *range(3, 12)]
        assert tally(records)["bad_header"] == 1


@pytest.mark.parametrize("name", COMPRESS)
def test_a_large_record_that_lies_about_its_length_costs_itself(name):
    compress = COMPRESS[name]
    large = response(b"<p>" + b"words " * 500_000)
    members = [compress(page(1)), compress(warc(2, large, length=b"3010000")), *(compress(page(i)) for i in (3, 4))]
    records = read(b"".join(members), limit=100_000)
    assert [r.url[-1] for r in records if isinstance(r, Page)] == ["1", "3", "4"]
    assert sum(isinstance(r, Fault) for r in records) == 1


@pytest.mark.parametrize(
    ("stored", "header"),
    [
        (gzip.compress(bytes(200 << 20), 9), b"Content-Encoding: gzip"),
        (COMPRESS["zst"](bytes(200 << 20)), b"Content-Encoding: zstd"),
        (written_by(BrotliWriter)(bytes(200 << 20)), b"Content-Encoding: br"),
        (b"x" * 1001, b"X: y"),
    ],
    ids=["gzip", "zstd", "br", "none"],
)
def test_a_bomb_is_too_large(stored, header):
    (fault, _) = read(warc(1, response(stored, header)) + page(2), limit=1000 if len(stored) < 2000 else 1 << 20)
    assert fault.kind == "too_large"


def test_a_payload_of_just_the_limit_is_a_page():
    assert tally(read(warc(1, response(b"x" * 1000)), limit=1000)) == {"page": 1}
    assert tally(read(warc(1, response(gzip.compress(b"x" * 1000), b"Content-Encoding: gzip")), limit=1000)) == {
        "page": 1
    }


@pytest.mark.parametrize("name", COMPRESS)
def test_what_the_stream_raises_passes_through(name):
    class Flaky(io.BytesIO):
        n_reads = 0

        def read(self, n=-1):
            self.n_reads += 1
            if self.n_reads > 2:
                raise ConnectionResetError("the network is gone")
            return super().read(min(n, 3000))

    stream = Flaky(b"".join(FILES[name]))
    with pytest.raises(ConnectionResetError, match="the network is gone"):
        list(read_archive(stream, max_page_bytes=1 << 20, content_types=(), http_statuses=()))


def test_short_reads_are_no_end():
    class Slow(io.BytesIO):
        def read(self, n=-1):
            return super().read(min(n, 7))

    for members in FILES.values():
        stream = Slow(b"".join(members))
        assert list(read_archive(stream, max_page_bytes=1 << 20, content_types=HTML, http_statuses=(200,))) == read(
            b"".join(members)
        )


def test_zstd_with_a_dictionary():
    samples = [page(i) for i in range(N)] * 20
    dictionary = zstd_train_dictionary_from_samples(samples, 4000)
    frames = []
    for sample in samples[:N]:
        out = io.BytesIO()
        writer = ZstdWriter(out, dictionary=dictionary)
        writer.write(sample)
        writer.close()
        frame = out.getvalue()
        if frame.startswith(b"\x5d\x2a\x4d\x18"):  # the writer puts the dictionary before each
            frame = frame[8 + int.from_bytes(frame[4:8], "little") :]
        frames.append(frame)
    assert ZstdReader(io.BytesIO(frames[0]), dictionary=dictionary).read(1 << 20) == samples[0]
    for stored in (dictionary, COMPRESS["zst"](dictionary)):
        head = b"\x5d\x2a\x4d\x18" + len(stored).to_bytes(4, "little") + stored
        records = read(head + b"".join(frames))
        assert [r.payload for r in records] == [body(i) for i in range(N)]
        assert records[0].offset == len(head)


def test_a_wet_record_is_text():
    text = "Él texto\n".encode()
    record = warc(1, text, kind=b"conversion").replace(b"application/http; msgtype=response", b"text/plain")
    (page,) = read(gzip.compress(record))
    assert (page.is_text, page.payload, page.http_status, page.content_type) == (True, text, None, "text/plain")


@pytest.mark.parametrize("is_gzip", [False, True])
def test_files_written_by_warcio(tmp_path, is_gzip):
    path = tmp_path / "written.warc.gz"
    with path.open("wb") as file:
        writer = WARCWriter(file, gzip=is_gzip)
        writer.write_record(writer.create_warcinfo_record("written.warc.gz", {"software": "tests"}))
        for i in range(5):
            fields = StatusAndHeaders("200 OK", [("Content-Type", "text/html; charset=utf-8")], protocol="HTTP/1.0")
            arguments = {"payload": io.BytesIO(body(i)), "http_headers": fields}
            writer.write_record(writer.create_warc_record(f"http://e.example/{i}", "response", **arguments))
    with path.open("rb") as file:
        records = list(read_archive(file, max_page_bytes=1 << 20, content_types=HTML, http_statuses=(200,)))
    assert tally(records) == {"type:warcinfo": 1, "page": 5}
    assert [(r.url, r.payload) for r in records[1:]] == [(f"http://e.example/{i}", body(i)) for i in range(5)]


CRAWL = {
    "crawl/aut-example.arc.gz": 300,
    "crawl/aut-example.warc.gz": 822,
    "crawl/example-2010.warc.gz": 57,
    "crawl/iana.warc.gz": 343,
    "crawl/ipwb-sample-1.warc.gz": 231,
    "crawl/sample-0000.warc.gz": 48,
    "crawl/sample-0001.warc.gz": 34,
    "crawl/whirlwind.warc.gz": 4,
    "crawl/whirlwind.warc.wat.gz": 2,
    "crawl/whirlwind.warc.wet.gz": 2,
    "articles/articles.warc.gz": 181,
    "odd/warcfile.warc": 50,
    "odd/warcfile.warc.gz": 50,
    "odd/cc.warc.gz": 1,
    "docs-2026-14/docs-00000.warc.gz": 2227,
}


@pytest.mark.parametrize("name", CRAWL)
def test_warcio_reads_the_same(shared_data, name):
    """An independent reader gives the same records of sound files, and of each response the same payload."""
    with (shared_data / "warc" / name).open("rb") as file:
        records = list(read_archive(file, max_page_bytes=1 << 26, content_types=(), http_statuses=()))
    assert not [r for r in records if isinstance(r, Fault)]
    assert len(records) == CRAWL[name]
    with (shared_data / "warc" / name).open("rb") as file:
        for ours, theirs in zip(records, ArchiveIterator(file, arc2warc=True), strict=True):
            if theirs.rec_type == "response" and theirs.http_headers:
                assert ours.http_status == int(theirs.http_headers.get_statuscode())
                assert ours.payload == theirs.content_stream().read()
                assert ours.url == theirs.rec_headers.get_header("WARC-Target-URI").strip("<>")
            elif theirs.rec_type == "conversion":
                assert ours.payload == theirs.content_stream().read()
            else:
                assert ours.reason == ("not_http" if theirs.rec_type == "response" else f"type:{theirs.rec_type}")


ODD = {
    "block-sized-records.warc.gz": {"type:unknown": 3},
    "cc.warc.gz": {"page": 1},
    "clipped.warc.gz": {"truncated": 1},
    "clueweb-quirk.warc.gz": {"page": 29, "type:warcinfo": 1},
    "example-bad-non-chunked.warc.gz": {"type:warcinfo": 2, "page": 1, "type:request": 2, "type:revisit": 1},
    "example-digest.warc": {"type:request": 4},
    "example-space-in-target-uri.warc.gz": {"type:warcinfo": 1, "type:resource": 1},
    # Its lines were ended anew: the last record lacks twelve bytes of the length it claims.
    "example-space-in-url.arc": {"type:warcinfo": 1, "truncated": 1},
    # The body of its response ends early, and the next record follows.
    "example-trunc.warc": {"type:warcinfo": 2, "bad_header": 1, "type:request": 1},
    "example-wrong-chunks.warc.gz": {"page": 1, "type:request": 1},
    "gzip_extra_sl.warc.gz": {"type:warcinfo": 1},
    "invalid-warcfile-duplicate-fields.warc": {"type:warcinfo": 1},
    "invalid-warcfile-encoding-headers.warc.gz": {"type:warcinfo": 1, "page": 2, "content_type": 1},
    "invalid-warcfile-fields-invalidformat.warc": {"bad_header": 1},
    "invalid-warcfile-lonely-monkeys.warc": {"bad_header": 1},
    "invalid-warcfile-record-then-garbage.warc": {"content_type": 1, "bad_header": 1},
    "warcfile.warc": {"type:warcinfo": 1, "type:request": 17, "page": 16, "type:metadata": 16},
    "warcfile.warc.gz": {"type:warcinfo": 1, "type:request": 17, "page": 16, "type:metadata": 16},
    "warcfile.warc.lz4": {"type:warcinfo": 1, "type:request": 17, "page": 16, "type:metadata": 16},
}


def test_every_odd_file_is_in_the_table(shared_data):
    assert sorted(path.name for path in (shared_data / "warc" / "odd").iterdir()) == sorted(ODD)


@pytest.mark.parametrize("name", ODD)
def test_odd_files(shared_data, name):
    with (shared_data / "warc" / "odd" / name).open("rb") as file:
        records = list(read_archive(file, max_page_bytes=8 << 20, content_types=HTML, http_statuses=(200,)))
    assert tally(records) == ODD[name]
