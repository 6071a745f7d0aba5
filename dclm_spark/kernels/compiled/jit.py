"""Compiles kernels by decorators over Numba, with a cache that works where Numba's own cache does not.

Numba stores machine code next to the source file, and uses it as long as that file does not change. This would fail
here for two reasons: a package in a zip (`--py-files`) or a read-only site-packages cannot be written, and a kernel
that contains an inlined function of another module would keep the old one after an upgrade. So the code is stored in a
folder named by a hash of all kernels' sources, below `NUMBA_CACHE_DIR`, or below a folder of the user in the temporary
directory. If there is no writable folder, kernels are compiled in memory, in every worker.

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
    """Decorator: compiles a function that Python calls, at its first call; all workers of a machine share the code.

    It runs without the GIL.

    >>> @kernel
    ... def twice(number):
    ...     return 2 * number
    >>> twice(21)
    42
    """
    compiled = njit(nogil=True)(function)
    if compiled is function:  # under NUMBA_DISABLE_JIT, so that a debugger can step through it
        return function
    return keep_on_disk(compiled, cache_folder, sources_hash)


def helper(function: Callable[..., Any]) -> Any:
    """Decorator: makes a function callable from kernels, which compile it as their part; Python calls the plain
    function.

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
    """Decorator like `helper`, for small functions called once for each word: their code is inlined by Numba.

    A call passes each array with its reference count, which costs more than a lookup in a small table.

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
    """Decorator like `helper`, for larger functions called once for each unit of text: inlined by LLVM, which compiles
    faster.

    >>> @inlined_code
    ... def double(number):
    ...     return 2 * number
    >>> kernel(lambda number: double(double(number)))(2)
    8
    """
    return register_jitable(no_cfunc_wrapper=True, no_cpython_wrapper=True, forceinline=True)(function)


@functools.cache
def sources_hash() -> str:
    """Returns the hash, 16 hex digits, of the sources of all kernels, read from a folder or a zip."""
    digest = hashlib.sha256()
    for path, source in _sources(resources.files("dclm_spark.kernels"), ""):
        digest.update(path.encode() + b"\0" + source)
    return digest.hexdigest()[:16]


def _sources(folder: Traversable, path: str) -> Iterator[tuple[str, bytes]]:
    """Yields the path (below the kernels' folder) and content of each Python file below a folder, sorted by path."""
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.is_dir():
            yield from _sources(entry, f"{path}{entry.name}/")
        elif entry.name.endswith(".py"):
            yield f"{path}{entry.name}", entry.read_bytes()


@functools.cache
def cache_folder() -> Path | None:
    """Returns the folder for this version's machine code, which is created if needed; None if no safe folder is
    writable.

    Its content is executed, so a folder that other users can write to is not used. If `NUMBA_CACHE_DIR` names such a
    folder, there is a warning, and the temporary one is used.
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
