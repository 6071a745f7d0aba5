"""Compiled kernels: a decorator over Numba whose cache works where Numba's own does not.

Numba keeps machine code beside the source file and calls it fresh as long as *that* file is unchanged. Here that would
fail twice: a package in a zip (`--py-files`) or a read-only site-packages has no such place, and a kernel that has
inlined a function of another module would keep the old one after an upgrade. So the code is kept in a folder named by a
hash of all kernels' sources, under `NUMBA_CACHE_DIR`, else under a folder of the user's in the temporary directory.
Without a place to write, kernels compile in memory, in every worker.

Nothing is read or written at import: a kernel looks for its cache when it is first called.
"""

import contextlib
import functools
import hashlib
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from numba import config, njit
from numba.extending import register_jitable

from dclm_spark.kernels.compiled.numba_cache import keep_on_disk
from dclm_spark.kernels.compiled.private_folder import is_private


def kernel(function: Callable[..., Any]) -> Any:
    """The function, one that Python calls, compiled on its first call; all workers of a machine share the code.

    It runs without the GIL.

    >>> @kernel
    ... def twice(number):
    ...     return 2 * number
    >>> twice(21)
    42
    """
    return keep_on_disk(njit(nogil=True)(function), cache_folder, sources_hash)


def helper(function: Callable[..., Any]) -> Any:
    """The function made callable from kernels, which compile it with themselves; from Python it stays plain Python.

    Most functions of this package are helpers: without entries from Python and C they compile
    faster, and need no cache.

    >>> @helper
    ... def thrice(number):
    ...     return 3 * number
    >>> kernel(lambda number: thrice(number) + 1)(2)
    7
    """
    return register_jitable(no_cfunc_wrapper=True, no_cpython_wrapper=True)(function)


def inlined(function: Callable[..., Any]) -> Any:
    """The same, for a few small functions that are called once a word: their code is put where they are called.

    A call hands over each array with a count of its references, which costs more than a look at a small table.

    >>> @inlined
    ... def half(number):
    ...     return number // 2
    >>> @kernel
    ... def quarter(number):
    ...     return half(half(number))
    >>> quarter(8)
    2
    """
    return register_jitable(no_cfunc_wrapper=True, no_cpython_wrapper=True, inline="always")(function)


def inlined_code(function: Callable[..., Any]) -> Any:
    """The same for functions of any size, called once a unit of text: LLVM does it, which takes less time to compile.

    >>> @inlined_code
    ... def double(number):
    ...     return 2 * number
    >>> kernel(lambda number: double(double(number)))(2)
    8
    """
    return register_jitable(no_cfunc_wrapper=True, no_cpython_wrapper=True, forceinline=True)(function)


@functools.cache
def sources_hash() -> str:
    """The hash, 16 hex letters, of the sources of all kernels, in whatever room, read from a folder or a zip."""
    digest = hashlib.sha256()
    for path, source in _sources(resources.files("dclm_spark.kernels"), ""):
        digest.update(path.encode() + b"\0" + source)
    return digest.hexdigest()[:16]


def _sources(folder: Traversable, path: str) -> Iterator[tuple[str, bytes]]:
    """Path below the kernels' folder, and content, of each Python file below a folder, in the order of the paths."""
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.is_dir():
            yield from _sources(entry, f"{path}{entry.name}/")
        elif entry.name.endswith(".py"):
            yield f"{path}{entry.name}", entry.read_bytes()


@functools.cache
def cache_folder() -> Path | None:
    """The folder of this version's machine code, made if need be; None where there is no safe place to write.

    What is in it is run: a folder that others can write to is not used, with a warning where `NUMBA_CACHE_DIR` names
    one, and the temporary one is taken in its place.
    """
    version = f"dclm_spark-{sources_hash()}"
    cache_dir: str = config.CACHE_DIR  # type: ignore[attr-defined]  # numba sets its settings by name
    if cache_dir:
        named = Path(cache_dir)
        with contextlib.suppress(OSError):
            named.mkdir(parents=True, exist_ok=True)
        if not named.is_dir() or is_private(named / version):
            return _writable(named / version)
        warnings.warn(
            f"NUMBA_CACHE_DIR is {cache_dir}, which is not this user's alone, and compiled kernels are run: "
            "they are kept in the temporary folder instead; name a folder of your own, with mode 0700",
            RuntimeWarning,
            stacklevel=2,
        )
    user = os.getuid() if hasattr(os, "getuid") else os.getlogin()
    private = Path(tempfile.gettempdir()) / f"dclm_spark-numba-{user}"
    return _writable(private / version) if is_private(private) else None


def _writable(folder: Path) -> Path | None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        return None
    return folder
