"""The one module that reaches into Numba: gives a compiled function a cache in a folder that we choose.

Numba's own choice is a folder beside the source file, stale when that file changes. A package in a zip has no such
folder, and a kernel holds the code of helpers from other files. Numba offers no public way to name another folder and
another sign of age for some functions only, so this module uses four names that it does not document; setup.cfg pins
the versions that have them, and a test fails when one is gone.
"""

import contextlib
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numba.core.caching import CompileResultCacheImpl, FunctionCache, NullCache


def keep_on_disk(dispatcher, folder: Callable[[], Path | None], stamp: Callable[[], str]):
    """The same compiled function, which looks for its machine code on disk at its first call, and leaves it there.

    Args:
        dispatcher: What `numba.njit` returns.
        folder: Gives the folder; null where there is none, and the code stays in memory.
        stamp: Gives the hash of all that the code depends on; code of another hash is not used.
    """
    dispatcher._cache = _Cache(dispatcher.py_func, folder, stamp)
    return dispatcher


def _files(function, folder: Path, stamp: str) -> FunctionCache:
    class Locator:
        @classmethod
        def from_function(cls, py_func, source_path: str):
            return cls()

        def get_cache_path(self) -> str:
            return str(folder)

        def get_source_stamp(self) -> str:
            return stamp

        def get_disambiguator(self) -> str:
            return str(function.__code__.co_firstlineno)

        def ensure_cache_path(self) -> None:
            folder.mkdir(parents=True, exist_ok=True)

    impl = type("Impl", (CompileResultCacheImpl,), {"_locator_classes": [Locator]})
    return type("Files", (FunctionCache,), {"_impl_class": impl})(function)


class _Cache:
    """The cache of one function, found on first use; one that fails in any way costs a compilation, never an error."""

    def __init__(self, function, folder: Callable[[], Path | None], stamp: Callable[[], str]):
        self._function, self._folder, self._stamp = function, folder, stamp

    @functools.cached_property
    def _found(self) -> FunctionCache | NullCache:
        where = self._folder()
        try:
            return _files(self._function, where, self._stamp()) if where else NullCache()
        except (OSError, RuntimeError):  # RuntimeError: what Numba raises when no locator has a place
            return NullCache()

    @property
    def cache_path(self) -> str | None:
        return self._found.cache_path

    def load_overload(self, signature, target_context) -> Any:
        with contextlib.suppress(Exception):  # a torn or foreign file can raise nearly anything while it is unpickled
            return self._found.load_overload(signature, target_context)
        return None

    def save_overload(self, signature, compiled) -> None:
        with contextlib.suppress(Exception):
            self._found.save_overload(signature, compiled)

    def __getattr__(self, name: str) -> Any:  # enable, disable, flush
        return getattr(self._found, name)
