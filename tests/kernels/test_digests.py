"""The digests that a record's header claims: what is checked, what a mismatch costs, and that decay is noticed."""

import base64
import gzip
import hashlib
import io
from dataclasses import replace

import pytest
from fastwarc.warc import ArchiveIterator

from dclm_spark.kernels.archive.digests import digest_problem
from dclm_spark.kernels.archive.outcomes import Fault, Page, Skip
from dclm_spark.kernels.archive.pages import read_pages
from dclm_spark.kernels.archive.warc import read_archive
from dclm_spark.recipe.builtin import DCLM_BASELINE
from dclm_spark.recipe.extraction import Extraction
from tests.kernels.test_warc import COMPRESS, HTML, PAGE, chunked, page, response, warc

pytestmark = pytest.mark.once

FORMS = {
    "base32": base64.b32encode,
    "base32, small letters": lambda digest: base64.b32encode(digest).lower(),
    "base32, bare": lambda digest: base64.b32encode(digest).rstrip(b"="),
    "hex": lambda digest: digest.hex().encode(),
    "HEX": lambda digest: digest.hex().upper().encode(),
    "base64": base64.b64encode,
    "base64 for URLs": base64.urlsafe_b64encode,
}


def digest(algorithm: str, data: bytes, form: str = "base32") -> bytes:
    return algorithm.encode() + b":" + FORMS[form](hashlib.new(algorithm.replace("-", ""), data).digest())


def signed(
    number: int, block: bytes, *headers: bytes, kind: bytes = b"response", payload: bytes | None = None
) -> bytes:
    """A record with the right digests of its block and, where one is given, its payload."""
    claims = [b"WARC-Block-Digest: " + digest("sha1", block)]
    if payload is not None:
        claims.append(b"WARC-Payload-Digest: " + digest("sha1", payload))
    return warc(number, block, *claims, *headers, kind=kind)


def read(data: bytes, digests: str = "count") -> list:
    stream = io.BytesIO(data)
    return list(read_archive(stream, max_page_bytes=1 << 20, content_types=HTML, http_statuses=(200,), digests=digests))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("algorithm", ["md5", "sha1", "sha-1", "sha256", "sha-256", "sha384", "sha512"])
def test_digests_are_read_in_every_form(algorithm, form):
    for data in (b"", PAGE, *(bytes([i]) for i in range(20))):
        assert digest_problem(digest(algorithm, data, form), "block", [lambda data=data: data]) is None
        assert algorithm.replace("-", "") in digest_problem(digest(algorithm, data, form), "block", [lambda: b"other"])


@pytest.mark.parametrize("claim", [b"", b"sha1", b"xxh3:abc", b"urn:x", b":"])
def test_what_cannot_be_checked_is_no_problem(claim):
    assert digest_problem(claim, "block", [lambda: b"x"]) is None


@pytest.mark.parametrize("value", [b"", b"x", b"?" * 40, b"?" * 32, b"=" * 32, b"A" * 31, b"1" * 32, b"_" * 28])
def test_a_value_that_is_no_digest_is_that_of_nothing(value):
    assert digest_problem(b"sha1:" + value, "block", [lambda: b"x"]) is not None


def test_both_digests_are_checked():
    block = response(PAGE)
    sound = signed(1, block, payload=PAGE)
    bad_block = warc(2, block, b"WARC-Block-Digest: " + digest("sha1", b"other"))
    bad_payload = signed(3, block, payload=b"other")
    lone_payload = warc(4, block, b"WARC-Payload-Digest: " + digest("sha256", b"other", "hex"))
    none = page(5)
    records = read(b"".join([sound, bad_block, bad_payload, lone_payload, none]))
    assert all(isinstance(record, Page) and record.payload for record in records)
    problems = [record.digest_problem for record in records]
    assert problems[0] is problems[4] is None
    assert [problem.split(",")[0].split(" is ")[0] for problem in problems[1:4]] == [
        "the sha1 of the block",
        "the sha1 of the payload",
        "the sha256 of the payload",
    ]
    assert [record.digest_problem for record in read(bad_block, "ignore")] == [None]
    (fault,) = read(bad_block, "quarantine")
    assert (fault.kind, fault.url) == ("bad_digest", "http://e.example/2")


@pytest.mark.parametrize("compress", [bytes, gzip.compress, COMPRESS["zst"]], ids=["plain", "gz", "zst"])
def test_the_two_readers_agree(compress):
    records = [signed(1, response(PAGE), payload=PAGE), signed(2, response(PAGE), payload=b"x"), page(3)]
    found = read(b"".join(map(compress, records)))
    assert [record.digest_problem is not None for record in found] == [False, True, False]


def test_a_payload_may_be_digested_with_its_chunks_or_without():
    stored = chunked(PAGE, 10, 200)
    block = response(stored, b"Transfer-Encoding: chunked")
    records = [signed(1, block, payload=stored), signed(2, block, payload=PAGE), signed(3, block, payload=b"other")]
    assert [record.digest_problem is not None for record in read(b"".join(records))] == [False, False, True]


def test_what_was_cut_revisited_or_is_text():
    cut = signed(1, response(PAGE), b"WARC-Truncated: length", payload=b"the whole page")
    revisit = warc(2, response(b""), b"WARC-Payload-Digest: " + digest("sha1", b"x"), kind=b"revisit")
    segment = warc(3, response(PAGE), b"WARC-Segment-Number: 1", b"WARC-Block-Digest: " + digest("sha1", b"x"))
    text = signed(4, b"words", kind=b"conversion", payload=b"words")
    text = text.replace(b"application/http; msgtype=response", b"text/plain")
    found = read(cut + revisit + segment + text, "quarantine")
    assert [type(record) for record in found] == [Page, Skip, Fault, Page]
    assert found[2].kind == "truncated"
    (decayed,) = read(text.replace(b"words", b"wards"), "quarantine")
    assert decayed.kind == "bad_digest"


def test_a_skipped_response_is_checked_too():
    block = response(PAGE, status=b"301 Moved")
    record = signed(1, block).replace(b"HTTP/1.1 301", b"HTTP/1.1 401")
    (skip,) = read(record)
    assert (skip.reason, skip.digest_problem is None) == ("http_status", False)
    assert isinstance(read(record, "quarantine")[0], Fault)


def tally(data: bytes, digests: str) -> dict:
    batches = read_pages(io.BytesIO(data), path="a.warc", dump="D", extraction=Extraction(digests=digests))
    return [row for batch in batches for row in batch.to_pylist()][-1]


def test_decay_in_zstd_without_checksums_is_noticed_and_counted():
    """A frame of one raw block: no bit of it is checked by Zstandard itself."""
    record = signed(1, response(b"<p>" + b"The harbour of the old town. " * 9))
    frame = b"\x28\xb5\x2f\xfd\0\x58" + (len(record) << 3 | 1).to_bytes(3, "little") + record
    decayed = frame.replace(b"old town", b"odd town", 1)
    assert decayed != frame
    counted = [
        (row["n_records"], row["n_documents"], row["n_quarantined"], row["n_bad_digests"])
        for row in (
            tally(frame, "count"),
            tally(decayed, "count"),
            tally(decayed, "quarantine"),
            tally(decayed, "ignore"),
        )
    ]
    assert counted == [(1, 1, 0, 0), (1, 1, 0, 1), (1, 0, 1, 1), (1, 1, 0, 0)]


def test_the_choice_is_checked():
    recipe = replace(DCLM_BASELINE, extraction=Extraction(digests="maybe"))
    assert recipe.problems() == ["extraction.digests is 'maybe'; expected 'count', 'quarantine' or 'ignore'"]


@pytest.mark.parametrize("name", ["crawl/whirlwind.warc.gz", "crawl/sample-0000.warc.gz", "crawl/example-2010.warc.gz"])
def test_fastwarc_agrees_on_real_records(shared_data, name):
    with (shared_data / "warc" / name).open("rb") as file:
        ours = list(read_archive(file, max_page_bytes=1 << 26, content_types=(), http_statuses=(), digests="count"))
    with (shared_data / "warc" / name).open("rb") as file:
        theirs = [
            record.verify_block_digest()
            for record in ArchiveIterator(file, parse_http=False)
            if record.headers["WARC-Type"] in ("response", "conversion")
        ]
    found = [record for record in ours if isinstance(record, Page) or not record.reason.startswith("type:")]
    assert [record.digest_problem is None for record in found] == theirs
