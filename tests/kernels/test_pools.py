"""Pools: every line a document, a fault or a skip, nothing of it lost; and the same lines written again."""

import gzip
import io
import json
import random
import tracemalloc
from collections.abc import Iterable
from datetime import UTC, datetime

import pyarrow as pa
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from dclm_spark import schemas
from dclm_spark.kernels.archive import pages
from dclm_spark.kernels.archive.frames import TRUNCATED, UNREADABLE
from dclm_spark.kernels.archive.json_fields import read_fields
from dclm_spark.kernels.archive.outcomes import CHARSET, TOO_LARGE, Fault, Skip
from dclm_spark.kernels.archive.pools import BAD_JSON, FORMATS, KINDS, NO_TEXT, Line, compress, read_pool, write_line
from dclm_spark.recipe.extraction import Extraction

pytestmark = pytest.mark.once

RECORD = {
    "WARC-Type": "response",
    "WARC-Record-ID": "<urn:uuid:1>",
    "WARC-Target-URI": "http://a.b/",
    "WARC-Date": "2013-05-18T05:30:51Z",
}
RAW = {"text": "One.\nTwo é 😀", "metadata": RECORD, "warcinfo": "robots: classic\r\nhostname: x"}
PROCESSED = {
    "bff_contained_ngram_count_before_dedupe": 7,
    "language_id_whole_page_fasttext": {"en": 0.9412, "de": None},
    "metadata": {"Content-Length": "1", **RECORD},
    "previous_word_count": 10**30,
    "text": "Three.",
    "url": "http://own.org/",
    "scores": [1.0, 1e-7, -0.0, True, None, {"deep": ["ü", "\u2028", "\x00"]}],
}
CODERS = {
    ".jsonl": bytes,
    ".jsonl.gz": gzip.compress,
    ".jsonl.zst": zstandard.ZstdCompressor().compress,
    ".jsonl.zstd": zstandard.ZstdCompressor().compress,
}


def lines(objects: Iterable[object]) -> bytes:
    """As DCLM's code writes them: escapes for all but ASCII, no end after the last."""
    return "\n".join(json.dumps(entry) for entry in objects).encode()


def read(data: bytes, *, name: str = "pool.jsonl", limit: int = 1 << 20) -> list:
    return list(read_pool(io.BytesIO(data), path=f"/pools/{name}", max_line_bytes=limit))


def kinds(found: list) -> list[str]:
    return [one.kind if isinstance(one, Fault) else one.reason if isinstance(one, Skip) else "line" for one in found]


def prose(n: int) -> list[dict]:
    """Lines that do not compress to nothing."""
    return [{"text": random.Random(i).randbytes(40 + i % 200).hex(), "url": f"http://a.b/{i}"} for i in range(n)]


# -- what a line says -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", CODERS)
def test_a_pool_of_every_format(ending):
    data = lines([RAW, PROCESSED])
    raw, processed = read(CODERS[ending](data), name=f"a{ending}")
    assert (raw.url, raw.text, raw.record_id) == ("http://a.b/", RAW["text"], "<urn:uuid:1>")
    assert raw.fetched_at == datetime(2013, 5, 18, 5, 30, 51, tzinfo=UTC)
    assert (raw.offset, processed.offset) == (0, data.index(b"\n") + 1)
    assert (processed.url, processed.text) == ("http://own.org/", "Three.")


def test_metadata_is_every_other_field_in_order_and_digit_by_digit():
    raw, processed = read(lines([RAW, PROCESSED]))
    assert json.loads(raw.metadata) == {"metadata": RECORD, "warcinfo": RAW["warcinfo"]}
    rest = {name: value for name, value in PROCESSED.items() if name not in ("url", "text")}
    assert list(json.loads(processed.metadata).items()) == list(rest.items())
    odd = b'{"n": 1.10, "text" :"", "big":123456789012345678901234567890, "e": 1E400 , "x": "\\u00e9\\/"}'
    assert read(odd)[0].metadata == '{"n": 1.10, "big": 123456789012345678901234567890, "e": 1E400, "x": "\\u00e9\\/"}'
    long = "9" * 5000  # more digits than Python turns into a number
    assert read(b'{"text": "", "n": %s}' % long.encode())[0].metadata == f'{{"n": {long}}}'
    assert read(b'{"text": ""}')[0].metadata == "{}"


def test_a_url_that_is_no_string_stays_in_metadata():
    found = read(lines([{"text": "a", "url": None}, {"text": "b", "url": 3, "metadata": RECORD}, {"text": "c"}]))
    assert [line.url for line in found] == [None, "http://a.b/", None]
    assert [json.loads(line.metadata).get("url", "none") for line in found] == [None, 3, "none"]


def test_odd_metadata_is_no_fault():
    for odd in (None, [], "text", 3, {"WARC-Date": "yesterday"}, {"WARC-Record-ID": 5, "WARC-Target-URI": ["x"]}):
        (line,) = read(lines([{"text": "a", "metadata": odd}]))
        assert (line.url, line.fetched_at, line.record_id) == (None, None, None)


def test_ids_follow_from_id_or_url_and_text_alone():
    def ids(*objects: dict, **options) -> list[str]:
        return [line.doc_id for line in read(lines(objects), **options)]

    one, other = ids(RAW, PROCESSED)
    assert (len(one), one != other) == (32, True)
    assert ids(PROCESSED, RAW, name="other.jsonl") == [other, one]
    assert ids(RAW | {"url": "http://else/"}, RAW | {"text": "else"}) == [one, ids(RAW | {"text": "else"})[0]]
    a, b, c, d = ids({"text": "x", "url": "u"}, {"text": "x", "url": "v"}, {"text": "x", "id": "u"}, {"text": "x"})
    assert a == c and len({a, b, d}) == 3
    assert ids({"text": "x", "id": 7}) == ids({"text": "x", "id": "7"})


# -- faults -----------------------------------------------------------------------------------------------------------


def test_a_bad_line_costs_itself():
    bad = [
        (b"nonsense", BAD_JSON),
        (b"[1]", BAD_JSON),
        (b'"text"', BAD_JSON),
        (b'{"text": "a",}', BAD_JSON),
        (b'{"text": "a"} {}', BAD_JSON),
        (b'{"text": "a"', BAD_JSON),
        (b'{text: "a"}', BAD_JSON),
        (b'{1: "a"}', BAD_JSON),
        (b'{"text": "tab\there"}', BAD_JSON),
        (b"[" * 100_000, BAD_JSON),
        (b'{"text": "a", "n": ' + b"[" * 100_000, BAD_JSON),
        (b"{}", NO_TEXT),
        (b'{"text": null}', NO_TEXT),
        (b'{"text": 3}', NO_TEXT),
        (b'{"content": "a"}', NO_TEXT),
        (b'{"text": "\xff"}', CHARSET),
        (b'{"text": "\\ud800"}', CHARSET),
        (b'{"text": "a", "m": [{"\\uDC00": 1}]}', CHARSET),
        (b'{"text": "%s"}' % (b"a" * 200_000), TOO_LARGE),
        (b"", "blank_line"),
        (b" \t\r", "blank_line"),
    ]
    good = lines([PROCESSED])
    found = read(b"\n".join(line for one, _ in bad for line in (one, good)) + b"\n", limit=150_000)
    assert kinds(found) == [kind for _, expected in bad for kind in (expected, "line")]
    assert {one.kind for one in found if isinstance(one, Fault)} <= set(KINDS)
    offset = 0
    for outcome, line in zip(found, [line for one, _ in bad for line in (one, good)], strict=True):
        assert isinstance(outcome, Skip) or outcome.offset == offset
        offset += len(line) + 1
    assert all(one.message for one in found if isinstance(one, Fault))


def test_a_fault_of_a_readable_line_says_which_page_it_was():
    (fault,) = read(lines([{"metadata": RECORD}]))
    assert (fault.url, fault.record_id, fault.message) == ("http://a.b/", "<urn:uuid:1>", "no field `text`")


def test_the_limit_is_the_length_of_a_line():
    line = b'{"text": "abc"}'
    assert kinds(read(line + b"\n" + line, limit=len(line))) == ["line", "line"]
    (fault, _) = read(line + b"\n{}", limit=len(line) - 1)
    assert fault.message == f"a line of {len(line)} bytes; the limit is {len(line) - 1}"


def test_pairs_of_surrogates_and_a_mark_at_the_beginning_are_sound():
    assert read(b'\xef\xbb\xbf{"text": "\\ud83d\\ude00"}\r\n')[0].text == "😀"


@pytest.mark.parametrize("ending", [".jsonl.gz", ".jsonl.zst"])
@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.9, 0.9999])
def test_a_clipped_file_keeps_the_lines_before(ending, share):
    data = lines(prose(3000))
    packed = CODERS[ending](data)
    *found, fault = read(packed[: int(len(packed) * share)], name=f"a{ending}")
    expected = read(data)
    assert (fault.kind, found) == (TRUNCATED, expected[: len(found)])
    # A block of Zstandard is 128 KiB of text at most.
    n_bytes = sum(len(line.text) + len(line.metadata) for line in found)
    assert n_bytes >= share * len(data) * 0.75 - (300_000 if "zst" in ending else 5_000)
    if found:
        assert fault.offset == expected[len(found)].offset


@pytest.mark.parametrize("ending", [".jsonl.gz", ".jsonl.zst"])
def test_damage_is_one_fault(ending):
    packed = bytearray(CODERS[ending](lines(prose(4000))))
    packed[len(packed) // 2 : len(packed) // 2 + 200] = b"\xff" * 200
    *found, fault = read(bytes(packed), name=f"a{ending}")
    assert fault.kind in (UNREADABLE, TRUNCATED)
    assert len(found) > 500 and all(isinstance(one, Line | Fault) for one in found)


def test_what_is_no_pool_at_all_is_one_fault():
    noise = random.Random(1).randbytes(100_000)
    for ending in (".jsonl.gz", ".jsonl.zst"):
        assert kinds(read(noise, name=f"a{ending}")) == [UNREADABLE]
        assert kinds(read(lines([RAW]), name=f"a{ending}")) == ["line"], "not compressed, whatever it is called"
        assert kinds(read(CODERS[ending](lines([RAW]) + b"\n") + noise, name=f"a{ending}")) == ["line", UNREADABLE]
    assert read(b"") == []


def test_members_and_frames_follow_each_other():
    one, other = lines([RAW]) + b"\n", lines([PROCESSED, RAW])
    for ending in (".jsonl.gz", ".jsonl.zst"):
        packed = CODERS[ending](one) + CODERS[ending](b"") + CODERS[ending](other[:40]) + CODERS[ending](other[40:])
        assert read(packed, name=f"a{ending}") == read(one + other)


# -- memory -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", [".jsonl", ".jsonl.gz", ".jsonl.zst"])
def test_memory_follows_neither_the_file_nor_its_longest_line(ending):
    long = b'{"text": "' + b"a" * (60 << 20) + b'"}\n'
    stream = io.BytesIO(CODERS[ending](lines([{"text": "b" * 1000}] * 5000) + b"\n" + long + lines([RAW])))
    del long
    tracemalloc.start()
    counts = {}
    for batch in pages.read_pages(stream, path=f"a{ending}", dump="D", extraction=Extraction(max_page_bytes=1 << 20)):
        assert batch.num_rows <= pages.BATCH_ROWS + 1
        counts = batch.to_pylist()[-1]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (counts["n_documents"], counts["n_quarantined"]) == (5001, 1)
    assert peak < 40 << 20


# -- rows -------------------------------------------------------------------------------------------------------------


def test_rows_of_a_pool():
    data = lines([RAW]) + b"\n\n[]\n"
    (batch,) = pages.read_pages(io.BytesIO(data), path="p/a.jsonl", dump="D", extraction=Extraction())
    document, fault, tally = batch.to_pylist()
    assert {name for name in schemas.DOCUMENTS.names if document[name] is None} == {
        "http_status", "content_type", "charset", "html_bytes",
    }  # fmt: skip
    assert (document["warc_path"], document["dump"]) == ("p/a.jsonl", "D")
    assert (fault["kind"], fault["stage"], fault["warc_offset"]) == (BAD_JSON, "documents", len(data) - 3)
    assert (tally["n_records"], tally["skips"]) == (3, [("blank_line", 1)])


# -- lines written ----------------------------------------------------------------------------------------------------

_TEXT = st.text(st.characters(codec="utf-8"))
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | _TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(_TEXT, inner),
    max_leaves=8,
)


@given(st.dictionaries(_TEXT, _JSON), _TEXT, st.booleans())
def test_a_line_comes_back_as_it_was(fields, text, is_ascii):
    fields["text"] = text
    (line,) = read(json.dumps(fields, ensure_ascii=is_ascii).encode())
    written = write_line(line.url, line.text, line.metadata)
    assert json.loads(written) == fields
    assert written.count(b"\n") == 1 and written.endswith(b"\n")
    order = [name for name in fields if name not in ("url", "text")]
    assert [name for name in json.loads(written) if name not in ("url", "text")] == order


def test_a_raw_line_gains_the_url_of_its_metadata():
    """As DCLM's `move_url_modifier` has it, the first step of its recipes."""
    (line,) = read(lines([RAW]))
    written = write_line(line.url, line.text, line.metadata)
    assert json.loads(written) == RAW | {"url": "http://a.b/"}
    (again,) = read(written)
    assert write_line(again.url, again.text, again.metadata) == written


@pytest.mark.parametrize("form", FORMATS)
def test_files_are_read_by_others_and_always_the_same(form):
    data = lines(prose(3000))

    def packed() -> bytes:
        stream = io.BytesIO()
        with compress(stream, form) as out:
            for start in range(0, len(data), 777):
                out.write(data[start : start + 777])
        return stream.getvalue()

    # As DCLM's code opens them: of Zstandard the first frame alone.
    openers = {"jsonl.zst": lambda stream: zstandard.ZstdDecompressor().stream_reader(stream).read()}
    openers |= {"jsonl.gz": lambda stream: gzip.decompress(stream.read()), "jsonl": io.BytesIO.read}
    assert openers[form](io.BytesIO(packed())) == data
    assert packed() == packed()


def test_fields_of_no_object_are_refused():
    for wrong in ("", "{", "[]", '{"a"}', '{"a": 1 "b": 2}', "{,}"):
        with pytest.raises(json.JSONDecodeError):
            read_fields(wrong)
    assert read_fields(" { } ") == {}
    assert pa.types.is_string(schemas.DOCUMENTS.field("metadata").type)
