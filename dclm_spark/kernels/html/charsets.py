"""Decodes a page's bytes to text, and finds the charset. Failures are returned, never raised."""

import codecs
import re

import endec
from resiliparse.parse.encoding import detect_encoding

from dclm_spark.kernels.html.prescan import encoding_of, prescan
from dclm_spark.kernels.html.xhtml import MEDIA_TYPES, as_html

CHARSETS = ("detect", "utf-8")

# White space before a byte order mark is ignored: archives have one or two line ends before the payload. It may be in
# UTF-16 too.
_MARK = re.compile(rb"[\t\n\x0c\r \0]*+(?:(\xef\xbb\xbf)|(\xff\xfe)|(\xfe\xff))")
_MARKS = ("", "utf-8", "utf-16-le", "utf-16-be")
_TAG = re.compile(rb"<[A-Za-z!/?]")
_TAG_UTF16 = re.compile(rb"<\0[A-Za-z!/?]")
_ESCAPES = re.compile(rb"\x1b(?:\$[@B]|\([JI])")  # switch to Japanese; `ESC ( B` alone also ends colours on terminals
_ASCII = bytes(range(0x80))
_LEADS = bytes(range(0xC0, 0x100))

# WHATWG name -> Python's name for the same charset, or for a superset of it.
_NAMES = {
    "gbk": "gb18030",
    "shift_jis": "cp932",
    "euc-kr": "cp949",
    "euc-jp": "euc_jp",
    "iso-2022-jp": "iso2022_jp",
    "big5": "big5hkscs",
    "ibm866": "cp866",
    "macintosh": "mac-roman",
    "x-mac-cyrillic": "mac-cyrillic",
    "iso-8859-8-i": "iso8859-8",
}
_NOT_LEGACY = frozenset({None, "utf-8", "utf-16le", "utf-16be", "replacement", "x-user-defined"})

_FALLBACK = "windows-1252"
# The detector's names that are not WHATWG labels.
_DETECTED = {
    "cp949": "euc-kr",
    "euc_jp": "euc-jp",
    "iso2022_jp": "iso-2022-jp",
    "mac-cyrillic": "x-mac-cyrillic",
    "mac-roman": "macintosh",
}
# The detector does not distinguish the Ukrainian letters of KOI8-U from the box-drawing characters of KOI8-R.
_KOI8_U = re.compile(rb"[\xc0-\xff][\xa4\xa6\xa7\xad\xb6\xb7]|[\xa4\xa6\xa7\xad\xb6\xb7][\xc0-\xff]")
# Nor does it always distinguish charsets that have most letters at the same code positions.
_FAMILIES = {
    "windows-1250": "iso-8859-2",
    "windows-1253": "iso-8859-7",
    "windows-1255": "iso-8859-8",
    "windows-1257": "iso-8859-13",
    "iso-8859-8-i": "iso-8859-8",
    "koi8-u": "koi8-r",
    "gb18030": "gbk",
}
# Charsets in which many letters are valid UTF-8 by accident: up to six in ten in text in EUC-JP.
_CROWDED = frozenset(
    {"gbk", "gb18030", "big5", "euc-jp", "euc-kr", "shift_jis", "windows-874", "ibm866", "koi8-r", "koi8-u"}
)

# Largest share of the non-ASCII characters that may be broken in text that still counts as being in a charset.
_MAX_FRAC_BROKEN = 0.1
# Largest share of all characters that may be binary data (WHATWG MIME Sniffing, section 3, "binary data byte").
_MAX_FRAC_BINARY = 0.02
_BINARY = bytes({*range(0x20)} - {*b"\t\n\x0c\r\x1b"})


def decode(
    payload: bytes, declared: str | None, *, charset: str, content_type: str | None = None
) -> tuple[str | None, str | None, str | None]:
    """Decodes a page's bytes; returns (html, name of the charset, error), where either html or error is None.

    With `charset="utf-8"` the bytes must be UTF-8, as in DCLM's extraction script (`html.decode("utf-8")`); other pages
    are errors. With `"detect"` bytes that cannot be decoded become U+FFFD, and only bytes that are not text in any
    charset (pictures, archives) are an error:

    1. a byte order mark decides, also after white space; then UTF-16 that is recognized by its tags;
    2. ISO-2022-JP, which is written in ASCII, if it is declared or its escapes occur;
    3. UTF-8 decides, whatever is declared, even if some bytes are broken (stray bytes, truncated letters, a foreign
    snippet): how many may be depends on the declaration (`_is_utf8`). Text in a legacy charset is almost never valid
    UTF-8 by accident, and many servers declare their default charset for UTF-8 pages;
    4. the charset of the HTTP header, else the one that the page names (`prescan`), if it fits the bytes. If both fit
    and differ, the page's one is used if the detector finds it too, else the header's;
    5. the charset that the detector finds, else windows-1252.

    Browsers (WHATWG Encoding, HTML section 13.2.3) do 4 before 3 and never doubt a declaration. Bytes are decoded as
    the WHATWG defines it; charset names are Python's. The text holds no surrogates, no NULs and no U+FEFF, which occurs
    where files with a mark were concatenated. A page that is XML by its media type is converted to equivalent html
    (`xhtml`); the same markup sent as html is parsed as browsers do.

    Args:
        payload: Bytes of the page.
        declared: Charset in the HTTP header, as written; None if there is none.
        charset: `detect` or `utf-8`.
        content_type: Media type, lower-case; None if there is none.

    >>> decode("é".encode(), "iso-8859-1", charset="detect")
    ('é', 'utf-8', None)
    >>> decode(b"caf\\xe9", "iso-8859-1", charset="detect")
    ('café', 'cp1252', None)
    >>> decode(b"", None, charset="detect")
    ('', 'utf-8', None)
    >>> decode(b"caf\\xe9", "iso-8859-1", charset="utf-8")[2]
    "UnicodeDecodeError: 'utf-8' codec can't decode byte 0xe9 in position 3: unexpected end of data"
    """
    if charset == "utf-8":
        try:
            return payload.decode("utf-8"), "utf-8", None
        except UnicodeDecodeError as error:
            return None, None, f"{type(error).__name__}: {error}"
    is_xml = content_type in MEDIA_TYPES
    has_nuls = b"\0" in payload  # searching NULs in bytes is five times as fast as in text
    text, name = _detect(payload, declared, is_xml, has_nuls)
    if has_nuls and "\0" in text:
        whole, error_of_nuls = without_nuls(text)
        if whole is None:
            return None, None, error_of_nuls
        text = whole
    if "\ufeff" in text:
        text = text.replace("\ufeff", "")
    return as_html(text) if is_xml else text, name, None


def without_nuls(text: str) -> tuple[str | None, str | None]:
    """Removes NULs from a text; returns (text, None), or (None, error) if it is binary data instead of text.

    >>> without_nuls("one\\0 two\\0\\0"), without_nuls("<\\0p\\0>\\0")
    (('one two', None), (None, 'no text: 2 of 5 characters are control characters'))
    """
    text = text.rstrip("\0")  # padding of a buffer
    encoded = text.encode()
    n_binary = len(encoded) - len(encoded.translate(None, _BINARY))
    if n_binary > max(1, _MAX_FRAC_BINARY * len(text)):
        return None, f"no text: {n_binary} of {len(text)} characters are control characters"
    return text.replace("\0", ""), None


def _detect(payload: bytes, declared: str | None, is_xml: bool, has_nuls: bool) -> tuple[str, str]:
    if mark := _MARK.match(payload):
        payload = payload[mark.end() :]
        # A byte order mark of UTF-16 before markup in ASCII is a mistake.
        if mark.lastindex == 1 or has_nuls or not _TAG.search(payload):
            assert mark.lastindex is not None  # each alternative is a group
            name = _MARKS[mark.lastindex]
            return payload.decode(name, "replace"), name
    header = encoding_of(declared) if declared else None
    if has_nuls and (utf16 := _utf16(payload, header)):
        return utf16
    if b"\x1b" in payload and (_ESCAPES.search(payload) or "iso-2022-jp" in (header, prescan(payload, is_xml=is_xml))):
        text = _decode(payload, "iso-2022-jp")
        if _fits(text):
            return text, _NAMES["iso-2022-jp"]
    try:
        return payload.decode("utf-8"), "utf-8"
    except UnicodeDecodeError:
        pass
    in_page = prescan(payload, is_xml=is_xml)
    if is_xml and header is None and in_page is None:
        in_page = "utf-8"
    if _is_utf8(payload, {header, in_page}):
        return payload.decode("utf-8", "replace"), "utf-8"
    texts = {}
    for named in (header, in_page):
        if named is not None and named not in _NOT_LEGACY and _fits(text := _decode(payload, named)):
            texts[named] = text
    if len(texts) != 1:
        guess = _guess(payload)
        if not texts:
            texts[guess] = _decode(payload, guess)
        elif header is not None and in_page is not None and _family(guess) == _family(in_page) != _family(header):
            del texts[header]
    name, text = next(iter(texts.items()))
    return text, _python_name(name)


def _utf16(payload: bytes, header: str | None) -> tuple[str, str] | None:
    """Returns the text and charset of bytes in UTF-16 without a byte order mark; None for other bytes, even with
    NULs."""
    tag = _TAG_UTF16.search(payload)
    if tag is not None and 2 * payload.count(b"<\0") >= payload.count(b"<"):
        # ASCII text reads the same in both byte orders, shifted by a byte, so other characters tell the order. White
        # space before the first tag may consist of single bytes.
        at = tag.start()
        is_space = not payload[:at].strip(b"\0\t\n\x0c\r ")
        little = payload[at if is_space else at % 2 :].decode("utf-16-le", "replace")
        big = payload[at - 1 if is_space and at else 1 - at % 2 :].decode("utf-16-be", "replace")
        more = _plain(little) - _plain(big)
        return (little, "utf-16-le") if more > 0 or (more == 0 and at % 2 == 0) else (big, "utf-16-be")
    begin = payload[:256]
    if tag is None and 3 * begin.count(0) >= len(begin) and (begin[0] == 0) != (begin[1] == 0):
        name = "utf-16-be" if begin[0] == 0 else "utf-16-le"
    elif header in ("utf-16le", "utf-16be") and b"<" not in payload:
        name = f"utf-16-{header[-2:]}"
    else:
        return None
    return payload.decode(name, "replace"), name


def _plain(text: str) -> int:
    """Counts characters that are usual between words and tags, minus those that never occur in text."""
    encoded = text.encode()
    return sum(text.count(char) for char in "<> \n") - (len(encoded) - len(encoded.translate(None, _BINARY)))


def _is_utf8(payload: bytes, declared: set[str | None]) -> bool:
    """Returns whether bytes count as UTF-8 although some are not valid.

    Each letter in UTF-8 counts as the number of its bytes after the first, because in text in another charset such a
    byte is an accident. A letter truncated by the end of the page does not count as broken. If UTF-8 is declared, as
    many bytes may be broken as are valid; if nothing is declared, half as many minus one; if another charset is
    declared, fewer than are valid, and at most a fifth of them if such accidents are frequent in that charset.
    """
    text, n_read = codecs.utf_8_decode(payload, "replace", False)
    n_marks = text.count("\ufffd")
    n_broken = n_marks - payload.count(b"\xef\xbf\xbd")
    n_trail = len(text.encode().translate(None, _ASCII).translate(None, _LEADS)) - 2 * n_marks
    is_cut = n_read < len(payload)
    legacy = declared - _NOT_LEGACY
    if "utf-8" in declared:
        if not n_trail:
            return is_cut and not n_broken and not legacy
        return n_trail >= (2 * n_broken if legacy else n_broken)
    if not n_trail:
        return False
    if legacy & _CROWDED:
        return n_trail >= 5 * (n_broken + is_cut)
    return n_trail > n_broken if legacy else n_trail > 2 * n_broken


def _fits(text: str) -> bool:
    """Returns whether text decoded from a legacy charset fits it: at most one letter, or a tenth of them, is broken."""
    n_broken = text.count("\ufffd")
    if n_broken <= 0:
        return True
    n_letters = len(text) - len(text.encode("ascii", "ignore"))
    return n_broken <= max(_MAX_FRAC_BROKEN * n_letters, 1 if n_letters > 2 else 0)


def _guess(payload: bytes) -> str:
    """Detects the legacy charset of bytes."""
    found = detect_encoding(payload, html5_compatible=False) or ""
    name = encoding_of(_DETECTED.get(found, found))
    if name == "koi8-r" and _KOI8_U.search(payload):
        return "koi8-u"
    return _FALLBACK if name is None or name in _NOT_LEGACY else name


def _decode(payload: bytes, name: str) -> str:
    return endec.decode(payload, name, "replace", bom="ignore")


def _family(name: str) -> str:
    return _FAMILIES.get(name, name)


def _python_name(name: str) -> str:
    return _NAMES.get(name) or re.sub("^windows-", "cp", re.sub("^iso-8859-", "iso8859-", name))
