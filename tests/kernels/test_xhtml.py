"""XHTML as an html parser is to read it."""

import time

import pytest
from resiliparse.extract.html2text import extract_plain_text

from dclm_spark.kernels.html.xhtml import as_html

pytestmark = pytest.mark.once

SENTENCES = [f"Sentence {n} of the article is long enough to be kept by those who look for text." for n in range(7)]


def _page(head="", body=""):
    paragraphs = "".join(f"<p>{sentence}</p>" for sentence in SENTENCES)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Strict//EN" "x.dtd">'
        f'<html xmlns="http://www.w3.org/1999/xhtml"><head>{head}</head><body>{body}<div>{paragraphs}</div></body></html>'
    )


ELEMENTS = (
    "title script iframe textarea style noscript div a p select button table ul h1 object video nav header form "
    "span b i em"
)


@pytest.mark.parametrize("tag", [tag for name in ELEMENTS.split() for tag in (f"<{name}/>", f"<{name} id='x' />")])
def test_elements_that_close_themselves_are_empty(tag):
    for page in (_page(head=tag), _page(body=tag)):
        text = extract_plain_text(as_html(page), main_content=True)
        assert [line for line in text.split("\n") if line] == SENTENCES


@pytest.mark.parametrize(
    ("xhtml", "html"),
    [
        ("", ""),
        ("no tags", "no tags"),
        ("<p>one</p>", "<p>one</p>"),
        ("<br/><img src='a'/><hr /><p/>", "<br/><img src='a'/><hr /><p></p>"),
        ("<a title='a > b/>' href=\"x/\"/>", "<a title='a > b/>' href=\"x/\"></a>"),
        ("<a title='/>'>x</a>", "<a title='/>'>x</a>"),
        ("<a href=http://x/>x</a><b/>", "<a href=http://x/>x</a><b></b>"),
        ("<!-- <p/> --><p/>", "<!-- <p/> --><p></p>"),
        ("<!--> <p/> --><p/>", "<p></p>"),
        ("<![CDATA[<p/> & ]] > <b>]]><p/>", "&lt;p/&gt; &amp; ]] &gt; &lt;b&gt;<p></p>"),
        (
            "<script>//<![CDATA[\n'</script>' <p/>//]]></script><p/>",
            "<script>//\n'&lt;/script&gt;' &lt;p/&gt;//</script><p></p>",
        ),
        ("<script>if (a<b) '<p/>'</script><p/>", "<script>if (a<b) '<p/>'</script><p></p>"),
        ("<br></br>one<p/>", "<br>one<p></p>"),
        ("one</br>two<p/>", "one</br>two<p></p>"),
        ("<?php a > b ?>one<p/>", "one<p></p>"),
        ("<!DOCTYPE html [<!ENTITY x 'y>'>\n]><p/>", "<!DOCTYPE html ><p></p>"),
        ("<svg><path d='M0'/><circle/></svg>", "<svg><path d='M0'/><circle/></svg>"),  # as html has it too
        ("<script>\n//<![CDATA[\n a<b //]]></script>", "<script>\n//<![CDATA[\n a<b //]]></script>"),
        ("<h:p/>", "<h:p></h:p>"),
        # What is not well-formed stays as it is.
        ("<p/><![CDATA[<b/>", "<p></p><![CDATA[<b/>"),
        ("<p/><!-- <b/>", "<p></p><!-- <b/>"),
        ("<p/><a b='<b/>", "<p></p><a b='<b></b>"),
        ("1 < 2 <p/>", "1 < 2 <p></p>"),
    ],
)
def test_rewriting(xhtml, html):
    assert as_html(xhtml) == html


PIECES = [
    "<p/>",
    "<a '",
    "<a \"'",
    '<a b="',
    "<![CDATA[",
    "<!--",
    "<?",
    "<script>",
    "<x ",
    "/>",
    "<br></br>",
    "<!DOCTYPE[",
    "<p a='",
    '<a "<"',
]


@pytest.mark.busy
@pytest.mark.parametrize("piece", PIECES)
def test_the_cost_is_linear(piece):
    def cost(n_chars):
        page = piece * (n_chars // len(piece))
        started = time.process_time()
        as_html(page)
        return time.process_time() - started

    # Twice the page, twice the cost: four times and a moment is what a busy machine may make of it.
    assert cost(1 << 19) < 4 * cost(1 << 18) + 0.5
