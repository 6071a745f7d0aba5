"""spaCy's English words and sentences: against what datatrove and spaCy 3.8 gave, recorded, and by hand.

`tools/record_spacy.py` makes the recording, so that neither of the two is needed here.
"""

import gzip
import hashlib
import json
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dclm_spark.kernels.compiled.jit import kernel
from dclm_spark.kernels.text.unicode import char_room, char_tables, decode, utf8_buffers
from dclm_spark.kernels.tokens.spacy_words import (
    count_sentences,
    count_sentences_spacy,
    count_words_spacy,
    fill_spacy_tokens,
    spacy_tables,
    words_spacy,
)

pytestmark = pytest.mark.once


@pytest.fixture(scope="module")
def recorded() -> dict:
    path = Path(__file__).parent.parent / "data" / "spacy_words.json.gz"
    return json.loads(gzip.decompress(path.read_bytes()))


def test_made_up_texts(recorded):
    texts, words, n_sentences = zip(*recorded["texts"], strict=True)
    assert len(texts) > 6000
    for text, expected in zip(texts, words, strict=True):
        assert words_spacy(text) == expected, ascii(text)
    assert count_words_spacy(pa.array(texts)).to_pylist() == list(map(len, words))
    counts = count_sentences_spacy(pa.array(texts)).to_pylist()
    assert [(text, n) for text, n in zip(texts, counts, strict=True)] == list(zip(texts, n_sentences, strict=True))


@pytest.mark.parametrize("pages", ["article_extraction", "mutated"])
def test_pages(recorded, shared_data, pages):
    with gzip.open(shared_data / "golden" / f"{pages}.jsonl.gz", "rt", encoding="utf-8") as lines:
        texts = [json.loads(line)["text"] for line in lines]
    n_sentences = count_sentences_spacy(pa.array(texts)).to_pylist()
    for index, expected in enumerate(recorded["golden"][pages]):
        words = words_spacy(texts[index])
        digest = hashlib.sha1("\n".join(words).encode()).hexdigest()[:12]
        assert [len(words), digest, n_sentences[index]] == expected, index
    assert len(texts) == len(recorded["golden"][pages])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("(They're)", ["(", "They", "'re", ")"]),  # a special case under affixes
        ("(:", ["(:"]),
        ("a: )", ["a", ":", ")"]),  # with a space in it, an emoticon is none
        ("5°C.", ["5", "°", "C", "."]),  # more tokens than what they were put together from
        ("(°C.:)", ["(", "°", "C", ".", ":)"]),
        (")-:(:", [")-:", "(", ":"]),  # ":(" lost to the longer one, and still keeps "(:" from being one
        ("3:(:)", ["3", ":(", ":", ")"]),
        ("10km/h. 5US$ 3%", ["10", "km/h", ".", "5", "US$", "3", "%"]),
        ("km/h. US$ 3+", ["km", "/", "h.", "US$", "3", "+"]),
        ("a--b 5--6 a---b a----b", ["a", "--", "b", "5", "-", "-6", "a", "---", "b", "a----b"]),
        ("end.Start U.S..", ["end", ".", "Start", "U.S", ".."]),
        ("(see http://a.b.com/x?y=1).", ["(", "see", "http://a.b.com/x?y=1", ")", "."]),
        ("me@a-b.co 8.8.8.8/x 10.0.0.1/x", ["me@a-b.co", "8.8.8.8/x", "10.0.0.1", "/", "x"]),
        ("IS_ALPHA", ["IS_ALPHA"]),
        ("a\u2028\x1c\u3000b\0", ["a", "b\0"]),
    ],
)
def test_words_by_hand(text, words):
    assert words_spacy(text) == words


@pytest.mark.parametrize(
    ("text", "n_sentences"),
    [
        ("", 1),
        ("Mr. Fox. He ran", 2),
        ('"Go!" she said.', 2),
        ("Well... yes", 1),  # an ellipsis ends nothing
        ("One. ", 1),
        ("One.  ", 2),  # white space that is more than a space is a token, and no punctuation
        ("One.\nTwo", 2),
    ],
)
def test_sentences_by_hand(text, n_sentences):
    assert count_sentences_spacy(pa.array([text])).to_pylist() == [n_sentences]


@given(st.text(st.sampled_from("aA1.,:;'’\"()-_/@#$°C+*=<> \n…漢\u0301😀"), max_size=60))
def test_words_are_the_text_without_its_white_space(text):
    words = words_spacy(text)
    assert all(words)
    assert "".join(words) == "".join(text.split())


@kernel
def count_from(text, offsets, start, stop, chars, tables):
    points, flags = char_room(offsets)
    decode(text, offsets[0], offsets[1], chars, points, flags)
    # No more room than asked for: what is written behind it would be seen.
    starts, ends = np.full(stop - start + 1, -7, dtype=np.int32), np.full(stop - start + 1, -7, dtype=np.int32)
    n_tokens = fill_spacy_tokens(points, flags, start, stop, tables, starts[:-1], ends[:-1])
    n_sentences = count_sentences(points, stop, n_tokens, tables, starts, ends)
    return n_tokens, n_sentences, starts, ends


def test_a_part_of_a_text(recorded):
    before, after = "He's (", ")! 5km."
    for text, words, n_sentences in recorded["texts"][::40]:
        data, offsets = utf8_buffers(pa.array([before + text + after]))
        span = (len(before), len(before + text))
        n_tokens, found, starts, ends = count_from(data, offsets, *span, char_tables(), spacy_tables())
        assert (n_tokens, found) == (len(words), n_sentences), ascii(text)
        bounds = zip(starts[:n_tokens].tolist(), ends[:n_tokens].tolist(), strict=True)
        assert [(before + text + after)[start:end] for start, end in bounds] == words
        assert starts[-1] == ends[-1] == -7


@pytest.mark.parametrize("count", [count_words_spacy, count_sentences_spacy])
def test_nulls_slices_and_empty_arrays(count):
    for text_type in (pa.string(), pa.large_string()):
        text = pa.array(["left out", "é. è", None, "left out"], type=text_type)
        assert count(text[1:3]).to_pylist() == [{count_words_spacy: 3, count_sentences_spacy: 2}[count], None]
        assert count(text[1:3]).type == pa.int32()
        assert count(text[2:2]).to_pylist() == []


def test_bytes_that_are_no_utf8():
    broken = [b"\xf0", b"a \xe2\x80", b"\x80\x80 b", b"\xf7\xbf\xbf\xbf", b"\xed\xa0\x80"]
    text = pa.array(broken, type=pa.binary()).view(pa.string())
    assert count_words_spacy(text).null_count == count_sentences_spacy(text).null_count == 0


@pytest.mark.busy
@pytest.mark.parametrize(
    "piece",
    [
        *'a."(@1-$+\n😀',
        *("a ", "a\n", "a.a.", "a@b@c@", "http://", "1.1.1.1@", "5km", "a-", ".(", "(a.", "'s", "°C.", ":)", ") :"),
        *("Mr. ", ".\n", "Really?! "),
    ],
    ids=ascii,
)
def test_time_is_linear_in_length(piece):
    def seconds(n_chars: int) -> float:
        text = pa.array([piece * (n_chars // len(piece))])
        started = time.process_time()
        count_sentences_spacy(text)
        return time.process_time() - started

    seconds(100)
    # A quadratic step over 3 million characters takes hours; the bound leaves room for a busy machine.
    assert seconds(3_000_000) < 5
