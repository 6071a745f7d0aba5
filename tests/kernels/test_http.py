"""Headers of responses as archives hold them: fields given twice, interim responses; and payloads that are no text."""

import gzip
import io
from collections import Counter

import pytest

from dclm_spark.kernels.archive.http import read_content_type, read_fields, read_head
from dclm_spark.kernels.archive.pages import read_pages
from dclm_spark.recipe.extraction import Extraction
from tests.kernels.test_warc import HTML, PAGE, read, response, tally, warc

pytestmark = pytest.mark.once

CONTENT_TYPES = [
    ([b"text/html; charset=windows-1251", b"text/html"], "text/html", "windows-1251"),
    ([b"text/html", b"text/html; charset=koi8-r"], "text/html", "koi8-r"),
    ([b"text/html; charset=koi8-r", b"text/html; charset=utf-8"], "text/html", "utf-8"),
    ([b"text/html; charset=utf-8", b"charset=UTF-8"], "text/html", "utf-8"),
    ([b"text/html", b"charset=UTF-8"], "text/html", "UTF-8"),
    ([b"text/html, charset=UTF-8"], "text/html", "UTF-8"),
    ([b"text/html", b"application/octet-stream"], "application/octet-stream", None),
    ([b"text/plain; charset=koi8-r", b"text/html"], "text/html", None),
    ([b"text/html;charset=gbk", b"*/*"], "text/html", "gbk"),
    ([b"text/html;charset=gbk, unknown/unknown"], "text/html", "gbk"),
    ([b"garbage", b"text/html"], "text/html", None),
    ([b"text/html", b""], "text/html", None),
    ([b'text/html; x="a, b/c"; charset=gbk'], "text/html", "gbk"),
    ([b'text/html; x="a, b/c'], "text/html", None),
    ([b"*/*"], None, None),
]


@pytest.mark.parametrize(("fields", "content_type", "charset"), CONTENT_TYPES)
def test_of_repeated_types_the_last_counts_and_inherits_the_charset(fields, content_type, charset):
    block = b"HTTP/1.1 200 OK\r\n%b\r\n\r\n" % b"\r\n".join(b"Content-Type: " + field for field in fields)
    assert read_head(block, 0, len(block))[1:3] == (content_type, charset)


def test_other_repeated_fields_are_the_last():
    assert read_fields(b"A: 1\r\na: 2\r\nContent-Encoding: x\r\n") == {b"a": b"2", b"content-encoding": b"x"}
    assert read_content_type(b"") == (None, None)


@pytest.mark.parametrize(
    "before",
    [
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 100 Continue\n\n",
        b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n",
        b"HTTP/1.0 200 Connection established\r\n\r\n",
        b"HTTP/1.0 200 Connection established\r\nProxy-Agent: x\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n",
    ],
)
def test_interim_answers_are_passed_over(before):
    (record,) = read(warc(1, before + response(PAGE)))
    assert (record.http_status, record.content_type, record.payload) == (200, "text/html", PAGE)
    assert tally(read(warc(1, before + response(PAGE, status=b"404 Not Found")))) == {"http_status": 1}


def test_an_interim_answer_alone_is_what_it_says():
    assert tally(read(warc(1, b"HTTP/1.1 100 Continue\r\n\r\n" + PAGE))) == {"http_status": 1}
    about_http = response(b"HTTP/1.1 200 OK\r\n\r\n is how an answer begins")
    assert read(warc(1, about_http))[0].payload.startswith(b"HTTP/1.1 200 OK")
    endless = b"HTTP/1.1 100 Continue\r\n\r\n" * 20_000
    assert tally(read(warc(1, endless))) == {"http_status": 1}


def conversion(content_type: bytes, text: bytes) -> bytes:
    record = warc(1, text, kind=b"conversion")
    line = b"Content-Type: %b\r\n" % content_type if content_type else b""
    return record.replace(b"Content-Type: application/http; msgtype=response\r\n", line)


@pytest.mark.parametrize("kind", ["image/neoformat", "text/html", "application/json", "application/pdf", "text/css"])
def test_only_conversions_to_plain_text_are_text(kind):
    records = read(conversion(kind.encode(), b"some words") + conversion(b"Text/Plain; charset=utf-8", b"some words"))
    assert [tally([record]) for record in records] == [{"content_type": 1}, {"page": 1}]


def documents(*records: bytes, types: tuple[str, ...] = HTML) -> tuple[list[dict], dict[str, int]]:
    """The documents and the skips that archive records become."""
    extraction = Extraction(content_types=types)
    batches = read_pages(io.BytesIO(b"".join(records)), path="a.warc", dump="D", extraction=extraction)
    rows = [row for batch in batches for row in batch.to_pylist()]
    tally = rows[-1]
    assert tally["n_records"] == tally["n_documents"] + tally["n_quarantined"] + sum(dict(tally["skips"]).values())
    assert not tally["n_quarantined"]
    return [row for row in rows if row["text"] is not None], dict(tally["skips"])


@pytest.mark.parametrize("types", [HTML, ()])
def test_bytes_that_are_no_text_are_a_counted_skip_with_the_type_found(types):
    pdf = b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n1 0 obj\n" * 9
    stored = [
        warc(1, response(pdf), b"WARC-Identified-Payload-Type: application/pdf"),
        warc(2, response(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR")),
        warc(3, response(gzip.compress(b"a,b\n" * 99))),
        warc(4, response(pdf, b"Content-Encoding: gzip")),
        warc(5, response(bytes(range(256)) * 9)),
        warc(6, response(PAGE), b"WARC-Identified-Payload-Type: application/pdf"),
        conversion(b"text/plain", bytes(range(256)) * 9),
        conversion(b"text/plain", b"words"),
    ]
    rows, skips = documents(*stored, types=types)
    assert [row["url"][-1] for row in rows] == ["6", "1"]
    assert skips == Counter(
        {
            "binary:application/pdf": 2,
            "binary:image/png": 1,
            "binary:application/gzip": 1,
            "binary:application/octet-stream": 2,
        }
    )
