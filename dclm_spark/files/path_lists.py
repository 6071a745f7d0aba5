"""Reads a list of paths, one a line, and checks that a remote list names only files that it is allowed to name."""

import codecs
import os
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import BinaryIO

from dclm_spark.files.addresses import SCHEME, address_of, identity_of, is_web, scheme_of
from dclm_spark.files.reach import PLACES, host_of, place_of, places_named, resolves_to

FILE_LIST = re.compile(r"\.(paths|txt)(\.gz)?$", re.IGNORECASE)
"""Names of files that are lists of paths."""

MAX_LINES = 1_000_000
"""Largest number of lines in a list: ten times the files of a dump of Common Crawl."""
MAX_BYTES = 256 << 20
"""Largest size of a list's uncompressed text."""

MAX_LINE_CHARS = 1 << 16
"""Longest line that is taken for a path, in characters."""

_READ_BYTES = 1 << 14  # small, so that a sequence of tiny gzip members costs little
_LINE_END = re.compile(r"\r\n|\r|\n")
_LOCAL = re.compile(r"/|(file|local):", re.IGNORECASE)
"""Matches the beginning of an entry that names a file of this machine."""
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:(//|:)")
"""Matches the beginning of an entry that is not relative; `::` is a chained address of fsspec."""
_KIND = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_WITH_HOSTS = (
    "web",
    "ftp",
    "sftp",
    "ssh",
    "hdfs",
    "webhdfs",
    "dav",
    "davs",
    "webdav",
    "smb",
)  # schemes with host names instead of buckets
_MARKS = (  # the longest first
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@dataclass(frozen=True)
class Rules:
    """Says what relative entries of a list are joined to, and which files it may name.

    Args:
        place: Address of the list.
        base_url: URL or folder that relative entries are joined to; null: the list's own folder.
    """

    place: str
    base_url: str | None

    @cached_property
    def is_remote(self) -> bool:
        return scheme_of(self.place) is not None

    @cached_property
    def base(self) -> str | None:
        """Returns the address of `base_url`."""
        return None if self.base_url is None else address_of(self.base_url)

    @cached_property
    def kinds(self) -> set[str | None]:
        """Returns the kinds of store whose files a remote list may name."""
        return {_kind_of(self.place)} | ({_kind_of(self.base)} if self.base is not None else set())


@dataclass
class Listed:
    """Holds the content of a list.

    Args:
        addresses: Addresses of the files, in the list's order.
        problems: What is wrong with the list, one sentence each.
        named_hosts: Hosts that remote files may be on, even if these are this machine or link-local; null for a local
            list, whose entries count as named by the user.
    """

    addresses: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    named_hosts: tuple[str, ...] | None = None


class _NoList(Exception):
    """Raised for a file that is not a list of paths; the message says why."""


def read_list(stream: BinaryIO, rules: Rules) -> Listed:
    """Reads an open list of paths: UTF-8, or UTF-16 or UTF-32 with a byte order mark, plain or gzip."""
    listed = Listed()
    shown = repr(identity_of(rules.place))
    refused: dict[str, list[str]] = {}
    n_entries = 0
    named_hosts = listed.named_hosts = _hosts_named(rules) if rules.is_remote else None
    try:
        for entry in list(_entries(stream)):  # read all entries first, so that limits are checked before any entry
            n_entries += 1
            address = address_of(joined(entry, rules.place, rules.base_url))
            why = None if named_hosts is None else _why_not(entry, address, rules, named_hosts)
            if why is None:
                listed.addresses.append(address)
            else:
                refused.setdefault(why, []).append(entry)
    except _NoList as error:
        return Listed([], [f"the list {shown} {error}"], listed.named_hosts)
    if not n_entries:
        listed.problems.append(f"the list {shown} is empty")
    for why, entries in refused.items():
        listed.problems.append(
            f"the list {shown} is remote, but names {why}, such as {identity_of(entries[0])[:200]!r}"
        )
    return Listed([], listed.problems, listed.named_hosts) if listed.problems else listed


def joined(entry: str, list_place: str, base_url: str | None) -> str:
    """Joins an entry of a list to its base: returns the address of the file.

    >>> crawl = "https://data.commoncrawl.org/crawl-data/CC-MAIN-2022-05/warc.paths.gz"
    >>> joined("crawl-data/CC-MAIN-2022-05/a.warc.gz", crawl, None)
    'https://data.commoncrawl.org/crawl-data/CC-MAIN-2022-05/a.warc.gz'
    >>> joined("crawl-data/a.warc.gz", crawl, "s3://commoncrawl/")
    's3://commoncrawl/crawl-data/a.warc.gz'
    >>> joined("a.warc.gz", crawl, None), joined("/data/a.warc.gz", "/lists/my.paths", None)
    ('https://data.commoncrawl.org/crawl-data/CC-MAIN-2022-05/a.warc.gz', '/data/a.warc.gz')
    >>> joined("a.warc.gz", crawl, "https://account.example/crawl?sig=x")
    'https://account.example/crawl/a.warc.gz?sig=x'
    """
    if _URL.match(entry) or _LOCAL.match(entry):
        return entry
    # The signature in a list's query is for the list only; that of a base URL is for all files below it.
    place = list_place.partition("?")[0] if is_web(list_place) else list_place
    above, crawl_data, _ = place.partition("/crawl-data/")
    if base_url is None:
        base_url = above if crawl_data and entry.startswith("crawl-data/") else place.rpartition("/")[0]
    base, question, query = base_url.partition("?") if SCHEME.match(base_url) else (base_url, "", "")
    return f"{base.rstrip('/')}/{entry}{question}{query}"


def _why_not(entry: str, address: str, rules: Rules, named_hosts: tuple[str, ...]) -> str | None:
    """Says why a remote list must not name an entry; null if it may. Addresses are parsed before they are judged."""
    base, kind = rules.base, _kind_of(address)
    if "::" in entry:
        return "files by chained addresses"
    if _LOCAL.match(entry) or entry.startswith("\\") or kind is None:
        if base is None or _kind_of(base) is not None:
            return "local files"
        folder = os.path.join(base, "")
        return None if os.path.abspath(address).startswith(folder) else f"local files outside of {folder}"
    begin = _KIND.match(entry)
    if kind not in rules.kinds or (begin and begin[1].lower() in ("data", "memory", "file", "local")):
        return f"files of another kind of store ({begin[1].lower() if begin else kind}); --base-url allows one"
    if SCHEME.match(entry) and "\\" in entry:
        return "addresses with a backslash"
    place = place_of(host_of(address)) if kind in _WITH_HOSTS else None
    if place is not None and host_of(address) not in named_hosts and place not in places_named(named_hosts):
        return f"files of {place}"
    return None


def _kind_of(address: str) -> str | None:
    """Returns the kind of store of an address: http and https are the same kind; null for local files."""
    scheme = scheme_of(address)
    if scheme is None or scheme.lower() in ("file", "local"):
        return None
    return "web" if scheme.lower() in ("http", "https") else scheme.lower()


def _hosts_named(rules: Rules) -> tuple[str, ...]:
    """Returns hosts named by the user that are this machine or link-local; the list may name the same kind of hosts.

    A host name is resolved now, so that it cannot mean another machine later.
    """
    hosts = {host_of(rules.place), host_of(rules.base_url or "")} - {""}
    named_hosts = set()
    for host in hosts:
        place = place_of(host)
        places = {place} if place is not None else resolves_to(host) if is_web(rules.place) else set()
        named_hosts |= {host, *(PLACES[place] for place in places)} if places else set()
    return tuple(sorted(named_hosts))


def _entries(stream: BinaryIO) -> Iterator[str]:
    """Yields the lines that are not empty, without surrounding white space; only a few lines are in memory at a
    time."""
    rest, n_bytes, n_lines = "", 0, 0
    decoder = None
    for piece in _begun(_unpacked(stream)):
        n_bytes += len(piece)
        if n_bytes > MAX_BYTES:
            raise _NoList(f"holds more than {MAX_BYTES >> 20} MiB of text; name a list of paths, in parts if need be")
        decoder = decoder or codecs.getincrementaldecoder(_encoding(piece))()
        # A carriage return at the end may be half of a line end; the other half then makes an empty line, which is
        # dropped.
        lines = _LINE_END.split(rest + _decoded(decoder, piece))
        rest = lines.pop()
        n_lines += len(lines)
        if n_lines > MAX_LINES:
            raise _NoList(f"holds more than {MAX_LINES:,} lines; name a list of paths, in parts if need be")
        if len(rest) > MAX_LINE_CHARS:
            raise _NoList(
                f"holds a line of more than {MAX_LINE_CHARS:,} characters: is it a list of paths, one a line?"
            )
        yield from filter(None, map(_stripped, lines))
    rest += _decoded(decoder, b"", is_last=True) if decoder else ""
    yield from filter(None, map(_stripped, _LINE_END.split(rest)))


def _stripped(line: str) -> str:
    return line.strip(" \t\v\f\ufeff\x85\xa0")  # concatenated lists have byte order marks inside


def _begun(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Yields the same pieces, the first of them long enough to hold a byte order mark."""
    first: bytes | None = b""
    for piece in pieces:
        if first is not None:
            first += piece
            if len(first) < 4:
                continue
            piece, first = first, None
        yield piece
    if first:
        yield first


def _encoding(begin: bytes) -> str:
    return next((encoding for mark, encoding in _MARKS if begin.startswith(mark)), "utf-8")


def _decoded(decoder: codecs.IncrementalDecoder, piece: bytes, *, is_last: bool = False) -> str:
    try:
        text = decoder.decode(piece, is_last)
    except UnicodeDecodeError as error:
        raise _NoList(f"is no text: {error.reason} (UTF-8 is expected)") from None
    if "\0" in text:
        raise _NoList("is no text: it holds NULs (UTF-8 is expected, or UTF-16 with its mark)")
    return text


def _unpacked(stream: BinaryIO) -> Iterator[bytes]:
    """Yields the uncompressed bytes in pieces of limited size."""
    pieces = _begun(iter(lambda: stream.read(_READ_BYTES), b""))
    begin = next(pieces, b"")
    if not begin.startswith(b"\x1f\x8b"):
        yield begin
        yield from pieces
        return
    member, is_within = zlib.decompressobj(wbits=31), False
    n_bytes, piece = 0, begin
    while piece:
        n_bytes += len(piece)
        if n_bytes > MAX_BYTES:
            raise _NoList(f"has more than {MAX_BYTES >> 20} MiB; name a list of paths, in parts if need be")
        while piece:
            try:
                text = member.decompress(piece, _READ_BYTES)
            except zlib.error as error:
                raise _NoList(f"cannot be read: BadGzipFile: {error}") from None
            yield text
            piece, is_within = member.unconsumed_tail, not member.eof
            if member.eof:
                piece = member.unused_data.lstrip(b"\0")  # padding
                member = zlib.decompressobj(wbits=31)
        piece = next(pieces, b"")
    if is_within:
        raise _NoList("cannot be read: BadGzipFile: it ends too early")
