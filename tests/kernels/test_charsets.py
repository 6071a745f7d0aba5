"""Decoding: which charset a page is read in, and what its text is."""

import pytest

from dclm_spark.kernels.charsets import decode

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
