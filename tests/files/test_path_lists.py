"""Lists of paths: how they may be written, how large they may be, and what one from elsewhere may not name."""

import gzip
import io
import time
import tracemalloc
import zlib

import pytest

from dclm_spark.files import path_lists
from dclm_spark.files.path_lists import Rules, joined, read_list
from dclm_spark.files.reach import LINK_LOCAL, LOOPBACK, RefusedError, check_reach, host_of, place_of

pytestmark = pytest.mark.once

WEB, S3, LOCAL = "https://crawl.example/lists/x.paths", "s3://crawl/lists/x.paths", "/lists/x.paths"


@pytest.fixture(autouse=True)
def no_names(monkeypatch):
    monkeypatch.setattr(path_lists, "resolves_to", lambda host: {LOOPBACK} if host == "laptop" else set())


def listed(*entries: str, place: str = WEB, base_url: str | None = None) -> list[str]:
    found = read_list(io.BytesIO("\n".join(entries).encode()), Rules(place, base_url))
    assert found.problems == []
    return found.addresses


def refused(entry: str, place: str = WEB, base_url: str | None = None) -> str:
    found = read_list(io.BytesIO(f"a.warc.gz\n{entry}\n".encode()), Rules(place, base_url))
    assert found.addresses == [] and len(found.problems) == 1
    return found.problems[0]


# -- how it may be written --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("is_packed", [False, True])
def test_marks_and_line_ends(encoding, end, is_packed):
    names = ["ä.warc.gz", "sub/ü.warc.gz", "語.arc"]
    mark = "\ufeff" if encoding.endswith("e") else ""
    data = f"{mark}{names[0]}{end}{end}  {names[1]}\t{end}{names[2]}".encode(encoding)
    data = gzip.compress(data[:9]) + gzip.compress(data[9:]) + b"\0\0" if is_packed else data
    found = read_list(io.BytesIO(data), Rules(LOCAL, None))
    assert (found.addresses, found.problems) == ([f"/lists/{name}" for name in names], [])


class Dribble(io.BytesIO):
    def read(self, n=-1):
        return super().read(1)


def test_a_list_that_comes_byte_by_byte():
    for data in ("a\r\nü\r\n".encode("utf-16"), b"a\r\n\xc3\xbc\r\n", gzip.compress(b"a\r\n\xc3\xbc\r\n")):
        assert read_list(Dribble(data), Rules(LOCAL, None)).addresses == ["/lists/a", "/lists/ü"]
    assert read_list(Dribble(b"a"), Rules(LOCAL, None)).addresses == ["/lists/a"]


def test_lists_put_together_have_marks_in_their_midst():
    assert listed("\ufeffa.warc", "\ufeffb.warc", place=LOCAL) == ["/lists/a.warc", "/lists/b.warc"]


@pytest.mark.parametrize(
    "data, said",
    [
        (b"", "is empty"),
        (b"\xef\xbb\xbf", "is empty"),
        (b" \n\r\n\t", "is empty"),
        (gzip.compress(b""), "is empty"),
        (b"caf\xe9.warc", "is no text: "),
        (b"a.warc\xc3", "is no text: "),
        (b"a\0.warc", "holds NULs"),
        ("a.warc".encode("utf-16-le"), "holds NULs"),
        (b"\x1f\x8bnonsense", "BadGzipFile"),
        (gzip.compress(b"a.warc\n" * 99)[:-9], "BadGzipFile: it ends too early"),
        (gzip.compress(b"a.warc\n") + b"garbage", "BadGzipFile"),
        (b"x" * (1 << 17), "a line of more than 65,536 characters"),
    ],
)
def test_what_is_no_list(data, said):
    found = read_list(io.BytesIO(data), Rules(LOCAL, None))
    assert found.addresses == [] and len(found.problems) == 1 and said in found.problems[0]


@pytest.mark.parametrize("unit", [b"\n", b"a\n", b"crawl-data/a.warc.gz\n", b"x" * 65_000 + b"\n", b" "])
def test_a_list_that_swells_is_bounded(unit, monkeypatch):
    monkeypatch.setattr(path_lists, "MAX_LINES", path_lists.MAX_LINES // 100)
    monkeypatch.setattr(path_lists, "MAX_BYTES", path_lists.MAX_BYTES // 100)
    packer = zlib.compressobj(9, wbits=31)
    block = unit * ((1 << 20) // len(unit))
    data = b"".join([*(packer.compress(block) for _ in range(30)), packer.flush()])
    tracemalloc.start()
    found = read_list(io.BytesIO(data), Rules(LOCAL, None))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found.addresses == [] and "holds" in found.problems[0]
    assert peak < 8 << 20


class Endless(io.RawIOBase):
    """Members without content, one after the other."""

    unit = gzip.compress(b"")

    def read(self, n=-1):
        return (self.unit * (n // len(self.unit) + 1))[:n] if n > len(self.unit) else self.unit


def test_a_list_of_empty_members_ends(monkeypatch):
    monkeypatch.setattr(path_lists, "MAX_BYTES", 2 << 20)
    started = time.process_time()
    found = read_list(Endless(), Rules(LOCAL, None))
    assert "BadGzipFile" in found.problems[0] or "more than 2 MiB" in found.problems[0]
    data = gzip.compress(b"") * (1 << 16)
    assert "is empty" in read_list(io.BytesIO(data), Rules(LOCAL, None)).problems[0]
    assert time.process_time() - started < 60


# -- what it may name -------------------------------------------------------------------------------------------------


def test_a_list_names_its_own_kind_of_store():
    entries = "a.warc.gz", "sub/../b.warc", "HTTPS://Other.example/c.warc", "http://other.example/d?x=http://e/f"
    assert listed(*entries) == [
        "https://crawl.example/lists/a.warc.gz", "https://crawl.example/lists/sub/../b.warc",
        "https://Other.example/c.warc", "http://other.example/d?x=http://e/f",
    ]  # fmt: skip
    assert listed("s3a://b/a.warc", "S3://b/b.warc", "c:d.warc", place=S3) == [
        "s3://b/a.warc", "s3://b/b.warc", "s3://crawl/lists/c:d.warc",
    ]  # fmt: skip
    assert listed("s3://commoncrawl/a", "crawl-data/b", "https://h/c", base_url="s3://commoncrawl") == [
        "s3://commoncrawl/a", "s3://commoncrawl/crawl-data/b", "https://h/c",
    ]  # fmt: skip
    assert listed("a?x=file:///b", "http:/127.0.0.1/c") == [
        "https://crawl.example/lists/a?x=file:///b", "https://crawl.example/lists/http:/127.0.0.1/c",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "place", [WEB, S3, "gs://b/x.paths", "hf://datasets/me/x.paths", "simplecache::https://h/x.paths"]
)
@pytest.mark.parametrize(
    "entry",
    [
        "/etc/passwd", "//host/etc/passwd", "file:///etc/passwd", "FILE:///etc/passwd", "File:/etc/passwd",
        "file:etc/passwd",
        "LOCAL:///etc/passwd", "local://etc/passwd", "lOcAl:/etc/passwd", "simplecache::file:///etc/passwd",
        "filecache::/etc/passwd", "zip://a.warc::file:///tmp/b.zip", "x::file:///etc/passwd", "blockcache::local://x",
        "\\etc\\passwd", "\\\\host\\share", "data:,hello", "DATA:text/plain;base64,eA==", "memory://x", "Memory://x",
        "reference://x", "ftp://h/a", "sftp://h/a", "smb://h/a", "git://x", "github://o:r@main/x", "jar:file:/x!/y",
        "dir::file:///etc", "\ufefffile:///etc/passwd", "  FILE:///etc/passwd  ", "nope://x",
    ],
)  # fmt: skip
def test_a_remote_list_names_nothing_of_this_machine_or_another_store(place, entry):
    if entry.startswith(("jar:",)):
        assert listed(entry, place=place) == [joined(entry, place, None)], "a name below the list's own folder"
        return
    problem = refused(entry, place)
    assert "is remote, but names" in problem


@pytest.mark.parametrize("base_url", ["/data/crawl", "file:///data/crawl/", "FILE:///data/crawl"])
def test_a_remote_list_stays_below_a_local_base(base_url):
    assert listed("a.warc", "sub/../b.warc", "/data/crawl/c.warc", "file:///data/crawl/d.warc", base_url=base_url) == [
        f"/data/crawl/{name}.warc" for name in "abcd"
    ]
    for entry in ("../../etc/passwd", "/etc/passwd", "file:///etc/passwd", "sub/../../crawl2/a", "/data/crawl2/a"):
        assert "local files outside of /data/crawl/" in refused(entry, base_url=base_url)
    if not base_url.startswith("/"):  # a URL is decoded
        assert "outside of" in refused("%2e%2e/%2e%2e/etc/passwd", base_url=base_url)


def test_a_list_of_this_machine_names_what_it_likes():
    entries = ["/data/a.warc", "s3://b/c", "http://127.0.0.1:8000/d", "simplecache::https://h/e", "file:///data/f"]
    assert listed(*entries, place=LOCAL) == [*entries[:-1], "/data/f"]


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "127.1", "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "127.255.255.254", "localhost",
        "LOCALHOST.", "a.localhost", "0.0.0.0", "0", "me:pw@127.0.0.1", "１２７.0.0.1", "%31%32%37.0.0.1",
        "169.254.169.254", "2852039166", "metadata.google.internal", "100.100.100.200", "127.0.0.1:8080",
        "[fe80:0:0:0:0:0:0:1]", "[0:0:0:0:0:ffff:7f00:1]", "[0:0:0:0:0:0:0:1]:80",
    ],
)  # fmt: skip
def test_a_remote_list_leads_to_no_host_of_this_machine(host):
    assert f"files of {LOOPBACK}" in (said := refused(f"http://{host}/a.warc.gz")) or f"files of {LINK_LOCAL}" in said
    assert "pw" not in said


def test_a_list_at_loopback_may_name_loopback():
    for place in ("http://127.0.0.1:8000/x.paths", "http://localhost/x.paths", "http://laptop/x.paths"):
        assert listed("http://127.0.0.1:9000/a", "http://localhost/b", "c", place=place)[-1].endswith("/c")
        assert LINK_LOCAL in refused("http://169.254.169.254/latest", place)
    # What its name is looked up as counts when the list is read, not its name.
    assert read_list(io.BytesIO(b"a"), Rules(WEB, None)).named_hosts == ()
    assert read_list(io.BytesIO(b"a"), Rules("http://laptop/x.paths", None)).named_hosts == ("laptop", "localhost")
    assert listed("http://localhost/b", base_url="http://localhost:8000/") == ["http://localhost/b"]


def test_a_signed_base_is_for_all_that_lies_below_it():
    assert joined("a.warc", WEB, "https://me:pw@h/c?sig=x/y") == "https://me:pw@h/c/a.warc?sig=x/y"
    assert joined("a.warc", f"{WEB}?sig=x/y", None) == "https://crawl.example/lists/a.warc"
    assert joined("a.warc", "https://me:pw@h/c/x.paths", None) == "https://me:pw@h/c/a.warc"


@pytest.mark.parametrize(
    "host", ["example.org", "10.0.0.1", "8.8.8.8", "2606:4700::1", "abc", "192.168.1.1", "128.0.0.1"]
)
def test_other_hosts_are_other_hosts(host):
    assert place_of(host) is None
    check_reach(host, "", ())


def test_a_connection_is_judged_by_where_it_leads():
    check_reach("crawl.example", "93.184.216.34", ())
    check_reach("laptop", "127.0.1.1", ("laptop",))
    check_reach("other", "127.0.1.1", ("127.0.0.1",))
    for host, peer, asked in (
        ("crawl.example", "127.0.0.1", ()),
        ("crawl.example", "::1", ("other.example",)),
        ("metadata.google.internal", "", ("127.0.0.1",)),
        ("crawl.example", "::ffff:169.254.169.254", ("127.0.0.1",)),
    ):
        with pytest.raises(RefusedError, match="which no input names"):
            check_reach(host, peer, asked)
    assert host_of("http://me:p@ss@H.example:80\\@good.example/") == "h.example"
