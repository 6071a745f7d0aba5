"""Hosts, registered domains and banned words of URLs. No JVM, no network."""

import random
import re
import socket
import sys
import time

import pyarrow as pa
import pytest

from dclm_spark.kernels.signals.urls import _finder, host_of, measure_urls, registered_domain
from dclm_spark.schemas import URLS

pytestmark = pytest.mark.once


def measure(*urls: str | None, strict=None, hard=None, soft=None) -> list[dict]:
    result = measure_urls(pa.array(urls, pa.string()), strict=strict, hard=hard, soft=soft)
    assert result.type == URLS
    return result.to_pylist()


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://example.com", "example.com"),
        ("HTTPS://WWW.Example.COM/Path", "www.example.com"),
        ("http://example.com:8080/", "example.com"),
        ("http://example.com:/", "example.com"),
        ("http://example.com?q=1", "example.com"),
        ("http://example.com#f", "example.com"),
        ("http://example.com\\path", "example.com"),
        ("http://user:pass@example.com/", "example.com"),
        ("http://a@b@example.com/", "example.com"),
        ("http://example.com/@not-a-host", "example.com"),
        ("http://example.com./", "example.com"),
        ("http://foo_bar.example.com/", "foo_bar.example.com"),
        ("http://BÜCHER.example/", "xn--bcher-kva.example"),
        ("http://b%C3%BCcher.example/", "xn--bcher-kva.example"),
        ("http://B%c3%9CCHER.example/", "xn--bcher-kva.example"),
        ("http://bu\u0308cher.example/", "xn--bcher-kva.example"),
        ("http://bücher\u3002example/", "xn--bcher-kva.example"),
        ("http://straße.example/", "xn--strae-oqa.example"),
        ("http://пример.рф./", "xn--e1afmkfd.xn--p1ai"),
        ("http://%65xample.com/", "example.com"),
        ("http://b%FCcher.example/", None),
        ("http://a%2Fb.example/", None),
        ("http://a%00b.example/", None),
        ("http://" + "%C3%BC" * 500 + ".example/", None),
        ("http://xn--bcher-kva.example/", "xn--bcher-kva.example"),
        ("http://192.0.2.1/", "192.0.2.1"),
        ("http://[2001:DB8::1]:80/", "2001:db8::1"),
        ("ftp://files.example.com/a b", "files.example.com"),
        ("http://example.com/a b", "example.com"),
        ("http://localhost/", "localhost"),
        ("http://" + "a." * 120 + "com/", "a." * 120 + "com"),
    ],
)
def test_host(url, host):
    assert host_of(url) == host


@pytest.mark.parametrize(
    "url",
    [
        "", " ", "http://", "http:///path", "http://./", "http://:80/", "http://@/", "http://[bad", "http://[::1",
        "http://[::1]x/", "http://two words/", "http://a<b>/", "http://a%20b/", "http://a\0b/", "http://a\nb.com/",
        "example.com/no-scheme", "//example.com/", "dns:example.com", "mailto:a@example.com", "urn:uuid:1", "://x",
        "http://" + "a" * 254, "http//example.com", "\ufeffhttp://example.com",
    ],
)  # fmt: skip
def test_no_host(url):
    assert measure(url) == [dict.fromkeys(URLS.names)]


@pytest.mark.parametrize(
    ("host", "domain"),
    [
        ("example.com", "example.com"),
        ("a.b.example.co.uk", "example.co.uk"),
        ("me.blogspot.com", "blogspot.com"),  # private suffixes are domains: one owner's rules for all their pages
        ("x.y.例え.jp", "例え.jp"),
        ("co.uk", None),
        ("localhost", None),
        ("intranet.invalidsuffix", None),
        ("192.0.2.1", None),
        ("2001:db8::1", None),
        ("..com", None),
    ],
)
def test_registered_domain(host, domain):
    assert registered_domain(host) == domain


def test_domain_list_is_never_downloaded(monkeypatch):
    from dclm_spark.kernels.signals import urls

    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("the network was used"))
    urls._extractor.cache_clear()
    registered_domain.cache_clear()
    assert registered_domain("www.example.com") == "example.com"


def test_strict_words_ignore_hyphens_full_stops_and_case():
    urls = ["http://x.com/BAD", "http://b-a.d/", "http://embade.d", "http://b_ad", "http://b/ad"]
    rows = measure(*urls, strict=("Bad",))
    assert [row["n_strict_words"] for row in rows] == [1, 1, 1, 0, 0]


def test_whole_words_need_word_boundaries():
    urls = ["http://x.com/ugly-page", "http://ugly.com", "http://x.com/uglypage", "http://x.com/_ugly", "http://x/ugly"]
    assert [row["n_hard_words"] for row in measure(*urls, hard=("ugly",))] == [1, 1, 0, 0, 1]
    assert [row["n_soft_words"] for row in measure(*urls, soft=("ugly",))] == [1, 1, 0, 0, 1]


def test_distinct_words_are_counted_once():
    (row,) = measure("http://a.com/a-b-a-b-c", soft=("a", "b", "d"))
    assert row["n_soft_words"] == 2


def test_longest_word_first_without_overlap():
    (row,) = measure("http://x.com/abcdef", strict=("abc", "abcd", "cd", "def", "ef"))
    assert row["n_strict_words"] == 2  # abcd, ef
    (row,) = measure("http://x.com/s-m", hard=("s", "s-m", "m"))
    assert row["n_hard_words"] == 1


def test_longer_word_that_fails_gives_way_to_shorter():
    (row,) = measure("http://x.com/sex-toyshop", hard=("sex", "sex-toys"))
    assert row["n_hard_words"] == 1


def test_words_are_no_regular_expressions():
    words = ("a.c", "x+", "s&m", "g-spot", "(", "[")
    rows = measure("http://h/abc", "http://h/xx", "http://h/s&m", "http://h/g-spot", "http://h/([", hard=words)
    assert [row["n_hard_words"] for row in rows] == [0, 0, 1, 1, 0]


def test_lists_that_are_absent_or_empty():
    absent, empty = measure("http://x/")[0], measure("http://x/", strict=(), hard=("",), soft=())[0]
    assert (absent["n_strict_words"], absent["n_hard_words"], absent["n_soft_words"]) == (None, None, None)
    assert (empty["n_strict_words"], empty["n_hard_words"], empty["n_soft_words"]) == (0, 0, 0)


def test_null_and_empty_urls():
    null, empty = measure(None, "", strict=("a",), hard=("a",), soft=("a",))
    assert set(null.values()) == {None}
    assert empty == dict.fromkeys(URLS.names) | {"n_strict_words": 0, "n_hard_words": 0, "n_soft_words": 0}
    assert measure() == []


def test_letters_that_match_another_alphabet():
    """As a regular expression that ignores case has it, so DCLM: U+017F is an s, U+0131 an i, and they are distinct."""
    assert measure("http://h/a\u017fs-ass", soft=("ass",))[0]["n_soft_words"] == 2
    assert measure("http://h/is", hard=("\u0131\u017f",))[0]["n_hard_words"] == 1


@pytest.mark.busy
def test_no_further_letter_matches_ascii_when_case_is_ignored():
    """What the quick search of ASCII URLs rests on."""
    ascii_letter = re.compile(r"[\x00-\x7f]", re.IGNORECASE)
    lower = (letter for code in range(0x80, sys.maxunicode + 1) if (letter := chr(code)) == letter.lower())
    assert [letter for letter in lower if ascii_letter.match(letter)] == ["\u0131", "\u017f"]


@pytest.mark.parametrize("is_whole_word", [False, True])
def test_same_as_a_plain_alternation_longest_first(is_whole_word):
    random.seed(20)
    for _ in range(300):
        words = {"".join(random.choices("abS-.é", k=random.randint(1, 4))) for _ in range(random.randint(1, 12))}
        plain = "|".join(re.escape(word.lower()) for word in sorted(words, key=len, reverse=True))
        oracle = re.compile(rf"\b(?:{plain})\b" if is_whole_word else plain, re.IGNORECASE)
        text = "".join(random.choices("abs-._ é" + random.choice(["s", "\u017f/"]), k=60))
        assert _finder(tuple(words), is_whole_word)(text) == oracle.findall(text), (words, text)


def test_odd_urls_raise_nothing():
    random.seed(21)
    for _ in range(2000):
        url = "".join(random.choices("htp:/@[]%.\\ ?#aé\0\n\ufffd😀1-", k=random.randint(0, 30)))
        measure(url, "http://" + url, strict=("a",), hard=("a",), soft=("a",))
    long = "http://" + "a@" * 50_000 + "." * 50_000 + "[" * 50_000
    assert measure(long, strict=("a.",), hard=("a",), soft=("a",))[0]["host"] is None


@pytest.mark.busy
@pytest.mark.parametrize(
    "unit", [*"aé/@:[%", "a.", "word", "words ", "a\n", "\n", "wo-r.d", "http://", "\u017f"], ids=ascii
)
def test_time_is_linear(unit):
    url = "http://" + unit * (3_000_000 // len(unit))
    began = time.process_time()
    measure(url, strict=("word", "wordy"), hard=("word", "words"), soft=("word", "other word"))
    # A quadratic step over 3 million characters takes hours; the bound leaves room for a busy machine.
    assert time.process_time() - began < 5
