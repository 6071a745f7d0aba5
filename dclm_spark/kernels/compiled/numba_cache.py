"""Gives a compiled function a cache in a folder of our choice; the only module that uses internals of Numba.

Numba itself uses a folder next to the source file, and discards code when that file changes. A package in a zip has no
such folder, and a kernel contains code of helpers from other files. Numba has no public way to set the folder and the
version stamp for some functions only, so this module uses four undocumented names. setup.cfg pins the versions that
have them, and a test fails if one is missing.
"""

import contextlib
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numba.core.caching import CompileResultCacheImpl, FunctionCache, NullCache


def keep_on_disk(dispatcher, folder: Callable[[], Path | None], stamp: Callable[[], str]):
    """Makes a compiled function search its machine code on disk at its first call, and store it there.

    Args:
        dispatcher: The result of `numba.njit`.
        folder: Function that returns the folder; null: the code is kept in memory only.
        stamp: Function that returns the hash of everything that the code depends on; code with another hash is not
            used.
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
    """Cache of one function, opened at its first use. If it fails, the function is compiled; there is never an
    error."""

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
