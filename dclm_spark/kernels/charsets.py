"""A page's bytes -> its text, and the charset that was used. Failures are values, never exceptions."""

import re

from resiliparse.parse.encoding import detect_encoding, map_encoding_to_html5

CHARSETS = ("detect", "utf-8")

_PRESCAN_BYTES = 1024  # WHATWG HTML, section 13.2.3.2
_META = re.compile(rb"<(?:meta|\?xml)\b[^>]{0,800}?(?:charset|encoding)\s*=\s*[\"']?\s*([\w.:-]+)", re.IGNORECASE)
_BOMS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))

# Python's codecs are narrower than the encodings that the WHATWG means by these names.
_WIDER = {"gbk": "gb18030", "shift_jis": "cp932", "euc_kr": "cp949", "big5": "big5hkscs", "iso8859-11": "cp874"}
_FALLBACK = "cp1252"

# Of the characters that are not ASCII, the share that may be broken in text that still counts as being in a charset.
_MAX_FRAC_BROKEN = 0.1


def decode(payload: bytes, declared: str | None, *, charset: str) -> tuple[str | None, str | None, str | None]:
    """A page's bytes as (text, name of the charset that was used, error); of text and error one is None.

    With `charset="utf-8"` the bytes must be UTF-8, as DCLM's extraction script asks of them (`html.decode("utf-8")`);
    other pages are errors. With `"detect"` nothing is an error, and bytes that cannot be decoded become U+FFFD:

    1. a byte order mark decides;
    2. bytes that are UTF-8 are UTF-8, whatever is declared, with at most a tenth of the characters beyond ASCII
       broken (a cut page, a foreign snippet). Text in a legacy charset is hardly ever valid UTF-8 by accident, and
       servers that declare a default of their own over UTF-8 pages are common;
    3. the charset of the HTTP header, else of the page's first 1024 bytes, if it fits the bytes as well as that;
    4. what the bytes look like, else windows-1252.

    Browsers (WHATWG Encoding, HTML section 13.2.3) put 3 before 2 and never doubt a declaration. Charset names are
    Python's. The text holds no surrogates; NUL stays.

    Args:
        payload: The page.
        declared: Charset of the HTTP header, as written; None where there is none.
        charset: `detect` or `utf-8`.

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
    return *_detect(payload, declared), None


def _detect(payload: bytes, declared: str | None) -> tuple[str, str]:
    for mark, name in _BOMS:
        if payload.startswith(mark):
            return payload[len(mark) :].decode(name, "replace"), name
    # These two are written in bytes that are valid UTF-8 too: declared or plain to see, they come first.
    candidate = _codec(declared) if declared else None
    if candidate is None and payload[1:2] == b"\0" != payload[:1]:
        candidate = "utf-16-le"
    elif candidate is None and payload[:1] == b"\0" != payload[1:2]:
        candidate = "utf-16-be"
    if candidate is not None and (
        (candidate.startswith("utf-16") and b"\0" in payload)
        or (candidate.startswith("iso2022") and b"\x1b" in payload)
    ):
        return payload.decode(candidate, "replace"), candidate
    try:
        return payload.decode("utf-8"), "utf-8"
    except UnicodeDecodeError:
        text = payload.decode("utf-8", "replace")
    if _fits(text):
        return text, "utf-8"
    in_page = _META.search(payload[:_PRESCAN_BYTES])
    for label in (declared, in_page and in_page[1].decode("latin-1")):
        name = _codec(label) if label else None
        if name and not name.startswith("utf"):
            text = payload.decode(name, "replace")
            if _fits(text):
                return text, name
    name = detect_encoding(payload)
    name = _FALLBACK if name is None or name.startswith("utf") else _WIDER.get(name, name)
    return payload.decode(name, "replace"), name


def _codec(label: str) -> str | None:
    """Python's codec for a label (WHATWG Encoding, section 4.2), None where the label means none."""
    name = map_encoding_to_html5(label.strip().lower(), fallback_utf8=False)
    return name and _WIDER.get(name, name)


def _fits(text: str) -> bool:
    n_broken = text.count("\ufffd")
    return n_broken == 0 or n_broken <= _MAX_FRAC_BROKEN * (len(text) - len(text.encode("ascii", "ignore")))
