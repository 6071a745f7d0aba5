r"""Finds URLs and IPv4 addresses in a text as the regular expressions of `corrections` do, in linear time.

Those expressions take quadratic time on a long run of letters, and most pages hold neither URL nor address. Every HOST
character is a REST character, which is why a match ends where the run of REST characters ends, and why no character is
looked at more than a bounded number of times.
"""

import functools
import re
from importlib import resources

import numpy as np

from dclm_spark.kernels.compiled.jit import helper
from dclm_spark.kernels.text.terms import TermSet, contains, term_set
from dclm_spark.kernels.text.unicode import IS_ALNUM, IS_SPACE, code_point_at, flags_of, start_of_char_before

_MAX_SPACES = 10
_MAX_HOST = 256
_HTTP, _HTTPS, _FTP = b"http://", b"https://", b"ftp://"

# Bits of an ASCII character.
_IN_HOST, _IN_REST = 1, 2
_LETTERS_AND_DIGITS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
_HOST_CHARS = _LETTERS_AND_DIGITS + "-@:%._+~#="
_REST_CHARS = _HOST_CHARS + "()?&/"
_URL_BITS = np.array(
    [_IN_HOST * (chr(byte) in _HOST_CHARS) + _IN_REST * (chr(byte) in _REST_CHARS) for byte in range(256)]
)

_FULL_STOP, _UNDERSCORE, _ZERO, _TWO, _NINE = b"._029"
_SMALL_A, _SMALL_Z = b"az"


def top_level_domains() -> tuple[str, ...]:
    """Returns IANA's top-level domains as DCLM has them: in lower case, those of other scripts in their own letters."""
    return tuple(resources.files("dclm_spark").joinpath("data", "iana_tlds.txt").read_text("utf-8").splitlines())


@functools.cache
def tld_set() -> TermSet:
    """Returns the set of top-level domains, for `next_url`."""
    return term_set(top_level_domains())


@functools.cache
def _tld_prefix() -> re.Pattern[str]:
    """Returns a pattern for texts that begin with a top-level domain in any case, as `re` ignores case."""
    shortest: list[str] = []
    for tld in sorted(top_level_domains()):  # one that begins with another adds nothing
        if not shortest or not tld.startswith(shortest[-1]):
            shortest.append(tld)
    return re.compile("|".join(map(re.escape, shortest)), re.IGNORECASE)


def begins_with_tld(text: np.ndarray) -> bool:
    """Returns whether UTF-8 bytes begin with the letters of a top-level domain, in any case."""
    head = text[: 4 * tld_set().longest].tobytes().decode(errors="replace")
    return _tld_prefix().match(head) is not None


@helper
def next_url(text, read, stop, tables, tlds, points):
    """Returns start and end of the first URL at or after `read`; (stop, stop) if there is none."""
    for dot in range(read + 1, stop):
        if (
            text[dot] != _FULL_STOP
            or not _URL_BITS[text[dot - 1]] & _IN_HOST
            or not _may_start_tld(text, dot + 1, stop)
        ):
            continue
        end = _tld_end(text, dot + 1, stop, tables, tlds, points)
        if end < 0:
            continue
        # The leftmost host that reaches this dot, which no earlier dot could reach.
        host = dot - 1
        while host > read and dot - host < _MAX_HOST and _URL_BITS[text[host - 1]] & _IN_HOST:
            host -= 1
        # From there the expression takes the last dot it can, which matters for a TLD in letters beyond ASCII.
        at = dot + 1
        while at < stop and at - host <= _MAX_HOST and _URL_BITS[text[at - 1]] & _IN_HOST:
            if text[at] == _FULL_STOP and _may_start_tld(text, at + 1, stop):
                end = max(end, _tld_end(text, at + 1, stop, tables, tlds, points))
            at += 1
        start = _spaces_start(text, read, _scheme_start(text, read, host), stop, tables)
        return start, _rest_end(text, end, stop)
    return stop, stop


@helper
def _may_start_tld(text, at, stop):
    """Returns whether a byte can start a top-level domain, which most characters after a full stop cannot."""
    return at < stop and (_SMALL_A <= text[at] <= _SMALL_Z or text[at] >= 0x80)


@helper
def _tld_end(text, start, stop, tables, tlds, points):
    """Returns the end of the longest top-level domain from `start` to a word boundary; -1 if there is none."""
    slots, term_points, term_starts, longest = tlds
    end = -1
    at = start
    was_word = False
    for n_points in range(longest + 1):
        point, after = (0, stop)
        if at < stop:
            point, after = code_point_at(text, at, stop)
        is_word = at < stop and _is_word(point, tables)
        if is_word != was_word and n_points > 0 and contains(slots, term_points, term_starts, points, n_points):
            end = at
        # ASCII top-level domains are small letters only.
        if at == stop or n_points == longest or (point < 0x80 and not _SMALL_A <= point <= _SMALL_Z):
            break
        points[n_points] = point
        was_word = is_word
        at = after
    return end


@helper
def next_address(text, first, read, stop, tables):
    """Returns start and end of the first IPv4 address at or after `read`; (stop, stop) if there is none."""
    was_digit = False
    for at in range(read, stop):
        is_digit = _ZERO <= text[at] <= _NINE
        if is_digit and not was_digit and _is_word_start(text, first, at, stop, tables):
            end = _octets_end(text, at, stop)
            if end >= 0:
                start = _scheme_start(text, read, at)
                if start != at and not _is_word_start(text, first, start, stop, tables):
                    start = at
                return _spaces_start(text, read, start, stop, tables), _rest_end(text, end, stop)
        was_digit = is_digit
    return stop, stop


@helper
def _octets_end(text, at, stop):
    """Returns the position after the first digit of the fourth of four numbers with dots between them, from `at` on; -1
    if they are not there.

    A number of three digits has to start with 0, 1 or 2.
    """
    for _ in range(3):
        start = at
        while at < stop and at - start < 4 and _ZERO <= text[at] <= _NINE:
            at += 1
        n_digits = at - start
        if n_digits == 0 or n_digits > 3 or (n_digits == 3 and text[start] > _TWO):
            return -1
        if at == stop or text[at] != _FULL_STOP:
            return -1
        at += 1
    return at + 1 if at < stop and _ZERO <= text[at] <= _NINE else -1


@helper
def _rest_end(text, at, stop):
    """Returns the end of the run of REST characters that begins at `at`."""
    while at < stop and _URL_BITS[text[at]] & _IN_REST:
        at += 1
    return at


@helper
def _scheme_start(text, read, at):
    """Returns the start of "http://", "https://" or "ftp://" that ends at `at`, not before `read`; `at` if there is
    none."""
    for scheme in (_HTTP, _HTTPS, _FTP):
        start = at - len(scheme)
        if start >= read:
            n_same = 0
            while n_same < len(scheme) and text[start + n_same] == scheme[n_same]:
                n_same += 1
            if n_same == len(scheme):
                return start
    return at


@helper
def _spaces_start(text, read, at, stop, tables):
    """Returns the start of the at most ten white-space characters before `at`, not before `read`."""
    for _ in range(_MAX_SPACES):
        if at == read:
            break
        before = start_of_char_before(text, at, read)
        if not flags_of(code_point_at(text, before, stop)[0], tables) & IS_SPACE:
            break
        at = before
    return at


@helper
def _is_word_start(text, first, at, stop, tables):
    """Returns whether there is no word character before `at`, in a text that starts at `first`."""
    if at == first:
        return True
    return not _is_word(code_point_at(text, start_of_char_before(text, at, first), stop)[0], tables)


@helper
def _is_word(point, tables):
    r"""Returns whether `re`'s \w matches the character."""
    return point == _UNDERSCORE or flags_of(point, tables) & IS_ALNUM != 0
