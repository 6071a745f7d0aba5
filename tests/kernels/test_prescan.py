"""What a page says of its own charset."""

import time

import pytest

from dclm_spark.kernels.html.prescan import MAX_BYTES, prescan

pytestmark = pytest.mark.once

META = b"<meta charset=windows-1251>"
CYRILLIC = "windows-1251"


@pytest.mark.parametrize(
    ("page", "encoding"),
    [
        (b"", None),
        (b"<p>charset=koi8-r", None),
        (META, CYRILLIC),
        (b"<META\tCHARSET = 'Windows-1251' />", CYRILLIC),
        (b'<meta/charset="windows-1251"/>', CYRILLIC),
        (b"<meta http-equiv=content-type content='text/html; charset=windows-1251'>", CYRILLIC),
        (b"<meta content='text/html; CHARSET = \"windows-1251\"' http-equiv=Content-Type>", CYRILLIC),
        (b"<meta content='charset charset=windows-1251; x' http-equiv=Content-Type>", CYRILLIC),
        # No charset: a meta of another kind, a label that means none, quotes that nothing closes.
        (b"<meta name=description content='text/html; charset=koi8-r'>" + META, CYRILLIC),
        (b"<meta property=og content='charset=koi8-r'>", None),
        (b"<meta charset=nonsense>" + META, CYRILLIC),
        (b"<meta charset=utf-7>", None),
        (b"<metacharset=koi8-r>" + META, CYRILLIC),
        (b"<meta http-equiv=content-type content='charset=\"koi8-r'>" + META, CYRILLIC),
        (b"<meta charset='koi8-r>", None),
        (b"<meta charset=koi8-r", None),
        # Of an attribute that is there twice the first counts; `charset` before `content`.
        (b"<meta charset=windows-1251 charset=koi8-r>", CYRILLIC),
        (b"<meta http-equiv=content-type content='charset=koi8-r' charset=windows-1251>", CYRILLIC),
        # Comments, attributes, scripts and what is no tag.
        (b"<!-- <meta charset=koi8-r> -->" + META, CYRILLIC),
        (b"<!-->" + META, CYRILLIC),
        (b"<!-- > <meta charset=koi8-r>", None),
        (b"<p title='<meta charset=koi8-r>'>" + META, CYRILLIC),
        (b'<p title="a > <meta charset=koi8-r>">' + META, CYRILLIC),
        (b"<script>document.write('<meta charset=koi8-r>')</script>" + META, CYRILLIC),
        (b"<SCRIPT src=x>'<meta charset=koi8-r>'</SCRIPT >" + META, CYRILLIC),
        (b"<style>/* <meta charset=koi8-r> */</style>" + META, CYRILLIC),
        (b"<title><meta charset=koi8-r></title>" + META, CYRILLIC),
        (b"<script>" + META, CYRILLIC),  # never closed
        (b"<!doctype html><? <meta ?></ x><3 " + META, CYRILLIC),
        # UTF-16 is not what is read as ASCII here.
        (b"<meta charset=utf-16>", "utf-8"),
        (b"<meta charset=x-user-defined>", "windows-1252"),
        # The XML declaration, if no meta says anything; nowhere but at the start.
        (b"<?xml version='1.0' encoding='koi8-r'?>", "koi8-r"),
        (b'<?xml version="1.0" encoding = "UTF-16" ?>', "utf-8"),
        (b"<?xml version='1.0' encoding='koi8-r'?>" + META, CYRILLIC),
        (b" <?xml version='1.0' encoding='koi8-r'?>", None),
        (b"<?xml version='1.0'?><p encoding='koi8-r'>", None),
        # Beyond the bytes that the standard asks for, and beyond those looked at here.
        (b"<!--" + b"x" * 2000 + b"-->" + META, CYRILLIC),
        (b"x" * MAX_BYTES + META, None),
    ],
)
def test_prescan(page, encoding):
    assert prescan(page) == encoding


def test_in_xml_the_declaration_comes_first():
    page = b"<?xml version='1.0' encoding='koi8-r'?>" + META
    assert prescan(page, is_xml=True) == "koi8-r"
    assert prescan(META, is_xml=True) == CYRILLIC


@pytest.mark.parametrize(
    "piece",
    [
        *(b"<meta a='", b"<meta charset ", b'<p a="', b"<p a='b' ", b"<script>", b"<!--", b"<", b"</", b"<?", b"a=b "),
        *(b"<meta content='charset", b"<meta content=charset ", b" ", b"<a ", b"<a b= ", b"<meta/", b"<title"),
    ],
)
def test_nothing_makes_it_slow(piece):
    started = time.process_time()
    for start in (b"", b"<meta ", b"<meta content='", b"<p ", b"<?xml encoding"):
        prescan(start + piece * (MAX_BYTES // len(piece)))
    assert time.process_time() - started < 5
