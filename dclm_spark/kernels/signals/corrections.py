r"""Corrects texts before signals are measured: removes URLs and shortens runs of newlines.

Source: DCLM's `url_removal_modifier` and `newline_removal_modifier` (`baselines/mappers/modifiers.py`), which run two
regular expressions over every page. Here compiled loops find the same matches (`url_matches`). As `re` has them, with
\s, \b and \w of Unicode:

    URL      \s{0,10}(SCHEME)?[HOST]{1,256}\.(TLD)\b[REST]*     SCHEME = (https?|ftp)://
    address  \s{0,10}\b(SCHEME)?([0-2]?[0-9]{1,2}\.){3}[0-2]?[0-9]{1,2}[REST]*

A top-level domain (TLD) counts in lower case only.
"""

import numpy as np
import pyarrow as pa

from dclm_spark.kernels.compiled.jit import helper, kernel
from dclm_spark.kernels.signals.url_matches import begins_with_tld, next_address, next_url, tld_set
from dclm_spark.kernels.text.unicode import char_tables, string_array, utf8_buffers

URL_REMOVALS = ("none", "faithful", "fixed")

_UNLIMITED = -1
_NEWLINE = ord("\n")


def correct_text(text: pa.Array, *, url_removal: str, max_newlines: int | None) -> pa.Array:
    r"""Corrects each text, in the recipe's order: URLs, addresses, newlines; null for null.

    Each URL or address is removed with the white space before it, up to ten characters. A text of which nothing remains
    is kept as "" (DCLM removes it here; in this package the bound on its length does). If no text changes, the array
    itself is returned.

    Args:
        text: Strings, a slice or not.
        url_removal: "fixed" removes every URL and IPv4 address. "faithful" removes as DCLM does: it tests whether the
            text *begins* with the letters of some top-level domain, in any case ("The…" begins with "th"), and keeps
            the URLs of all other pages; addresses are always removed. "none" keeps both.
        max_newlines: Largest number of "\n" in a row; longer runs are shortened to it. None keeps all.

    >>> pages = pa.array(["See www.example.com/a?b=1 or 10.0.0.1:80\n\n\n\nnow", "Seen at example.com.", "", None])
    >>> correct_text(pages, url_removal="fixed", max_newlines=2).to_pylist()
    ['See or\n\nnow', 'Seen at', '', None]
    >>> correct_text(pages, url_removal="faithful", max_newlines=2).to_pylist()
    ['See or\n\nnow', 'Seen at', '', None]
    >>> correct_text(pa.array(["– example.com"]), url_removal="faithful", max_newlines=None).to_pylist()
    ['– example.com']
    """
    if url_removal not in URL_REMOVALS:
        raise ValueError(f"url_removal is {url_removal!r}, expected one of {', '.join(URL_REMOVALS)}")
    if max_newlines is not None and max_newlines < 0:
        raise ValueError(f"max_newlines is {max_newlines}, expected 0 or more, or None")
    data, offsets = utf8_buffers(text)
    # The one copy: every correction shortens, so all of them work in place.
    corrected = data[offsets[0] : offsets[-1]].copy()
    offsets = offsets - offsets[0]
    cuts_urls = np.full(len(text), url_removal != "none")
    if url_removal == "faithful":
        for row in range(len(text)):
            cuts_urls[row] = begins_with_tld(corrected[offsets[row] : offsets[row + 1]])
    limit = _UNLIMITED if max_newlines is None else max_newlines
    cuts_addresses = url_removal != "none"
    new_offsets = _correct_rows(corrected, offsets, cuts_urls, cuts_addresses, limit, char_tables(), tld_set())
    if new_offsets[-1] == offsets[-1]:
        return text
    return string_array(text, corrected[: new_offsets[-1]], new_offsets)


@kernel
def _correct_rows(text, offsets, cuts_urls, cuts_addresses, max_newlines, tables, tlds):
    """Corrects all rows in place, moves them together, and returns their new offsets."""
    new_offsets = np.zeros(len(offsets), dtype=np.int64)
    points = np.empty(tlds.longest, dtype=np.int32)
    for row in range(len(cuts_urls)):
        start = new_offsets[row]
        stop = _move(text, offsets[row], offsets[row + 1], start)
        if cuts_urls[row]:
            stop = _cut_urls(text, start, stop, tables, tlds, points)
        if cuts_addresses:
            stop = _cut_addresses(text, start, stop, tables)
        if max_newlines >= 0:
            stop = _cut_newlines(text, start, stop, max_newlines)
        new_offsets[row + 1] = stop
    return new_offsets


@helper
def _cut_urls(text, start, stop, tables, tlds, points):
    """Removes the URLs from text[start:stop], in place, and returns its new end."""
    kept = read = start
    while read < stop:
        # Invariant: text[start:kept] is the text before `read` without its URLs; kept <= read.
        match, after = next_url(text, read, stop, tables, tlds, points)
        kept = _move(text, read, match, kept)
        read = after
    return kept


@helper
def _cut_addresses(text, start, stop, tables):
    """Removes the IPv4 addresses from text[start:stop], in place, and returns its new end."""
    kept = read = start
    while read < stop:
        match, after = next_address(text, start, read, stop, tables)
        kept = _move(text, read, match, kept)
        read = after
    return kept


@helper
def _cut_newlines(text, start, stop, max_newlines):
    """Shortens the runs of newlines in text[start:stop], in place, and returns its new end."""
    kept = start
    run = 0
    for at in range(start, stop):
        run = run + 1 if text[at] == _NEWLINE else 0
        if run <= max_newlines or text[at] != _NEWLINE:
            text[kept] = text[at]
            kept += 1
    return kept


@helper
def _move(text, start, stop, target):
    """Moves text[start:stop] forward to `target` and returns the end of its copy."""
    if target == start:
        return stop
    for at in range(start, stop):
        text[target] = text[at]
        target += 1
    return target
