"""Reads lists of banned domains, text files with one domain a line, which recipes identify by the hash of the
content."""

import hashlib

import pyarrow as pa
import pyarrow.compute as pc

from dclm_spark.errors import InputError
from dclm_spark.files.addresses import identity_of, without_secrets
from dclm_spark.files.inputs import open_source
from dclm_spark.kernels.signals.domains import listed_domains
from dclm_spark.recipe.annotation import DomainList

_CODECS = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}  # first bytes of a file -> its codec

_N_PROBED = 1_000
"""Number of lines, from the first, that are tested for being domains."""


def describe_domain_list(path: str) -> DomainList:
    """Describes the list at a path, as a recipe records it.

    Args:
        path: Local path, or any URL that fsspec opens; plain text, gzip or zstd.

    Raises:
        InputError: The file cannot be read, or is not a list of domains.
    """
    content = _content(path)
    named = [line for line in _split(path, content) if line.strip() and not line.lstrip().startswith("#")]
    probed = pa.array(named[:_N_PROBED], pa.string())
    entries = listed_domains(probed, match="fixed")
    if not named:
        raise InputError([f"the list of domains {identity_of(path)} is empty; expected a text file, one domain a line"])
    if 2 * entries.null_count > len(entries):
        example = pc.filter(probed, pc.is_null(entries))[0].as_py()[:80]
        raise InputError(
            [
                f"of the first {len(entries):,} entries in the list {identity_of(path)}, {entries.null_count:,} are no "
                f"domains, such as {example!r}; expected a text file, one domain a line"
            ]
        )
    return DomainList(path, hashlib.sha256(content).hexdigest(), len(named))


def check_domain_list(listed: DomainList | None) -> list[str]:
    """Lists why a recipe's list cannot be used, one sentence each; empty if it can, or if there is no list."""
    try:
        if listed is not None:
            _checked(listed)
    except InputError as error:
        return list(error.problems)
    return []


def read_domain_list(listed: DomainList) -> list[str]:
    """Reads the lines of a recipe's list, unchanged.

    Raises:
        InputError: The list cannot be read, or its content has changed since the recipe was made.
    """
    return _split(listed.path, _checked(listed))


def _checked(listed: DomainList) -> bytes:
    content = _content(listed.path)
    found = hashlib.sha256(content).hexdigest()
    if found != listed.sha256:
        raise InputError(
            [
                f"the list of domains {identity_of(listed.path)} is not the one that the recipe was made with: its "
                f"content has the SHA-256 {found[:8]}…, expected {listed.sha256[:8]}…; bring that list back, or give "
                "this one as "
                "--banned-domains, which makes another recipe"
            ]
        )
    return content


def _content(path: str) -> bytes:
    """Reads the uncompressed bytes of a list, so that compressing the same list again changes no recipe."""
    try:
        with open_source(path, storage_options={}) as stream:
            content = stream.read()
        for mark, codec in _CODECS.items():
            if content.startswith(mark):
                return pa.CompressedInputStream(pa.BufferReader(content), codec).read()
        return content
    # A file system may raise any error.
    except Exception as error:
        is_missing = isinstance(error, FileNotFoundError)
        said = "does not exist" if is_missing else f"cannot be read ({type(error).__name__}: {error})"
        said = without_secrets(f"the list of domains {path} {said}; expected a text file, one domain a line", [path])
        raise InputError([said]) from None


def _split(path: str, content: bytes) -> list[str]:
    try:
        return content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise InputError([f"the list of domains {identity_of(path)} cannot be read as UTF-8 text: {error}"]) from None
