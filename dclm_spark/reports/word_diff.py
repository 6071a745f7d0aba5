"""Two texts word by word: what one has and the other has not, in a few words of context."""

import re
from bisect import bisect_left
from collections import Counter, deque
from difflib import SequenceMatcher
from itertools import accumulate, pairwise
from typing import Any

MAX_WORDS = 20_000
"""Words of each text that are compared."""

MAX_CHARS = 1_000_000
"""Characters of each text that are looked at."""

_MAX_PAIRS = 20_000_000  # of equal words that are looked at: a few seconds
_RUN = 3  # words of a run that anchors a comparison, where it comes once in each text
_CONTEXT = 5
_MAX_SHOWN_PLACES = 20
_MAX_SHOWN_WORDS = 40

# Thai to Lao and Khmer, kana, Han: scripts without spaces, where each character is compared as a word.
_UNSPACED = "\u0e00-\u0eff\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_WORD = re.compile(rf"([{_UNSPACED}]|[^\s{_UNSPACED}]+)(\s*)")
# What a terminal obeys instead of showing it: controls, and marks that turn the direction of writing.
_COMMANDS = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_COLOURS = {"gone": "\x1b[31m", "new": "\x1b[32m"}


def diff_words(one: str, other: str) -> dict[str, Any]:
    """What became of the words of one text in another: `n_same`, `n_gone`, `n_new`, and `places`, those that differ.

    A place is a list of pieces in their order, each `{"kind": "same" | "gone" | "new", "text": ...}`; white space in
    them is one space. Words are what stands between white space, each character in scripts without spaces; case counts.
    `is_cut` is True where only the first `MAX_WORDS` of a text were compared, `is_coarse` where words repeat so often
    that a full comparison would take minutes: then some that stay pass for gone and new.

    >>> diff_words("the old harbour", "the new harbour")["places"][0][1:3]
    [{'kind': 'gone', 'text': 'old '}, {'kind': 'new', 'text': 'new '}]
    >>> diff_words("", "")["places"]
    []
    """
    is_cut = max(len(one), len(other)) > MAX_CHARS
    # The last word has its space too: another may follow it where the texts are laid over each other.
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
"""Where words that are the same begin in one text, where in the other, and how many they are."""
_Step = tuple[str, int, int, int, int]
"""`same` or `changed`, and its range of words in both texts."""


def _matches(before: list[str], after: list[str]) -> tuple[list[_Match], bool]:
    """The words that stay, in their order; and whether the search for them was given up somewhere.

    Runs of words that come once in each text are found at once; what lies between two of them is left to difflib, whose
    time grows with the square of its texts.
    """
    corners = [(-1, -1), *_anchors(before, after), (len(before), len(after))]
    matches: list[_Match] = []
    left, is_coarse = _MAX_PAIRS, False
    for (at, other_at), (end, other_end) in pairwise(corners):
        if at >= 0:
            matches.append((at, other_at, 1))
        start, other_start = at + 1, other_at + 1
        found, n_pairs, is_given_up = _search(before[start:end], after[other_start:other_end], left)
        matches += [(start + i, other_start + j, size) for i, j, size in found]
        left, is_coarse = left - n_pairs, is_coarse or is_given_up
    return matches, is_coarse


def _anchors(before: list[str], after: list[str]) -> list[tuple[int, int]]:
    """Where runs of `_RUN` words begin that come once in each text: the most of them that are in order in both."""
    places = [_once(words) for words in (before, after)]
    others = [(at, places[1][run]) for run, at in places[0].items() if run in places[1]]
    # The longest rising sequence of places in the other text, by its least last element of each length.
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
    """difflib's search for ever shorter runs of words that stay, as far as `max_pairs` of equal words go.

    difflib itself takes minutes where a few words repeat without end.
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
        pairs = [0, *accumulate(counts[word] for word in before)]  # up to each word
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
    """All words of both texts in their order."""
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
    is_open = False  # the words before belong to the last place

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
    """A comparison as lines, one a place, marked as `git diff --word-diff` marks: `[-gone-]{+new+}`.

    >>> format_diff(diff_words("to the old harbour", "to the new harbour"))
    ['to the [-old-]{+new+} harbour']
    """
    places = diff["places"]
    lines = [_marked(place, has_colour) for place in places[:_MAX_SHOWN_PLACES]]
    if len(places) > _MAX_SHOWN_PLACES:
        lines.append(f"and {len(places) - _MAX_SHOWN_PLACES:,} places more that differ; --json shows all")
    if diff["is_cut"]:
        lines.append(f"only the first {MAX_WORDS:,} words were compared")
    if diff["is_coarse"]:
        lines.append("words repeat too often for a full comparison: some that stay are shown as gone and new")
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
        # A new word takes the place of one that is gone: no space between the two.
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
    r"""A page's text for a terminal: what it would obey becomes U+FFFD.

    >>> shown_safely("red \x1b[31m")
    'red \ufffd[31m'
    """
    return _COMMANDS.sub("\ufffd", text)
