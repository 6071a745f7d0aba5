"""Makes tests/data/sample from the large test data: python -m tools.make_sample ../shared/data/warc

Pages of free documentation are chosen by what the default recipe makes of them, so that a funnel of the sample has
something to show; among equals by a hash of their URL. Records are copied byte for byte; the same input gives the same
files. tests/data/sample/README.md says where the pages come from.
"""

import gzip
import hashlib
import sys
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import zstandard
from fastwarc.warc import ArchiveIterator

from dclm_spark.errors import InputError
from dclm_spark.recipe.builtin import DCLM_BASELINE
from dclm_spark.reports.explain import explain_html

SAMPLE = Path(__file__).parents[1] / "tests" / "data" / "sample"
DUMPS = {"CC-MAIN-2022-05": "docs-2026-10", "CC-MAIN-2022-21": "docs-2026-14"}
# Documentation under the Apache, BSD, MIT, MPL, PostgreSQL and Python licences, CC BY-SA, or in the public domain.
HOSTS = {
    "django.example",
    "docs.python.example",
    "handbook.example",
    "help.office.example",
    "httpd.example",
    "llvm.example",
    "postgresql.example",
    "rust.example",
    "sqlite.example",
}
MAX_RECORD_BYTES = 12_000  # compressed
N_IN_BOTH_DUMPS = 60
N_KEPT = 150
N_REMOVED = 25  # for each rule but the language
N_OTHER_LANGUAGE = 8  # of each language


@dataclass(frozen=True)
class Record:
    """A gzip member that holds one page, and what the recipe makes of the page."""

    url: str
    member: bytes
    removed_by: str | None
    language: str | None

    @property
    def rank(self) -> str:
        """A hash, so that a choice by rank is spread over hosts and chapters."""
        return hashlib.sha256(self.url.encode()).hexdigest()

    @property
    def kind(self) -> str:
        """What this page is an example of: a rule it breaks, with the language if that is the rule."""
        if self.removed_by is None:
            return "kept"
        return f"{self.removed_by} {self.language}" if self.removed_by.startswith("language.") else self.removed_by


def main(warc_folder: Path) -> None:
    pages = {dump: list(_pages(sorted((warc_folder / name).glob("*.warc.gz")))) for dump, name in DUMPS.items()}
    in_both = set.intersection(*({record.url for record in records} for records in pages.values()))
    for dump, records in pages.items():
        chosen = _choose(records, in_both)
        print(dump, len(chosen), dict(Counter(record.kind for record in chosen).most_common()))
        folder = SAMPLE / dump
        folder.mkdir(parents=True, exist_ok=True)
        if dump == "CC-MAIN-2022-05":
            _write(folder / "docs-00000.warc.gz", b"".join(record.member for record in chosen[::2]))
            _write(folder / "docs-00001.warc.gz", b"".join(record.member for record in chosen[1::2]))
            _others_2022_05(warc_folder, folder)
        else:
            clipped, whole = [record.member for record in chosen[:3]], [record.member for record in chosen[3:]]
            _write(folder / "docs-00000.warc.gz", b"".join(whole[::2]))
            _write(folder / "docs-00001.warc.zst", b"".join(map(_as_zstd, whole[1::2])))
            # The last record ends in the middle, as in a download that broke off.
            _write(folder / "docs-clipped.warc.gz", b"".join(clipped)[: -len(clipped[-1]) // 2])
            _others_2022_21(warc_folder, folder)
    total = sum(path.stat().st_size for path in SAMPLE.rglob("*") if path.is_file())
    print(f"{total / 1e6:.2f} MB")


def _others_2022_05(warc_folder: Path, folder: Path) -> None:
    """What else lies in a crawl: a site with its scripts, images, redirects and revisits; ARC; extracted text."""
    site = [member for _, member in _members(warc_folder / "crawl" / "iana.warc.gz")]
    _write(folder / "iana.warc.gz", b"".join(member for member in site[:250] if len(member) < 10_000))
    _write(folder / "wikipedia.warc.gz", (warc_folder / "crawl" / "whirlwind.warc.gz").read_bytes())
    _write(folder / "wikipedia.warc.wet.gz", (warc_folder / "crawl" / "whirlwind.warc.wet.gz").read_bytes())
    arc = (warc_folder / "crawl" / "aut-example.arc.gz").read_bytes()
    _write(folder / "archive.arc.gz", b"".join(_split_gzip(arc, 5)))


def _others_2022_21(warc_folder: Path, folder: Path) -> None:
    """Files that are damaged or odd, each in a way that has been met."""
    for name in ("example-trunc.warc", "example-wrong-chunks.warc.gz", "example-space-in-url.arc"):
        _write(folder / name, (warc_folder / "odd" / name).read_bytes())


def _pages(paths: Iterable[Path]) -> Iterator[Record]:
    for path in paths:
        with path.open("rb") as stream:
            bodies = {record.stream_pos: _body(record) for record in ArchiveIterator(stream, parse_http=True)}
        for offset, member in _members(path):
            url, html = bodies[offset]
            if url is None or len(member) > MAX_RECORD_BYTES or url.split("/")[2] not in HOSTS:
                continue
            try:
                explained = explain_html(html, url=url, recipe=DCLM_BASELINE)
            except InputError:
                continue
            language = explained["signals"]["language.code"]
            yield Record(url, member, explained["removed_by"], language)


def _body(record) -> tuple[str | None, bytes]:
    if not record.is_http:
        return None, b""
    return record.headers.get("WARC-Target-URI"), record.reader.read()


def _choose(records: Iterable[Record], in_both: set[str]) -> list[Record]:
    """The pages of one dump in the order of their URLs."""
    by_kind: dict[str, list[Record]] = defaultdict(list)
    for record in sorted(records, key=lambda record: record.rank):
        by_kind[record.kind].append(record)
    # Kept pages that both dumps hold come first, so that both choose the same ones.
    kept = by_kind.pop("kept")
    chosen = [record for record in kept if record.url in in_both][:N_IN_BOTH_DUMPS]
    chosen += [record for record in kept if record.url not in in_both][: N_KEPT - len(chosen)]
    for kind, examples in by_kind.items():
        chosen += examples[: N_OTHER_LANGUAGE if kind.startswith("language.") else N_REMOVED]
    return sorted(chosen, key=lambda record: record.url)


def _members(path: Path) -> Iterator[tuple[int, bytes]]:
    """Offset and bytes of each gzip member of a WARC file, one record each."""
    raw = path.read_bytes()
    with path.open("rb") as stream:
        offsets = [record.stream_pos for record in ArchiveIterator(stream, parse_http=False)]
    for begin, end in zip(offsets, [*offsets[1:], len(raw)], strict=True):
        yield begin, raw[begin:end]


def _split_gzip(raw: bytes, n_members: int) -> list[bytes]:
    """The first members of a gzip file of any content."""
    members = []
    while raw and len(members) < n_members:
        inflate = zlib.decompressobj(wbits=31)
        inflate.decompress(raw)
        members.append(raw[: len(raw) - len(inflate.unused_data)])
        raw = inflate.unused_data
    return members


def _as_zstd(member: bytes) -> bytes:
    """One record as a zstd frame instead of a gzip member."""
    return zstandard.ZstdCompressor(level=19).compress(gzip.decompress(member))


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    print(f"{len(content):>9,} {path.relative_to(SAMPLE)}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
