"""Records that others write and read: odd status lines, ARC lines and dates, several records of one member."""

import gzip
import io
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from warcio.archiveiterator import ArchiveIterator

from dclm_spark.kernels.archive import careful
from dclm_spark.kernels.archive.http import read_head
from dclm_spark.kernels.archive.outcomes import Fault, Page, Skip
from dclm_spark.kernels.archive.pages import document_id, read_pages
from dclm_spark.kernels.archive.records import NEXT_RECORD, RECORD, fetch_date, read_date
from dclm_spark.kernels.archive.warc import read_archive
from dclm_spark.recipe.extraction import Extraction

pytestmark = pytest.mark.once

HTML = b"<html><body><p>The harbour lies to the west.</p></body></html>"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n" + HTML


def read(data: bytes, **changes) -> list[Page | Fault | Skip]:
    settings = {"max_page_bytes": 1 << 20, "content_types": ("text/html",), "http_statuses": (200,)} | changes
    return list(read_archive(io.BytesIO(data), **settings))


def warc(url: bytes, block: bytes = ANSWER, *, date: bytes = b"2020-01-31T01:02:03Z", record_id: bytes = b"") -> bytes:
    fields = [b"WARC/1.0", b"WARC-Type: response", b"WARC-Target-URI: " + url, b"WARC-Date: " + date]
    fields += [b"WARC-Record-ID: " + record_id] if record_id else []
    fields += [b"Content-Type: application/http; msgtype=response", b"Content-Length: %d" % len(block)]
    return b"\r\n".join([*fields, b"", block, b"", b""])


def arc(url: bytes, middle: bytes = b"1.2.3.4 20200131010203 text/html", block: bytes = ANSWER, length=None) -> bytes:
    return b"%b %b %b\n%b\n" % (url, middle, b"%d" % len(block) if length is None else length, block)


HEAD = arc(b"filedesc://a.arc", b"0.0.0.0 20200131010203 text/plain", b"1 0 tests\nURL IP-address ...\n")

# -- status lines -----------------------------------------------------------------------------------------------------

STATUS_LINES = [
    b"HTTP/1.1 200 OK",
    b"HTTP/1.1 200",
    b"HTTP/1.1 200 ",
    b"HTTP/1.1  200  OK",
    b"HTTP/1.1\t200\tOK",
    b"HTTP/1.1 \t 200 OK",
    b"HTTP/1.1 200OK",
    b"HTTP/1.1 +200 OK",
    b"HTTP/1.1:200 OK",
    b"HTTP/1.1: 200 OK",
    b"HTTP/1.1 200 200 OK",
    b"HTTP/1.1 200 \xd0\x9e\xd0\x9a",
    b"HTTP/1.1 200 404 is what it was",
    b"HTTP/1,1 200 OK",
    b"HTTP/1.10 200 OK",
    b"HTTP/1.1.1 200 OK",
    b"HTTP/1. 200 OK",
    b"HTTP/11 200 OK",
    b"HTTP/2 200",
    b"HTTP/2.0 200",
    b"HTTP/3 200",
    b"HTTP/0.9 200 OK",
    b"HTTP/1.x 200 OK",
    b"HTTP/ 200 OK",
    b"HTTP/ 1.1 200 OK",
    b"HTTP /1.1 200 OK",
    b"HTTP 1.1 200 OK",
    b"HTTP1.1 200 OK",
    b"HTTP 200 Document follows",
    b"HTTP 200",
    b"http/1.1 200 OK",
    b"Http/1.1 200 OK",
    b"http 200 ok",
    b"HTTPS/1.1 200 OK",
    b"SHTTP/1.3 200 OK",
    b"RTSP/1.0 200 OK",
    b"ICY 200 OK",
    b"icy 200 OK",
    b"\r\nHTTP/1.1 200 OK",
    b"\r\n\r\nHTTP/1.1 200 OK",
    b"\n\n \tHTTP/1.1 200 OK",
    b"\xef\xbb\xbfHTTP/1.1 200 OK",
    b"\0HTTP/1.1 200 OK",
]


@pytest.mark.parametrize("end", [b"\r\n", b"\n"], ids=["crlf", "lf"])
@pytest.mark.parametrize("line", STATUS_LINES)
def test_what_others_take_for_a_status_line_is_one(line, end):
    block = end.join([line, b"Content-Type: text/html; charset=koi8-r", b"X-A: b", b"", HTML])
    for data in (warc(b"http://a.b/", block), HEAD + arc(b"http://a.b/", block=block)):
        found = read(data)[-1]
        assert (found.http_status, found.content_type, found.charset) == (200, "text/html", "koi8-r")
        assert found.payload == HTML


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"<html>",
        b"GET /200 HTTP/1.1",
        b"GET / HTTP/1.1",
        b"HTTP/1.1 OK",
        b"HTTP/1.1 2000 OK",
        b"HTTP/1.1",
        b"200 OK",
        b"Content-Length: 200",
        b"Top 200 songs",
        b"It says HTTP/1.1 200 OK",
        b"HTTP/1.1 " + b" " * 60_000,
    ],
)
def test_what_is_no_status_line_is_a_fault_that_names_its_page(line):
    fault, page = read(warc(b"http://a.b/", line + b"\r\n\r\n") + warc(b"http://c.d/"))
    assert (fault.kind, fault.url) == ("bad_http", "http://a.b/")
    assert page.payload == HTML


def test_every_status_line_that_warcio_reads_is_read():
    lines = [line for line in STATUS_LINES if not line.startswith(b"\r\n")]
    data = b"".join(gzip.compress(warc(b"http://a.b/", line + b"\r\nX: y\r\n\r\n" + HTML)) for line in lines)
    theirs = [record.http_headers.get_statuscode() for record in ArchiveIterator(io.BytesIO(data))]
    ours = [page.http_status for page in read(data)]
    assert len(ours) == len(theirs) == len(lines)
    assert all(status == 200 for status, code in zip(ours, theirs, strict=True) if code.strip("+") == "200")


# -- ARC lines --------------------------------------------------------------------------------------------------------

UNREAD, AT = None, datetime(2020, 1, 31, 1, 2, 3, tzinfo=UTC)
ARC_LINES = {
    "by the book": (b"1.2.3.4 20200131010203 text/html", AT),
    "version 2": (b"1.2.3.4 20200131010203 text/html 200 c5 - 129 a.arc.gz", AT),
    "no type": (b"1.2.3.4 20200131010203 ", AT),
    "nothing for a type": (b"1.2.3.4 20200131010203", AT),
    "type with a charset": (b"1.2.3.4 20200131010203 text/html; charset=UTF-8", AT),
    "two types": (b"1.2.3.4 20200131010203 text/html, application/x-javascript", AT),
    "type with numbers": (b"1.2.3.4 20200131010203 text/html; level 1 2 3", AT),
    "type with a date": (b"1.2.3.4 20200131010203 text/html; expires=Thu, 01 Dec 1994 16:00:00 GMT", AT),
    "type in version 2 with spaces": (b"1.2.3.4 20200131010203 text/html; a b 200 c5 - 129 a.arc.gz", AT),
    "12 digits": (b"1.2.3.4 202001310102 text/html", datetime(2020, 1, 31, 1, 2, tzinfo=UTC)),
    "13 digits": (b"1.2.3.4 2020013101020 text/html", UNREAD),
    "15 digits": (b"1.2.3.4 201018122054100 text/html", UNREAD),
    "15 digits that begin like 14": (b"1.2.3.4 202001310102030 text/html", UNREAD),
    "8 digits": (b"1.2.3.4 20200131 text/html", datetime(2020, 1, 31, tzinfo=UTC)),
    "letters": (b"1.2.3.4 16May201202:03-1:33GMT text/html", UNREAD),
    "words": (b"1.2.3.4 Thu, 16 May 2012 02:03:33 GMT text/html", UNREAD),
    "no date": (b"1.2.3.4  text/html", UNREAD),
    "ISO date": (b"1.2.3.4 2020-01-31T01:02:03Z text/html", AT),
    "month 13": (b"1.2.3.4 20201331010203 text/html", UNREAD),
    "year 9999": (b"1.2.3.4 99991231010203 text/html", UNREAD),
    "IPv6": (b"2001:db8::1 20200131010203 text/html; a", AT),
    "IPv6 and letters": (b"[2001:db8::1] yesterday text/html", UNREAD),
    "no IP": (b"- 20200131010203 text/html; charset=a", AT),
    "no IP, 12 digits": (b"unknown 202001310102 text/html", datetime(2020, 1, 31, 1, 2, tzinfo=UTC)),
    "no IP, letters": (b"unknown 31Jan2020 text/html", UNREAD),
    "blanks at the end": (b"1.2.3.4 20200131010203 text/html; a", AT),
}
COMPRESS = {"plain": bytes, "gz": gzip.compress}


@pytest.mark.parametrize("form", COMPRESS)
@pytest.mark.parametrize("url", [b"http://a.b/odd", b"http://a.b/o d d 1.2.3.4 x"], ids=["url", "spaces"])
@pytest.mark.parametrize("name", ARC_LINES)
def test_an_odd_arc_line_is_read_and_so_are_its_neighbours(name, url, form):
    middle, fetched_at = ARC_LINES[name]
    if b" " in url and b"1.2.3.4" not in middle:
        url = b"http://a.b/o d d"
    length = b"%d  " % len(ANSWER) if name == "blanks at the end" else None
    records = [HEAD, arc(b"http://a.b/1"), arc(url, middle, length=length), arc(b"http://a.b/3"), arc(url, middle)]
    found = read(b"".join(map(COMPRESS[form], records)))
    assert [getattr(record, "url", None) for record in found] == [
        None, "http://a.b/1", url.decode(), "http://a.b/3", url.decode()
    ]  # fmt: skip
    assert all(page.payload == HTML for page in found[1:])
    assert found[2].fetched_at == found[4].fetched_at == fetched_at
    assert (found[2].bad_date is None) == (fetched_at is not None or name == "no date")
    # One that is found behind damage, too.
    if form == "plain" and name not in ("no IP, letters", "no date", "words", "IPv6 and letters"):
        damaged = read(HEAD + b"x" * 50 + b"\n" + records[2] + records[3])
        assert [type(record) for record in damaged] == [Skip, Fault, Page, Page]


@pytest.mark.parametrize("form", COMPRESS)
@pytest.mark.parametrize("length", [b"eight", b"-5", b"", b"9" * 30, b"1e3"])
def test_an_arc_line_without_a_length_costs_itself_and_names_its_page(length, form):
    middle = b"1.2.3.4 20200131010203 text/html"
    bad = [arc(b"http://a.b/%d" % n, middle, length=length) for n in (2, 3)]
    records = [HEAD, arc(b"http://a.b/1"), *bad, arc(b"http://a.b/4"), bad[0]]
    found = read(b"".join(map(COMPRESS[form], records)))
    assert [(type(record), record.url) for record in found[1:]] == [
        (Page, "http://a.b/1"),
        (Fault, "http://a.b/2"),
        (Fault, "http://a.b/3"),
        (Page, "http://a.b/4"),
        (Fault, "http://a.b/2"),
    ]
    assert {record.kind for record in found if isinstance(record, Fault)} == {"bad_header"}


@pytest.mark.parametrize("form", COMPRESS)
def test_a_line_that_is_no_record_names_the_page_that_it_may_be_of(form):
    records = [HEAD, arc(b"http://a.b/1"), b"http://a.b/2 text/html\n" + ANSWER + b"\n", arc(b"http://a.b/3")]
    found = read(b"".join(map(COMPRESS[form], records)))
    assert [record.url for record in found[1:]] == ["http://a.b/1", "http://a.b/2", "http://a.b/3"]
    assert [type(record) for record in found[1:]] == [Page, Fault, Page]


def test_text_that_speaks_of_addresses_is_no_record():
    """Behind damage: pages of logs and lists hold lines that are near to an ARC record's."""
    text = b"\n".join(
        [
            b"http://a.b/ 1.2.3.4 GET /index.html",
            b"http://a.b/ 1.2.3.4 is where it was in 2012",
            b"https://a.b/c d 20200131 e",
            b"note: see 1.2.3.4 and 5",
        ]
    )
    found = read(HEAD + b"x\n" + text + b"\n" + arc(b"http://a.b/1"))
    assert [type(record) for record in found] == [Skip, Fault, Page]


@pytest.mark.busy
def test_the_search_for_records_is_linear():
    """The cost of eight times the input is about eight times: 64 KB to 512 KB of what the patterns dislike most."""
    pieces = {
        "addresses": b"\nhttp: " + b":: " * 130,
        "ips": b"\nhttp: " + b"1.2.3.4 x " * 800 + b"z",
        "dates": b"\nhttp: " + b"12345678901234 " * 500,
        "spaces": b"\nhttp:" + b" " * 8000,
        "lines": b"\nhttp:",
    }
    for name, piece in pieces.items():
        seconds = []
        for n_bytes in (1 << 16, 1 << 19):
            text = piece * (n_bytes // len(piece) + 1)
            start = time.process_time()
            n_found = sum(1 for _ in NEXT_RECORD.finditer(text))
            RECORD.match(text, 1)
            seconds.append(time.process_time() - start)
        assert seconds[1] < 40 * seconds[0] + 0.1, (name, n_found, seconds)
    for endless in (b"HTTP/1.1" + b" " * 60_000, b" " * 60_000, b"HTTP/" + b":" * 60_000, b"HTTP" * 15_000):
        start = time.process_time()
        assert read_head(endless, 0, len(endless)) is None
        assert time.process_time() - start < 1


# -- ids --------------------------------------------------------------------------------------------------------------

RECORDED = {
    "CC-MAIN-2022-05/archive.arc.gz": ["1b4f25827ab7ee74016d606911157e8b"],
    "CC-MAIN-2022-05/docs-00000.warc.gz": ["53de178e24518207d4ec52fb3bb5dc33"],
    "CC-MAIN-2022-05/wikipedia.warc.wet.gz": ["50a0060179b353a45a481c35ab029178"],
    "CC-MAIN-2022-21/docs-00001.warc.zst": ["879e327ddae6313c48bf3df99ad00d17"],
}


@pytest.mark.parametrize("name", RECORDED)
def test_ids_of_ordinary_records_are_those_of_before(name, sample):
    with (sample / name).open("rb") as file:
        first = next(record for record in read(file.read(), max_page_bytes=8 << 20) if isinstance(record, Page))
    assert [document_id(name, first)] == RECORDED[name]


def ids(data: bytes, **changes) -> list[str]:
    return [document_id("/a/b.arc.gz", record) for record in read(data, **changes) if isinstance(record, Page)]


TWINS = {
    "arc": [arc(b"http://a.b/1", block=ANSWER + b"%d" % n) for n in range(3)],
    "warc without ids": [warc(b"http://a.b/1", ANSWER + b"%d" % n) for n in range(3)],
    "warc with one id": [warc(b"http://a.b/%d" % n, record_id=b"<urn:uuid:1>") for n in range(3)],
    "without readable dates": [warc(b"http://a.b/1", date=date) for date in (b"yesterday", b"", b"2020-01-99")],
    "far dates": [warc(b"http://a.b/1", date=date) for date in (b"1114-12-26", b"1114-12-26T00:00:00Z", b"11141226")],
}


@pytest.mark.parametrize("name", TWINS)
def test_records_of_one_member_have_ids_of_their_own(name):
    twins = TWINS[name]
    head = HEAD if name == "arc" else b""
    other = arc(b"http://a.b/2") if name == "arc" else warc(b"http://a.b/x")
    found = ids(gzip.compress(head + twins[0] + other + twins[1] + twins[2]))
    assert len(set(found)) == 4
    # The first has the id it would have alone, the other too.
    assert found[:2] == ids(gzip.compress(head + twins[0] + other))
    assert found[1:2] == ids(gzip.compress(head + other))
    # Found again, whichever of them the recipe takes.
    assert ids(gzip.compress(head + twins[0] + other + twins[1] + twins[2])) == found
    assert len(set(ids(gzip.compress(twins[0]) + gzip.compress(twins[1]) + gzip.compress(twins[2])))) == 3
    assert len(set(ids(head + twins[0] + twins[1] + twins[2]))) == 3


def test_an_id_does_not_depend_on_which_records_are_pages():
    missing = ANSWER.replace(b"200 OK", b"404 No")
    member = gzip.compress(HEAD + arc(b"http://a.b/1", block=missing) + arc(b"http://a.b/1") + arc(b"http://a.b/1"))
    assert ids(member) == ids(member, http_statuses=())[1:]


def test_other_types_of_record_count_for_no_id():
    request = warc(b"http://a.b/1").replace(b"response", b"request").replace(b"200 OK", b"200 Ok")
    assert ids(gzip.compress(request + warc(b"http://a.b/1"))) == ids(gzip.compress(warc(b"http://a.b/1")))


def test_a_member_of_more_records_than_are_remembered(monkeypatch):
    monkeypatch.setattr(careful, "MAX_COUNTED", 2)
    urls = [b"1", b"1", b"2", b"3", b"3", b"1", b"4", b"4", b"2", b"3"]
    found = ids(gzip.compress(HEAD + b"".join(arc(b"http://a.b/" + url) for url in urls)))
    assert len(set(found)) == len(urls)


# -- dates ------------------------------------------------------------------------------------------------------------


def at(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)


DATES = {
    b"2018-03-04T05:06:07Z": at(2018, 3, 4, 5, 6, 7),
    b"20180304050607": at(2018, 3, 4, 5, 6, 7),
    b"20180304050607Z": at(2018, 3, 4, 5, 6, 7),
    b"2018": at(2018, 1, 1),
    b"2018-03": at(2018, 3, 1),
    b"2018-03Z": at(2018, 3, 1),
    b"201803": at(2018, 3, 1),
    b"2018-03-04": at(2018, 3, 4),
    b"2018-03-04Z": at(2018, 3, 4),
    b"20180304": at(2018, 3, 4),
    b"2018030405": at(2018, 3, 4, 5),
    b"201803040506": at(2018, 3, 4, 5, 6),
    b"2018-03-04T05Z": at(2018, 3, 4, 5),
    b"2018-03-04T05:06Z": at(2018, 3, 4, 5, 6),
    b"2018-03-04T05:06": at(2018, 3, 4, 5, 6),
    b"2018-03-04 05:06:07": at(2018, 3, 4, 5, 6, 7),
    b"2018-03-04t05:06:07z": at(2018, 3, 4, 5, 6, 7),
    b" 2018-03-04T05:06:07Z\t": at(2018, 3, 4, 5, 6, 7),
    b"2018-03-04T05:06:07+02:00": at(2018, 3, 4, 3, 6, 7),
    b"2018-03-04T05:06:07-0800": at(2018, 3, 4, 13, 6, 7),
    b"2018-03-04T05:06:07-08": at(2018, 3, 4, 13, 6, 7),
    b"2018-03-04T05:06:07.5Z": at(2018, 3, 4, 5, 6, 7, 500_000),
    b"2018-03-04T05:06:07.000000002Z": at(2018, 3, 4, 5, 6, 7),
    b"2018-03-04T05:06:07.123456789+02:00": at(2018, 3, 4, 3, 6, 7, 123_456),
    b"1990-01-01T00:00:00Z": at(1990, 1, 1),
    b"2027-12-31T23:59:59.999999Z": at(2027, 12, 31, 23, 59, 59, 999_999),
}
UNREADABLE = [
    b"2009-03-65T08:43:19-0800",
    b"2008-10-294T05:21:46-0700",
    b"yesterday",
    b"201",
    b"20180",
    b"2018030",
    b"201803040",
    b"20180304050",
    b"2018030405060",
    b"201803040506070",
    b"2018-03-04105:06:07",
    b"2018-13",
    b"2018-02-30T00:00:00Z",
    b"2018-03-04T25:00:00Z",
    b"0000-00-00T00:00:00Z",
    b"00000000000000",
    b"16May201202:03-1:33GMT",
    b"20\xb218-03-04",
    b"\xff\xfe",
    b"0001-01-01T00:00:00+05:00",
    b"9999-12-31T23:59:59-05:00",
]
FAR = [
    b"0001-01-01T00:00:00Z",
    b"1114-12-26T20:15:00Z",
    b"1970-01-01T00:00:00Z",
    b"1989-12-31T23:59:59Z",
    b"1990-01-01T00:00:00+01:00",
    b"2028-01-01T00:00:00Z",
    b"2027-12-31T23:59:59-00:01",
    b"9999-12-31T23:59:59Z",
    b"99991231235959",
    b"1969",
]


@pytest.mark.parametrize("date", DATES)
def test_dates_that_are_read(date):
    assert read_date(date) == fetch_date(date) == DATES[date]


@pytest.mark.parametrize("date", [*UNREADABLE, *FAR])
def test_dates_that_are_none(date):
    assert fetch_date(date) is None
    assert (read_date(date) is None) == (date in UNREADABLE)


def test_other_years_may_be_asked_for():
    assert fetch_date(b"2031-01-01", (1990, 2031)) == at(2031, 1, 1)
    assert fetch_date(b"1995-01-01", (1996, 2031)) is None


def rows(data: bytes, path: str, extraction: Extraction) -> Iterator[dict]:
    for batch in read_pages(io.BytesIO(data), path=path, dump="D", extraction=extraction):
        yield from batch.to_pylist()


def test_dates_that_are_none_are_counted_where_they_cost_a_document_its_date():
    dates = [b"2018", b"", b"1114-12-26", b"9999-01-01", b"2009-03-65T08:43:19-0800"]
    pages = [warc(b"http://a.b/%d" % n, date=date) for n, date in enumerate(dates)]
    unread = warc(b"http://a.b/", b"no answer\r\n\r\n", date=b"1114-12-26")
    *documents, fault, tally = rows(b"".join(pages) + unread, "a.warc", Extraction())
    assert [row["fetched_at"] for row in documents] == [at(2018, 1, 1), None, None, None, None]
    assert fault["kind"] == "bad_http" and fault["url"] == "http://a.b/"
    assert tally["bad_dates"] == [("out_of_range", 2), ("unreadable", 1)]
    assert (tally["n_documents"], tally["n_quarantined"]) == (5, 1)
    *documents, _, tally = rows(b"".join(pages) + unread, "a.warc", Extraction(fetch_years=(1000, 9999)))
    assert [row["fetched_at"] is None for row in documents] == [False, True, False, False, True]
    assert tally["bad_dates"] == [("unreadable", 1)]


def test_dates_of_pools_too():
    line = '{"text": "a", "url": "%s", "metadata": {"WARC-Date": "%s"}}\n'
    dates = ["2013-05-18T05:30:51Z", "1114-12-26T20:15:00Z", "soon", "", "9999"]
    lines = "".join(line % (n, date) for n, date in enumerate(dates))
    *documents, tally = rows((lines + '{"text": "b"}\n').encode(), "a.jsonl", Extraction())
    assert [row["fetched_at"] for row in documents] == [at(2013, 5, 18, 5, 30, 51), None, None, None, None, None]
    assert tally["bad_dates"] == [("out_of_range", 2), ("unreadable", 1)]
