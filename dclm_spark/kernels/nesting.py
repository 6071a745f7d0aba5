"""What the nesting of a page's tags costs an html parser and an extractor, told from the tags alone.

Parsers and extractors take a step for every tag *and every element that is open around it*. On ordinary pages that is
little; a few hundred kilobytes of unclosed tags, which sites do serve, take hours, and a clock would not refuse the
same pages twice. So the steps are counted first, on the pages that are large enough to matter.
"""

import numpy as np

from dclm_spark.kernels.jit import helper, kernel

MAX_COST = 30_000_000
"""Steps beyond which a page is refused: some ten seconds of work. The dearest of 14,400 real pages takes a sixth."""

# resiliparse 2.0 asks these elements anew, one by one, for all that they hold, to find the main content (measured: of
# 150 elements these two take quadratic time).
_BLOCKS = "div article"
_BYTES_A_STEP = 16
# Parsers look through the open elements for a tag's kin, much faster than that.
_LEVELS_A_STEP = 16
# A formatting element that is still open when a block ends is made again in the next one (WHATWG HTML, section
# 13.2.4.3), three times at most when tag and attributes are the same.
_FORMATTING = "b big code em font i s small strike strong tt u"
_REOPENING = "p li dt dd div article section center blockquote form ul ol"
_MAX_ALIKE = 3
_STEPS_A_COPY = 10
# An element's attributes are compared with each other.
_PAIRS_A_STEP = 40
_LONG_TAG_CHARS = 50_000  # a shorter one is cheap whatever it holds
# Elements that hold nothing, and those whose end tag may be left out: the next one of the kind ends them.
_FLAT = (
    "area base br col embed hr img input link meta param source track wbr "
    "p li dt dd tr td th thead tbody tfoot colgroup rt rp body html head"
)
# Elements whose content is no html, up to their own end tag.
_RAW = "script style textarea title xmp iframe noembed noframes"

_IS_BLOCK, _IS_FORMATTING, _IS_REOPENING, _IS_FLAT, _IS_RAW = 1, 2, 4, 8, 16
_SLOTS = 4096
_TAG_SLOTS = 1 << 16

_LT, _GT, _SLASH, _BANG, _DASH, _EQUALS, _QUOTE, _APOSTROPHE = b"<>/!-=\"'"


@helper
def _add(code: int, byte: int) -> int:
    """A running hash, 31 bits, of a name without regard to case."""
    return (code * 131 + (byte | 32 if 65 <= byte <= 90 else byte)) & 0x7FFFFFFF


def _traits() -> np.ndarray:
    """Slot of a name's hash -> what is known of the element. The names here have a slot each, as a test sees to."""
    traits = np.zeros(_SLOTS, np.uint8)
    groups = (_BLOCKS, _FORMATTING, _REOPENING, _FLAT, _RAW)
    for trait, names in zip((_IS_BLOCK, _IS_FORMATTING, _IS_REOPENING, _IS_FLAT, _IS_RAW), groups, strict=True):
        for name in names.split():
            code = 0
            for byte in name.encode():
                code = _add(code, byte)
            traits[code % _SLOTS] |= trait
    return traits


_TRAITS = _traits()


def cost_of_nesting(html: str) -> int:
    """Steps that the nesting of a page's tags costs, some 0.2 microseconds each; 0 for a page too small to matter.

    >>> cost_of_nesting(""), cost_of_nesting("<p>" * 1000)
    (0, 0)
    >>> cost_of_nesting("<div>" * 100_000) > 10**9
    True
    """
    n_tags = html.count("<")
    if n_tags * (n_tags + len(html) // _BYTES_A_STEP) < MAX_COST and not _may_hold_long_tag(html):
        return 0
    page = np.frombuffer(html.encode("utf-8", "replace"), np.uint8)
    return int(_count_steps(page, n_tags, _TRAITS))


def _may_hold_long_tag(html: str) -> bool:
    at = 0
    # Invariant: no stretch without ">" that begins before `at` is long.
    while at + _LONG_TAG_CHARS < len(html):
        last = html.rfind(">", at, at + _LONG_TAG_CHARS)
        if last < 0:
            return True
        at = last + 1
    return False


@kernel
def _count_steps(page, n_tags, traits):
    n_open = np.zeros(_SLOTS, np.int32)
    n_alike = np.zeros(_TAG_SLOTS, np.int32)
    # The formatting elements that are open, as a linked list for each name: the last one first.
    last = np.full(_SLOTS, -1, np.int32)
    before = np.empty(n_tags, np.int32)
    written = np.empty(n_tags, np.int32)
    n_formatting = depth = n_blocks = n_copied = cost = 0
    size = page.size
    at = 0
    # Invariant: depth sums n_open; n_blocks counts those that are blocks; n_copied sums min(n_alike, _MAX_ALIKE).
    while True:
        text = at
        while at < size and page[at] != _LT:
            at += 1
        cost += n_blocks * (1 + (at - text) // _BYTES_A_STEP) + depth // _LEVELS_A_STEP
        at += 1
        if at >= size:
            return cost
        if page[at] == _BANG:
            at = _end_of_comment(page, at)
            continue
        is_end = page[at] == _SLASH
        at += is_end
        if at >= size or not 97 <= page[at] | 32 <= 122:
            continue
        begin = at
        code = 0
        while at < size and page[at] > 32 and page[at] != _SLASH and page[at] != _GT:
            code = _add(code, page[at])
            at += 1
        at, n_attributes = _end_of_tag(page, at)
        slot = code % _SLOTS
        trait = traits[slot]
        cost += n_attributes * n_attributes // _PAIRS_A_STEP
        if trait & _IS_REOPENING:
            cost += n_copied * _STEPS_A_COPY
        if is_end:
            if n_open[slot]:
                n_open[slot] -= 1
                depth -= 1
                n_blocks -= trait & _IS_BLOCK
                if trait & _IS_FORMATTING:
                    tag = written[last[slot]]
                    last[slot] = before[last[slot]]
                    n_copied -= n_alike[tag] <= _MAX_ALIKE
                    n_alike[tag] -= 1
            continue
        if trait & _IS_FORMATTING:
            tag = 0
            for position in range(begin, at):
                tag = _add(tag, page[position])
            tag %= _TAG_SLOTS
            before[n_formatting] = last[slot]
            written[n_formatting] = tag
            last[slot] = n_formatting
            n_formatting += 1
            n_alike[tag] += 1
            n_copied += n_alike[tag] <= _MAX_ALIKE
        if not trait & _IS_FLAT:
            n_open[slot] += 1
            depth += 1
            n_blocks += trait & _IS_BLOCK
        if trait & _IS_RAW:
            at = _end_of_raw(page, at, code)


@helper
def _end_of_comment(page, at):
    """Where html goes on after the `<!` before `at`; the end of the page for a comment that does not end."""
    is_comment = at + 2 < page.size and page[at + 1] == _DASH and page[at + 2] == _DASH
    while at < page.size:
        if page[at] == _GT and (not is_comment or (page[at - 1] == _DASH and page[at - 2] == _DASH)):
            return at
        at += 1
    return at


@helper
def _end_of_tag(page, at):
    """Where the tag ends whose name ends at `at`, and how many attributes it has."""
    n_attributes = 0
    is_between = True
    while at < page.size and page[at] != _GT:
        byte = page[at]
        at += 1
        if byte <= 32 or byte == _SLASH:
            is_between = True
        elif byte == _EQUALS:
            while at < page.size and page[at] <= 32:
                at += 1
            if at < page.size and (page[at] == _QUOTE or page[at] == _APOSTROPHE):
                quote = page[at]
                at += 1
                while at < page.size and page[at] != quote:
                    at += 1
                at += 1
                is_between = True
        elif is_between:
            n_attributes += 1
            is_between = False
    return min(at, page.size), n_attributes


@helper
def _end_of_raw(page, at, code):
    """Where the end tag begins that ends the element whose name has this hash."""
    while at < page.size:
        if page[at] == _LT and at + 1 < page.size and page[at + 1] == _SLASH:
            end = at + 2
            found = 0
            while end < page.size and page[end] > 32 and page[end] != _SLASH and page[end] != _GT:
                found = _add(found, page[end])
                if found == code:
                    return at
                end += 1
        at += 1
    return at
