"""Which pages a list of domains bans, by either match. No JVM, no network."""

import random
import time
from urllib.parse import urlparse

import pyarrow as pa
import pytest

from dclm_spark.kernels.signals.domains import (
    BANNING,
    banning_domains,
    count_banned,
    count_excluded,
    domain_keys,
    listed_domains,
)

pytestmark = pytest.mark.once


def is_banned(url: str, *lines: str, match: str = "fixed") -> bool:
    return count_banned(url, lines, match=match) == 1


def dclm_bans(url: str, banlist: list[str]) -> bool:
    """DCLM's url_substring_filter with exact_domain_match and ignore_chars ['www'], line by line."""
    listed = {entry.lower() for entry in banlist}
    netloc = urlparse(url).netloc.lower()
    for char in ["www"]:
        netloc = netloc.replace(char, "")
    return netloc in listed


@pytest.mark.parametrize(
    ("line", "banned", "kept"),
    [
        ("example.com", ["example.com", "www.example.com", "a.b.example.com"], ["badexample.com", "example.com.org"]),
        ("www.example.com", ["example.com", "www.example.com", "a.example.com"], ["www.example.org"]),
        ("a.example.com", ["a.example.com", "www.a.example.com", "b.a.example.com"], ["example.com", "ba.example.com"]),
        ("Example.COM.", ["example.com", "WWW.EXAMPLE.com."], []),
        (
            "München.com",
            ["xn--mnchen-3ya.com", "www.m%C3%BCnchen.com", "MÜNCHEN.com:80"],
            ["munchen.com"],
        ),
        ("xn--mnchen-3ya.com", ["münchen.com", "a.mu\u0308nchen.com", "XN--MNCHEN-3YA.com"], []),
        ("m%C3%BCnchen.com", ["münchen.com", "xn--mnchen-3ya.com"], ["m%FCnchen.com"]),
        ("example.com:8080", ["example.com", "example.com:80", "user:pw@www.example.com:8080"], []),
        ("*.example.com", ["example.com", "a.example.com"], []),
        (".example.com", ["example.com", "a.example.com"], []),
        ("example.co.uk", ["www.example.co.uk"], ["other.co.uk", "co.uk"]),
        ("co.uk", [], ["example.co.uk", "www.example.co.uk"]),
        ("com", [], ["example.com", "www.com"]),
        ("www.com", ["www.com", "a.www.com"], ["example.com", "a.com"]),
        ("www.co.uk", ["www.co.uk"], ["example.co.uk"]),
        ("blogspot.com", ["me.blogspot.com"], []),
        ("me.blogspot.com", ["me.blogspot.com", "x.me.blogspot.com"], ["you.blogspot.com", "blogspot.com"]),
        ("192.0.2.1", ["192.0.2.1", "192.0.2.1:8080"], ["2.192.0.2.1", "192.0.2.10", "2.1"]),
        ("0.2.1", [], ["192.0.2.1"]),
        ("2001:db8::1", ["[2001:DB8::1]", "[2001:db8::1]:80"], ["[2001:db8::2]"]),
        ("[2001:db8::1]", ["[2001:db8::1]"], []),
        ("localhost", ["localhost:8888"], ["a.localhost"]),
        ("wiki.invalidsuffix", ["wiki.invalidsuffix"], ["a.wiki.invalidsuffix"]),
        ("example.com/page", [], ["example.com", "example.com/page"]),
        ("https://example.com", [], ["example.com"]),
        ("0.0.0.0 example.com", [], ["example.com", "0.0.0.0"]),
        ("# example.com", [], ["example.com"]),
        ("", [], ["example.com", ""]),
    ],
)
def test_fixed(line, banned, kept):
    for host in banned:
        assert is_banned(f"http://{host}/page", line), host
    for host in kept:
        assert not is_banned(f"http://{host}/page", line), host


@pytest.mark.parametrize(
    ("url", "lines", "banned"),
    [
        ("http://example.com/", ["Example.COM"], True),
        ("http://EXAMPLE.com/", ["example.com"], True),
        ("http://www.example.com/", ["example.com"], False),
        ("http://www.example.com/", [".example.com"], True),
        ("http://example.com:80/", ["example.com"], False),
        ("http://user@example.com/", ["example.com"], False),
        ("http://a.example.com/", ["example.com"], False),
        ("http://awwwb.com/", ["ab.com"], True),
        ("http://wwwwww.com/", [".com"], True),
        ("http://www/", [""], True),
        ("no address", [""], True),
        ("http://example.com/", [" example.com"], False),
        ("http://[bad", ["[bad", ""], False),
    ],
)
def test_faithful_keeps_the_originals_mistakes(url, lines, banned):
    assert is_banned(url, *lines, match="faithful") == banned
    if "[" not in url:
        assert dclm_bans(url, lines) == banned


def test_faithful_is_dclms_rule_on_random_urls():
    random.seed(22)
    pieces = ["www", ".", "example", "com", ":80", "user@", "WWW.", "/", "?", "#", "é", " "]
    n_banned = 0
    for _ in range(3000):
        url = random.choice(["http://", "//", ""]) + "".join(random.choices(pieces, k=random.randint(0, 6)))
        lines = ["".join(random.choices(pieces, k=random.randint(0, 4))) for _ in range(5)]
        lines.append(urlparse(url).netloc.replace("www", "", random.randint(0, 2)))
        assert is_banned(url, *lines, match="faithful") == dclm_bans(url, lines), (url, lines)
        n_banned += dclm_bans(url, lines)
    assert 300 < n_banned < 2900


def test_each_key_comes_once_with_each_of_its_domains():
    urls = pa.array(["http://a.b.example.com/1", "http://a.b.example.com/2", "http://192.0.2.1/", "", None, "http://"])
    rows = banning_domains(urls, match="fixed")
    assert rows.schema == BANNING
    assert [tuple(row.values()) for row in rows.to_pylist()] == [
        ("a.b.example.com", "a.b.example.com"),
        ("a.b.example.com", "b.example.com"),
        ("a.b.example.com", "example.com"),
        ("192.0.2.1", "192.0.2.1"),
    ]
    assert banning_domains(pa.array([], pa.string()), match="faithful").num_rows == 0


@pytest.mark.busy
@pytest.mark.parametrize("match", ["fixed", "faithful"])
def test_odd_urls_and_lines_raise_nothing(match):
    random.seed(23)
    for _ in range(2000):
        text = "".join(random.choices("htp:/@[]%.\\ ?#aw\0\n\ufffd😀。1-", k=random.randint(0, 30)))
        for url in (text, f"http://{text}", f"http://{text}.example.com", f"http://a。{text}.example.co.uk/"):
            assert count_banned(url, [text, url], match=match) in (0, 1)
            keys = domain_keys(pa.array([url]), match=match)
            assert banning_domains(pa.array([url]), match=match).num_rows >= len(keys.drop_null())
    assert listed_domains(pa.array([None], pa.string()), match=match).to_pylist() == [None]


@pytest.mark.busy
@pytest.mark.parametrize("match", ["fixed", "faithful"])
@pytest.mark.parametrize("unit", [*"aé/@:[%", "a.", "www", "a\n", "\n", "a-", "://"], ids=ascii)
def test_time_is_linear(unit, match):
    url = pa.array(["http://" + unit * (3_000_000 // len(unit)) + "com/"])
    began = time.process_time()
    banning_domains(url, match=match)
    count_excluded(url, ("example.com",), match=match)
    # A quadratic step over 3 million characters takes hours; the bound leaves room for a busy machine.
    assert time.process_time() - began < 5
