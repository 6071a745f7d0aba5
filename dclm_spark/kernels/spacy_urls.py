"""What spaCy's tokenizer takes for a URL or an address and leaves in one piece.

Source: spaCy 3.8, `lang/tokenizer_exceptions.py` (URL_PATTERN, after Diego Perini's). There it is one expression that
goes back and forth; here each place where a host could begin, the start and behind "://" and every "@", is read once.
What follows such a place has no "@" before its path, so all of it is linear in the length of the string.
"""

from dclm_spark.kernels.jit import helper
from dclm_spark.kernels.spacy_tables import IS_ALPHA_LOWER, IS_HOST, class_of
from dclm_spark.kernels.unicode import IS_ALNUM, IS_DECIMAL

_COLON, _FULL_STOP, _AT = map(ord, ":.@")
_BEHIND_SCHEME = tuple(map(ord, "://"))
_JOINERS = tuple(map(ord, "-_"))
_IN_SCHEME = tuple(map(ord, "_+-."))
_STARTS_PATH = tuple(map(ord, "/?#"))
_ZERO = ord("0")


@helper
def is_url(points, flags, start, stop, classes):
    """Whether the whole string from `start` to `stop` is a URL, a host or an address (`a@b.co`), path and all."""
    if _is_host_and_path(points, flags, start, stop, classes):
        return True
    at = start
    while at < stop and (flags[at] & IS_ALNUM or points[at] in _IN_SCHEME):
        at += 1
    has_scheme = at - start > 1 and at + 2 < stop
    for index in range(3):
        has_scheme = has_scheme and points[at + index] == _BEHIND_SCHEME[index]
    if has_scheme and _is_host_and_path(points, flags, at + 3, stop, classes):
        return True
    for at in range(start + 1, stop):
        if points[at] == _AT and _is_host_and_path(points, flags, at + 1, stop, classes):
            return True
    return False


@helper
def _is_host_and_path(points, flags, start, stop, classes):
    """Whether a host or an IP address starts at `start`, and nothing follows it but a port and a path."""
    end = _ip_end(points, flags, start, stop)
    if end >= 0 and _is_port_and_path(points, flags, end, stop):
        return True
    at = label = start
    while at < stop:
        point = points[at]
        if point == _FULL_STOP:
            # A label has up to 64 characters and neither begins nor ends with a hyphen or an underscore.
            if not 0 < at - label <= 64 or points[at - 1] in _JOINERS:
                return False
            if points[label] in _JOINERS:
                return False
            label = at + 1
        elif not (class_of(point, classes) & IS_HOST or point in _JOINERS):
            break
        at += 1
    end = label  # of the top-level domain, which has an alphabet of its own
    while end < stop and class_of(points[end], classes) & IS_ALPHA_LOWER:
        end += 1
    return label > start and 2 <= end - label <= 63 and _is_port_and_path(points, flags, end, stop)


@helper
def _is_port_and_path(points, flags, start, stop):
    """Whether the string goes on from `start` with a port, a path, both or nothing."""
    if start < stop and points[start] == _COLON:
        n_digits = 0
        while start + 1 + n_digits < stop and n_digits < 6 and flags[start + 1 + n_digits] & IS_DECIMAL:
            n_digits += 1
        if not 2 <= n_digits <= 5:
            return False
        start += 1 + n_digits
    return start == stop or points[start] in _STARTS_PATH


@helper
def _ip_end(points, flags, start, stop):
    """Where the public IPv4 address that starts at `start` ends; -1 if there is none, or a digit more behind it."""
    first = second = -1
    at = start
    for octet in range(4):
        # Up to three digits of any script; where the pattern names a digit, none but the ASCII one will do.
        n_digits = 0
        while at + n_digits < stop and n_digits < 4 and flags[at + n_digits] & IS_DECIMAL:
            n_digits += 1
        if not 1 <= n_digits <= 3:
            return -1
        a = points[at] - _ZERO
        b = points[at + 1] - _ZERO if n_digits > 1 else -1
        c = points[at + 2] - _ZERO if n_digits > 2 else -1
        if n_digits == 3:
            if octet == 0:
                is_in_range = a == 1 or (a == 2 and (b == 0 or b == 1 or (b == 2 and 0 <= c <= 3)))
            else:
                is_in_range = a == 1 or (a == 2 and (0 <= b <= 4 or (b == 5 and 0 <= c <= (4 if octet == 3 else 5))))
        else:
            is_in_range = 1 <= a <= 9 or octet in (1, 2)
        if not is_in_range:
            return -1
        value = a if n_digits == 1 else 10 * a + b if n_digits == 2 else 100 * a + 10 * b + c
        is_ascii = a <= 9 and b <= 9 and c <= 9
        if octet == 0:
            first = value if is_ascii else -1
        elif octet == 1:
            second = value if is_ascii else -1
            if first == 172 and n_digits == 2 and a == 2:  # the last digit may be of any script here
                return -1
        at += n_digits
        if octet < 3:
            if at == stop or points[at] != _FULL_STOP:
                return -1
            at += 1
    is_private = first in (10, 127) or (first == 169 and second == 254) or (first == 192 and second == 168)
    return -1 if is_private or (first == 172 and 16 <= second <= 31) else at
