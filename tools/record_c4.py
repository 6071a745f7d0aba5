"""Records what datatrove's C4 filters do, for the tests that hold ours against them: python tools/record_c4.py ...

    pip install 'datatrove[processing]==0.10.1' spacy==3.8.18     (an environment of its own; nothing of ours is used)
    python tools/record_c4.py made-up tests/data/c4/made_up.jsonl.gz --n-texts 500
    python tools/record_c4.py golden tests/data/c4/golden.jsonl.gz --data ../shared/data

A line of the result is one text. Under each setting: why the page is dropped (null if it is kept), the sentences
counted (null if dropped before the end), and the SHA-1 of its text after cleaning (null too). `has_bad_words` is by the
list in the first line (made up) or by LDNOOBW's (golden). The golden texts themselves are not in the result.
"""

import argparse
import gzip
import hashlib
import json
import random
import tempfile
from pathlib import Path

from datatrove.data import Document
from datatrove.pipeline.filters import c4_filters

SETTINGS = {
    "c4": {},
    "fineweb": {"filter_no_terminal_punct": False},
    # Blank lines stay, and most words are too long.
    "loose": {"filter_no_terminal_punct": False, "min_words_per_line": -1, "max_word_length": 9},
    "strict": {"remove_citations": False, "min_words_per_line": 5, "filter_policy": False},
}
BAD_WORDS = {
    "en": [
        "bad",
        "bad word",
        "worse",
        "s&m",
        "g-spot",
        "\N{REVERSED HAND WITH MIDDLE FINGER EXTENDED}",
        "σς",
        "Bad",
        "x_y",
        "-",
    ],
    "ja": ["悪い", "ヤ", "わるい言葉"],
}
PIECES = [
    *("The harbour lies west", "It is so", "so", "One two three", "a b", "He said", "Is it", "x" * 1000, "y" * 1001),
    *(
        "日本 の 港",
        "ΟΔΟΣ ΚΑΙ ΟΔΟΣ",
        "İstanbul is far",
        "U.S. and e.g. this",
        "Mr. Smith went",
        "3.5 of 4",
        "👍 e\u0301",
    ),
    *(
        "[1]",
        "[]",
        "[12]",
        "[٣]",
        "[²]",
        "[edit]",
        "[Edit]",
        "[citation needed]",
        "[citation  needed]",
        "[[1]]",
        "[1",
        "]",
    ),
    *("[citation [2]needed]", "[e[3]dit]", " [4] ", "[5] [6]"),
    *(
        "lorem ipsum",
        "Lorem Ipsum",
        "LOREM\u00a0IPSUM",
        "lorem [7]ipsum",
        "lorem[8] ipsum",
        "lorem ipsu",
        "lorem İpsum",
    ),
    *("JavaScript", "javascript", "\u212aJAVASCRIPT", "java script", "JAVA[1]SCRIPT", "javaſcript", "JavaScrİpt"),
    *("{", "}", "a {b} c", "[9]{", "Terms of Use", "privacy policy", "Privacy  Policy", "COO\u212aIE POLICY"),
    *("uses cookies", "use of coo\u212aies", "use cookies", "we use[2] cookies", "used cookies"),
    *(
        "bad",
        "Bad",
        "BAD WORD",
        "bad_word",
        "badly",
        "bad word",
        "bad\nword",
        "worse!",
        "S&M",
        "s&ms",
        "ΣΣ",
        "x_y",
        "ＢＡＤ",
    ),
    *(
        "\N{REVERSED HAND WITH MIDDLE FINGER EXTENDED}",
        "G-SPOT",
        "baİd",
        "İbad",
        "éworse",
        "worse\u0301",
        "--",
        "悪いこと",
        "ヤマ",
    ),
]
N_HARMLESS = PIECES.index("[1]")
CHARS = "aaB   ..\n[[]]1٣²edit?!'\"{\u00a0\u0301Σİ"
ENDS = [
    *([".", "?", "!"] * 6),
    *(".", "?", "!", '"', "'", "...", "....", "..", "…", "?!", '."', ".'", ".)", "。", "\u201d", "\u2019", ";", "", ""),
    *(". [1]", ".[1]", "[1].", ". [edit]", "...[2]", ". [3] [4]", ".  ", ". \u3000", ".\u200b", "\u3000[1]", ".[1].."),
]
GAPS = [
    *([" "] * 8),
    *(["\n"] * 6),
    "  ",
    "\n\n",
    " \n ",
    "\r\n",
    "\r",
    "\t",
    "\u00a0",
    "\u3000",
    "\u2028",
    "\u2029",
    "\x0b",
    *("\x0c", "\x1c", "\x1d", "\x1e", "\x1f", "\x85", "\n\r", "\r\r\n", ""),
]


def made_up_texts(n_texts: int, seed: int):
    """Texts of pieces that some rule asks for, more or fewer of them, and texts of single characters."""
    chance = random.Random(seed)
    yield from ("", " ", "\n", "\r\n", "[1] [2] [3]", "[1] [2] [3].", '"', "...", "a b c.", "a b c. ", "{")
    for number in range(n_texts):
        if number % 5 == 0:
            yield "".join(chance.choice(CHARS) for _ in range(chance.randint(0, 60)))
            continue
        share_of_any = chance.choice((0.05, 0.3, 1))
        parts = []
        for _ in range(chance.randint(0, 20)):
            parts.append(chance.choice(PIECES if chance.random() < share_of_any else PIECES[:N_HARMLESS]))
            parts.append(chance.choice(ENDS) if chance.random() < 0.6 else "")
            parts.append(chance.choice(GAPS))
        yield "".join(parts)


def golden_texts(data: Path):
    for name in ("article_extraction", "mutated"):
        with gzip.open(data / "golden" / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
            for line in lines:
                page = json.loads(line)
                yield f"{name}/{page['id']}", page["text"]


class Oracle:
    """datatrove's filters under all settings, with the sentences that they count."""

    def __init__(self, bad_words: dict[str, Path]):
        self._counted = 0
        divide = c4_filters.split_into_sentences

        def count(text, language):
            sentences = divide(text, language)
            self._counted += len(sentences)
            return sentences

        c4_filters.split_into_sentences = count
        c4_filters.cached_asset_path_or_download = lambda url, **_: (
            bad_words[url[-2:]] if url[-2:] in bad_words else bad_words["en"]
        )
        self._bad_words = {language: c4_filters.C4BadWordsFilter(default_language=language) for language in bad_words}

    def record(self, text: str) -> dict:
        found = {name: self._clean(text, options) for name, options in SETTINGS.items()}
        for language, words in self._bad_words.items():
            decision = words.filter(Document(text=text, id=""))
            found["has_bad_words" + f"_{language}" * (language != "en")] = decision is not True
        return found

    def _clean(self, text: str, options: dict) -> list:
        self._counted = 0
        decision = c4_filters.C4QualityFilter(**options).filter(Document(text=text, id=""))
        reason = None if decision is True else decision[1]
        if reason not in (None, "too_few_sentences"):
            return [reason, None, None]
        n_sentences, document = self._counted, Document(text=text, id="")
        c4_filters.C4QualityFilter(**options, min_num_sentences=-1).filter(document)
        return [reason, n_sentences, hashlib.sha1(document.text.encode()).hexdigest()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split(":")[0])
    parser.add_argument("texts", choices=("made-up", "golden"))
    parser.add_argument("target", type=Path)
    parser.add_argument("--n-texts", type=int, default=500)
    parser.add_argument("--seed", type=int, default=4)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if arguments.texts == "golden":
            oracle = Oracle({"en": arguments.data / "banlists" / "ldnoobw.txt"})
            rows = [{"id": name, **oracle.record(text)} for name, text in golden_texts(arguments.data)]
        else:
            lists = {language: Path(folder) / language for language in BAD_WORDS}
            for language, path in lists.items():
                path.write_text("\n".join(BAD_WORDS[language]), encoding="utf-8")
            oracle = Oracle(lists)
            texts = made_up_texts(arguments.n_texts, arguments.seed)
            rows = [{"bad_words": BAD_WORDS}, *({"text": text, **oracle.record(text)} for text in texts)]
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    arguments.target.parent.mkdir(parents=True, exist_ok=True)
    arguments.target.write_bytes(gzip.compress(lines.encode(), mtime=0))
    print(f"{arguments.target}: {len(rows)} lines, {arguments.target.stat().st_size} bytes")


if __name__ == "__main__":
    main()
