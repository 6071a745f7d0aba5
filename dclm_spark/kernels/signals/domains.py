"""Matches URLs with lists of banned domains: computes a page's key, and the entries that ban it.

Two matches: `fixed` compares hosts and the domains above them, `faithful` is DCLM's url_substring_filter with
`exact_domain_match` and `ignore_chars: ['www']` (baselines/mappers/filters/metadata_filters.py), which takes "www" out
of the authority as the URL writes it and leaves the full stop, port and user info that followed or preceded it: of a
listed "example.com" it misses "www.example.com" and "example.com:80".
"""

from collections.abc import Iterable
from urllib.parse import urlparse

import pyarrow as pa
import pyarrow.compute as pc

from dclm_spark.kernels.signals.urls import host_of, registered_domain
from dclm_spark.kernels.text.lowering import lower_one

BANNING = pa.schema([pa.field("domain_key", pa.string()), pa.field("domain", pa.string())])
"""One row is a page's key, and an entry that bans the page if it is in the list."""


def domain_keys(url: pa.Array, *, match: str) -> pa.Array:
    """Returns each page's key: its host, or DCLM's form of it; null if there is none.

    >>> urls = pa.array(["http://www.Example.com:80/page", "", None])
    >>> domain_keys(urls, match="fixed").to_pylist(), domain_keys(urls, match="faithful").to_pylist()
    (['www.example.com', None, None], ['.example.com:80', '', None])
    """
    key_of = _KEYS[match]
    return pa.array([None if address is None else key_of(address) for address in url.to_pylist()], pa.string())


def banning_domains(url: pa.Array, *, match: str) -> pa.RecordBatch:
    """Makes rows of `BANNING`: each distinct key of the URLs with each entry that would ban it.

    With `fixed` these are the host and the domains above it, down to the registered domain; a host without one (an IP
    address, a name that ends in no public suffix or is one) is banned by its own name alone.

    >>> banning_domains(pa.array(["http://a.b.example.co.uk/", None]), match="fixed").column("domain").to_pylist()
    ['a.b.example.co.uk', 'b.example.co.uk', 'example.co.uk']
    """
    keys = pc.unique(domain_keys(url, match=match).drop_null()).to_pylist()
    rows = [(key, domain) for key in keys for domain in _domains_of(key, match)]
    return pa.RecordBatch.from_arrays(
        [pa.array([row[column] for row in rows], pa.string()) for column in (0, 1)], schema=BANNING
    )


def listed_domains(line: pa.Array, *, match: str) -> pa.Array:
    """Parses each line of a list to an entry; null for a line without one.

    With `fixed` a line is a domain or an IP address; "www.", "*." and "." in front of it, a port and a trailing full
    stop count for nothing; an international name may be in Unicode, in Punycode or in per cent escapes. A blank line, a
    comment (`#`) and anything else than one name is none. With `faithful` a line is taken as it is, in lower case.

    >>> lines = pa.array(["Example.com", "www.example.com", "*.example.com", "# mine", "", "example.com/page", None])
    >>> listed_domains(lines, match="fixed").to_pylist()
    ['example.com', 'example.com', 'example.com', None, None, None, None]
    """
    entry_of = lower_one if match == "faithful" else _entry_of
    return pa.array([None if text is None else entry_of(text) for text in line.to_pylist()], pa.string())


def count_banned(url: str | None, lines: Iterable[str], *, match: str) -> int | None:
    """Computes `urls.n_banned_domains` of one page: 1 if a line of the list bans it, else 0; null for a null URL.

    >>> count_banned("http://www.example.com/", ["example.com"], match="fixed")
    1
    >>> count_banned("http://www.example.com/", ["example.com"], match="faithful")
    0
    >>> count_banned("", ["example.com"], match="fixed"), count_banned(None, ["example.com"], match="fixed")
    (0, None)
    """
    if url is None:
        return None
    wanted = banning_domains(pa.array([url]), match=match).column("domain")
    listed = listed_domains(pa.array(lines, pa.string()), match=match)
    return int(pc.any(pc.is_in(wanted, listed)).as_py() or False)


def count_excluded(url: pa.Array, domains: tuple[str, ...], *, match: str) -> pa.Int32Array:
    """Computes `urls.n_excluded_domains`: 1 if one of the domains bans the page, else 0; null for a null URL.

    >>> urls = pa.array(["https://en.wikipedia.org/wiki/Harbour", "https://example.org/", None])
    >>> count_excluded(urls, ("en.wikipedia.org",), match="fixed").to_pylist()
    [1, 0, None]
    """
    if not domains:  # most recipes name none, and a host is costly to find
        return pc.if_else(pc.is_valid(url), pa.scalar(0, pa.int32()), pa.scalar(None, pa.int32()))
    listed = set(listed_domains(pa.array(domains, pa.string()), match=match).to_pylist()) - {None}
    keys = domain_keys(url, match=match).to_pylist()
    is_excluded = {key: any(domain in listed for domain in _domains_of(key, match)) for key in {*keys} - {None}}
    counts = [
        None if address is None else int(is_excluded.get(key, False))
        for address, key in zip(url.to_pylist(), keys, strict=True)
    ]
    return pa.array(counts, pa.int32())


def _key_of_dclm(url: str) -> str | None:
    try:
        return lower_one(urlparse(url).netloc).replace("www", "")
    except ValueError:  # brackets without an address between them; DCLM's job ends here
        return None


_KEYS = {"fixed": host_of, "faithful": _key_of_dclm}


def _domains_of(key: str, match: str) -> list[str]:
    """Returns the entries that would ban a page with this key."""
    domains = [key]
    if match == "faithful":
        return domains
    registered = registered_domain(key)
    # The list of suffixes takes further characters for full stops; where it cut at one, no plain domain lies above.
    if registered is not None and key.endswith(f".{registered}"):
        while domains[-1] != registered:  # the last is a longer name that ends in a full stop and the registered domain
            domains.append(domains[-1].partition(".")[2])
    return domains


def _entry_of(line: str) -> str | None:
    name = line.strip().removeprefix("*.").lstrip(".")
    if not name or any(mark in name for mark in "#/?\\"):
        return None
    if name.count(":") > 1 and not name.startswith("["):  # an IPv6 address, which a URL has in brackets
        name = f"[{name}]"
    host = host_of(f"http://{name}")
    # "www.com" is a registered domain: what is left without its "www." would be a bare suffix.
    if host is not None and host.startswith("www.") and registered_domain(host[4:]) is not None:
        return host[4:]
    return host
