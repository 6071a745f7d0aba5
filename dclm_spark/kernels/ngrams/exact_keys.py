"""Computes the keys by which documents with the same text or URL are found: 128-bit xxh3 hashes."""

import re
from urllib.parse import SplitResult, parse_qsl, quote, unquote_to_bytes, urlencode, urlsplit

import pyarrow as pa
import xxhash

from dclm_spark.kernels.text.lowering import lower_one
from dclm_spark.kernels.text.simplify import simplify

_SCHEMES, _DEFAULT_PORTS = ("http", "https"), (None, 80, 443)  # both schemes, and their ports, count as equal
_UNRESERVED = "-._~"  # with letters and digits, the characters that are never escaped: RFC 3986, section 2.3
_KEPT_IN_PATH = "!$&'()*+,;=:@/" + _UNRESERVED
_KEPT_ESCAPES = re.compile(r"(%25|%2f)", re.IGNORECASE)  # escaped percent signs and slashes, which are not separators
_WWW = re.compile(r"(www[0-9]*\.)+(?=[^.]+\.)")
_SESSION_IN_PATH = re.compile(r";jsessionid=[^/;?]*", re.IGNORECASE)
# Parameters that describe the visitor, not the page.
_OF_THE_VISIT = re.compile(
    r"utm_\w+|gclid|fbclid|jsessionid|phpsessid|aspsessionid\w*|sessionid", re.IGNORECASE | re.ASCII
)


def text_keys(text: pa.Array, normalization: str) -> pa.BinaryArray:
    """Computes the key of each text, normalized by `simplify`; null for null.

    >>> keys = text_keys(pa.array(["One", "one", "one", None]), "none").to_pylist()
    >>> keys[0] == keys[1], keys[1] == keys[2], len(keys[2]), keys[3]
    (False, True, 16, None)
    """
    return _hashes(simplify(text, normalization).to_pylist())


def url_keys(url: pa.Array) -> pa.BinaryArray:
    """Computes the key of each URL's canonical form; null for null, and for URLs without a canonical form.

    >>> keys = url_keys(pa.array(["http://www.example.org", "https://example.org:443/#top", "no URL"])).to_pylist()
    >>> keys[0] == keys[1], keys[2]
    (True, None)
    """
    return _hashes([None if one is None else canonical_url(one) for one in url.to_pylist()])


def _hashes(texts: list[str | None]) -> pa.BinaryArray:
    return pa.array([None if one is None else xxhash.xxh3_128_digest(one.encode()) for one in texts], pa.binary())


def canonical_url(url: str) -> str | None:
    """Returns the canonical form of a URL, equal for URLs of the same page; null if it is not an http(s) URL with a
    host.

    By RFC 3986, section 6.2: host in lower case, no default port, no dot segments, percent signs only where they are
    needed, in upper case. By experience with crawls: http and https count as equal; `www.`, a slash at the end of a
    path, the fragment and parameters of a visit (`utm_source`, `jsessionid`, ...) are removed; other parameters are
    sorted.

    >>> canonical_url("HTTP://www.Example.org:80/a/../%7eb/?z=1&a=2&utm_source=x#top")
    'example.org/~b?a=2&z=1'
    >>> canonical_url("mailto:someone@example.org")
    """
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError:  # invalid brackets or port
        return None
    host = (parts.hostname or "").rstrip(".")
    if not host.isascii():  # `hostname` has it in lower case by the Unicode of the Python that runs this
        host = lower_one(parts.netloc.rpartition("@")[2].partition(":")[0]).rstrip(".")
    if parts.scheme not in _SCHEMES or not host:
        return None
    if www := _WWW.match(host):
        host = host[www.end() :]
    if ":" in host:
        host = f"[{host}]"
    if port not in _DEFAULT_PORTS:
        host += f":{port}"
    query = _canonical_query(parts)
    return f"{host}{_canonical_path(parts.path)}{'?' if query else ''}{query}"


def _canonical_path(path: str) -> str:
    kept: list[str] = []
    for segment in _SESSION_IN_PATH.sub("", _requote(path)).split("/"):
        if segment == "..":
            kept = kept[:-1]
        elif segment not in ("", "."):
            kept.append(segment)
    return "/" + "/".join(kept)


def _requote(path: str) -> str:
    """Escapes in a path only characters that need it; escaped slashes and percent signs stay escaped."""
    pieces = _KEPT_ESCAPES.split(path)
    pieces[::2] = [quote(unquote_to_bytes(one), safe=_KEPT_IN_PATH) for one in pieces[::2]]
    pieces[1::2] = [escape.upper() for escape in pieces[1::2]]
    return "".join(pieces)


def _canonical_query(parts: SplitResult) -> str:
    pairs = parse_qsl(parts.query, keep_blank_values=True, errors="surrogateescape")
    return urlencode(sorted(pair for pair in pairs if not _OF_THE_VISIT.fullmatch(pair[0])), errors="surrogateescape")
