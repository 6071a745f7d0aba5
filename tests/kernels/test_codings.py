"""Payloads as archives hold them: several codings, codings that no field declares, and payloads stored decoded."""

import gzip
import zlib

import pytest

from dclm_spark.kernels.archive.codings import decode_payload
from dclm_spark.kernels.archive.http import read_head
from tests.kernels.test_warc import COMPRESS, PAGE, Page, read, response, warc

pytestmark = pytest.mark.once

ZSTD = COMPRESS["zst"]


@pytest.mark.parametrize(
    ("stored", "fields"),
    [
        (gzip.compress(gzip.compress(PAGE)), [b"gzip", b"gzip"]),
        (gzip.compress(gzip.compress(PAGE)), [b"x-gzip, GZIP"]),
        (gzip.compress(zlib.compress(PAGE)), [b"deflate", b"gzip"]),
        (zlib.compress(gzip.compress(PAGE)), [b"gzip", b"identity", b"deflate"]),
        (ZSTD(gzip.compress(PAGE)), [b"gzip", b"zstd"]),
        (gzip.compress(PAGE), [b"gzip", b"identity"]),
        (gzip.compress(PAGE), [b"identity", b"gzip"]),
        (gzip.compress(PAGE), [b"gzip", b"gzip"]),  # declared twice, done once
        (PAGE, [b"gzip", b"br"]),
        (gzip.compress(gzip.compress(PAGE)), [b"gzip"]),
        (gzip.compress(PAGE), []),
        (gzip.compress(gzip.compress(PAGE)), []),
        (ZSTD(PAGE), []),
        (ZSTD(gzip.compress(PAGE)), [b""]),
        ("\ufeff<html><p>ü".encode("utf-16-le"), [b"gzip"]),
    ],
)
def test_codings_are_taken_off_in_order(stored, fields):
    (record,) = read(warc(1, response(stored, *(b"Content-Encoding: " + field for field in fields))))
    assert record.payload in (PAGE, "\ufeff<html><p>ü".encode("utf-16-le"))


def test_transfer_codings_may_be_given_in_two_fields():
    stored = b"%x\r\n%b\r\n0\r\n\r\n" % (len(PAGE), PAGE)
    (record,) = read(warc(1, response(stored, b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity")))
    assert record.payload == PAGE


@pytest.mark.parametrize("inner", [b"user,host\n1,2\n" * 99, b"<?xml version='1.0'?><urlset></urlset>", b"", PAGE[:0]])
def test_a_compressed_file_that_is_no_page_stays_as_it_is(inner):
    stored = gzip.compress(inner)
    assert read(warc(1, response(stored)))[0].payload == stored
    assert read(warc(1, response(gzip.compress(PAGE)[:-9])))[0].payload == gzip.compress(PAGE)[:-9]


def test_an_undeclared_bomb_is_too_large():
    (fault,) = read(warc(1, response(gzip.compress(b"<html>" + bytes(50 << 20)))))
    assert fault.kind == "too_large"


def test_the_payload_of_a_head_without_codings_is_itself():
    head = read_head(b"HTTP/1.1 200 OK\r\n\r\n", 0, 19)
    assert decode_payload(b"words", head, limit=9) == b"words"
    assert isinstance(read(warc(1, response(PAGE)))[0], Page)
