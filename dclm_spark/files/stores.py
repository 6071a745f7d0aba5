"""Opens the file system of fsspec that an address belongs to, with the settings that archives need."""

import re
from collections.abc import Mapping
from functools import partial
from typing import Any

from dclm_spark.files.addresses import identity_of, is_web, scheme_of
from dclm_spark.files.reach import guarded_client, host_of

_SENDABLE = re.compile(r"(?:[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})+")  # RFC 3986


def store_of(
    address: str, storage_options: Mapping[str, Any], *, named_hosts: tuple[str, ...] | None = None
) -> tuple[Any, str]:
    """Returns the fsspec file system of an address, and the file's path in it.

    Args:
        address: Address of a file or folder.
        storage_options: Options of fsspec for the file system.
        named_hosts: Hosts that the user has named, see `reach`; null: the user has named the address.

    Raises:
        ImportError: The package for the scheme is not installed.
        ValueError: No package is known for the scheme.
    """
    from fsspec.core import url_to_fs

    if scheme_of(address) is None:
        return url_to_fs(address)
    if not is_web(address):
        return url_to_fs(address, **storage_options)
    from aiohttp import ClientTimeout

    # Archives must arrive as they are stored: the server must not compress them, and if it declares .gz as an encoding,
    # it must not be decoded. There is no limit on the total time, but on time without data. Proxies are those of the
    # environment.
    client = {
        "headers": {"Accept-Encoding": "identity"},
        "auto_decompress": False,
        "timeout": ClientTimeout(total=None, sock_connect=30, sock_read=60),
        "trust_env": True,
    }
    named_hosts = (host_of(address),) if named_hosts is None else named_hosts
    # A signed address is sent unchanged, if all its characters are allowed in a URL.
    is_sent_as_it_is = identity_of(address) != address and _SENDABLE.fullmatch(address) is not None
    get_client = partial(guarded_client, named_hosts=named_hosts)
    return url_to_fs(address, client_kwargs=client, get_client=get_client, encoded=is_sent_as_it_is)
