"""Makes dclm_spark/data/spacy_en.npz, what the kernels know of spaCy's English tokenizer.

    pip install spacy==3.8.18 unicodedata2==16.0.0
    python -m tools.make_spacy_tables

Classes of characters are asked of spaCy's compiled expressions, character by character; special cases and units are
its own lists. Unicode's category P is unicodedata2's, so that it does not depend on the Python that runs this.
"""

import re
import sys
from pathlib import Path

import numpy as np
import spacy
import unicodedata2
from spacy.lang import char_classes
from spacy.pipeline import Sentencizer
from spacy.symbols import ORTH
from spacy.tokenizer import Tokenizer

from dclm_spark.kernels.tokens import spacy_tables as kernels

TARGET = Path(__file__).parent.parent / "dclm_spark" / "data" / kernels._TABLES_FILE
N_CODE_POINTS = sys.maxunicode + 1
# What infixes may start with beside the icons: the characters that the expressions of lang/en/punctuation.py spell out.
INFIXES = ".+-*^,–—~:<>=/"

tokenizer = spacy.blank("en").tokenizer
without_special_cases = Tokenizer(
    tokenizer.vocab,
    prefix_search=tokenizer.prefix_search,
    suffix_search=tokenizer.suffix_search,
    infix_finditer=tokenizer.infix_finditer,
    url_match=tokenizer.url_match,
)


def character_class(members: str):
    return re.compile(f"[{members}]").match


is_alpha = character_class(char_classes.ALPHA)
is_alpha_lower = character_class(char_classes.ALPHA_LOWER)
is_alpha_upper = character_class(char_classes.ALPHA_UPPER)
is_quote = character_class(char_classes.CONCAT_QUOTES)
is_host = character_class(r"A-Za-z0-9\u00a1-\uffff")  # as URL_PATTERN of lang/tokenizer_exceptions.py has it


def is_before_stop(char: str) -> bool:
    """Whether a full stop after this character is a suffix."""
    return char != "." and tokenizer.suffix_search(char + ".") is not None


def flags(char: str, seconds: set[str]) -> int:
    """The class of one character."""
    is_icon = any(tokenizer.infix_finditer(char))
    return (
        kernels.IS_ALPHA * bool(is_alpha(char))
        | kernels.IS_ALPHA_LOWER * bool(is_alpha_lower(char))
        | kernels.IS_ALPHA_UPPER * bool(is_alpha_upper(char))
        | kernels.IS_ASCII_DIGIT * (char in "0123456789")
        | kernels.IS_QUOTE * bool(is_quote(char))
        | kernels.IS_PREFIX * (char != "+" and bool(tokenizer.prefix_search(char)))  # "+" looks at what follows
        | kernels.IS_SUFFIX * bool(tokenizer.suffix_search(char))
        | kernels.IS_ICON * is_icon
        | kernels.IS_INFIX * (is_icon or char in INFIXES)
        | kernels.IS_BEFORE_STOP * is_before_stop(char)
        | kernels.IS_FULL_STOP * (char == ".")
        | kernels.IS_HOST * bool(is_host(char))
        | kernels.IS_SECOND * (char in seconds)
        | kernels.IS_PUNCTUATION * unicodedata2.category(char).startswith("P")
        | kernels.IS_SENTENCE_END * (char in Sentencizer.default_punct_chars)
    )


def starts_mask(tokens: list[str]) -> int:
    """A bit for each character of the tokens joined, set where one of them starts."""
    return sum(1 << start for start in np.cumsum([0, *map(len, tokens[:-1])]).tolist())


def terms() -> dict[str, list[int]]:
    """Each term: what kinds it is, how it is split, how the tokens are split of which it is made."""
    found: dict[str, list[int]] = {}
    for special, tokens in tokenizer.rules.items():
        if special.isspace():  # one token, as any white space
            continue
        found[special] = [kernels.IS_SPECIAL, starts_mask([token[ORTH] for token in tokens]), 0]
    for unit in char_classes.LIST_UNITS + char_classes.LIST_CURRENCY:
        found.setdefault(unit.replace("\\", ""), [0, 0, 0])[0] |= kernels.IS_UNIT
    for special in list(found):
        for kind, tokens in pattern_of(special):
            term = found.setdefault("".join(tokens), [0, 0, 0])
            mask = starts_mask(tokens)
            assert term[2] in (0, mask), tokens  # else a term would have to have several
            term[0] |= kind
            term[2] = mask
    return found


def pattern_of(special: str) -> list[tuple[int, list[str]]]:
    """The tokens that spaCy looks for after tokenization to make this special case of them, and those it begins with.

    `Tokenizer.add_special_case` looks for those that an affix could take apart. One token alone is what it was before.
    """
    find = (tokenizer.find_prefix, tokenizer.find_infix, tokenizer.find_suffix)
    if special not in tokenizer.rules or not any(affix(special) for affix in find):
        return []
    tokens = [token.text for token in without_special_cases(special)]
    assert len(tokens) > 1 or len(tokenizer.rules[special]) == 1
    if len(tokens) == 1:
        return []
    # The kernel does not even look at two tokens that both begin with a letter or number.
    assert not all(is_alpha(token) or token[0].isdigit() for token in tokens[:2])
    beginnings = [(kernels.IS_PATTERN_START, tokens[:size]) for size in range(2, len(tokens))]
    return [(kernels.IS_PATTERN, tokens), *beginnings]


def main() -> None:
    table = sorted(terms().items())
    assert max(len(term) for term, _ in table) == kernels.LONGEST_TERM
    assert max(len(term) for term, (kind, *_) in table if kind & kernels.IS_UNIT) == kernels.LONGEST_UNIT
    patterns = [pattern for special in tokenizer.rules for pattern in pattern_of(special)[:1]]
    seconds = {tokens[1][0] for _, tokens in patterns}
    classes = np.array([flags(chr(point), seconds) for point in range(N_CODE_POINTS)], dtype=np.uint16)
    seen: dict[bytes, int] = {}
    blocks = [seen.setdefault(row.tobytes(), len(seen)) for row in classes.reshape(-1, 256)]
    two_stages = [len(blocks) + 256 * np.array(blocks), *(np.frombuffer(row, dtype=np.uint16) for row in seen)]
    rows = np.zeros((len(table), kernels.CHARACTERS + kernels.LONGEST_TERM), dtype=np.int32)
    for row, (term, values) in zip(rows, table, strict=True):
        row[: kernels.CHARACTERS + len(term)] = [len(term), *values, *map(ord, term)]
    np.savez_compressed(TARGET, classes=np.concatenate(two_stages).astype(np.uint16), terms=rows)
    print(f"{TARGET}: {len(seen)} blocks, {len(table)} terms, {TARGET.stat().st_size} bytes")


if __name__ == "__main__":
    main()
