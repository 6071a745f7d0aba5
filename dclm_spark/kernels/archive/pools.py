"""Reads and writes DCLM's pools, files of one JSON object a line.

A line has a `text`, mostly a `url`, a `metadata` object with the headers of the WARC record it came from, and whatever
DCLM's mappers have measured. What is no column of `documents` is kept as the line writes it, digit by digit.
"""

import gzip
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, nullcontext
from datetime import UTC, datetime
from typing import Any, BinaryIO, NamedTuple

import pyarrow as pa
from fastwarc.stream_io import ZstdWriter
from xxhash import xxh3_128_hexdigest

from dclm_spark.kernels.archive.frames import TRUNCATED, UNREADABLE
from dclm_spark.kernels.archive.json_fields import Field, read_fields
from dclm_spark.kernels.archive.members import NO_RECORD, Members
from dclm_spark.kernels.archive.outcomes import CHARSET, TOO_LARGE, Fault, Skip
from dclm_spark.kernels.archive.records import fetch_date
from dclm_spark.recipe.extraction import FETCH_YEARS

POOL = re.compile(r"\.jsonl(?P<coding>\.(gz|zst|zstd))?(\?.*)?$", re.IGNORECASE)
"""Matches names of pools, by the suffixes that DCLM's code knows. A web address may end in a query."""

STATISTICS = re.compile(r"_stats\.jsonl$")
"""Matches names of files with counts instead of documents, which DCLM's code writes next to a pool."""

BAD_JSON = "bad_json"
"""Fault kind: the line is not a JSON object."""
NO_TEXT = "no_text"
"""Fault kind: the object has no field `text`, or one that is not a string."""

KINDS = (BAD_JSON, NO_TEXT, CHARSET, TOO_LARGE, TRUNCATED, UNREADABLE)

FORMATS = ("jsonl.zst", "jsonl.gz", "jsonl")
"""Formats in which a pool can be written: the suffixes of its files."""

BLANK_LINE = Skip("blank_line")

_OBJECT = re.compile(rb"(\xef\xbb\xbf)?\s*\{")


class Line(NamedTuple):
    """A line of a pool.

    Attributes:
        doc_id: 128-bit xxh3 hash, as 32 hex letters, of the line's id or URL, and text. The id is WARC-Record-ID, or a
            field `id`. Lines that agree in both are one document, wherever they lie.
        offset: Its first byte in the decompressed file.
        record_id: The metadata's WARC-Record-ID; None without one.
        url: The field `url`, else the metadata's WARC-Target-URI; None without one.
        fetched_at: The metadata's WARC-Date, UTC; None without one, where it cannot be read, or lies in a year that
            cannot be.
        text: As the line has it.
        metadata: The other fields as one JSON object, in the line's order and letters. A `url` that is no string is one
            of them.
        bad_date: As in `outcomes.Page`.
    """

    doc_id: str
    offset: int
    record_id: str | None
    url: str | None
    fetched_at: datetime | None
    text: str
    metadata: str
    bad_date: bytes | None = None


def is_pool(path: str) -> bool:
    """Returns whether a file is read as a pool, judged by its name only.

    >>> is_pool("/pool/a.jsonl.zst"), is_pool("https://host/a.JSONL.gz?part=1"), is_pool("/warc/a.warc.gz")
    (True, True, False)
    """
    return POOL.search(path) is not None


def read_pool(
    stream: BinaryIO, *, path: str, max_line_bytes: int, fetch_years: tuple[int, ...] = FETCH_YEARS
) -> Iterator[Line | Fault | Skip]:
    """Reads the lines of a pool in order; each is a document, a fault or, if it is blank, a skip.

    If the bytes end too early or cannot be decompressed, the lines before are kept, and the rest of the file is one
    fault. Memory holds one line of at most the limit and a few MiB, whatever the file.

    Args:
        stream: The open file, binary and seekable. What it is compressed with its first bytes say.
        path: Its name. One that speaks of compression makes other bytes a fault, unless they begin like an object.
        max_line_bytes: A longer line is a fault; it is passed over without being held.
        fetch_years: The first and the last year in which a page may have been fetched; another date is none.

    Raises:
        OSError: The stream failed.
    """
    name = POOL.search(path)
    assert name is not None  # who reads it has found it by this pattern
    is_compressed = name["coding"] is not None
    members = Members(stream, lambda begin: not is_compressed or _OBJECT.match(begin) is not None)
    if is_compressed and not members.raw.size:
        yield Fault(0, None, None, TRUNCATED, "the file is empty")
        return
    offset = 0
    for line, n_bytes, is_whole in _lines(members, max_line_bytes):
        if not is_whole and members.damage is not None:
            break
        if line is None:
            length = n_bytes - is_whole
            yield Fault(offset, None, None, TOO_LARGE, f"a line of {length} bytes; the limit is {max_line_bytes}")
        else:
            yield _judge(line, offset, fetch_years)
        offset += n_bytes
    if (damage := members.damage) is not None:
        is_other = damage.kind == NO_RECORD
        message = "neither JSON lines nor compressed with gzip or zstd" if is_other else str(damage)
        yield Fault(offset, None, None, UNREADABLE if is_other else damage.kind, message)


def _lines(members: Members, max_bytes: int) -> Iterator[tuple[bytes | None, int, bool]]:
    """Yields (line, length, whether it has an end) of each line; the line is None if it is longer than the limit."""
    while members.fill(1):
        pieces, n_bytes, is_whole = [], 0, False
        while not is_whole and members.fill(1):
            end = members.window.find(b"\n", members.at) + 1
            is_whole = end > 0
            n_bytes += (end or len(members.window)) - members.at
            # Invariant: the pieces are the line so far, or nothing once it has passed the limit.
            if n_bytes - is_whole <= max_bytes:
                pieces.append(members.window[members.at : end or None])
            else:
                pieces.clear()
            members.at = end or len(members.window)
        yield b"".join(pieces) if pieces else None, n_bytes, is_whole


def _judge(line: bytes, offset: int, fetch_years: tuple[int, ...]) -> Line | Fault | Skip:
    """Classifies a line."""
    record_id = url = None

    def fault(kind: str, message: str) -> Fault:
        return Fault(offset, record_id, url, kind, message)

    if not line.strip():
        return BLANK_LINE
    try:
        fields = read_fields(line.decode("utf-8" if offset else "utf-8-sig"))
    except UnicodeError as error:
        return fault(CHARSET, f"the line is not UTF-8: {error}")
    except json.JSONDecodeError as error:
        return fault(BAD_JSON, f"the line is no JSON object: {error.msg} at character {error.pos}")
    except RecursionError:
        return fault(BAD_JSON, "the line's JSON is nested too deeply")
    record = value if isinstance(value := _value(fields, "metadata"), dict) else {}
    text, record_id = _value(fields, "text"), _string(record.get("WARC-Record-ID"))
    own_url = _string(_value(fields, "url"))
    url = own_url if own_url is not None else _string(record.get("WARC-Target-URI"))
    if not isinstance(text, str):
        return fault(NO_TEXT, f"`text` is {fields['text'].written[:40]}" if "text" in fields else "no field `text`")
    columns = {"text"} if own_url is None else {"text", "url"}
    rest = ", ".join(f"{field.name}: {field.written}" for key, field in fields.items() if key not in columns)
    identity = record_id or _id(fields) or url or ""
    date = (_string(record.get("WARC-Date")) or "").encode(errors="replace")
    fetched_at = fetch_date(date, fetch_years)
    return Line(
        doc_id=xxh3_128_hexdigest(f"{identity}\0{text}".encode()),
        offset=offset,
        record_id=record_id,
        url=url,
        fetched_at=fetched_at,
        text=text,
        metadata=f"{{{rest}}}",
        bad_date=date or None if fetched_at is None else None,
    )


def write_line(url: str | None, text: str, metadata: str) -> bytes:
    """Makes a line for DCLM's code, with a newline: `url`, `text`, and the fields of `metadata` as written there.

    Args:
        url: None writes no such field; nor does one that `metadata` has.
        text: The text.
        metadata: A JSON object, as in `Line`.

    >>> write_line("http://a.b/", "é", '{"n": 1.50}')
    b'{"url": "http://a.b/", "text": "\\xc3\\xa9", "n": 1.50}\\n'
    """
    fields = read_fields(metadata)
    members = [] if url is None or "url" in fields else [f'"url": {_json(url)}']
    members.append(f'"text": {_json(text)}')
    members += [f"{field.name}: {field.written}" for name, field in fields.items() if name != "text"]
    return f"{{{', '.join(members)}}}\n".encode()


def archive_metadata(
    *, doc_id: str, dump: str, url: str | None, fetched_at: datetime | None, record_id: str | None
) -> str:
    """Makes the other fields of a line for a document from an archive: `metadata` with WARC headers, and
    `dclm_spark`."""
    date = fetched_at.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z" if fetched_at is not None else None
    headers = {"WARC-Record-ID": record_id, "WARC-Target-URI": url, "WARC-Date": date}
    given = {name: value for name, value in headers.items() if value is not None}
    return _json({"metadata": given, "dclm_spark": {"doc_id": doc_id, "dump": dump}})


def numbered_lines(documents: Iterable[pa.RecordBatch]) -> Iterator[tuple[int, bytes]]:
    """Yields (`file`, line) for rows with file, doc_id, dump, url, text, fetched_at, warc_record_id and metadata."""
    for batch in documents:
        for row in batch.to_pylist():
            metadata = row["metadata"]
            if metadata is None:
                metadata = archive_metadata(
                    doc_id=row["doc_id"],
                    dump=row["dump"],
                    url=row["url"],
                    fetched_at=row["fetched_at"],
                    record_id=row["warc_record_id"],
                )
            yield row["file"], write_line(row["url"], row["text"], metadata)


def compress(stream: BinaryIO, form: str) -> AbstractContextManager[Any]:
    """Returns a file object that writes one of `FORMATS` to a stream and keeps it open; equal input, equal bytes.

    Zstandard is one frame: DCLM's reader stops at the first one's end.
    """
    if form == "jsonl.gz":
        return gzip.GzipFile(filename="", mode="wb", fileobj=stream, mtime=0)
    return closing(ZstdWriter(stream)) if form == "jsonl.zst" else nullcontext(stream)


def _value(fields: Mapping[str, Field], name: str) -> Any:
    return fields[name].value if name in fields else None


def _string(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _id(fields: Mapping[str, Field]) -> str | None:
    """Returns the field `id` if it is a string or a number."""
    value = _value(fields, "id")
    return fields["id"].written if isinstance(value, float) else _string(value)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
