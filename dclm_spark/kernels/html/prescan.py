"""Finds the charset that a page declares in its markup: by WHATWG HTML's prescan, or in an XML declaration.

The prescan is that of section 13.2.3.2 ("prescan a byte stream to determine its encoding") with two differences, both
as in a browser's parser: the content of scripts, styles and other elements without markup is ignored, and a meta is
also used beyond the first 1024 bytes ("changing the encoding while parsing").
"""

import re

import webencodings

MAX_BYTES = 1 << 16
"""Bytes of a page that are searched. The standard requires the first 1024 bytes."""

_WS = rb"[\t\n\x0c\r ]"
# "Get an attribute": a name, which may begin with "=", and a value, which may be missing. An attribute whose quotes are
# not closed does not match, nor does the end of the tag.
_NAME = rb"[^\t\n\x0c\r />][^\t\n\x0c\r />=]*+"
_ASSIGN = _WS + rb"*+=" + _WS + rb"*+"
_VALUE = rb"(?:\"([^\"]*+)\"|'([^']*+)'|(?![\"'])([^\t\n\x0c\r >]*+))"
_ATTRIBUTE = re.compile(
    rb"[\t\n\x0c\r /]*+(" + _NAME + rb")(?:" + _ASSIGN + _VALUE + rb"|(?!" + _WS + rb"*+=))",
)
_ATTRIBUTES = re.compile(
    rb"(?:[\t\n\x0c\r /]*+"
    + _NAME
    + rb"(?:"
    + _ASSIGN
    + rb"(?:\"[^\"]*+\"|'[^']*+'|(?![\"'])[^\t\n\x0c\r >]*+)|(?!"
    + _WS
    + rb"*+=)))*+[\t\n\x0c\r /]*+"
)
_TAG = re.compile(rb"</?[A-Za-z][^\t\n\x0c\r >]*+")
_META = re.compile(rb"<meta[\t\n\x0c\r /]", re.IGNORECASE)

# Elements whose content is not markup (WHATWG HTML, section 13.2.6, "generic raw text" and "RCDATA").
_RAW = {
    name: re.compile(rb"</" + name + rb"[\t\n\x0c\r />]", re.IGNORECASE)
    for name in (b"script", b"style", b"title", b"textarea", b"xmp", b"iframe", b"noembed", b"noframes")
}

_CHARSET = re.compile(rb"charset" + _ASSIGN, re.IGNORECASE)
_LABEL = re.compile(rb"\"([^\"]*+)\"|'([^']*+)'|(?![\"'])([^\t\n\x0c\r ;]*+)")

_XML = re.compile(rb"<\?xml[^>]*?encoding[\x00-\x20]*+=[\x00-\x20]*+(?:\"([^\"]*+)\"|'([^']*+)')")


def encoding_of(label: str) -> str | None:
    """Returns the lower-case name of the encoding of a label (WHATWG Encoding, section 4.2); None if unknown.

    >>> encoding_of(" Latin1 "), encoding_of("ks_c_5601-1987"), encoding_of("utf-7"), encoding_of("")
    ('windows-1252', 'euc-kr', None, None)
    """
    found = webencodings.lookup(label)
    return None if found is None else found.name


def prescan(page: bytes, *, is_xml: bool = False) -> str | None:
    """Returns the WHATWG name of the encoding that a page declares in its markup; None if it declares none.

    Args:
        page: All or the first bytes of the page, without a byte order mark.
        is_xml: Whether the page is XML: then its XML declaration is used before a meta, else only if no meta declares
            one.

    >>> prescan(b"<!-- <meta charset=koi8-r> --><meta charset='Shift-JIS'>")
    'shift_jis'
    >>> prescan(b'<?xml version="1.0" encoding="Big5"?><html>'), prescan(b"<p>x"), prescan(b"")
    ('big5', None, None)
    """
    page = page[:MAX_BYTES]
    in_declaration = _of_xml_declaration(page)
    return (in_declaration if is_xml else None) or _of_metas(page) or in_declaration


def _of_metas(page: bytes) -> str | None:
    unclosed = set()  # raw elements that are not closed after this position
    at = page.find(b"<")
    # Invariant: page[at] is the first "<" that has not been examined.
    while at >= 0:
        if page.startswith(b"<!--", at):
            end = page.find(b"-->", at + 2)
            if end < 0:
                return None
            at = end + 3
        elif _META.match(page, at):
            found, at = _of_meta(page, at + 5)
            if found:
                return found
        elif tag := _TAG.match(page, at):
            at = _after_attributes(page, tag.end())
            name = tag[0][1:].lower()
            if name in _RAW and name not in unclosed:
                close = _RAW[name].search(page, at)
                if close:
                    at = close.start()
                else:
                    unclosed.add(name)
        elif page[at + 1 : at + 2] in (b"!", b"/", b"?"):
            at = page.find(b">", at)
            if at < 0:
                return None
        else:
            at += 1
        at = page.find(b"<", at)
    return None


def _of_meta(page: bytes, at: int) -> tuple[str | None, int]:
    """Returns the encoding that a meta declares, and the end of its attributes; a truncated meta declares none."""
    values: dict[bytes, bytes] = {}
    while attribute := _ATTRIBUTE.match(page, at):
        name, *value = attribute.groups()
        values.setdefault(name.lower(), next((part for part in value if part is not None), b""))
        at = attribute.end()
    closed = _after_attributes(page, at)
    if page[closed : closed + 1] != b">":
        return None, closed
    found = None
    if b"charset" in values:
        found = _encoding(values[b"charset"])
    elif values.get(b"http-equiv", b"").lower() == b"content-type" and b"content" in values:
        found = _of_content(values[b"content"])
    return found, closed


def _after_attributes(page: bytes, at: int) -> int:
    attributes = _ATTRIBUTES.match(page, at)
    assert attributes is not None  # none at all match too
    return attributes.end()


def _of_content(value: bytes) -> str | None:
    """Implements WHATWG HTML, "extracting a character encoding from a meta element"."""
    charset = _CHARSET.search(value)
    label = charset and _LABEL.match(value, charset.end())
    return _encoding(next(part for part in label.groups() if part is not None)) if label else None


def _of_xml_declaration(page: bytes) -> str | None:
    """Implements WHATWG HTML, "get an XML encoding"."""
    declaration = _XML.match(page, 0, page.find(b">") + 1)
    return _encoding(declaration[1] if declaration[1] is not None else declaration[2]) if declaration else None


def _encoding(label: bytes) -> str | None:
    name = encoding_of(label.decode("latin-1"))
    # The page is read as ASCII here, so it is not in UTF-16.
    read_as = {"utf-16le": "utf-8", "utf-16be": "utf-8", "x-user-defined": "windows-1252"}
    return read_as.get(name, name) if name is not None else None
