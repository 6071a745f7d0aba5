"""Lists the files that inputs name, and opens them: local, S3, HTTP, or any file system that fsspec knows."""

import glob
import io
import os
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, BinaryIO

from dclm_spark.errors import InputError
from dclm_spark.files import faults
from dclm_spark.files.addresses import address_of, identity_of, is_web, scheme_of, without_secrets
from dclm_spark.files.faults import is_missing, refusal
from dclm_spark.files.path_lists import FILE_LIST, Rules, read_list
from dclm_spark.files.remote import RemoteFile
from dclm_spark.files.stores import store_of
from dclm_spark.kernels.archive.pools import POOL, STATISTICS

ARCHIVE = re.compile(r"\.(warc|arc|wet|wat)(\.(gz|zst|lz4))?$", re.IGNORECASE)
"""Names of files that the search of a folder takes for archives; the content is not tested."""


@dataclass(frozen=True)
class SourceFile:
    """Describes one archive or pool to read.

    Args:
        path: Identity of the file: a local absolute path, or a URL whose scheme fsspec knows (`s3://` instead of
            `s3a://`), without user, password and signature.
        n_bytes: Size of the file in bytes; null for a remote file of a list, where it would cost a request.
        address: Address that opens the file, with its credentials; never stored, never shown.
        named_hosts: Hosts that the user has named, if not that of the file; see `reach`.
    """

    path: str
    n_bytes: int | None
    address: str = field(default="", repr=False, compare=False)
    named_hosts: tuple[str, ...] | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "address", self.address or self.path)


@dataclass(frozen=True)
class Listing:
    """Lists the files that inputs name.

    Args:
        files: The files in the order of the inputs; within a folder or pattern sorted by path, within a list as listed.
        skipped: Paths of files in the searched folders that are no archives or pools.
    """

    files: tuple[SourceFile, ...]
    skipped: tuple[str, ...]


@dataclass
class _Findings:
    files: list[SourceFile] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def list_files(inputs: Sequence[str], *, base_url: str | None, storage_options: Mapping[str, Any]) -> Listing:
    """Lists the archives and pools that the inputs name, each once.

    An input is a file (a pool if its name ends in `.jsonl`, or in that followed by `.gz`, `.zst` or `.zstd`; else an
    archive), a pattern with `*`, `?` or `[`, a folder (searched at all levels, without following links to folders: its
    archives by their suffixes, or its pools if it has no archives), or a list of paths, one a line, plain or gzip, as
    Common Crawl's `warc.paths.gz` (named `*.paths`, `*.txt`, or these with `.gz`). All of them may be local, `file:`,
    `http(s)://` (no patterns and folders), `s3://`, `s3a://` or any URL that fsspec opens.

    A relative path in a list is joined to `base_url`. If that is null, and the list lies below a folder `crawl-data`
    and the path begins with this folder, it is joined to the parent of that folder; else to the list's own folder. For
    remote files of a list, neither size nor existence is checked.

    Two files may have the same base name, as Common Crawl's `warc` and `robotstxt` files do: their records have
    different ids. Two files with the same base name and size are taken for copies, whose documents would have the same
    ids.

    A remote list may only name files of its own kind of store, or of the kind of `base_url`. Neither a remote list nor
    the redirect of a web server may lead to this machine or a link-local address, unless the input or `base_url` itself
    names such a host.

    Args:
        inputs: The inputs, at least one.
        base_url: URL or local folder that relative paths in lists are joined to.
        storage_options: Options of fsspec for the remote file system (`anon`, `endpoint_url`); not used for http(s).

    Raises:
        InputError: Some inputs cannot be used; the message names every problem of every input.
    """
    found = _Findings()
    for name in inputs:
        try:
            named = _tried(partial(_named_by, name, base_url, storage_options))
        # A file system may raise any error; all problems are reported at once.
        except Exception as error:
            said = words_of(refusal(error) or error)
            said = without_secrets(said, [name, base_url or ""], storage_options)
            found.problems.append(f"{identity_of(name)!r} cannot be read: {said}")
        else:
            found.files += named.files
            found.skipped += named.skipped
            found.problems += named.problems
    if not inputs:
        found.problems.append("no input was named; name a file, a folder, a pattern or a list of paths")
    found.problems += _repetitions(found.files)
    if found.problems:
        raise InputError(found.problems)
    return Listing(tuple(found.files), tuple(found.skipped))


def open_source(
    path: str, *, storage_options: Mapping[str, Any], named_hosts: tuple[str, ...] | None = None
) -> BinaryIO:
    """Opens a file for reading and seeking.

    A remote file is read in blocks of 8 MiB, one of them ahead, and each block is tried four times, so that the reader
    does not see temporary network faults. If an HTTP server does not support ranges, the file is first copied to the
    temporary folder.

    Args:
        path: A local path, or the `address` of a file of a listing.
        storage_options: Options of fsspec for the remote file system.
        named_hosts: The file's `SourceFile.named_hosts`; null: the user has named the path.

    Raises:
        FileNotFoundError: The file does not exist.
        OSError: The file cannot be read; reads of the open file may raise it later.
    """
    if scheme_of(path) is None:
        return open(path, "rb")
    return io.BufferedReader(RemoteFile(path, storage_options, named_hosts=named_hosts), buffer_size=1 << 20)


def _tried(look_up: Callable[[], _Findings]) -> _Findings:
    """Calls `look_up`, and again if the store says that it is busy."""
    for seconds in faults.PAUSES_SECONDS:
        try:
            return look_up()
        except Exception as error:
            if not faults.is_busy(error):
                raise
            time.sleep(max(seconds, min(faults.retry_after(error), faults.LONGEST_PAUSE_SECONDS)))
    return look_up()


def _named_by(name: str, base_url: str | None, options: Mapping[str, Any]) -> _Findings:
    """Finds the files that one input names."""
    found = _Findings()
    address = address_of(name)
    name = identity_of(name)
    store, path = store_of(address, options)
    store.invalidate_cache()
    try:
        matches = {path: store.info(path)}
    except FileNotFoundError as error:
        if not is_missing(error, address):
            raise (error.__cause__ or error) from None
        # In a web address a question mark begins the query.
        is_pattern = glob.has_magic(path) and not is_web(address)
        matches = store.glob(path, detail=True) if is_pattern else {}
        if not matches:
            found.problems.append(f"{name!r} {'matches no file' if is_pattern else 'does not exist'}")
    for match, info in sorted(matches.items()):
        place = address if match == path else _like(store, address, match)
        if info["type"] == "directory" or (info["type"] != "file" and store.isdir(match)):
            _search(place, store, match, found)
        elif is_web(place) and place.partition("?")[0].endswith("/"):
            found.problems.append(f"{name!r} is a folder of a web server and cannot be searched; name files or a list")
        elif FILE_LIST.search(place.partition("?")[0] if is_web(place) else place):
            _read_list(place, store, match, found, base_url, options)
        else:
            found.files.append(SourceFile(identity_of(place), info.get("size"), place))
    return found


def _search(place: str, store: Any, path: str, found: _Findings) -> None:
    """Adds the archives below a folder, or its pools if it has no archives; adds all other files as skipped."""
    entries = {
        _like(store, place, below): info.get("size")
        for below, info in store.find(path, detail=True).items()
        if not below.endswith("/")  # an empty object that stands for a folder
    }
    archives, pools = ({below for below in entries if is_one(below)} for is_one in (ARCHIVE.search, _is_pool))
    taken = archives or pools
    if not taken:
        found.problems.append(
            f"the folder {identity_of(place)!r} holds no archive or pool, but {len(entries)} other files; expected "
            "names that end in .warc, .arc, .wet or .wat, or so with .gz, .zst or .lz4; or in .jsonl, or so with .gz, "
            ".zst or .zstd"
        )
    found.files += [SourceFile(identity_of(below), entries[below], below) for below in sorted(taken)]
    found.skipped += sorted(map(identity_of, entries.keys() - taken))


def _is_pool(name: str) -> bool:
    """Returns whether the search of a folder without archives takes a file for a pool.

    >>> _is_pool("a/b.jsonl.zst"), _is_pool("stats/b_stats.jsonl"), _is_pool("a/b.warc.gz")
    (True, False, False)
    """
    return bool(POOL.search(name) and not STATISTICS.search(name))


def _read_list(
    place: str, store: Any, path: str, found: _Findings, base_url: str | None, options: Mapping[str, Any]
) -> None:
    """Adds the files that a list of paths names."""
    # A server without support for ranges is read from beginning to end.
    with store.open(path, "rb", **({"block_size": 0} if is_web(place) else {})) as stream:
        listed = read_list(stream, Rules(place, base_url))
    found.problems += listed.problems
    # One file of each scheme shows whether the package that reads it is installed.
    for address in {scheme_of(address): address for address in listed.addresses}.values():
        store_of(address, options)
    missing = []
    for address in listed.addresses:
        if scheme_of(address) is not None:
            found.files.append(SourceFile(identity_of(address), None, address, listed.named_hosts))
        elif os.path.isfile(address):
            found.files.append(SourceFile(address, os.path.getsize(address)))
        else:
            missing.append(address)
    if missing:
        n_listed = len(listed.addresses)
        found.problems.append(
            f"{len(missing)} of {n_listed} files in {identity_of(place)!r} do not exist: {_some(missing)}"
        )


def _like(store: Any, sibling: str, path: str) -> str:
    """Converts a path from the file system to an address of the same form as its sibling's."""
    return path if scheme_of(sibling) is None else store.unstrip_protocol(path)


def _repetitions(files: Iterable[SourceFile]) -> list[str]:
    """Lists problems of files that are named twice, or seem to be copies of each other."""
    places: dict[str, list[str]] = {}
    copies: dict[tuple[str, int], set[str]] = {}
    for file in files:
        place = file.path if scheme_of(file.path) else os.path.realpath(file.path)
        places.setdefault(place, []).append(file.path)
        if file.n_bytes:
            copies.setdefault((place.rpartition("/")[2], file.n_bytes), set()).add(place)
    twice = [f"{place} ({len(names)} times)" for place, names in places.items() if len(names) > 1]
    copied = [" and ".join(sorted(same)) for same in copies.values() if len(same) > 1]
    problems = []
    if twice:
        problems.append(f"{len(twice)} files are named more than once, each may be read once: {_some(twice)}")
    if copied:
        problems.append(
            f"{len(copied)} names stand for two files of one size, which would give documents the same ids if they are "
            f"copies; leave one out, or rename it: {_some(copied)}"
        )
    return problems


def _some(names: Sequence[str], limit: int = 5) -> str:
    """Formats the first names of a list, and the number of further ones."""
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more


def words_of(error: Exception) -> str:
    """Describes an error of a file system, with advice for common ones."""
    reason = f"{type(error).__name__}: {error}"
    if isinstance(error, ImportError):
        hint = "for S3, pip install 'dclm-spark[s3]'; for other stores, the fsspec package of their scheme"
    elif isinstance(error, PermissionError) or "Credentials" in reason:
        hint = "give credentials, or for a public bucket the storage option anon=true"
    else:
        return reason
    return f"{reason} ({hint})"
