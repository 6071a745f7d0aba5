"""Extracts host and registered domain from URLs, and counts banned words in them."""

import re
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from urllib.parse import unquote

import pyarrow as pa
from idna import uts46_remap
from tldextract import TLDExtract

from dclm_spark.kernels.text.lowering import lower_one
from dclm_spark.schemas import URLS

# Authority of a URL with user info and port left out. A host holds none of the characters that the WHATWG URL Standard
# forbids in a domain (section 3.1, forbidden domain code points), but for the per cent sign of an escape; a port, a
# path, a query or nothing must follow it.
_HOST = re.compile(
    r"[a-z][a-z0-9+.-]*://"
    r"(?:[^/?#\\]*@)?"
    r"(?:\[([0-9a-f:.]+)\]|([^\x00-\x20\x7f#/:<>?@\[\\\]^|]+))"
    r"(?=[:/?#\\]|$)",
    re.IGNORECASE,
)
_FORBIDDEN = re.compile(r"[\x00-\x20\x7f#%/:<>?@\[\\\]^|]")  # the same, once escapes are read
_MAX_HOST_CHARS = 253  # RFC 1035 2.3.4, in its printed form


def measure_urls(
    url: pa.Array,
    *,
    strict: tuple[str, ...] | None,
    hard: tuple[str, ...] | None,
    soft: tuple[str, ...] | None,
    n_excluded_domains: pa.Array | None = None,
) -> pa.StructArray:
    """Measures the signals of a page's URL, which need no text: `schemas.URLS`.

    `host` is in lower case, without user info, port and trailing full stop, an international name in Punycode however
    the URL writes it; null where there is none or it cannot be one. `registered_domain` is the public suffix,
    ICANN's part of the list as bundled with tldextract, plus one label; null for an IP address, a bare suffix or an
    unknown one. A null URL has nulls throughout, an empty one has no host and no words.

    `n_banned_domains` is null: a list of domains is not looked up here, but joined by the stage.

    The counts are of distinct banned words, as DCLM's url_substring_filter finds them
    (baselines/mappers/filters/metadata_filters.py): left to right without overlap, the longest word first. DCLM's
    baseline drops a page at 1 strict, 1 hard or 2 soft ones. Null where the list is null; empty words are passed over.

    Args:
        url: Strings, as the crawl recorded them.
        strict: Words banned anywhere in the lower-cased URL, after "-" and "." are taken out of it.
        hard: Words banned where word boundaries (the regular expression's `\\b`) enclose them.
        soft: The same, for words that are harmless alone.
        n_excluded_domains: Of `domains.count_excluded`; null leaves the signal null.

    >>> urls = pa.array(["http://WWW.Ba-d.example.co.uk:80/ugly-page", "", None])
    >>> rows = measure_urls(urls, strict=("bad",), hard=("ugly", "page"), soft=None).to_pylist()
    >>> rows[0]["host"], rows[0]["registered_domain"]
    ('www.ba-d.example.co.uk', 'example.co.uk')
    >>> [(row["host"], row["n_strict_words"], row["n_hard_words"], row["n_soft_words"]) for row in rows]
    [('www.ba-d.example.co.uk', 1, 2, None), (None, 0, 0, None), (None, None, None, None)]
    """
    find_strict = None if strict is None else _finder(strict, False)
    find_hard = None if hard is None else _finder(hard, True)
    find_soft = None if soft is None else _finder(soft, True)
    rows: list[tuple] = []
    for address in url.to_pylist():
        if address is None:
            rows.append((None,) * len(URLS))
            continue
        host = host_of(address)
        lower = lower_one(address)
        rows.append(
            (
                host,
                None if host is None else registered_domain(host),
                None,
                None if find_strict is None else len(set(find_strict(lower.replace("-", "").replace(".", "")))),
                None if find_hard is None else len(set(find_hard(lower))),
                None if find_soft is None else len(set(find_soft(lower))),
                None,
            )
        )
    struct = pa.array(rows, type=URLS)
    if n_excluded_domains is None:
        return struct
    columns = [struct.field(field.name) for field in URLS if field.name != "n_excluded_domains"]
    return pa.StructArray.from_arrays([*columns, n_excluded_domains], fields=list(URLS))


def host_of(url: str) -> str | None:
    """Returns the host of an absolute URL in lower case, IPv6 without brackets; null if there is none.

    An international name is in Punycode, whether the URL has it so, in Unicode or in per cent escapes of UTF-8: one
    host has one spelling (WHATWG URL, section 3.3, by way of UTS #46, non-transitional). A name with a character that
    UTS #46 forbids stays as it is written.

    >>> host_of("https://user:pw@Example.ORG.:8080/a?b@c"), host_of("http://[2001:DB8::1]/")
    ('example.org', '2001:db8::1')
    >>> host_of(""), host_of("dns:example.org"), host_of("http://[bad"), host_of("http://two words/")
    (None, None, None, None)
    >>> {host_of(f"http://{name}/") for name in ("München.example", "XN--MNCHEN-3YA.example", "m%C3%BCnchen。example")}
    {'xn--mnchen-3ya.example'}
    """
    match = _HOST.match(url)
    if match is None:
        return None
    host = match[1] or match[2]
    if "%" in host or not host.isascii():
        host = _in_punycode(host)
    host = host.rstrip(".").lower()
    return host if 0 < len(host) <= _MAX_HOST_CHARS else None


def _in_punycode(host: str) -> str:
    """Converts a host name with escapes or non-ASCII letters to the form of the domain name system; empty if
    invalid."""
    if len(host) > 9 * _MAX_HOST_CHARS:  # of a letter, three bytes in escapes
        return ""
    try:
        host = unquote(host, errors="strict")
    except UnicodeDecodeError:
        return ""
    with suppress(UnicodeError):  # what idna's errors are
        host = uts46_remap(host, std3_rules=False, transitional=False)
    if _FORBIDDEN.search(host):
        return ""
    return ".".join(
        label if label.isascii() else f"xn--{label.encode('punycode').decode()}" for label in host.split(".")
    )


# Pages of one crawl file come from many hosts, those of a sitemap or a sorted pool from few: both fit.
@lru_cache(maxsize=16_384)
def registered_domain(host: str) -> str | None:
    """Returns the public suffix with one label before it; null for an IP address, or if either is missing.

    >>> registered_domain("news.bbc.co.uk"), registered_domain("me.github.io"), registered_domain("192.0.2.1")
    ('bbc.co.uk', 'github.io', None)
    """
    parts = _extractor().extract_str(host)
    return f"{parts.domain}.{parts.suffix}" if parts.domain and parts.suffix else None


@lru_cache(maxsize=1)
def _extractor() -> TLDExtract:
    # No address and no cache: the list that came with the package is used, so that nothing is downloaded and all
    # workers of a run agree.
    return TLDExtract(suffix_list_urls=(), cache_dir=None, fallback_to_snapshot=True)


@lru_cache(maxsize=16)
def _finder(words: tuple[str, ...], is_whole_word: bool) -> Callable[[str], list[str]]:
    """Returns a function that finds words in a lower-cased URL: at each position the longest that fits, no overlap."""
    trie: dict = {}
    for word in filter(None, words):
        node = trie
        for letter in lower_one(word):
            node = node.setdefault(letter, {})
        node[""] = {}
    body = _alternatives(trie) if trie else r"(?!)"  # without words it matches nowhere
    pattern = rf"\b{body}\b" if is_whole_word else body
    exact, folded = re.compile(pattern).findall, re.compile(pattern, re.IGNORECASE).findall
    # DCLM ignores case although the URL is in lower case already. That counts for letters such as U+017F, which then
    # matches an s. In an ASCII URL it counts for no word but those with the two letters outside ASCII that match one in
    # it, so the engine's exact search, 3 to 5 times as fast, finds the same.
    if re.search("[\u0131\u017f]", pattern):
        return folded
    return lambda url: exact(url) if url.isascii() else folded(url)


def _alternatives(node: dict) -> str:
    """Returns a pattern of the words below a trie's node, with common beginnings once: an alternation tries all words.

    At most one branch fits the next letter, and ending here comes last: the engine meets the longest word first.
    """
    branches = [re.escape(letter) + _alternatives(below) for letter, below in sorted(node.items()) if letter]
    if not branches:
        return ""
    return f"(?:{'|'.join(branches)})" + ("?" if "" in node else "")
