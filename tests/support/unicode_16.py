"""What Python's string methods and `unicodedata` say of Unicode 16.0, on any Python: the oracle of kernels for text.

`tools/record_unicode.py` records the properties. White space alone is left to Python: it has been the same since
Unicode 6.3.
"""

import gzip
import json
import re
from pathlib import Path

_RECORD = json.loads(gzip.decompress((Path(__file__).parent.parent / "data" / "unicode_16.json.gz").read_bytes()))


def _chars(ranges: list[list[int]]) -> list[str]:
    return [chr(point) for first, last in ranges for point in range(first, last + 1)]


ASSIGNED = _chars(_RECORD["sets"]["assigned"])
LETTERS, NUMBERS, SPACES, DECIMALS, NONSPACING = (
    frozenset(_chars(_RECORD["sets"][name])) for name in ("letters", "numbers", "spaces", "decimals", "nonspacing")
)
_CASED, _CASE_IGNORABLE = (frozenset(_chars(_RECORD["sets"][name])) for name in ("cased", "case_ignorable"))
_LOWER = {int(point): text for point, text in _RECORD["lower"].items()}
_COMBINING = {char: int(number) for number, ranges in _RECORD["combining"].items() for char in _chars(ranges)}
_MOVED = re.compile(f"[{''.join(_COMBINING)}]{{2,}}")
_FIRST_HANGUL, _LAST_HANGUL = 0xAC00, 0xD7A3
_DECOMPOSED = {int(point): text for point, text in _RECORD["decomposed"].items()} | {
    # Unicode, section 3.12.
    _FIRST_HANGUL + number: chr(0x1100 + number // 588) + chr(0x1161 + number // 28 % 21) + chr(0x11A7 + number % 28)
    if number % 28
    else chr(0x1100 + number // 588) + chr(0x1161 + number // 28 % 21)
    for number in range(_LAST_HANGUL - _FIRST_HANGUL + 1)
}


def is_letter(char: str) -> bool:
    """`str.isalpha`."""
    return char in LETTERS


def is_alnum(char: str) -> bool:
    """`str.isalnum`."""
    return char in LETTERS or char in NUMBERS


def lower(text: str) -> str:
    """`str.lower`."""
    if "Σ" not in text:
        return text.translate(_LOWER)
    return "".join(
        "ς" if char == "Σ" and _is_final(text, at) else _LOWER.get(ord(char), char) for at, char in enumerate(text)
    )


def _is_final(text: str, at: int) -> bool:
    """SpecialCasing.txt: a cased letter before it, none after it, case-ignorable characters passed over."""
    before, after = at - 1, at + 1
    while before >= 0 and text[before] in _CASE_IGNORABLE:
        before -= 1
    while after < len(text) and text[after] in _CASE_IGNORABLE:
        after += 1
    return before >= 0 and text[before] in _CASED and (after == len(text) or text[after] not in _CASED)


def nfd(text: str) -> str:
    """`unicodedata.normalize("NFD", text)`."""
    return _MOVED.sub(lambda marks: "".join(sorted(marks[0], key=_COMBINING.__getitem__)), text.translate(_DECOMPOSED))
