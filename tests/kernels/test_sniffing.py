"""Bytes that are no text: by magic numbers and control characters; html and text in any charset are left alone."""

import bz2
import gzip
import io
import lzma
import random
import sqlite3
import tarfile
import zipfile
import zlib

import pytest

from dclm_spark.kernels.archive.sniffing import OCTETS, binary_type

pytestmark = pytest.mark.once

HTML = "<!doctype html><html><head><title>Über</title></head><body><p>Größe, naïve café</p></body></html>"


def zipped(name: str, content: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(name, content)
    return out.getvalue()


def tarred() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a.html"), io.BytesIO())
    return out.getvalue()


def database() -> bytes:
    with sqlite3.connect(":memory:") as connection:
        connection.execute("CREATE TABLE t (a)")
        return connection.serialize()


NOISE = random.Random(5).randbytes(3000)
KINDS = {
    "application/pdf": b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<< /Type /Catalog >>\nendobj\n",
    "application/rtf": b"{\\rtf1\\ansi The garden}",
    "application/postscript": b"%!PS-Adobe-3.0\n%%Title: a\n",
    "image/png": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\2\0\0\0",
    "image/jpeg": b"\xff\xd8\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0" + NOISE,
    "image/gif": b"GIF89a\x10\0\x10\0\x80\0\0",
    "image/webp": b"RIFF\x24\0\0\0WEBPVP8 \x18\0\0\0",
    "image/bmp": b"BM\x46\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0" + bytes(50),
    "image/tiff": b"II*\0\x08\0\0\0" + bytes(20),
    "image/x-icon": b"\0\0\1\0\1\0\x10\x10\0\0\1\0\x20\0",
    "application/zip": zipped("index.html", HTML.encode()),
    "application/gzip": gzip.compress(HTML.encode()),
    "application/x-bzip2": bz2.compress(HTML.encode()),
    "application/x-xz": lzma.compress(HTML.encode()),
    "application/zstd": b"\x28\xb5\x2f\xfd\x24\x05\x29\0\0words",
    "application/x-7z-compressed": b"7z\xbc\xaf\x27\x1c\0\4" + NOISE,
    "application/x-rar-compressed": b"Rar!\x1a\x07\x01\0" + NOISE,
    "application/x-tar": tarred(),
    "application/x-executable": b"\x7fELF\2\1\1\0" + bytes(60),
    "application/x-msdownload": b"MZ\x90\0\3\0\0\0\4\0\0\0\xff\xff\0\0" + bytes(60),
    "application/java-vm": b"\xca\xfe\xba\xbe\0\0\0\x34\0\x1d",
    "application/x-ole-storage": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(512),
    "application/wasm": b"\0asm\1\0\0\0",
    "application/x-sqlite3": database(),
    "application/font-woff": b"wOFF\0\1\0\0" + bytes(40),
    "application/font-sfnt": b"\0\1\0\0\0\x0c\0\x80\0\3\0\x40" + bytes(40),
    "application/x-shockwave-flash": b"CWS\x0a\x10\x20\0\0" + NOISE,
    "audio/mpeg": b"ID3\3\0\0\0\0\x0f\x76TIT2\0\0\0\5\0\0\0Song" + bytes(60),
    "audio/ogg": b"OggS\0\2" + bytes(30),
    "audio/x-flac": b"fLaC\0\0\0\x22" + bytes(30),
    "audio/x-wav": b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0",
    "video/mp4": b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + bytes(20),
    "video/x-matroska": b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\1",
    OCTETS: NOISE,
}


@pytest.mark.parametrize("kind", KINDS)
def test_files_of_a_kind_are_known(kind):
    assert binary_type(KINDS[kind]) == kind
    assert binary_type(KINDS[kind] + NOISE) == kind


@pytest.mark.parametrize("seed", range(50))
def test_bytes_of_no_known_kind_are_no_text(seed):
    rng = random.Random(seed)
    for payload in (
        rng.randbytes(rng.choice([200, 2_000, 20_000])).replace(b"<", b">"),
        zlib.compress(rng.randbytes(2_000)),
        bytes(rng.choice([1, 2, 3, 4, 100, 5_000])),
        bytes(range(256)) * 4,
        b"some words, then zeros\n" * 100 + bytes(9_000),
    ):
        assert binary_type(payload) is not None


CODECS = ["utf-8", "utf-8-sig", "cp1252", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"]
BEFORE = ["", " \t\r\n", "\r\n", "\n", "\f", "<!-- c -->", "\0", "\1\2", "x\n", "1f4\r\n", "text before "]


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("before", BEFORE)
def test_html_is_text_whatever_is_before_it(codec, before):
    assert binary_type((before + HTML).encode(codec)) is None
    assert binary_type((before + HTML + "<p>a\0b\1c</p>").encode(codec)) is None


@pytest.mark.parametrize("start", [b"\r\n", b"\n", b" \r\n"])
def test_white_space_may_stand_before_a_byte_order_mark(start):
    for codec in ("utf-8-sig", "utf-16", "utf-32"):
        assert binary_type(start + HTML.encode(codec)) is None


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"BM is a firm, and MZ another",
        b"PK, GIF, ID3 and RIFF are names; %PDF-1.4 too",
        b"A \x08 stray \x01 or \0 two in a long text. " + b"words " * 100,
        "日本語のテキスト\n".encode("iso2022_jp") * 40,
        "Текст без разметки, и длинный.".encode("cp1251") * 20,
        "日本語".encode("shift_jis") * 50,
        b"<html>" + bytes(4_000),
        b'{"json": "with a <p>tag</p>"}',
        b"\x1b[1mbold\x1b[0m",
    ],
)
def test_other_text_is_text(text):
    assert binary_type(text) is None


def test_a_claim_names_what_the_bytes_bear_out_and_nothing_else():
    assert binary_type(HTML.encode(), "application/pdf") is None
    assert binary_type(b"\x00\x01junk first\n%PDF-1.7 ...", "application/pdf") == "application/pdf"
    assert binary_type(b"how to begin a file with %PDF-1.7", None) is None
    assert binary_type(NOISE, "video/mpeg") == "video/mpeg"
    assert binary_type(NOISE, "any/thing") == OCTETS
    assert binary_type(b"words", "image/png") is None
