"""Extraction, and the pages that would never end."""

import pytest
from resiliparse.extract.html2text import extract_plain_text

from dclm_spark.kernels.archive.warc import Page, read_archive
from dclm_spark.kernels.html.charsets import decode
from dclm_spark.kernels.html.extract import check_extractor, extract
from dclm_spark.kernels.html.sandbox import EXTRACTION, GROWN, TOO_SLOW, Limits

pytestmark = pytest.mark.once

DCLM = {"extractor": "resiliparse", "options": {"main_content": True}}


ARTICLE = "<html><body><nav><a href=/>Home</a></nav><article><p>{}</p></article></body></html>".format(
    "The first paragraph is long enough to be kept by anyone who looks for text. " * 5
)


def test_extraction_is_the_extractor():
    assert extract(ARTICLE, **DCLM) == (extract_plain_text(ARTICLE, main_content=True), None)
    text, error = extract(ARTICLE, extractor="trafilatura", options={"include_comments": False})
    assert error is None and text.startswith("The first paragraph")
    assert extract("", extractor="trafilatura", options={}) == ("", None)
    assert extract("<p>x", extractor="trafilatura", options={})[1] is None


def test_an_extractor_that_fails_is_an_error_of_the_page():
    text, error = extract(ARTICLE, extractor="resiliparse", options={"skip_elements": ["<<\n<"]})
    assert text is None or error is None
    text, error = extract(ARTICLE, extractor="resiliparse", options={"no_such_option": 1})
    assert text is None and error.kind == EXTRACTION
    assert error.message.startswith("TypeError: ") and "\n" not in error.message
    text, error = extract("\ud800<p>x", **DCLM)
    assert text is None and error.kind == EXTRACTION


@pytest.mark.parametrize("extractor", ["resiliparse", "trafilatura"])
def test_text_is_fit_for_arrow(extractor):
    html = ARTICLE.replace("long", "\0 &#xD800; &#0; \U0001f600 \ufffd")
    text, error = extract(html, extractor=extractor, options={})
    assert error is None
    text.encode("utf-8")


def test_check_extractor():
    assert check_extractor("resiliparse", {"main_content": True, "links": False}) == []
    assert check_extractor("trafilatura", {"favor_precision": True}) == []
    assert check_extractor("beautifulsoup", {}) == [
        "there is no extractor 'beautifulsoup'; there are resiliparse and trafilatura"
    ]
    assert len(check_extractor("trafilatura", {"main_content": True, "x": 1, "url": None})) == 2
    assert len(check_extractor("resiliparse", {"html": "x"})) == 1


N = 60_000
ENDLESS = {
    "div": "<div>x" * N,
    "div upper-case": "<DIV CLASS=a>x" * N,
    "div closed at the end": "<div>x" * N + "</div>" * N,
    "div in spans": "<span><div>x" * N,
    "div closed by the wrong tag": "<b>" + "<div></b>" * N,
    "article": "<article>x" * N,
    "much text in many divs": "<div>" * 3000 + "word " * 1_000_000,
    "many pages in many divs": "<div>" * 1000 + "<p>x</p>" * 100_000,
    "links in bold in italics": "<a><b><i>x" * N,
    "fonts never closed": "".join(f"<b a{i}>x<p>" for i in range(5000)),
    "fonts never closed, large": "".join(f"<b a{i}>x<p>" for i in range(500_000)),
    "ruby never closed": "<rt>" * 2 * N,
    "ruby never closed, large": "<rp>" * 2_000_000,
    "one body after another": "".join(f"<body a{i}=1>" for i in range(500_000)),
    "attributes": "<p " + " ".join(f"a{i}=b" for i in range(200_000)) + ">x",
    "options": "<select>" + "<option>x" * 300_000,
}


@pytest.mark.busy
@pytest.mark.parametrize("what", ENDLESS)
def test_endless_pages_cost_no_more_than_the_limit(what):
    text, error = extract(ENDLESS[what], **DCLM, limits=Limits(cpu_seconds=0.3, memory_bytes=256 << 20))
    assert text is None and error.kind in (TOO_SLOW, GROWN)


M = 1_000_000
LARGE = {
    "one attribute": "<p title='" + "<div>" * M + "'>x",
    "one text": "<p>" + "word " * M,
    "one word": "<p>" + "w" * M,
    "lines": "<pre>" + "x\n" * M,
    "comments": "<!-- x -->" * (M // 10),
    "comments never closed": "<!-- " * (M // 5),
    "script never closed": "<script>" + "<div>" * M,
    "scripts": "<script>'<div>'</script>" * (M // 20),
    "entities": "<p>" + "&amp;" * M,
    "ampersands": "<p>" + "&" * M,
    "angles": "<" * M,
    "half tags": "</" * M,
    "paragraphs never closed": "<p>x" * (M // 4),
    "items never closed": "<ul>" + "<li>x" * (M // 5),
    "cells never closed": "<table><tr>" + "<td>x" * (M // 5),
    "divs side by side": "<div>x</div>" * (M // 12),
    "quotes never closed": "<p a='" * 5001 + "word " * M,
    "bold across paragraphs": "<b><p></b></p>" * (M // 14),
    "nul": "<p>" + "\0" * M,
}


@pytest.mark.parametrize("what", LARGE)
def test_large_flat_pages_are_extracted(what):
    text, error = extract(LARGE[what], **DCLM)
    assert error is None and text is not None


@pytest.mark.busy
def test_no_real_page_comes_near_the_limits(shared_data):
    limits = Limits(cpu_seconds=Limits().cpu_seconds / 4, memory_bytes=Limits().memory_bytes // 4, text_bytes=1 << 20)
    n_pages = 0
    for path in sorted((shared_data / "warc").glob("*/*.warc.gz")):
        if path.parent.name not in ("crawl", "articles"):
            continue
        with path.open("rb") as file:
            for record in read_archive(
                file, max_page_bytes=8 << 20, content_types=("text/html",), http_statuses=(200,)
            ):
                if isinstance(record, Page) and not record.is_text:
                    html, _, _ = decode(record.payload, record.charset, charset="detect")
                    assert extract(html, **DCLM, limits=limits)[1] is None
                    n_pages += 1
    assert n_pages > 400
