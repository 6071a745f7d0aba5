"""Writes files into a new or empty folder, local or on any file system that fsspec knows."""

import os
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO

from dclm_spark.errors import InputError
from dclm_spark.files.addresses import address_of, is_web, scheme_of
from dclm_spark.files.inputs import words_of
from dclm_spark.files.stores import store_of


def make_target(name: str, *, storage_options: Mapping[str, Any]) -> str:
    """Creates a folder to write to, if it does not exist; returns its address, a local absolute path or a URL.

    Args:
        name: Name of the folder: a path or a URL.
        storage_options: Options of fsspec for the file system.

    Raises:
        InputError: The folder is not empty, is a file, or cannot be reached.
    """
    address = address_of(name).rstrip("/") or "/"
    if is_web(address):
        raise InputError([f"{name!r} cannot be written: a web server takes no files; name a folder or a bucket"])
    try:
        store, path = store_of(address, storage_options)
        store.invalidate_cache()
        if store.isfile(path):
            problem = "is a file; name a folder"
        elif store.exists(path) and store.ls(path, detail=False):
            problem = "is not empty; name another folder, or empty it"
        else:
            store.makedirs(path, exist_ok=True)
            return address
    # A file system may raise any error.
    except Exception as error:
        problem = f"cannot be written: {words_of(error)}"
    raise InputError([f"the folder {name!r} {problem}"])


@contextmanager
def create_file(address: str, *, storage_options: Mapping[str, Any]) -> Iterator[BinaryIO]:
    """Opens a file for writing, which appears under its name only when it is complete; after an error there is no file.

    Another try of the same task may write the same file at the same time: the last one is kept.
    """
    store, path = store_of(address, storage_options)
    is_local = scheme_of(address) is None
    # On other stores a file appears when it is closed, and moving it would copy it.
    written = f"{os.path.dirname(path)}/.{uuid.uuid4().hex}" if is_local else path
    try:
        with store.open(written, "wb") as stream:
            yield stream
        if is_local:
            os.replace(written, path)
    except BaseException:
        with suppress(Exception):  # the first error is the one to report
            store.rm_file(written)
        raise


def remove_files(address: str, begin: str, *, storage_options: Mapping[str, Any]) -> None:
    """Removes the files of a folder whose names begin with `begin`, after work that has failed; ignores errors."""
    with suppress(Exception):  # the original failure is the error to report
        store, path = store_of(address, storage_options)
        for name in file_sizes(address, storage_options=storage_options):
            if name.startswith(begin):
                store.rm_file(f"{path}/{name}")


def file_sizes(address: str, *, storage_options: Mapping[str, Any]) -> dict[str, int]:
    """Lists the files of a folder, as this machine sees it: name -> size in bytes."""
    store, path = store_of(address, storage_options)
    store.invalidate_cache()
    entries = store.ls(path, detail=True)
    return {entry["name"].rpartition("/")[2]: entry["size"] for entry in entries if entry["type"] == "file"}
