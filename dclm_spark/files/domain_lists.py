"""A list of banned domains: a text file of one domain a line, known to a recipe by the hash of its content."""

import hashlib

import pyarrow as pa
import pyarrow.compute as pc

from dclm_spark.errors import InputError
from dclm_spark.files.addresses import identity_of, without_secrets
from dclm_spark.files.inputs import open_source
from dclm_spark.kernels.signals.domains import listed_domains
from dclm_spark.recipe.recipe import DomainList

_CODECS = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}  # by the bytes that such a file begins with

_N_PROBED = 1_000
"""Lines, from the first on, by which a list shows that it is one."""


def describe_domain_list(path: str) -> DomainList:
    """The list at a path as a recipe records it.

    Args:
        path: A local path, or any URL that fsspec opens; plain text, gzip or zstd.

    Raises:
        InputError: It cannot be read, or is no list of domains.
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
    """What keeps a recipe's list from being used, one sentence each; empty if nothing does, or there is no list."""
    try:
        if listed is not None:
            _checked(listed)
    except InputError as error:
        return list(error.problems)
    return []


def read_domain_list(listed: DomainList) -> list[str]:
    """The lines of a recipe's list, as they are.

    Raises:
        InputError: The list cannot be read, or is no longer the one that the recipe means.
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
    """The bytes of the text, so that packing the same list anew changes no recipe."""
    try:
        with open_source(path, storage_options={}) as stream:
            content = stream.read()
        for mark, codec in _CODECS.items():
            if content.startswith(mark):
                return pa.CompressedInputStream(pa.BufferReader(content), codec).read()
        return content
    # A file system may raise anything.
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
