r"""Texts that are hard to measure, as JSON lines with an id.

    python -m benchmarks.corpora.hard_texts N [uax29 | spacy_en]

Hand-written ones first, then N made up from a seed: odd Unicode, all kinds of white space, lines, paragraphs and
n-grams that repeat, bullets, ellipses, words that run together. With a kind of tokens, each line has the text's tokens.
`python -m tools.record_datatrove` records what datatrove says of them.
"""

import json
import random
import sys
import unicodedata
from collections.abc import Iterator

SEED = 41
HAND_WRITTEN = [
    *("", " ", "\n", "\n\n", "\r", "\r\n", "\0", "\x1c", "\x85", "\u2028"),
    *("\u200d", " \u200d", "\ufeff", "\u3000\n\u3000"),
    *("a", "the", "The", ".", "...", "…", "#", "•", "-", "1", "１", "日本"),
    *("\u0301", "👩\u200d👩\u200d👧", "🇩🇪🇫", "_", "a\0b"),
    *("....", ".....", "......", "……", "... ...", ". . .", "# # #", "###", "a...", "a…  ", "a. . ."),
    *("- a\n- b", "• a\n\n• b\n", "-\n•\n"),
    *(" \t- a\r\n-b\r-c\x0b-d\x0c-e", "-a\x1c-b\x1d-c\x1e-d\x85-e\u2028-f\u2029-g"),
    *("a...\nb…\nc ... \nd", "a...\r\n\r\nb", "...\n...\n..", "…\u3000\n…\x85"),
    *("a\na", "a\n\na", "\na\n\na\n", "a\n\n\na\n\n\n\na", "\n\na\n\na\n\n"),
    *(" a\na \na", "a\n \na", "a \n\n a\n\na", "\n" * 9),
    *("a\r\na\r\na", "a\u2028a", "x\n\n y\n\n y", "\n\n \n\n a \n\n "),
    *("a b a b", "a b c d", "a a a a a a a a a a a a", "b a a", "a b b a b a", "aa a aa a", "x"),
    *("ab c ab c ab c", "ab c d e f a bc d e f ab cd e f", "ab c ab c ab c a bc abc a b c ab c abc" * 3),
    *("one two three four five " * 2, "one two three four five six seven eight nine ten " * 3, "a b c d e " * 7),
    *("onetwo three four five six one two three four five six", "to be or not to be " * 20, "the end. " * 60),
    *("It ends.\nIt does not\nWhat?\nYes!", "It ends. \nIt ends.", "ends.\r\nends.\r\n", "（完）。\n完？\n𑅃\n\u1b7d"),
    *("x" * 30, "x" * 31, "x" * 30 + " ", " " * 31 + "x", "👍" * 30, "x" * 29 + "\r\nx", ("x" * 29 + "\n") * 3),
    *("word " * 49, "word " * 50, "the be " * 25, "the and " * 25 + "#" * 11, "the of " * 30 + "... " * 7),
    ("in the house of words that have no end there is a room with a view to the sea and the sea is grey. " * 3),
]
WORD_LINES = (
    "the be to of and that have with The TO oF thE a b ab bc c abc x xx aa word house 3.5 1 can't don't U.S. e.g.",
    "http://a.b/c?d a@b.cc x-y --- -- - • # ## . .. ... .... … ! ? , ; ( ) $5 50% :) :-( <a> “a” ’ «a» ‹a›",
    "日 本 日本語 한국어 สวัสดี नमस्ते é e\u0301 ² ½ １ Ⅷ ß İ Σ ΑΣ ۔ ؟ 。 ？ ！ 𑅃",
    "👍 👩\u200d👩 🇩🇪 \u200b \u200d \u0301 \u00ad \ufeff \0 \x01 \x7f _ __",
)
WORDS = [word for line in WORD_LINES for word in line.split(" ")]
SPACES = ["", " ", "  ", "\t", "\xa0", "\u3000", "\u2003"]
SPACES += ["\x1f", "\x1c", "\r", "\x0b", "\x0c", "\x85", "\u2028", "\u2029"]
BREAKS = ["\n", "\n\n", "\n\n\n", "\r\n", "\r\n\r\n", " \n", "\n ", "\n \n", "\n\t\n", " \n\n "]
STARTS = ["", "", "", "- ", "• ", "-", " • ", "\t-", "# "]
ENDS = ["", "", "", ".", "...", "…", "?", " .", "... ", "…\xa0", "!", ". ", "。"]


def made_up_text(chance: random.Random) -> str:
    """A text of few words, lines and paragraphs, so that all of them occur again."""
    words = chance.sample(WORDS, chance.randint(1, 12)) if chance.random() < 0.5 else WORDS
    if chance.random() < 0.2:
        words = ["a", "b", "ab", "ba", "aa"]
    odd = chance.random() ** 3
    lines = []
    for _ in range(chance.choice([1, 1, 2, 3, 6])):
        pieces = []
        for _ in range(chance.choice([0, 1, 3, 8, 20, 40])):
            pieces += [chance.choice(words), chance.choice(SPACES) if chance.random() < odd else " "]
            if 6 < len(pieces) < 60 and chance.random() < 0.1:
                pieces += pieces[-chance.randint(2, len(pieces)) :] * chance.randint(1, 3)
        line = "".join(pieces)
        if chance.random() < 0.8:
            line = line.rstrip(" ")
        lines.append(chance.choice(STARTS) + line + chance.choice(ENDS))
    text, line_break = "", chance.choice(["\n", "\n", "\n\n"])
    for _ in range(chance.choice([0, 1, 2, 4, 4, 8, 8, 12])):
        text += chance.choice(lines) + (chance.choice(BREAKS) if chance.random() < odd + 0.1 else line_break)
    if chance.random() < 0.1:
        text += "".join(chr(_code_point(chance)) for _ in range(chance.randint(1, 30)))
    return text


def _code_point(chance: random.Random) -> int:
    """One that Unicode 3.2 has: its properties are the same to every Python and to the tables of the kernels."""
    while True:
        point = chance.choice([chance.randrange(0x80), chance.randrange(0x3100), chance.randrange(0x20000)])
        if unicodedata.ucd_3_2_0.category(chr(point)) not in ("Cn", "Cs"):
            return point


def hard_texts(n_made_up: int, seed: int = SEED) -> Iterator[tuple[str, str]]:
    """The id and the text of the hand-written ones, and of so many that are made up."""
    yield from ((f"hand_written-{index}", text) for index, text in enumerate(HAND_WRITTEN))
    chance = random.Random(seed)
    yield from ((f"made_up-{index}", made_up_text(chance)) for index in range(n_made_up))


def main(n_made_up: str, tokens: str | None = None, seed: str = str(SEED)) -> None:
    for id_, text in hard_texts(int(n_made_up), int(seed)):
        page = {"id": id_, "text": text}
        if tokens:
            from dclm_spark.kernels.tokens.tokens import tokens_of

            page["tokens"] = tokens_of(text, tokens=tokens)
        print(json.dumps(page))


if __name__ == "__main__":
    main(*sys.argv[1:])
