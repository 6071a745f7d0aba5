"""Archive files made for a measurement."""

import gzip
import heapq
import shutil
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from fastwarc.warc import ArchiveIterator

MIB = 1 << 20
LARGE_PAGES_MIB = (*range(1, 11), 20, 50, 100)


def cut_evenly(paths: Sequence[Path], n: int, folder: Path) -> list[Path]:
    """The records of WARC files (gzip by record), dealt out to `n` files of equal compressed size, in order.

    Each record goes to the file that is the smallest so far. Nothing is compressed anew.
    """
    folder.mkdir(parents=True)
    parts = [folder / f"part-{number:05d}.warc.gz" for number in range(n)]
    streams = [part.open("wb") for part in parts]
    smallest = [(0, number) for number in range(n)]
    for path in paths:
        for member in _members(path):
            n_bytes, number = smallest[0]
            streams[number].write(member)
            heapq.heapreplace(smallest, (n_bytes + len(member), number))
    for stream in streams:
        stream.close()
    return parts


def copy_each(paths: Sequence[Path], n: int, folder: Path) -> list[Path]:
    """Each file `n` times, under names of its own: a name and a size that come twice are taken for a mistake."""
    copies = []
    for number, path in enumerate(path for path in paths for _ in range(n)):
        copies.append(folder / f"copy-{number:05d}.warc.gz")
        shutil.copy(path, copies[-1])
    return copies


def write_first_records(source: Path, n: int, target: Path) -> Path:
    """The first `n` records of a WARC file as a file of their own."""
    target.write_bytes(b"".join(islice(_members(source), n)))
    return target


def _members(path: Path) -> Iterator[bytes]:
    data = path.read_bytes()
    with path.open("rb") as stream:
        starts = [record.stream_pos for record in ArchiveIterator(stream, parse_http=False)]
    for start, end in zip(starts, [*starts[1:], len(data)], strict=True):
        yield data[start:end]


def write_large_pages(path: Path) -> Path:
    """A WARC file of html pages of 1 to 100 MiB, ordinary markup of many words, two pages of each size."""
    with path.open("wb") as out:
        for number, size in enumerate(size for size in LARGE_PAGES_MIB for _ in range(2)):
            body = b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n\r\n" + _page(size * MIB)
            head = (
                "WARC/1.0\r\nWARC-Type: response\r\nContent-Type: application/http; msgtype=response\r\n"
                f"WARC-Record-ID: <urn:uuid:00000000-0000-0000-0000-{number:012d}>\r\n"
                f"WARC-Target-URI: https://example.org/{number}\r\nWARC-Date: 2022-01-17T00:00:00Z\r\n"
                f"Content-Length: {len(body)}\r\n\r\n"
            )
            out.write(gzip.compress(head.encode() + body + b"\r\n\r\n", compresslevel=1, mtime=0))
    return path


def _page(n_bytes: int) -> bytes:
    sentence = "The harbour of the old town lies to the west of the hills, and the road to it is a long one. "
    paragraphs, n = ["<!doctype html><html><body><main>"], 0
    while n < n_bytes:
        paragraph = f"<div><h2>Note {len(paragraphs)}</h2><p>{sentence * 8}</p></div>\n"
        paragraphs.append(paragraph)
        n += len(paragraph)
    return "".join(paragraphs).encode()[:n_bytes]
