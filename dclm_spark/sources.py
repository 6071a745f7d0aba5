"""What files an input names, and opening one: local, S3, HTTP, or any other file system that fsspec knows."""

import glob
import gzip
import io
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO
from urllib.parse import unquote

from dclm_spark.errors import InputError
from dclm_spark.kernels.pools import POOL, STATISTICS
from dclm_spark.remote import RemoteFile, is_missing, is_web, scheme_of, store_of

ARCHIVE = re.compile(r"\.(warc|arc|wet|wat)(\.(gz|zst|lz4))?$", re.IGNORECASE)
"""Names that a search of a folder takes for archives. Of what is in them only the reader can tell."""

FILE_LIST = re.compile(r"\.(paths|txt)(\.gz)?$", re.IGNORECASE)

_LOCAL = ("/", "file:", "local:")  # how an entry of a list begins that names a file of this machine


@dataclass(frozen=True)
class SourceFile:
    """One archive or pool to read.

    Args:
        path: A local absolute path, or a URL whose scheme fsspec knows (`s3a://` has become `s3://`).
        n_bytes: Its size; null where asking would have cost a request for each file of a list.
    """

    path: str
    n_bytes: int | None


@dataclass(frozen=True)
class Listing:
    """What the inputs name.

    Args:
        files: In the order of the inputs; within a folder or pattern by path, within a list as listed.
        skipped: Paths of the other files in the folders that were searched.
    """

    files: tuple[SourceFile, ...]
    skipped: tuple[str, ...]


@dataclass
class _Findings:
    files: list[SourceFile] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def list_files(inputs: Sequence[str], *, base_url: str | None, storage_options: Mapping[str, Any]) -> Listing:
    """The archives and pools that the inputs name, each once.

    An input is a file (its name is taken as it is: a pool where it ends in `.jsonl`, or so with `.gz`, `.zst` or
    `.zstd`, else an archive), a pattern with `*`, `?` or `[`, a folder (searched to its last level, links to folders
    left alone; it gives the archives in it, by their suffixes, or its pools if there are none), or a list of paths, one
    a line, plain or gzip, as Common Crawl's `warc.paths.gz` (named `*.paths`, `*.txt`, or so with `.gz`). All of them
    may be local, `file:`, `http(s)://` (no patterns and folders), `s3://`, `s3a://` or any URL that fsspec opens.

    A relative path in a list is joined to `base_url`. Without one: if the list lies below a folder `crawl-data` and the
    path begins with it, to what lies above; else to the list's own folder. Remote files of a list are not asked for
    their size, nor whether they exist.

    Two files may share a base name, as Common Crawl's `warc` and `robotstxt` files do: their records have ids of their
    own. With one name and one size as well they are taken for copies, whose documents would have one id.

    Args:
        inputs: At least one.
        base_url: What relative paths of lists continue; a URL or a local folder.
        storage_options: Of the remote file system, in fsspec's words (`anon`, `endpoint_url`); http(s) takes none.

    Raises:
        InputError: Names every problem of every input.
    """
    found = _Findings()
    for name in inputs:
        try:
            _look_up(name, found, base_url, storage_options)
        # A file system may raise anything; the user is to see all that is wrong at once.
        except Exception as error:
            found.problems.append(f"{name!r} cannot be read: {words_of(error)}")
    if not inputs:
        found.problems.append("no input was named; name a file, a folder, a pattern or a list of paths")
    found.problems += _repetitions(found.files)
    if found.problems:
        raise InputError(found.problems)
    return Listing(tuple(found.files), tuple(found.skipped))


def open_source(path: str, *, storage_options: Mapping[str, Any]) -> BinaryIO:
    """A file of a listing, open for reading and seeking.

    A remote file is read in blocks of 8 MiB, one of them ahead, and each block is tried three times, so that a reader
    meets no passing fault of the network. From an HTTP server that gives no ranges the file is first brought to the
    temporary folder.

    Raises:
        FileNotFoundError: There is no such file.
        OSError: It cannot be read, also later, by reads of the open file.
    """
    if scheme_of(path) is None:
        return open(path, "rb")
    return io.BufferedReader(RemoteFile(path, storage_options), buffer_size=1 << 20)


def _look_up(name: str, found: _Findings, base_url: str | None, options: Mapping[str, Any]) -> None:
    """Adds what one input names."""
    address = address_of(name)
    store, path = store_of(address, options)
    store.invalidate_cache()
    try:
        matches = {path: store.info(path)}
    except FileNotFoundError as error:
        if not is_missing(error, address):
            raise (error.__cause__ or error) from None
        # In an address of the web a question mark begins the query.
        is_pattern = glob.has_magic(path) and not is_web(address)
        matches = store.glob(path, detail=True) if is_pattern else {}
        if not matches:
            found.problems.append(f"{name!r} {'matches no file' if is_pattern else 'does not exist'}")
    for match, info in sorted(matches.items()):
        place = address if match == path else _like(store, address, match)
        if info["type"] == "directory" or (info["type"] != "file" and store.isdir(match)):
            _search(place, store, match, found)
        elif is_web(place) and place.endswith("/"):
            found.problems.append(f"{name!r} is a folder of a web server and cannot be searched; name files or a list")
        elif FILE_LIST.search(place.partition("?")[0] if is_web(place) else place):
            _read_list(place, store.cat_file(match), found, base_url, options)
        else:
            found.files.append(SourceFile(place, info.get("size")))


def _search(place: str, store: Any, path: str, found: _Findings) -> None:
    """Adds the archives below a folder, or the pools of one without archives, and the other files as skipped."""
    entries = {
        _like(store, place, below): info.get("size")
        for below, info in store.find(path, detail=True).items()
        if not below.endswith("/")  # an empty object that stands for a folder
    }
    archives, pools = ({below for below in entries if is_one(below)} for is_one in (ARCHIVE.search, _is_pool))
    taken = archives or pools
    if not taken:
        found.problems.append(
            f"the folder {place!r} holds no archive or pool, but {len(entries)} other files; expected names that end "
            "in .warc, .arc, .wet or .wat, or so with .gz, .zst or .lz4; or in .jsonl, or so with .gz, .zst or .zstd"
        )
    found.files += [SourceFile(below, entries[below]) for below in sorted(taken)]
    found.skipped += sorted(entries.keys() - taken)


def _is_pool(name: str) -> bool:
    """Whether a search of a folder without archives takes a file.

    >>> _is_pool("a/b.jsonl.zst"), _is_pool("stats/b_stats.jsonl"), _is_pool("a/b.warc.gz")
    (True, False, False)
    """
    return bool(POOL.search(name) and not STATISTICS.search(name))


def _read_list(place: str, content: bytes, found: _Findings, base_url: str | None, options: Mapping[str, Any]) -> None:
    """Adds the files of a list of paths."""
    if content.startswith(b"\x1f\x8b"):
        content = gzip.decompress(content)
    entries = [entry for line in content.decode("utf-8").splitlines() if (entry := line.strip())]
    if not entries:
        found.problems.append(f"the list {place!r} is empty")
    if scheme_of(place) is not None and any(entry.startswith(_LOCAL) for entry in entries):
        # A list from elsewhere has no business with the files of this machine.
        found.problems.append(f"the list {place!r} is remote, but names local files")
        return
    addresses = [address_of(_joined(entry, place, base_url)) for entry in entries]
    # One file of each scheme shows whether the package that reads them is there.
    for address in {scheme_of(address): address for address in addresses}.values():
        store_of(address, options)
    missing = []
    for address in addresses:
        if scheme_of(address) is not None:
            found.files.append(SourceFile(address, None))
        elif os.path.isfile(address):
            found.files.append(SourceFile(address, os.path.getsize(address)))
        else:
            missing.append(address)
    if missing:
        found.problems.append(f"{len(missing)} of {len(entries)} files in {place!r} do not exist: {_some(missing)}")


def _joined(entry: str, list_place: str, base_url: str | None) -> str:
    """A list's entry as an address of its own.

    >>> crawl = "https://data.commoncrawl.org/crawl-data/CC-MAIN-2022-05/warc.paths.gz"
    >>> _joined("crawl-data/CC-MAIN-2022-05/a.warc.gz", crawl, None)
    'https://data.commoncrawl.org/crawl-data/CC-MAIN-2022-05/a.warc.gz'
    >>> _joined("crawl-data/a.warc.gz", crawl, "s3://commoncrawl/")
    's3://commoncrawl/crawl-data/a.warc.gz'
    >>> _joined("a.warc.gz", crawl, None), _joined("/data/a.warc.gz", "/lists/my.paths", None)
    ('https://data.commoncrawl.org/crawl-data/CC-MAIN-2022-05/a.warc.gz', '/data/a.warc.gz')
    """
    if scheme_of(entry) is not None or entry.startswith(_LOCAL):
        return entry
    above, crawl_data, _ = list_place.partition("/crawl-data/")
    if base_url is None:
        base_url = above if crawl_data and entry.startswith("crawl-data/") else list_place.rpartition("/")[0]
    return f"{base_url.rstrip('/')}/{entry}"


def address_of(name: str) -> str:
    """The one way in which a file is written: a local absolute path, or a URL.

    >>> address_of("s3a://bucket/a.warc.gz"), address_of("HTTP://host/a.warc"), address_of("file:///data/a%20b.warc")
    ('s3://bucket/a.warc.gz', 'http://host/a.warc', '/data/a b.warc')
    """
    if name.startswith("file:/"):
        name = unquote(re.sub("^file:(//[^/]*)?", "", name))
    scheme, separator, rest = name.partition("://")
    if not separator:
        return os.path.abspath(os.path.expanduser(name))
    scheme = scheme.lower()
    return f"{'s3' if scheme in ('s3a', 's3n') else scheme}://{rest}"


def _like(store: Any, sibling: str, path: str) -> str:
    """A path as the file system gives it, as an address like its sibling's."""
    return path if scheme_of(sibling) is None else store.unstrip_protocol(path)


def _repetitions(files: Iterable[SourceFile]) -> list[str]:
    """Problems of files that are named twice, or look like copies of each other."""
    places: dict[str, list[str]] = {}
    copies: dict[tuple[str, int], set[str]] = {}
    for file in files:
        place = file.path if scheme_of(file.path) else os.path.realpath(file.path)
        places.setdefault(place, []).append(file.path)
        if file.n_bytes:
            copies.setdefault((place.rpartition("/")[2], file.n_bytes), set()).add(place)
    twice = [f"{place} ({len(names)} times)" for place, names in places.items() if len(names) > 1]
    alike = [" and ".join(sorted(same)) for same in copies.values() if len(same) > 1]
    problems = []
    if twice:
        problems.append(f"{len(twice)} files are named more than once, each may be read once: {_some(twice)}")
    if alike:
        problems.append(
            f"{len(alike)} names stand for two files of one size, which would give documents the same ids if they are "
            f"copies; leave one out, or rename it: {_some(alike)}"
        )
    return problems


def _some(names: Sequence[str], limit: int = 5) -> str:
    """The first few names, and how many more there are."""
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more


def words_of(error: Exception) -> str:
    """An error of a file system, and what to do about the usual ones."""
    said = f"{type(error).__name__}: {error}"
    if isinstance(error, ImportError):
        hint = "for S3, pip install 'dclm-spark[s3]'; for other stores, the fsspec package of their scheme"
    elif isinstance(error, PermissionError) or "Credentials" in said:
        hint = "give credentials, or for a public bucket the storage option anon=true"
    else:
        return said
    return f"{said} ({hint})"
