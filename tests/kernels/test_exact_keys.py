"""Keys: which URLs are one page, and which texts are one text."""

import pyarrow as pa
import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

from dclm_spark.kernels.ngrams.exact_keys import canonical_url, text_keys, url_keys


@pytest.mark.parametrize(
    ("url", "canonical"),
    [
        # RFC 3986, section 6.2.2.
        ("http://example.org/a/b/c/%7Bfoo%7D", "example.org/a/b/c/%7Bfoo%7D"),
        ("HTTP://example.org/a/./b/../b/%63/%7bfoo%7d", "example.org/a/b/c/%7Bfoo%7D"),
        ("HTTP://www.EXAMPLE.com/", "example.com/"),
        # Section 6.2.3: four that are one.
        ("http://example.com", "example.com/"),
        ("http://example.com/", "example.com/"),
        ("http://example.com:/", "example.com/"),
        ("http://example.com:80/", "example.com/"),
        # Section 5.2.4.
        ("http://h.org/a/b/c/./../../g", "h.org/a/g"),
        ("http://h.org/mid/content=5/../6", "h.org/mid/6"),
        ("http://h.org/../../a", "h.org/a"),
        # Ports.
        ("https://h.org:443/", "h.org/"),
        ("http://h.org:443/", "h.org/"),
        ("https://h.org:80/", "h.org/"),
        ("http://h.org:8080/a", "h.org:8080/a"),
        ("http://h.org:99999/", None),
        ("http://h.org:port/", None),
        # Hosts.
        ("http://www.h.org/", "h.org/"),
        ("http://www2.h.org/", "h.org/"),
        ("http://www.org/", "www.org/"),
        ("http://wwwh.org/", "wwwh.org/"),
        ("http://awww.h.org/", "awww.h.org/"),
        ("http://a.www.h.org/", "a.www.h.org/"),
        ("http://www.www.h.org/", "h.org/"),
        ("http://./", None),
        ("http://h.org./", "h.org/"),
        ("http://user:secret@h.org/", "h.org/"),
        ("http://[2001:DB8::1]:8080/", "[2001:db8::1]:8080/"),
        ("http://[2001:DB8::1:8080]/", "[2001:db8::1:8080]/"),
        ("http://[::1/", None),
        ("https:///path", None),
        # Paths.
        ("http://h.org/a/", "h.org/a"),
        ("http://h.org//a///b", "h.org/a/b"),
        ("http://h.org/a%2Fb", "h.org/a%2Fb"),
        ("http://h.org/a%2fb", "h.org/a%2Fb"),
        ("http://h.org/100%25", "h.org/100%25"),
        ("http://h.org/%2541", "h.org/%2541"),
        ("http://h.org/100%", "h.org/100%25"),
        ("http://h.org/a/%2e%2e/b", "h.org/b"),
        ("http://h.org/%28a%29", "h.org/(a)"),
        ("http://h.org/é", "h.org/%C3%A9"),
        ("http://h.org/%c3%a9", "h.org/%C3%A9"),
        ("http://h.org/A", "h.org/A"),
        ("http://h.org/a b", "h.org/a%20b"),
        # Queries.
        ("http://h.org/?b=1&a=2&a=1", "h.org/?a=1&a=2&b=1"),
        ("http://h.org/?a=", "h.org/?a="),
        ("http://h.org/?", "h.org/"),
        ("http://h.org/?id=%C3%A9", "h.org/?id=%C3%A9"),
        ("http://h.org/?utm_source=x&UTM_Medium=y&gclid=1&fbclid=2", "h.org/"),
        ("http://h.org/?a=1&PHPSESSID=8&jsessionid=3&ASPSESSIONIDABC=4&sessionid=2", "h.org/?a=1"),
        ("http://h.org/?session=1", "h.org/?session=1"),
        # Sessions, fragments, white space around.
        ("http://h.org/a;jsessionid=0123ABCD?x=1", "h.org/a?x=1"),
        ("http://h.org/a;JSESSIONID=1/b", "h.org/a/b"),
        ("http://h.org/a;v=1", "h.org/a;v=1"),
        ("http://h.org/a#part", "h.org/a"),
        (" http://h.org/a\n", "h.org/a"),
        # No pages.
        ("", None),
        ("no URL", None),
        ("h.org/a", None),
        ("//h.org/a", None),
        ("ftp://h.org/a", None),
        ("mailto:someone@h.org", None),
        ("javascript:void(0)", None),
    ],
)
def test_canonical_url(url, canonical):
    assert canonical_url(url) == canonical


HOSTS = st.sampled_from(
    ["h.org", "www.h.org", "WWW3.H.org", "www.www.h.org", "h.org:80", "h.org:81", "h.org.", "é.org"]
)
PIECES = st.sampled_from(
    [
        *(
            "/",
            ".",
            "..",
            "/../",
            "//",
            "a",
            "B",
            "%",
            "%2",
            "%25",
            "%2f",
            "%2E",
            "%2e%2e",
            "%41",
            "%zz",
            "é",
            " ",
            "+",
            "@",
        )
    ]
    + [
        *(
            "?",
            "&",
            "=",
            ";",
            "#",
            "utm_source=1",
            ";jsessionid=9",
            "&a=%26",
            "jsessionid",
            "[",
            "]",
            "\\",
            "%C3",
            "%ff",
        )
    ]
)
URLS = st.one_of(
    st.builds(lambda host, pieces: f"http://{host}/{''.join(pieces)}", HOSTS, st.lists(PIECES, max_size=10)),
    st.builds(lambda host, pieces: f"https://{host}?{''.join(pieces)}", HOSTS, st.lists(PIECES, max_size=10)),
    st.text(max_size=20).map(lambda text: f"http://{text}"),
    st.text(max_size=20),
)


@pytest.mark.busy
@settings(max_examples=1500, deadline=None)
@given(URLS)
def test_what_is_canonical_stays(url):
    canonical = canonical_url(url)
    if canonical is not None:
        assert canonical_url(f"http://{canonical}") == canonical


@settings(max_examples=500, deadline=None)
@given(URLS)
def test_any_text_has_a_key_or_none(url):
    [key] = url_keys(pa.array([url])).to_pylist()
    assert key is None or len(key) == 16
    assert (key is None) == (canonical_url(url) is None)


@pytest.mark.busy
def test_keys_of_texts():
    texts = pa.array(["Straße 1", "straße 1", "Straße  1", "", None, "Straße 1"])
    keys = text_keys(texts, "none").to_pylist()
    assert keys[0] == keys[5] == xxhash.xxh3_128_digest("Straße 1".encode())
    assert len(set(keys)) == 5 and keys[4] is None and keys[3] == xxhash.xxh3_128_digest(b"")
    lower = text_keys(texts, "lower").to_pylist()
    assert lower[0] == lower[1] != lower[3] and lower[4] is None
    simple = text_keys(pa.array(["A, b!", "a b", "a  b 12", "A b 7"]), "datatrove").to_pylist()
    assert simple[0] == simple[1] and simple[2] == simple[3] != simple[0]
    assert text_keys(pa.array([], pa.string()), "none").to_pylist() == []
    assert text_keys(texts.cast(pa.large_string()), "none").to_pylist() == keys
    assert text_keys(texts[2:], "none").to_pylist() == keys[2:]


def test_keys_of_urls():
    urls = pa.array(["http://www.h.org/a/", None, "https://h.org/a?utm_id=3", "h.org/a"])
    keys = url_keys(urls).to_pylist()
    assert keys[0] == keys[2] == xxhash.xxh3_128_digest(b"h.org/a")
    assert keys[1] is None and keys[3] is None
