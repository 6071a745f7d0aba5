"""C4's rules as datatrove's filters applied them: texts made up for it, 181 real pages and 300 mutated ones."""

import gzip
import hashlib
import json
from pathlib import Path

import pyarrow as pa
import pytest

from dclm_spark.kernels.signals.c4 import clean_c4
from dclm_spark.recipe.annotation import C4Lines

RECORDED = Path(__file__).parent.parent / "data" / "c4"
# As tools/record_c4.py names them; what datatrove switches off by -1 is null or 0 here.
SETTINGS = {
    "c4": C4Lines(cleans_text=True),
    "fineweb": C4Lines(cleans_text=True, needs_end_mark=False),
    "loose": C4Lines(cleans_text=True, needs_end_mark=False, min_words=0, max_word_chars=9),
    "strict": C4Lines(cleans_text=True, removes_citations=False, min_words=5, policy_phrases=()),
}
MIN_SENTENCES = 5


def read(path: Path) -> list[dict]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


@pytest.fixture(scope="module")
def made_up() -> tuple[dict, list[dict]]:
    """The lists of bad words, and the texts with what datatrove made of them."""
    lists, *rows = read(RECORDED / "made_up.jsonl.gz")
    return lists["bad_words"], rows


@pytest.fixture(scope="module")
def golden(shared_data) -> list[dict]:
    """The real and mutated pages, with the same."""
    texts = {
        f"{name}/{page['id']}": page["text"]
        for name in ("article_extraction", "mutated")
        for page in read(shared_data / "golden" / f"{name}.jsonl.gz")
    }
    rows = [row | {"text": texts[row["id"]]} for row in read(RECORDED / "golden.jsonl.gz")]
    assert len(rows) == len(texts) == 481
    return rows


def assert_as_recorded(rows: list[dict], setting: str) -> None:
    text = pa.array([row["text"] for row in rows])
    cleaned, found, _ = clean_c4(text, rules=SETTINGS[setting], tokens="spacy_en", reading="faithful", bad_words=None)
    for row, ours, signals in zip(rows, cleaned.to_pylist(), found.to_pylist(), strict=True):
        reason, n_sentences, sha1 = row[setting]
        is_dropped_at_once = signals["n_lorem_ipsum"] > 0 or signals["n_curly_brackets"] > 0
        assert is_dropped_at_once == (reason in ("lorem_ipsum", "curly_bracket")), ascii(row["text"])
        if is_dropped_at_once:
            assert reason != "lorem_ipsum" or signals["n_lorem_ipsum"], ascii(row["text"])
            assert reason != "curly_bracket" or signals["n_curly_brackets"], ascii(row["text"])
            continue
        assert hashlib.sha1(ours.encode()).hexdigest() == sha1, ascii(row["text"])
        assert signals["n_sentences"] == n_sentences, ascii(row["text"])
        assert (n_sentences < MIN_SENTENCES) == (reason == "too_few_sentences")


def bad_words_found(rows: list[dict], bad_words: list[str]) -> list[bool]:
    text = pa.array([row["text"] for row in rows])
    arguments = {"rules": C4Lines(), "tokens": "uax29", "reading": "faithful"}
    _, found, _ = clean_c4(text, **arguments, bad_words=tuple(bad_words))
    return [n_found > 0 for n_found in found.field("n_bad_words").to_pylist()]


@pytest.mark.parametrize("setting", SETTINGS)
def test_texts_made_up(made_up, setting):
    assert_as_recorded(made_up[1], setting)


@pytest.mark.parametrize("setting", SETTINGS)
def test_golden_texts(golden, setting):
    assert_as_recorded(golden, setting)


def test_bad_words_of_texts_made_up(made_up):
    lists, rows = made_up
    assert bad_words_found(rows, lists["en"]) == [row["has_bad_words"] for row in rows]
    assert bad_words_found(rows, lists["ja"]) == [row["has_bad_words_ja"] for row in rows]


def test_bad_words_of_golden_texts(golden, shared_data):
    words = (shared_data / "banlists" / "ldnoobw.txt").read_text(encoding="utf-8").splitlines()
    found = bad_words_found(golden, words)
    assert found == [row["has_bad_words"] for row in golden]
    assert any(found)
