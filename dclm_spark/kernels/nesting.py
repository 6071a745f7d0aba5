"""What the nesting of a page's tags costs an html parser and an extractor, told from the tags alone.

Parsers and extractors do a step for every tag *and every element open around it*. On ordinary pages that is little; a
few hundred kilobytes of unclosed tags, which sites do serve, take hours, and no timeout inside a page gives the same
rows twice. So the steps are counted first.
"""

import re

_CHEAP = 500_000_000
"""Tags times characters below which a page is not looked at: at its worst it costs some seconds."""
_CHEAP_CHARS = 100_000
"""A tag shorter than this is cheap however many attributes it has."""

# resiliparse 2.0 asks each of these elements anew for all it holds, to find the main content (measured: of 160
# elements these two take quadratic time at a tenth of a microsecond a step).
_BLOCKS = frozenset({"div", "article"})
_CHARS_A_STEP = 16
# Parsers look through the open elements for each tag, much faster than that.
_LEVELS_A_STEP = 16
# A formatting element that is still open when a block ends is made again in the next one (WHATWG HTML, section
# 13.2.4.3), three times at most when tag and attributes are the same.
_FORMATTING = frozenset(("b", "big", "code", "em", "font", "i", "s", "small", "strike", "strong", "tt", "u"))
_REOPENING = frozenset(("p", "li", "dt", "dd", "div", "article", "section", "center", "blockquote", "form", "ul", "ol"))
_MAX_ALIKE = 3
_STEPS_A_COPY = 10
# Attributes are compared with each other.
_LONG_TAG_CHARS = 4096
_ATTRIBUTE = re.compile(r"[^\s/>=]+(?:\s*=\s*(?:\"[^\"]*\"|'[^']*'|[^\s>]*))?")
_PAIRS_A_STEP = 40

# Elements that hold nothing, and those whose end tag may be left out: the next one of the kind ends them.
_VOID = ("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr")
_ENDLESS = ("p", "li", "dt", "dd", "tr", "td", "th", "thead", "tbody", "tfoot", "colgroup", "rt", "rp", "body", "html")
_FLAT = frozenset((*_VOID, *_ENDLESS, "head"))
# Elements whose content is no html, with the end that they alone know.
_RAW = {
    name: re.compile(f"</{name}", re.IGNORECASE) for name in ("script", "style", "textarea", "title", "xmp", "iframe")
}
_TAG = re.compile(r"<(?:(!--)|(/?)([a-zA-Z][^\s/>]*)[^>]*)")


def cost_of_nesting(html: str) -> int:
    """Steps that the nesting of a page's tags costs, some 0.2 microseconds each; 0 for a page too small to matter.

    >>> cost_of_nesting(""), cost_of_nesting("<p>" * 1000)
    (0, 0)
    >>> cost_of_nesting("<div>" * 100_000) > 10**9
    True
    """
    if html.count("<") * len(html) < _CHEAP and (
        len(html) < _CHEAP_CHARS or max(map(len, html.split(">"))) < _CHEAP_CHARS
    ):
        return 0
    open_elements: dict[str, int] = {}  # name -> how many are open
    formatting: dict[str, list[str]] = {}  # name -> tags open, as written
    alike: dict[str, int] = {}  # tag as written -> how many are open
    depth = n_blocks = n_copied = cost = 0
    at = 0
    # Invariant: depth sums open_elements; n_blocks counts those in _BLOCKS; n_copied sums min(alike, _MAX_ALIKE).
    while match := _TAG.search(html, at):
        cost += n_blocks * (1 + (match.start() - at) // _CHARS_A_STEP) + depth // _LEVELS_A_STEP
        at = match.end()
        if match[1]:
            at = html.find("-->", at)
            if at < 0:
                return cost
            continue
        name = match[3].lower()
        if name in _REOPENING:
            cost += n_copied * _STEPS_A_COPY
        if match[2]:
            if open_elements.get(name):
                open_elements[name] -= 1
                depth -= 1
                if name in _BLOCKS:
                    n_blocks -= 1
                elif name in _FORMATTING:
                    tag = formatting[name].pop()
                    n_copied -= alike[tag] <= _MAX_ALIKE
                    alike[tag] -= 1
            continue
        if at - match.start() > _LONG_TAG_CHARS:
            cost += len(_ATTRIBUTE.findall(match[0])) ** 2 // _PAIRS_A_STEP
        if name in _FORMATTING:
            tag = match[0]
            formatting.setdefault(name, []).append(tag)
            alike[tag] = alike.get(tag, 0) + 1
            n_copied += alike[tag] <= _MAX_ALIKE
        if name not in _FLAT:
            open_elements[name] = open_elements.get(name, 0) + 1
            depth += 1
            n_blocks += name in _BLOCKS
        if name in _RAW:
            end = _RAW[name].search(html, at)
            if end is None:
                return cost
            at = end.start()
    return cost + n_blocks * (len(html) - at) // _CHARS_A_STEP
