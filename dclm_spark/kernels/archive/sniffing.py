"""Recognizes html and binary payloads by their bytes, since what a header declares may be missing or wrong."""

import re

import filetype
from filetype.types import TYPES

# Bytes that no text has (WHATWG MIME Sniffing, section 3, "binary data byte").
BINARY = bytes([*range(0x09), 0x0B, *range(0x0E, 0x1B), *range(0x1C, 0x20)])
SNIFFED_BYTES = 1445  # WHATWG MIME Sniffing, section 5.2, "resource header"

OCTETS = "application/octet-stream"
"""Media type of binary data of an unknown type."""

COMPRESSED = frozenset(
    f"application/{name}" for name in ("gzip", "zstd", "x-bzip2", "x-xz", "x-lz4", "x-lzip", "x-lzop", "x-compress")
)
"""Kinds that may hold a page."""

_BINARY = re.compile(b"[%b]" % re.escape(BINARY))
_MARKUP = re.compile(rb"\s*+(?:\xef\xbb\xbf)?\s*+<[A-Za-z!?/]")
_TAGS = re.compile(rb"<(?:!doctype\s+html|html|head|body|title|meta)[\s>]", re.IGNORECASE)
_WIDE_TAG = re.compile(rb"<\0[!?]\0|<\0(?:[A-Za-z]\0){2}|\0<\0[!?]|\0<(?:\0[A-Za-z]){2}")  # of UTF-16 in any script

# Kinds that begin with letters: a page may show such a beginning, but not begin with it.
_LETTERS = re.compile(rb"\s*+(?:\xef\xbb\xbf)?\s*+(?:(%PDF-\d)|(\{\\rtf\d)|(%!PS-))")
_LETTERS_NAMES = ("application/pdf", "application/rtf", "application/postscript")
_PDF_BYTES = 1024  # in which readers look for a PDF's first line (ISO 32000-1, annex H.3.4.1)

# What filetype does not know, or only in part.
_MAGIC = (
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/x-ole-storage"),  # Office before 2007
    (b"\xca\xfe\xba\xbe", "application/java-vm"),
    (b"\x7fELF", "application/x-executable"),
    (b"\x1a\x45\xdf\xa3", "video/x-matroska"),
    (b"PK\x03\x04", "application/zip"),  # with all that is kept in one
    (b"PK\x05\x06", "application/zip"),
    (b"\x1f\x8b", "application/gzip"),
    (b"\x28\xb5\x2f\xfd", "application/zstd"),
)
_WEAK = (b"BM", b"MZ")  # two letters are no proof
_KNOWN: frozenset[str] = frozenset({*(kind.mime for kind in TYPES), *(name for _, name in _MAGIC), *_LETTERS_NAMES})

_XHTML = re.compile(rb"\s*+(?:\xef\xbb\xbf)?\s*+<\?xml\b[^>]*+>(?:(?!<html)[\x00-\xff])*+<html", re.IGNORECASE)
# WHATWG MIME Sniffing, section 7.1: the tags by which html without a type is known, then a space or ">".
_HTML = re.compile(
    rb"[\t\n\x0c\r ]*+(?:\xef\xbb\xbf)?[\t\n\x0c\r ]*+<(?:!--|"
    rb"(?:!doctype html|html|head|script|iframe|h1|div|font|table|a|style|title|b|body|br|p)[ >])",
    re.IGNORECASE,
)

_BOMS = re.compile(rb"[\r\n\t ]{0,64}(?:\xff\xfe|\xfe\xff|\x00\x00\xfe\xff|\xef\xbb\xbf)")
# Stray control characters are common in text; of compressed bytes a tenth are some.
_MAX_FRAC_BINARY = 0.04
_MIN_FRAC_WIDE = 0.4


def looks_like_html(payload: bytes) -> bool:
    """Returns whether a payload without a media type begins like html (WHATWG MIME Sniffing, section 7.1).

    >>> looks_like_html(b"  <!DOCTYPE html><p>x"), looks_like_html(b"x <p>"), looks_like_html(b"")
    (True, False, False)
    """
    return _HTML.match(payload, 0, SNIFFED_BYTES) is not None


def begins_like_page(payload: bytes) -> bool:
    """Returns whether a payload begins like html, or like XML that is html."""
    return looks_like_html(payload) or _XHTML.match(payload, 0, SNIFFED_BYTES) is not None


def binary_type(payload: bytes, identified: str | None = None) -> str | None:
    """Returns the media type of binary data; None for text. The bytes decide; a declared type is only used as a name.

    Text is what begins like markup, behind white space or a byte order mark; what has a byte order mark, or the NULs of
    UTF-16 or UTF-32 where they belong; and whatever else begins like no known kind of file and has few control
    characters. So html is text whatever stray bytes come before it or in it.

    Args:
        payload: The whole payload, codings taken off.
        identified: What the crawler took it for (WARC-Identified-Payload-Type).

    >>> binary_type(b"%PDF-1.4 ..."), binary_type(b"\\x89PNG\\r\\n\\x1a\\n\\0\\0\\0\\rIHDR"), binary_type(bytes(100))
    ('application/pdf', 'image/png', 'application/octet-stream')
    >>> binary_type(b"\\0 <html>"), binary_type("Größe".encode("utf-16-le")), binary_type(b"")
    (None, None, None)
    """
    if _MARKUP.match(payload):
        return None
    if letters := _LETTERS.match(payload):
        assert letters.lastindex is not None  # each alternative is a group
        return _LETTERS_NAMES[letters.lastindex - 1]
    begin = payload[:SNIFFED_BYTES]
    if identified == "application/pdf" and b"%PDF-" in begin[:_PDF_BYTES]:
        return identified
    if begin.startswith(b"BZh") and begin[4:10] == b"1AY&SY":
        return "application/x-bzip2"
    if not _BINARY.search(begin):
        return _named(identified) if payload.count(b"\0") > _MAX_FRAC_BINARY * len(payload) else None
    if _BOMS.match(begin):
        return None
    is_strange = len(begin) - len(begin.translate(None, BINARY)) > _MAX_FRAC_BINARY * len(begin)
    if begin[:2] not in _WEAK or is_strange:
        for magic, name in _MAGIC:
            if begin.startswith(magic):
                return name
        if (kind := filetype.guess(begin)) is not None:
            return kind.mime
    if is_strange and not (_is_wide(begin) or _TAGS.search(begin) or _WIDE_TAG.search(begin)):
        return _named(identified)
    return None


def _named(identified: str | None) -> str:
    """Returns the name for bytes of an unknown kind: the crawler's, if it names a kind that is known here."""
    return identified if identified in _KNOWN else OCTETS


def _is_wide(begin: bytes) -> bool:
    """Returns whether NULs are where UTF-16 or UTF-32 without a mark has them, in text with some Latin letters."""
    n_slots = len(begin) // 4
    fracs = [begin[first : 4 * n_slots : 4].count(0) / n_slots for first in range(4)] if n_slots else [1.0] * 4
    pairs = ((fracs[0] + fracs[2]) / 2, (fracs[1] + fracs[3]) / 2)
    is_utf16 = max(pairs) >= _MIN_FRAC_WIDE and min(pairs) <= _MAX_FRAC_BINARY
    is_utf32 = sorted(fracs)[1] >= 2 * _MIN_FRAC_WIDE and min(fracs) <= _MAX_FRAC_BINARY
    return is_utf16 or is_utf32
