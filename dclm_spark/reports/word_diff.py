"""Compares two texts word by word, and shows the differences with some words of context.

difflib alone takes far too long for texts of 20,000 words. Comparing lines first, then the words of changed lines, is
fast, but finds few equal words in pages that are one line or whose lines break at other words.
"""

import re
from bisect import bisect_left
from collections import Counter, deque
from difflib import SequenceMatcher
from itertools import accumulate, pairwise
from typing import Any

MAX_WORDS = 20_000
"""Largest number of words of each text that are compared."""

MAX_CHARS = 1_000_000
"""Largest number of characters of each text that are read."""

_MAX_PAIRS = 20_000_000  # of equal words that are examined, which takes a few seconds
_RUN = 3  # words of a run that anchors a comparison, if it occurs exactly once in each text
_CONTEXT = 5
_MAX_SHOWN_PLACES = 20
_MAX_SHOWN_WORDS = 40

# Thai to Lao and Khmer, kana, Han: scripts without spaces, where each character is compared as a word.
_UNSPACED = "\u0e00-\u0eff\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_WORD = re.compile(rf"([{_UNSPACED}]|[^\s{_UNSPACED}]+)(\s*)")
# Characters that a terminal executes instead of showing: controls, and marks that change the direction of writing.
_COMMANDS = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_COLOURS = {"gone": "\x1b[31m", "new": "\x1b[32m"}


def diff_words(one: str, other: str) -> dict[str, Any]:
    """Compares the words of two texts: returns `n_same`, `n_gone`, `n_new`, and the `places` that differ.

    A place is a list of pieces in their order, each `{"kind": "same" | "gone" | "new", "text": ...}`; white space in
    them is one space. Words are separated by white space; in scripts without spaces each character is a word; case
    matters. `is_cut` is true if only the first `MAX_WORDS` of a text were compared, `is_coarse` if words repeat so
    often that a full comparison would take minutes: then some equal words are reported as gone and new.

    >>> diff_words("the old harbour", "the new harbour")["places"][0][1:3]
    [{'kind': 'gone', 'text': 'old '}, {'kind': 'new', 'text': 'new '}]
    >>> diff_words("", "")["places"]
    []
    """
    is_cut = max(len(one), len(other)) > MAX_CHARS
    # The last word gets a space too, because another word may follow it in the merged text.
    before, after = (_WORD.findall(text[:MAX_CHARS] + " ") for text in (one, other))
    is_cut = is_cut or max(len(before), len(after)) > MAX_WORDS
    before, after = before[:MAX_WORDS], after[:MAX_WORDS]
    matches, is_coarse = _matches([word for word, _ in before], [word for word, _ in after])
    n_same = sum(size for _, _, size in matches)
    return {
        "n_same": n_same,
        "n_gone": len(before) - n_same,
        "n_new": len(after) - n_same,
        "is_cut": is_cut,
        "is_coarse": is_coarse,
        "places": _places(_steps(matches, len(before), len(after)), before, after),
    }


_Match = tuple[int, int, int]
"""A run of equal words: its start in the first text, its start in the second, and its length."""
_Step = tuple[str, int, int, int, int]
"""`same` or `changed`, with the range of words in both texts."""


def _matches(before: list[str], after: list[str]) -> tuple[list[_Match], bool]:
    """Finds the runs of equal words, in their order, and whether the search was given up somewhere.

    Runs that occur once in each text are found first; the words between two of them are compared by difflib, whose time
    grows with the square of the length.
    """
    corners = [(-1, -1), *_anchors(before, after), (len(before), len(after))]
    matches: list[_Match] = []
    n_pairs_left, is_coarse = _MAX_PAIRS, False
    for (at, other_at), (end, other_end) in pairwise(corners):
        if at >= 0:
            matches.append((at, other_at, 1))
        start, other_start = at + 1, other_at + 1
        found, n_pairs, is_given_up = _search(before[start:end], after[other_start:other_end], n_pairs_left)
        matches += [(start + i, other_start + j, size) for i, j, size in found]
        n_pairs_left, is_coarse = n_pairs_left - n_pairs, is_coarse or is_given_up
    return matches, is_coarse


def _anchors(before: list[str], after: list[str]) -> list[tuple[int, int]]:
    """Finds runs of `_RUN` words that occur once in each text: the largest number of them that have the same order in
    both."""
    places = [_once(words) for words in (before, after)]
    others = [(at, places[1][run]) for run, at in places[0].items() if run in places[1]]
    # Finds the longest ascending sequence of positions in the other text; keeps the smallest last element for each
    # length.
    least: list[int] = []
    indices: list[int] = []
    previous: list[int] = []
    for index, (_, other_at) in enumerate(others):
        length = bisect_left(least, other_at)
        least[length : length + 1] = [other_at]
        indices[length : length + 1] = [index]
        previous.append(indices[length - 1] if length else -1)
    found = []
    index = indices[-1] if indices else -1
    while index >= 0:
        found.append(others[index])
        index = previous[index]
    return found[::-1]


def _once(words: list[str]) -> dict[tuple[str, ...], int]:
    runs = [tuple(words[i : i + _RUN]) for i in range(len(words) - _RUN + 1)]
    counts = Counter(runs)
    return {run: i for i, run in enumerate(runs) if counts[run] == 1}


def _search(before: list[str], after: list[str], max_pairs: int) -> tuple[list[_Match], int, bool]:
    """Finds runs of equal words as difflib does, the longest first, but examines at most `max_pairs` pairs of equal
    words.

    difflib itself takes minutes if a few words repeat very often.
    """
    shorter = min(len(before), len(after))
    head = next((i for i in range(shorter) if before[i] != after[i]), shorter)
    tail = next((i for i in range(shorter - head) if before[-1 - i] != after[-1 - i]), shorter - head)
    matches: list[_Match] = [(0, 0, head), (len(before) - tail, len(after) - tail, tail)]
    ranges = deque([(head, len(before) - tail, head, len(after) - tail)])
    n_pairs, is_coarse = 0, False
    if min(len(before), len(after)) > head + tail:
        matcher = SequenceMatcher(None, before, after, autojunk=False)
        counts = Counter(after)
        pairs = [0, *accumulate(counts[word] for word in before)]  # number of pairs before each word
    while ranges:
        start, end, other_start, other_end = ranges.popleft()
        if start == end or other_start == other_end:
            continue
        if n_pairs + pairs[end] - pairs[start] > max_pairs:
            is_coarse = True
            continue
        n_pairs += pairs[end] - pairs[start]
        at, other_at, size = matcher.find_longest_match(start, end, other_start, other_end)
        if size:
            matches.append((at, other_at, size))
            ranges.append((start, at, other_start, other_at))
            ranges.append((at + size, end, other_at + size, other_end))
    return sorted(match for match in matches if match[2]), n_pairs, is_coarse


def _steps(matches: list[_Match], n_before: int, n_after: int) -> list[_Step]:
    """Divides all words of both texts into equal and changed ranges, in their order."""
    steps: list[_Step] = []
    position = other_position = 0
    for at, other_at, size in [*matches, (n_before, n_after, 0)]:
        if position < at or other_position < other_at:
            steps.append(("changed", position, at, other_position, other_at))
        position, other_position = at + size, other_at + size
        if size and steps and steps[-1][0] == "same":
            steps[-1] = ("same", steps[-1][1], position, steps[-1][3], other_position)
        elif size:
            steps.append(("same", at, position, other_at, other_position))
    return steps


def _places(steps: list[_Step], before: list[tuple[str, str]], after: list[tuple[str, str]]) -> list[list[dict]]:
    places: list[list[dict]] = []
    is_open = False  # whether the previous words belong to the last place

    def add(kind: str, words: list[tuple[str, str]]) -> None:
        if words:
            text = "".join(word + (" " if space else "") for word, space in words)
            places[-1].append({"kind": kind, "text": text})

    for number, (kind, start, end, other_start, other_end) in enumerate(steps):
        if kind == "changed":
            if not is_open:
                places.append([])
                add("same", before[max(start - _CONTEXT, 0) : start])
            add("gone", before[start:end])
            add("new", after[other_start:other_end])
            is_open = True
        elif is_open:
            is_open = end - start <= 2 * _CONTEXT and number < len(steps) - 1
            add("same", before[start : end if is_open else min(start + _CONTEXT, end)])
    return places


def format_diff(diff: dict[str, Any], *, has_colour: bool = False) -> list[str]:
    """Formats a comparison as lines, one for each place, marked as by `git diff --word-diff`: `[-gone-]{+new+}`.

    >>> format_diff(diff_words("to the old harbour", "to the new harbour"))
    ['to the [-old-]{+new+} harbour']
    """
    places = diff["places"]
    lines = [_marked(place, has_colour) for place in places[:_MAX_SHOWN_PLACES]]
    if len(places) > _MAX_SHOWN_PLACES:
        lines.append(f"and {len(places) - _MAX_SHOWN_PLACES:,} more places that differ; --json shows all")
    if diff["is_cut"]:
        lines.append(f"only the first {MAX_WORDS:,} words were compared")
    if diff["is_coarse"]:
        lines.append("words repeat too often for a full comparison: some equal words are shown as removed and added")
    return lines


def _marked(place: list[dict[str, str]], has_colour: bool) -> str:
    marked = ""
    space = ""
    for piece in place:
        kind, words = piece["kind"], piece["text"].rstrip()
        opening, closing = {"same": ("", ""), "gone": ("[-", "-]"), "new": ("{+", "+}")}[kind]
        shown = opening + _shortened(shown_safely(words)) + closing
        if has_colour and kind in _COLOURS:
            shown = f"{_COLOURS[kind]}{shown}\x1b[0m"
        # A new word replaces the one before it: no space between the two.
        marked += ("" if marked.endswith(("-]", "-]\x1b[0m")) and kind == "new" else space) + shown
        space = piece["text"][len(words) :]
    return marked


def _shortened(text: str) -> str:
    words = text.split(" ")
    if len(words) <= _MAX_SHOWN_WORDS:
        return text
    half = _MAX_SHOWN_WORDS // 2
    return " ".join([*words[:half], f"... {len(words) - 2 * half:,} words ...", *words[-half:]])


def shown_safely(text: str) -> str:
    r"""Makes a page's text safe for a terminal: characters that the terminal would execute become U+FFFD.

    >>> shown_safely("red \x1b[31m")
    'red \ufffd[31m'
    """
    return _COMMANDS.sub("\ufffd", text)
