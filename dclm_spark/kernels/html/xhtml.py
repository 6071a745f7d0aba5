"""Converts XHTML to html with the same meaning for an html parser."""

import re
from html import escape

from dclm_spark.kernels.text.unicode import IS_LETTER, char_tables, flags_of

MEDIA_TYPES = frozenset({"application/xhtml+xml", "application/vnd.wap.xhtml+xml", "application/xml", "text/xml"})
"""Media types of pages that browsers parse as XML."""

_XHTML = re.compile(rb"\s*+(?:\xef\xbb\xbf)?<\?xml[^>]*\?>.{0,1024}?<html[^>]*\sxmlns\s*=", re.DOTALL)

# Elements without an end tag: WHATWG HTML, section 13.1.2, "void elements", and those that its parser treats alike.
_VOID = frozenset(
    {
        *("area", "base", "basefont", "bgsound", "br", "col", "embed", "frame", "hr", "img", "input"),
        *("keygen", "link", "meta", "param", "source", "track", "wbr"),
    }
)
# Elements that an html parser lets close themselves, including the shapes of SVG.
_CLOSED = _VOID | {
    *("animate", "circle", "ellipse", "image", "line", "path", "polygon", "polyline", "rect", "stop", "use"),
}
_NAME = re.compile(r"[A-Za-z_:][^\s/>]*+")
# A tag: name, attributes, and whether it closes itself. A tag with an unclosed quote does not match.
_TAG = re.compile(r"<([A-Za-z_:][^\s/<>\"']*+)((?:[^<>\"'/]++|\"[^\"]*+\"|'[^']*+'|/(?!>))*+)(/?)>")
_UNQUOTED = re.compile(r"=[^\s\"'=]*$")
_SUBSET = re.compile(r"<!DOCTYPE[^\[>]*+\[", re.IGNORECASE)
_SUBSET_END = re.compile(r"\][\t\n\r ]*+>")
_LINE_BREAK_END = re.compile(r"[\t\n\r ]*+</br[\t\n\r ]*+>")
_RAW_END = {name: re.compile(f"</{name}[\\s/>]|<!\\[CDATA\\[", re.IGNORECASE) for name in ("script", "style")}

_RAW_CLOSE = re.compile(r"</(?:script|style)", re.IGNORECASE)
_HEAD_CHARS = 4096  # a DOCTYPE begins there
# A page with more invalid tags is not XML; the rest of it is not changed.
_MAX_BROKEN_TAGS = 64


def is_xhtml(page: bytes) -> bool:
    """Returns whether a page of unknown media type begins like XHTML that was written for an XML parser.

    >>> is_xhtml(b'<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml">'), is_xhtml(b"<html>")
    (True, False)
    """
    return _XHTML.match(page, 0, _HEAD_CHARS) is not None


def as_html(page: str) -> str:
    """Converts an XML page to html; if the page is not well-formed, the part after the fault may not be changed.

    An html parser treats `<title/>`, `<script/>` or `<div/>` as a start tag, and the following text as its content; it
    does not know CDATA sections; it ends a processing instruction and a DOCTYPE at the first `>`; and it reads
    `<br></br>` as two breaks.

    >>> as_html("<title/><p>1 <br/><![CDATA[<b>]]></p>")
    '<title></title><p>1 <br/>&lt;b&gt;</p>'
    >>> as_html("")
    ''
    """
    return "".join(_parts(page)) if _needs_rewriting(page) else page


def _needs_rewriting(page: str) -> bool:
    """Returns whether an html parser would misread a page. Most pages need no rewriting, which takes time."""
    if _SUBSET.search(page, 0, _HEAD_CHARS):
        return True
    at = page.find("<![CDATA[")
    while at >= 0:
        # In a comment of a script or a style it does no harm, unless it contains something like the end of either.
        end = page.find("]]>", at)
        is_comment = page.startswith(("//", "/*"), at - 2) or page.startswith("<!--//-->", at - 9)
        if end < 0 or at < 9 or not is_comment or _RAW_CLOSE.search(page, at, end):
            return True
        at = page.find("<![CDATA[", end)
    before, at = 0, page.find("/>")
    while at >= 0:
        begin = page.rfind("<", before, at)
        name = _NAME.match(page, begin + 1) if begin >= 0 else None
        if name and name[0].lower() not in _CLOSED:
            return True
        before, at = at, page.find("/>", at + 2)
    return False


def _parts(page: str) -> list[str]:
    parts: list[str] = []
    copied = n_broken = 0
    raw = None  # name of the open script or style: its content is not html
    at = page.find("<")

    def put(replacement: str, end: int) -> int:
        nonlocal copied
        parts.extend((page[copied:at], replacement))
        copied = end
        return end

    # Invariant: the parts are page[:copied] rewritten, copied <= at, and page[at] is the first "<" not yet examined.
    while at >= 0 and n_broken < _MAX_BROKEN_TAGS:
        if raw:
            found = _RAW_END[raw].search(page, at)
            if found is None:
                break
            at = found.start()
        if not raw and (tag := _TAG.match(page, at)):
            name, attributes, is_closed = tag.groups()
            end = tag.end()
            name_html = name.lower()
            if is_closed and name_html not in _VOID and not _UNQUOTED.search(attributes):
                parts += (page[copied:at], f"<{name}{attributes}></{name}>")
                copied = end
            elif not is_closed and name_html in _RAW_END:
                raw = name_html
            elif name == "br" and (second := _LINE_BREAK_END.match(page, end)):
                at = end
                end = put("", second.end())
        elif page.startswith("<![CDATA[", at):
            end = page.find("]]>", at)
            if end < 0:
                break
            end = put(escape(page[at + 9 : end], quote=False), end + 3)
        elif raw:
            raw, end = None, at + 1
        elif page.startswith("<!--", at):
            end = page.find("-->", at + 4)
            if end < 0:
                break
            # An html parser ends some comments earlier.
            ends_sooner = page.startswith((">", "->"), at + 4) or page.find("--!>", at, end) >= 0
            end = put("", end + 3) if ends_sooner else end + 3
        elif page.startswith("<?", at):
            end = page.find("?>", at)
            if end < 0:
                break
            end = put("", end + 2)
        elif subset := _SUBSET.match(page, at):
            close = _SUBSET_END.search(page, subset.end())
            if close is None:
                break
            end = put(subset[0][:-1] + ">", close.end())
        else:
            n_broken += _is_letter(page[at + 1 : at + 2])
            end = at + 1
        at = page.find("<", end)
    parts.append(page[copied:])
    return parts


def _is_letter(char: str) -> bool:
    """`str.isalpha`, but the same on every Python; `char` may be empty."""
    return bool(char) and flags_of(ord(char), char_tables()) & IS_LETTER != 0
