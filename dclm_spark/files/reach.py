"""Guards connections: a list or a redirect may not lead to this machine or its metadata, unless the user names it."""

import ipaddress
import re
import socket
import unicodedata
from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote

from dclm_spark.files.addresses import SCHEME

LOOPBACK = "this machine"
LINK_LOCAL = "a link-local or metadata address"
PLACES = {LOOPBACK: "localhost", LINK_LOCAL: "169.254.169.254"}
"""Guarded kind of address -> a host of this kind."""

# Addresses where clouds give an instance its credentials, in addition to 169.254/16: AWS over IPv6, Alibaba, Azure,
# Oracle.
_METADATA = [
    ipaddress.ip_network(network)
    for network in ("fd00:ec2::254/128", "fd20:ce::254/128", "100.100.100.200/32", "168.63.129.16/32", "192.0.0.192/32")
]
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_METADATA_NAMES = ("metadata", "metadata.google.internal", "instance-data", "instance-data.ec2.internal")


class RefusedError(Exception):
    """Raised for a connection to a guarded address that the user has not named."""


def host_of(address: str) -> str:
    """Returns the host of a URL in lower case; empty if there is none.

    >>> host_of("http://me:pw@Example.ORG:80/a"), host_of("http://[::1]/"), host_of("/data")
    ('example.org', '::1', '')
    """
    begin = SCHEME.match(address)
    if begin is None:
        return ""
    authority = re.split(r"[/?#\\]", address[begin.end() :], maxsplit=1)[0].rpartition("@")[2]
    bracketed = re.match(r"\[([^\]]*)\]", authority)
    host = bracketed[1] if bracketed else authority.partition(":")[0]
    return unicodedata.normalize("NFKC", unquote(host)).strip().rstrip(".").lower()


def place_of(host: str) -> str | None:
    """Returns `LOOPBACK` or `LINK_LOCAL` if a host, as written, is such an address; null for any other name or address.

    >>> place_of("127.1"), place_of("0x7f000001"), place_of("::ffff:169.254.169.254"), place_of("example.org")
    ('this machine', 'this machine', 'a link-local or metadata address', None)
    """
    if (
        host == "localhost"
        or host.endswith((".localhost", ".localdomain"))
        or host in ("ip6-localhost", "ip6-loopback")
    ):
        return LOOPBACK
    if host in _METADATA_NAMES:
        return LINK_LOCAL
    address: ipaddress.IPv4Address | ipaddress.IPv6Address | None
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        try:
            # Decimal, hexadecimal, octal and short forms, as the system's resolver accepts them.
            address = ipaddress.ip_address(socket.inet_aton(host)) if re.fullmatch(r"[0-9a-fx.]+", host) else None
        except OSError:
            address = None
    return None if address is None else _place(address)


def _place(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str | None:
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]
        if inner is None and (address in _NAT64 or int(address) >> 32 == 0 and int(address) > 1):
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return _place(inner)
    if address.is_loopback or address.is_unspecified or address in ipaddress.ip_network("0.0.0.0/8"):
        return LOOPBACK
    is_metadata = any(address in network for network in _METADATA if network.version == address.version)
    return LINK_LOCAL if address.is_link_local or is_metadata else None


def places_named(hosts: Iterable[str]) -> set[str]:
    """Returns the guarded kinds of address among the hosts that a user has named."""
    return {place for host in hosts if (place := place_of(host)) is not None}


def resolves_to(host: str) -> set[str]:
    """Resolves a host name; returns the guarded kinds among its addresses, empty if it has none."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return set()
    return places_named(str(entry[4][0]) for entry in found)


def check_reach(host: str, peer: str, named_hosts: Iterable[str]) -> None:
    """Raises an error for a connection to a guarded address that the user has not named.

    Args:
        host: Host of the URL that is fetched, also of a redirect.
        peer: IP address of the connection's other end; empty if a proxy makes the connection.
        named_hosts: Hosts that the user has named.

    Raises:
        RefusedError: The connection leads to this machine or a link-local address, and no host in `named_hosts` does.
    """
    place = place_of(peer) or place_of(host)
    if place is not None and host not in named_hosts and place not in places_named(named_hosts):
        raise RefusedError(f"{host} is {place}, which no input names; to read such a file, name it itself as an input")


async def guarded_client(*, named_hosts: tuple[str, ...], **options: Any) -> Any:
    """Makes a session of aiohttp, as fsspec requests one, that checks each connection, redirected ones too."""
    import aiohttp

    class Connector(aiohttp.TCPConnector):
        async def connect(self, req: Any, traces: Any, timeout: Any) -> Any:
            host = host_of(str(req.url))
            if req.proxy is not None:
                check_reach(host, "", named_hosts)
                return await super().connect(req, traces, timeout)
            if place_of(host) is not None:
                check_reach(host, host, named_hosts)
            # The resolved address is known once the connection is open; no request has been sent yet.
            connection = await super().connect(req, traces, timeout)
            try:
                assert connection.transport is not None  # the connection stands
                peer = connection.transport.get_extra_info("peername")
                check_reach(host, str(peer[0]) if peer else "", named_hosts)
            except BaseException:
                connection.close()
                raise
            return connection

    return aiohttp.ClientSession(connector=Connector(), **options)
