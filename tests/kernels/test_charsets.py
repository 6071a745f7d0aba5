"""Decoding: which charset a page is read in, and what its text is."""

import pytest

from dclm_spark.kernels.archive.sniffing import binary_type
from dclm_spark.kernels.html.charsets import decode

pytestmark = pytest.mark.once

RUSSIAN = "Привет, это обычный русский текст о погоде и природе. " * 9
JAPANESE = "これは日本語のテストページです。" * 9
CHINESE = "这是一个简单的中文网页内容测试。" * 9
KOREAN = "이것은 한국어 테스트 페이지입니다. " * 9
GERMAN = "Schöne Grüße aus Köln, “naïve” Übungen. " * 9


@pytest.mark.parametrize(
    ("payload", "declared", "text", "charset"),
    [
        (b"", None, "", "utf-8"),
        (b"plain", "iso-8859-1", "plain", "utf-8"),
        # A byte order mark decides.
        (b"\xef\xbb\xbfabc\xff", "iso-8859-1", "abc\ufffd", "utf-8"),
        (GERMAN.encode("utf-16"), "utf-8", GERMAN, "utf-16-le"),
        (b"\xfe\xff" + GERMAN.encode("utf-16-be"), None, GERMAN, "utf-16-be"),
        # UTF-16 without a mark is valid UTF-8, full of NULs.
        (("<p>" + GERMAN).encode("utf-16-le"), "UTF-16", "<p>" + GERMAN, "utf-16-le"),
        (("<p>" + GERMAN).encode("utf-16-le"), None, "<p>" + GERMAN, "utf-16-le"),
        (("<p>" + GERMAN).encode("utf-16-be"), None, "<p>" + GERMAN, "utf-16-be"),
        (JAPANESE.encode("iso-2022-jp"), "ISO-2022-JP", JAPANESE, "iso2022_jp"),
        # UTF-8 is UTF-8, whatever is declared, and even when a little of it is broken.
        (RUSSIAN.encode(), "windows-1251", RUSSIAN, "utf-8"),
        (GERMAN.encode(), "ISO-8859-1", GERMAN, "utf-8"),
        (RUSSIAN.encode()[:-3], "utf-8", RUSSIAN[:-3] + "\ufffd", "utf-8"),
        (RUSSIAN.encode() + b"\xe9", None, RUSSIAN + "\ufffd", "utf-8"),
        # What is declared counts where it fits: by the header, then by the page.
        (RUSSIAN.encode("koi8-r"), "KOI8-R", RUSSIAN, "koi8-r"),
        (b"<meta charset=windows-1251>" + RUSSIAN.encode("cp1251"), None, None, "cp1251"),
        (b"<META http-equiv=x content='text/html; charset=EUC-JP'>" + JAPANESE.encode("euc-jp"), None, None, "euc_jp"),
        (b'<?xml version="1.0" encoding="GB2312"?>' + CHINESE.encode("gbk"), None, None, "gb18030"),
        (CHINESE.encode("gbk"), "gb2312", CHINESE, "gb18030"),
        (KOREAN.encode("cp949"), "ks_c_5601-1987", KOREAN, "cp949"),
        (JAPANESE.encode("cp932"), "x-sjis", JAPANESE, "cp932"),
        (GERMAN.encode("cp1252"), "iso-8859-1", GERMAN, "cp1252"),
        (b"<meta charset=windows-1251>" + RUSSIAN.encode("cp1251"), "no such thing", None, "cp1251"),
        # What is declared and does not fit does not count.
        (RUSSIAN.encode("cp1251"), "utf-8", RUSSIAN, "cp1251"),
        (GERMAN.encode("cp1252"), "utf-8", GERMAN, "cp1252"),
        (JAPANESE.encode("cp932"), "euc-kr", JAPANESE, "cp932"),
        (RUSSIAN.encode("cp1251"), None, RUSSIAN, "cp1251"),
        # No charset that Python would run code for, or answer with surrogates.
        (b"caf\xe9", "utf-7", None, None),
        (b"caf\xe9", "zlib", None, None),
        (b"caf\xe9", "windows-1252\0", None, None),
        (b"\xed\xa0\x80" * 50, "utf-8", None, None),
    ],
)
def test_detected_charsets(payload, declared, text, charset):
    got_text, got_charset, error = decode(payload, declared, charset="detect")
    assert error is None
    got_text.encode("utf-8")
    assert text is None or got_text == text
    assert charset is None or got_charset == charset


def test_strict_utf8_is_what_dclm_does():
    assert decode(RUSSIAN.encode(), "koi8-r", charset="utf-8") == (RUSSIAN, "utf-8", None)
    assert decode(b"\xef\xbb\xbfx", None, charset="utf-8")[0] == "\ufeffx"
    for payload in (GERMAN.encode("cp1252"), b"\xed\xa0\x80", RUSSIAN.encode()[:-3]):
        text, charset, error = decode(payload, None, charset="utf-8")
        assert (text, charset) == (None, None)
        assert error.startswith("UnicodeDecodeError: ") and "\n" not in error and len(error) <= 300


def _read(payload, declared=None, **others):
    text, charset, error = decode(payload, declared, charset="detect", **others)
    assert error is None
    return text, charset


PROSE = "The garden behind the old house has been left to itself for many years, and it shows. "


@pytest.mark.parametrize("n_letters", range(1, 9))
@pytest.mark.parametrize("letter", ["é", "’", "ü", "—"])
@pytest.mark.parametrize("stray", [b"\xa9", b"\x92", b"\xe9", b"\xff"])
def test_a_stray_byte_costs_itself_where_utf8_is_declared(n_letters, letter, stray):
    body = "".join(f"{PROSE}{letter}x " for _ in range(n_letters))
    expected = f"{PROSE}\ufffd {body}"
    payload = PROSE.encode() + stray + b" " + body.encode()
    meta = '<meta charset="utf-8">'
    assert _read(payload, "utf-8") == (expected, "utf-8")
    assert _read(meta.encode() + payload) == (meta + expected, "utf-8")
    assert _read(meta.encode() + payload, "UTF-8") == (meta + expected, "utf-8")
    if n_letters > 2:  # more letters say it without a declaration, and against one
        assert _read(payload) == (expected, "utf-8")
        assert _read(payload, "iso-8859-1") == (expected, "utf-8")


@pytest.mark.parametrize("cut", ["é", "’", "日", "\U0001f600"])
def test_a_letter_that_the_end_cuts_off_is_no_broken_one(cut):
    for n_bytes in range(1, len(cut.encode())):
        tail = cut.encode()[:n_bytes]
        assert _read(PROSE.encode() + tail, "utf-8") == (PROSE + "\ufffd", "utf-8")
        assert _read("é ".encode() + PROSE.encode() + tail) == (f"é {PROSE}\ufffd", "utf-8")
        assert _read("日 ".encode() + tail, "iso-8859-1") == ("日 \ufffd", "utf-8")
    assert _read(CHINESE[:3].encode("gbk")[:-1], "gbk")[1] == "gb18030"


@pytest.mark.parametrize("declared", ["utf-8", None, "iso-8859-1"])
@pytest.mark.parametrize(
    "text", ["caf\xe9, tr\xe8s belle", "\xabCAF\xc9\xbb \xe0 c\xf4t\xe9 d\xe9j\xe0", GERMAN, "\xa9 2010"]
)
def test_what_is_not_utf8_is_not_made_it_by_a_declaration(text, declared):
    assert _read((PROSE + text).encode("cp1252"), declared) == (PROSE + text, "cp1252")


@pytest.mark.parametrize(
    ("text", "codec"),
    [
        (JAPANESE, "euc-jp"),
        (JAPANESE, "cp932"),
        (CHINESE, "gbk"),
        (KOREAN, "cp949"),
        (RUSSIAN, "koi8-r"),
        (RUSSIAN, "cp1251"),
    ],
)
def test_legacy_text_under_a_declaration_of_utf8(text, codec):
    assert _read(text.encode(codec), "utf-8")[0] == text
    assert _read(b"<meta charset=utf-8>" + text.encode(codec))[0].endswith(text)
    assert _read(text.encode(codec))[0] == text


# What these bytes mean by the indexes of the WHATWG's Encoding Standard; Python's codecs know none of them so.
WHATWG = [
    ("euc-jp", "①②③㎝№", "euc_jp"),
    ("iso-2022-jp", "ｱｲｳ①", "iso2022_jp"),
    ("shift_jis", "①㎝～髙", "cp932"),
    ("gb2312", "€中文", "gb18030"),
    ("x-mac-cyrillic", "Привет, Ґґ€", "mac-cyrillic"),
    ("x-mac-ukrainian", "Їжак", "mac-cyrillic"),
    ("koi8-u", "Їжак ў", "koi8-u"),
    ("windows-874", "€ ไทย “ก”", "cp874"),
    ("tis-620", "ไทย…", "cp874"),
    ("iso-8859-8-i", "שלום", "iso8859-8"),
    ("big5", "中文嗰", "big5hkscs"),
    ("ks_c_5601-1987", "똠방각하", "cp949"),
    ("latin1", "“naïve” €", "cp1252"),
    ("iso-8859-9", "“ğ”", "cp1254"),
    ("macintosh", "“naïve” €", "mac-roman"),
    ("ibm866", "Привет", "cp866"),
]


@pytest.mark.parametrize(("label", "text", "charset"), WHATWG)
def test_charsets_are_those_of_the_web(label, text, charset):
    payload = _BYTES[label]
    assert _read(payload, label) == (text, charset)
    head = f"<meta http-equiv='Content-Type' content='text/html; charset={label}'>"
    assert _read(head.encode() + payload) == (head + text, charset)


_BYTES = {
    "euc-jp": "①②③㎝№".encode("euc_jis_2004"),  # JIS X 0213 has them where NEC's row 13 has
    "iso-2022-jp": b"\x1b(I\x31\x32\x33\x1b$B\x2d\x21\x1b(B",
    "shift_jis": "①㎝～髙".encode("cp932"),
    "gb2312": b"\x80" + "中文".encode("gbk"),
    "x-mac-cyrillic": "Привет, ".encode("mac_cyrillic") + b"\xa2\xb6\xff",
    "x-mac-ukrainian": b"\xba\xe6\xe0\xea",
    "koi8-u": "Їжак ".encode("koi8_u") + b"\xae",
    "windows-874": "€ ไทย “ก”".encode("cp874"),
    "tis-620": "ไทย…".encode("cp874"),
    "iso-8859-8-i": "שלום".encode("iso8859_8"),
    "big5": "中文嗰".encode("big5hkscs"),
    "ks_c_5601-1987": "똠방각하".encode("cp949"),
    "latin1": "“naïve” €".encode("cp1252"),
    "iso-8859-9": "“ğ”".encode("cp1254"),
    "macintosh": "“naïve” €".encode("mac_roman"),
    "ibm866": "Привет".encode("cp866"),
}


def test_japanese_in_ascii_is_seen_without_a_declaration():
    payload = ("<p>" + JAPANESE).encode("iso-2022-jp")
    for declared in (None, "utf-8", "iso-8859-1"):
        assert _read(payload, declared) == ("<p>" + JAPANESE, "iso2022_jp")
    assert _read(b"\x1b[31mred\x1b(B\x1b[m") == ("\x1b[31mred\x1b(B\x1b[m", "utf-8")


@pytest.mark.parametrize(
    ("text", "codec", "charset"),
    [
        (KOREAN, "cp949", "cp949"),
        ("Всі люди народжуються вільними і рівними у своїй гідності. " * 9, "koi8-u", "koi8-u"),
    ],
)
def test_what_bytes_look_like(text, codec, charset):
    assert _read(b"<p>" + text.encode(codec)) == ("<p>" + text, charset)


def test_of_a_header_and_a_page_that_differ_the_bytes_tell():
    head = b"<meta charset=windows-1251>"
    assert _read(head + RUSSIAN.encode("cp1251"), "iso-8859-1")[1] == "cp1251"
    assert _read(head + RUSSIAN.encode("koi8-r"), "koi8-r")[1] == "koi8-r"
    assert _read(b"<meta charset=koi8-r>" + GERMAN.encode("cp1252"), "iso-8859-1")[1] == "cp1252"


@pytest.mark.parametrize("space", ["", "\n", "\r\n", "\r\n\r\n", " ", "\t \n"])
@pytest.mark.parametrize(
    ("codec", "charset"), [("utf-8", "utf-8"), ("utf-16-le", "utf-16-le"), ("utf-16-be", "utf-16-be")]
)
@pytest.mark.parametrize("marks", [1, 2])
def test_white_space_before_a_mark(space, codec, charset, marks):
    page = f"<html><title>Straße</title><p>{JAPANESE} “{GERMAN}”"
    marked = ("\ufeff" * marks + page).encode(codec)
    for declared in (None, "utf-8", "iso-8859-1", "utf-16"):
        assert _read(space.encode() + marked, declared) == (page, charset)
    assert _read(space.encode(codec) + marked) == (page, charset)
    # The end of a page may be cut off inside a unit.
    assert _read(space.encode() + marked[:-1])[0][:-1] in page


@pytest.mark.parametrize("space", [b"", b"\n", b"\r\n", b" "])
@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("text", [PROSE, RUSSIAN, "don’t “say” " * 9, JAPANESE])
def test_utf16_without_a_mark(space, codec, text):
    page = f"<html><title>x</title><p>{text * 20}</p>"
    assert binary_type(space + page.encode(codec)) is None
    for declared in (None, "utf-8", "utf-16"):
        got, charset = _read(space + page.encode(codec), declared)
        assert got.strip() == page, charset


def test_marks_inside_a_page_are_no_text():
    assert (
        _read("<!DOCTYPE html>\ufeff<title>é</title>\ufeff<p>one\ufefftwo".encode())[0]
        == "<!DOCTYPE html><title>é</title><p>onetwo"
    )
    assert _read(b"\xff\xfe<html><p>caf\xc3\xa9") == ("<html><p>café", "utf-8")


def test_text_has_no_nuls_and_bytes_that_are_none_are_an_error():
    assert _read(b"<p>one\0 " + PROSE.encode() + bytes(900)) == ("<p>one " + PROSE, "utf-8")
    for payload in (bytes(range(256)) * 9, ("<p>" + PROSE).encode("utf-32-le"), b"<html>" + PROSE.encode("utf-16-le")):
        text, charset, error = decode(payload, None, charset="detect")
        assert (text, charset) == (None, None)
        assert error.startswith("no text: ")


def test_markup_sent_as_xml_is_read_as_xml():
    page = b"<?xml version='1.0' encoding='windows-1251'?><html><title/><meta charset='koi8-r'/>" + RUSSIAN.encode(
        "cp1251"
    )
    text, charset = _read(page, content_type="application/xhtml+xml")
    assert charset == "cp1251" and "<title></title>" in text
    text, charset = _read(page, content_type="text/html")
    assert charset == "koi8-r" and "<title/>" in text
    assert decode(b"<title/>", None, charset="utf-8", content_type="application/xhtml+xml")[0] == "<title/>"
