"""Records the words and sentences of datatrove, which are spaCy's, for tests that run without either.

    pip install "datatrove[processing]==0.10.1" spacy==3.8.18
    python -m tools.record_spacy [--golden ../shared/data/golden]

The texts, made up and many of them of few characters, are recorded whole. Of the golden pages only what is needed to
tell whether all is the same: how many words, a hash of them, how many sentences.
"""

import argparse
import gzip
import hashlib
import json
import random
import unicodedata
from pathlib import Path

import spacy
from datatrove.utils.text import split_into_sentences, split_into_words

TARGET = Path(__file__).parent.parent / "tests" / "data" / "spacy_words.json.gz"
GOLDEN = ("article_extraction", "mutated")
SPECIAL_CASES = sorted(spacy.blank("en").tokenizer.rules)

AFFIXES = (
    r"""... .. . , : ; ! ? ¿ … …… ( ) [ ] { } < > _ # & * % § = + ^ | ~ - -- --- – — —— / \ @ ' " ” “ ` ‘ ´ ’ ‚ „ » """
    r"""« 「 」 （ ） ⟦ 。 ！ · ، । ٪ 's 'S ’s ’S $ £ € US$ C$ A$ ₿ C++ 5+"""
)
NUMBERS = "0 7 12 3.14 1,000 10km km² m/s km/h тбكم mbar oz hPa км т م ° °C °C. °K. ५ ٣ ² ½ Ⅷ $5 10am"
WORDS = (
    "a b x A B Z I s S US word Word WORD U.S. A.B AB. a.b c. ä. ж. don't can't've He's it’s and/or w/o Ph.D. Mr. St "
    "Jan. a.m. 10a.m. p.m e.g. naïve ß É Я я Ω א שלום كم 漢字 日本。 한국 ไทย カ ー 𠀀 𝟘 𐩖"
)
ADDRESSES = (
    "http:// https://www. :// ftp://x mailto: www. .com .de co.uk a@ @b a@b.co /path?q=1#x ?a :80 :8080 :123456 "
    "localhost 8.8.8.8 10.0.0.1 192.168.1.1 172.16.0.1 172.32.1.9 127.0.0.1 169.254.1.2 224.1.1.1 255.255.255.255"
)
SYMBOLS = r":) :( :-) :'( ;_; o.O xD 8) 8-D <3 </3 -_- (^_^) (╯°□°）╯︵┻━┻ ¯\(ツ)/¯ 😀 👩‍👩‍👧 🇩🇪 ™ © → □ ¬_¬ ಠ_ಠ \n \t"
MARKS = ["\u0301", "e\u0301", "\u200d", "\u200b", "\u00ad", "\ufe0f", "\ufeff", "\0"]
SPACES = [*"  \n\t\r\x85\x1c\x1f\u2028\u2029\xa0\u3000\u1680", "  ", "\n\n"]
PIECES = [
    *f"{AFFIXES} {NUMBERS} {WORDS} {ADDRESSES} {SYMBOLS}".split(),
    *("a" * 63, "a" * 64, "b-" * 31),  # about as long as a label of a host may be
    *MARKS,
    *SPACES,
]
CHARACTERS = list("aAzsS50.,:;'’\"()-—_/@#?!$°C+*=<> \n…")
EMOTICONS = [*"():-'*_;=8Do.><3/°CF’sS []", "^_^", "a.m", "10", "C.", "F."]
HOSTS = [
    *"ab1A-_...@@:/?#x+%(),'é²٣𠀀",
    *["漢字", ".com", ".de", "://", "http", "80", "10", "172", "192", "168", "254"],
]
BY_HAND = ["", *SPACES, " a", "a ", "a  b", "a \n b", ". ", ".\n", ". .", "Hi.  There", "Hi.\nThere", "a.)", "?!”"]


def made_up_texts(n_texts: int, *, seed: int) -> list[str]:
    """Texts of pieces that the tokenizer looks at, none with a character that this Python's Unicode does not know."""
    chance = random.Random(seed)
    known = [char for char in map(chr, range(0x110000)) if unicodedata.category(char) not in ("Cn", "Cs", "Co")]
    texts = []
    for _ in range(n_texts):
        around = [chance.choice(PIECES + CHARACTERS) for _ in range(chance.randint(0, 3))]
        texts += [
            "".join(chance.choices(PIECES, k=chance.randint(1, 8))),
            "".join(chance.choices(PIECES + known[:0x3000] + SPECIAL_CASES, k=chance.randint(1, 5))),
            "".join(chance.choices(CHARACTERS, k=chance.randint(2, 14))),
            "".join(chance.choices(EMOTICONS, k=chance.randint(2, 16))),
            "".join(chance.choices(HOSTS, k=chance.randint(2, 14))),
            "".join(chance.sample([*around, chance.choice(SPECIAL_CASES)], len(around) + 1)),
            "".join(chance.choices(known + CHARACTERS * 2000, k=chance.randint(1, 6))),
        ]
    return texts


def hash_of(words: list[str]) -> str:
    return hashlib.sha1("\n".join(words).encode()).hexdigest()[:12]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--golden", type=Path, default=Path("../shared/data/golden"), help="the folder of golden pages")
    golden = parser.parse_args().golden
    texts = list(dict.fromkeys(BY_HAND + SPECIAL_CASES + made_up_texts(800, seed=38)))
    record = {
        "texts": [[text, split_into_words(text), len(split_into_sentences(text))] for text in texts],
        "golden": {},
    }
    for name in GOLDEN:
        with gzip.open(golden / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
            pages = [json.loads(line)["text"] for line in lines]
        record["golden"][name] = [
            [len(words), hash_of(words), len(split_into_sentences(page))]
            for page in pages
            for words in [split_into_words(page)]
        ]
    with open(TARGET, "wb") as file, gzip.GzipFile(fileobj=file, mode="wb", filename="", mtime=0) as packed:
        packed.write(json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode())
    print(f"{TARGET}: {len(texts)} texts, {TARGET.stat().st_size} bytes")


if __name__ == "__main__":
    main()
