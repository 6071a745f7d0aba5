"""Where files are written to: a new or empty folder, local or on any file system that fsspec knows."""

import os
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO

from dclm_spark.errors import InputError
from dclm_spark.files.addresses import address_of, is_web, scheme_of
from dclm_spark.files.inputs import words_of
from dclm_spark.files.remote import store_of


def make_target(name: str, *, storage_options: Mapping[str, Any]) -> str:
    """The address of a folder to write in: a local absolute path, or a URL. It is made where it does not exist.

    Args:
        name: The folder.
        storage_options: Of the remote file system, in fsspec's words.

    Raises:
        InputError: It holds something, it is a file, or it cannot be reached.
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
    # A file system may raise anything.
    except Exception as error:
        problem = f"cannot be written: {words_of(error)}"
    raise InputError([f"the folder {name!r} {problem}"])


@contextmanager
def create_file(address: str, *, storage_options: Mapping[str, Any]) -> Iterator[BinaryIO]:
    """A file open for writing, that bears its name when it is whole; what fails on the way leaves none.

    Another try of the same task may write the same file at the same time: the last one stays.
    """
    store, path = store_of(address, storage_options)
    is_local = scheme_of(address) is None
    # Elsewhere a file that is closed is whole, and moving it would be a copy.
    written = f"{os.path.dirname(path)}/.{uuid.uuid4().hex}" if is_local else path
    try:
        with store.open(written, "wb") as stream:
            yield stream
        if is_local:
            os.replace(written, path)
    except BaseException:
        with suppress(Exception):  # the first error says why
            store.rm_file(written)
        raise


def remove_files(address: str, begin: str, *, storage_options: Mapping[str, Any]) -> None:
    """Removes the files of a folder whose names begin so, as far as that can be done: of work that has failed."""
    with suppress(Exception):  # the failure is what is to be told
        store, path = store_of(address, storage_options)
        for name in file_sizes(address, storage_options=storage_options):
            if name.startswith(begin):
                store.rm_file(f"{path}/{name}")


def file_sizes(address: str, *, storage_options: Mapping[str, Any]) -> dict[str, int]:
    """The files of a folder as it is seen from here, by name: their bytes."""
    store, path = store_of(address, storage_options)
    store.invalidate_cache()
    entries = store.ls(path, detail=True)
    return {entry["name"].rpartition("/")[2]: entry["size"] for entry in entries if entry["type"] == "file"}
