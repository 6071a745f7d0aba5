"""Recognizes what spaCy's tokenizer takes for a URL or an e-mail address and does not split.

Source: spaCy 3.8, `lang/tokenizer_exceptions.py` (URL_PATTERN, after Diego Perini's). There it is one expression that
goes back and forth; here each place where a host could begin, the start and behind "://" and every "@", is read once.
What follows such a place has no "@" before its path, so all of it is linear in the length of the string.
"""

from dclm_spark.kernels.compiled.jit import helper
from dclm_spark.kernels.text.unicode import IS_ALNUM, IS_DECIMAL
from dclm_spark.kernels.tokens.spacy_tables import IS_ALPHA_LOWER, IS_HOST, class_of

_COLON, _FULL_STOP, _AT = map(ord, ":.@")
_BEHIND_SCHEME = tuple(map(ord, "://"))
_JOINERS = tuple(map(ord, "-_"))
_IN_SCHEME = tuple(map(ord, "_+-."))
_STARTS_PATH = tuple(map(ord, "/?#"))
_ZERO = ord("0")


@helper
def is_url(points, flags, start, stop, classes):
    """Returns whether the whole string from `start` to `stop` is a URL, a host or an address (`a@b.co`), with any
    path."""
    behind_scheme = start
    while behind_scheme < stop and (flags[behind_scheme] & IS_ALNUM or points[behind_scheme] in _IN_SCHEME):
        behind_scheme += 1
    has_scheme = behind_scheme - start > 1 and behind_scheme + 3 <= stop
    for mark in _BEHIND_SCHEME:
        has_scheme = has_scheme and points[behind_scheme] == mark
        behind_scheme += 1
    for host in range(start, stop):
        is_behind_at = host > start + 1 and points[host - 1] == _AT
        if not (host == start or is_behind_at or (has_scheme and host == behind_scheme)):
            continue
        for end in (_ip_end(points, flags, host, stop), _name_end(points, host, stop, classes)):
            if end < 0:
                continue
            path = end
            if end < stop and points[end] == _COLON:
                path += 1
                while path < stop and path - end < 7 and flags[path] & IS_DECIMAL:
                    path += 1
                if not 2 <= path - end - 1 <= 5:  # digits of the port
                    continue
            if path == stop or points[path] in _STARTS_PATH:
                return True
    return False


@helper
def _name_end(points, start, stop, classes):
    """Returns the end of the host (labels and a top-level domain) that starts at `start`; -1 if there is none."""
    at = label = start
    while at < stop:
        point = points[at]
        if point == _FULL_STOP:
            # A label has up to 64 characters and neither begins nor ends with a hyphen or an underscore.
            if not 0 < at - label <= 64 or points[label] in _JOINERS or points[at - 1] in _JOINERS:
                return -1
            label = at + 1
        elif not (class_of(point, classes) & IS_HOST or point in _JOINERS):
            break
        at += 1
    at = label  # of the top-level domain, which has an alphabet of its own
    while label > start and at < stop and class_of(points[at], classes) & IS_ALPHA_LOWER:
        at += 1
    return at if 2 <= at - label <= 63 else -1


@helper
def _ip_end(points, flags, start, stop):
    """Returns the end of the IPv4 address at `start`; -1 if there is none, it is private, or a digit follows it."""
    first = second = value = -1
    at = start
    for octet in range(4):
        left = at
        value = 0
        is_ascii = True
        while at < stop and flags[at] & IS_DECIMAL:
            digit = points[at] - _ZERO
            # Where the pattern takes a digit of any script it takes a 9 too, and where it names digits it does not, but
            # for those that lead.
            is_ascii = is_ascii and digit <= 9
            value = min(10 * value + min(digit, 9), 999)
            at += 1
        largest = 223 if octet == 0 else 254 if octet == 3 else 255
        if not 1 <= at - left <= 3 or value > largest or (at - left == 3 and value < 100):
            return -1
        if octet in (0, 3) and not 1 <= points[left] - _ZERO <= 9:
            return -1
        if octet == 0:
            first = value if is_ascii else -1
        elif octet == 1:
            second = value if is_ascii or points[left] - _ZERO == 2 else -1
        if octet < 3:
            if at == stop or points[at] != _FULL_STOP:
                return -1
            at += 1
    is_private = first == 10 or first == 127 or (first == 172 and 16 <= second <= 31)
    is_private = is_private or (first == 169 and second == 254) or (first == 192 and second == 168)
    return -1 if is_private else at
