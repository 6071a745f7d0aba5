"""Inputs and open files against real servers on loopback: HTTP with and without ranges, failing ones, and S3."""

import functools
import gzip
import os
import random
import socket
import sys
import traceback
from pathlib import Path

import pytest

from dclm_spark.errors import InputError
from dclm_spark.files import faults, remote
from dclm_spark.files.inputs import Listing, SourceFile, list_files, open_source
from tests.support.buckets import s3_server
from tests.support.sites import ALWAYS, Site

pytestmark = pytest.mark.once

CONTENT = random.Random(7).randbytes(300_000)


def listing(*inputs: str | Path, base_url: str | None = None, **options) -> Listing:
    return list_files([str(name) for name in inputs], base_url=base_url, storage_options=options)


def problems(*inputs: str | Path, base_url: str | None = None, **options) -> tuple[str, ...]:
    with pytest.raises(InputError) as raised:
        listing(*inputs, base_url=base_url, **options)
    return raised.value.problems


def names(found: Listing) -> list[str]:
    return [file.path.rpartition("/")[2] for file in found.files]


def write(path: Path, content: bytes = b"content") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


@pytest.fixture
def folder(tmp_path) -> Path:
    for n, name in enumerate(("b.warc.gz", "a.warc", "sub/c.ARC.GZ", "sub/d.warc.wet.gz", "sub/deep/e.warc.zst")):
        write(tmp_path / name, b"x" * (n + 1))
    write(tmp_path / "README.md")
    write(tmp_path / "sub" / "_SUCCESS")
    return tmp_path


# -- local inputs -----------------------------------------------------------------------------------------------------


def test_file_folder_and_pattern(folder):
    assert listing(folder / "a.warc") == Listing((SourceFile(str(folder / "a.warc"), 2),), ())
    found = listing(folder)
    assert names(found) == ["a.warc", "b.warc.gz", "c.ARC.GZ", "d.warc.wet.gz", "e.warc.zst"]
    assert [file.n_bytes for file in found.files] == [2, 1, 3, 4, 5]
    assert found.skipped == (str(folder / "README.md"), str(folder / "sub" / "_SUCCESS"))
    assert listing(f"{folder}/") == found
    assert names(listing(folder / "*.warc*")) == ["a.warc", "b.warc.gz"]
    assert names(listing(folder / "**" / "*.[gG][zZ]")) == ["b.warc.gz", "c.ARC.GZ", "d.warc.wet.gz"]
    assert names(listing(folder / "s?b")) == ["c.ARC.GZ", "d.warc.wet.gz", "e.warc.zst"]


def test_inputs_keep_their_order(folder):
    assert names(listing(folder / "b.warc.gz", folder / "sub", folder / "a.warc")) == [
        "b.warc.gz", "c.ARC.GZ", "d.warc.wet.gz", "e.warc.zst", "a.warc",
    ]  # fmt: skip


def test_ways_to_write_a_local_path(folder, monkeypatch):
    odd = write(folder / "a b[1].warc")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HOME", str(folder))
    for name in (str(odd), odd.as_uri(), f"file:{odd}", odd.name, f"./sub/../{odd.name}", f"~/{odd.name}"):
        assert listing(name).files == (SourceFile(str(odd), 7),), name


def test_named_file_of_any_suffix_is_taken(folder):
    assert names(listing(folder / "README.md")) == ["README.md"]


def test_links_to_files_are_followed(folder):
    (folder / "linked").mkdir()
    (folder / "linked" / "l.warc").symlink_to(folder / "sub" / "c.ARC.GZ")
    (folder / "to_sub").symlink_to(folder / "sub")
    assert [file.n_bytes for file in listing(folder / "linked").files] == [3]
    assert names(listing(folder / "to_*")) == ["c.ARC.GZ", "d.warc.wet.gz", "e.warc.zst"]


def test_all_problems_at_once(folder):
    write(folder / "docs" / "page.html")
    write(folder / "empty.paths", b"\n  \n")
    write(folder / "broken.paths.gz", b"\x1f\x8bnonsense")
    found = problems(
        folder / "absent.warc", folder / "*.nothing", folder / "docs", folder / "empty.paths",
        folder / "broken.paths.gz", "nope://bucket/a.warc", folder / "a.warc", folder / "." / "a.warc",
    )  # fmt: skip
    for problem, said in zip(
        found,
        ["does not exist", "matches no file", "holds no archive or pool, but 1 other", "is empty", "BadGzipFile",
         "Protocol not known: nope", f"more than once, each may be read once: {folder}/a.warc (2 times)"],
        strict=True,
    ):  # fmt: skip
        assert said in problem


def test_no_input_is_a_problem():
    assert "no input was named" in problems()[0]


def test_same_file_by_link_pattern_or_list_is_refused(folder):
    (folder / "other.warc").symlink_to(folder / "a.warc")
    assert "a.warc (2 times)" in problems(folder / "a.warc", folder / "other.warc")[0]
    assert "a.warc (2 times)" in problems(folder / "a.warc", folder / "a.w*")[0]
    write(folder / "twice.paths", b"a.warc\nb.warc.gz\na.warc\n")
    assert "a.warc (2 times)" in problems(folder / "twice.paths")[0]
    assert "s3://x/a.warc (2 times)" in problems(write(folder / "s3.paths", b"s3a://x/a.warc\ns3://x/a.warc"))[0]


def test_one_base_name_for_two_files(tmp_path):
    for part, content in (("warc", b"one"), ("robotstxt", b"other"), ("copy", b"two")):
        write(tmp_path / part / "a.warc.gz", content)
    assert len(listing(tmp_path / "warc", tmp_path / "robotstxt").files) == 2
    (problem,) = problems(tmp_path / "warc", tmp_path / "copy")
    assert f"{tmp_path}/copy/a.warc.gz and {tmp_path}/warc/a.warc.gz" in problem


# -- lists ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["my.paths", "my.paths.gz", "my.txt", "my.txt.gz"])
def test_list_beside_its_files(folder, name):
    lines = f"b.warc.gz\r\n\r\n  sub/c.ARC.GZ\n{folder}/a.warc".encode()
    write(folder / name, gzip.compress(lines) if name.endswith(".gz") else lines)
    found = listing(folder / name)
    assert names(found) == ["b.warc.gz", "c.ARC.GZ", "a.warc"]
    assert [file.n_bytes for file in found.files] == [1, 3, 2]


def test_list_with_base(folder, tmp_path_factory):
    elsewhere = write(tmp_path_factory.mktemp("lists") / "x.paths", b"a.warc\nsub/c.ARC.GZ\n")
    assert names(listing(elsewhere, base_url=str(folder))) == ["a.warc", "c.ARC.GZ"]
    (problem,) = problems(elsewhere)
    assert problem.startswith("2 of 2 files") and "a.warc" in problem


def test_list_of_a_crawl_needs_no_request_per_file(tmp_path):
    """A dump's list has 90,000 lines."""
    lines = [f"crawl-data/CC-MAIN-2022-05/segments/1.{n}/warc/CC-MAIN-{n:05}.warc.gz" for n in range(90_000)]
    packed = gzip.compress("\n".join(lines).encode())
    paths = write(tmp_path / "crawl-data" / "CC-MAIN-2022-05" / "warc.paths.gz", packed)
    found = listing(paths, base_url="s3a://commoncrawl/", anon=True)
    assert len(found.files) == 90_000
    assert found.files[1] == SourceFile(f"s3://commoncrawl/{lines[1]}", None)
    assert listing(paths, base_url="https://data.example").files[0].path == f"https://data.example/{lines[0]}"


def test_list_below_crawl_data_continues_what_lies_above(tmp_path):
    write(tmp_path / "crawl-data" / "CC-MAIN-2022-05" / "segments" / "a.warc.gz")
    lists = tmp_path / "crawl-data" / "CC-MAIN-2022-05"
    write(lists / "warc.paths", b"crawl-data/CC-MAIN-2022-05/segments/a.warc.gz")
    write(lists / "near.paths", b"segments/a.warc.gz")
    assert listing(lists / "warc.paths") == listing(lists / "near.paths")


def test_missing_package_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "s3fs", None)
    monkeypatch.delitem(sys.modules["fsspec.registry"]._registry, "s3", raising=False)
    paths = write(tmp_path / "x.paths", b"s3://bucket/a.warc.gz\n")
    for name in ("s3://bucket/a.warc.gz", paths):
        (problem,) = problems(name)
        assert "pip install 'dclm-spark[s3]'" in problem


def test_several_missing_files_are_counted(tmp_path):
    paths = write(tmp_path / "x.paths", "\n".join(f"{n}.warc" for n in range(20)).encode())
    (problem,) = problems(paths)
    assert problem.startswith("20 of 20 files") and problem.endswith("and 15 more")


# -- HTTP -------------------------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(remote, "BLOCK_BYTES", 64 << 10)
    monkeypatch.setattr(faults, "PAUSES_SECONDS", (0.01, 0.02))


open_any = functools.partial(open_source, storage_options={})


def check_reading(stream) -> None:
    """Reads a file of CONTENT in every way a reader of archives does."""
    with stream:
        assert stream.seekable() and stream.readable()
        assert stream.read(10) == CONTENT[:10]
        assert stream.seek(-5, os.SEEK_END) == len(CONTENT) - 5
        assert stream.read() == CONTENT[-5:] and stream.read(1) == b""
        assert stream.seek(100_000) == 100_000 == stream.tell()
        assert stream.read(100_000) == CONTENT[100_000:200_000]
        assert stream.seek(-50_000, os.SEEK_CUR) == 150_000
        assert stream.read1(7) == CONTENT[150_000:150_007]
        stream.seek(0)
        assert b"".join(iter(lambda: stream.read(10_007), b"")) == CONTENT
        assert stream.seek(10**9) == 10**9 and stream.read(1) == b""
    assert stream.closed


def test_reading_a_local_file(tmp_path):
    check_reading(open_any(str(write(tmp_path / "a.warc", CONTENT))))
    with pytest.raises(FileNotFoundError):
        open_any(str(tmp_path / "absent.warc"))


@pytest.mark.parametrize("has_ranges", [True, False])
def test_reading_over_http(has_ranges):
    with Site({"/a.warc.gz": CONTENT}, has_ranges=has_ranges) as site:
        assert listing(f"{site.url}/a.warc.gz").files == (SourceFile(f"{site.url}/a.warc.gz", len(CONTENT)),)
        check_reading(open_any(f"{site.url}/a.warc.gz"))


def test_http_reads_by_blocks_and_without_ranges_once():
    with Site({"/a.warc": CONTENT}) as site, open_any(f"{site.url}/a.warc") as stream:
        assert stream.read() == CONTENT
        assert site.requests["GET"] == -(-len(CONTENT) // remote.BLOCK_BYTES)
    with Site({"/a.warc": CONTENT}, has_ranges=False) as site, open_any(f"{site.url}/a.warc") as stream:
        assert stream.read() == CONTENT
        assert site.requests["GET"] <= 3  # the first block, the second in vain, the file


@pytest.mark.parametrize("has_ranges", [True, False])
@pytest.mark.parametrize("faults", [1, 2])
def test_connection_that_breaks_in_the_middle(has_ranges, faults):
    with Site({"/a.warc.gz": CONTENT}, has_ranges=has_ranges) as site, open_any(f"{site.url}/a.warc.gz") as stream:
        assert stream.read(10) == CONTENT[:10]
        site.faults = faults if has_ranges else 1  # without ranges one try is spent on finding that out
        assert stream.read() == CONTENT[10:]
        assert site.faults == 0


def test_server_that_stays_broken_is_an_os_error():
    with Site({"/a.warc.gz": CONTENT}) as site, open_any(f"{site.url}/a.warc.gz") as stream:
        assert stream.read(10) == CONTENT[:10]
        site.faults = 10**6
        with pytest.raises(OSError, match="could not be read in 3 tries"):
            stream.read()
        site.faults = 0  # and afterwards it goes on where it was
        position = stream.tell()
        assert stream.read() == CONTENT[position:]


def test_server_that_is_down_is_not_a_missing_file():
    with Site({"/a.warc.gz": CONTENT}) as site:
        site.is_down = True
        with pytest.raises(OSError, match="3 tries.*503") as raised:
            open_any(f"{site.url}/a.warc.gz")
        assert not isinstance(raised.value, FileNotFoundError)
        assert "503" in problems(f"{site.url}/a.warc.gz")[0]
        site.is_down = False
        with pytest.raises(FileNotFoundError):
            open_any(f"{site.url}/absent.warc.gz")
        assert "does not exist" in problems(f"{site.url}/absent.warc.gz")[0]


def test_a_server_says_when_to_come_back(monkeypatch):
    paused = []
    monkeypatch.setattr(remote, "sleep", paused.append)
    with Site({"/a.warc": CONTENT}) as site:
        for said, expected in (
            ({}, (0.01, 0.015)),
            ({"Retry-After": "7"}, (7, 7)),
            ({"Retry-After": "86400"}, (faults.LONGEST_PAUSE_SECONDS,) * 2),
            ({"Retry-After": "Fri, 31 Dec 1999 23:59:59 GMT"}, (0.01, 0.015)),
            ({"Retry-After": "soon"}, (0.01, 0.015)),
        ):
            site.down, site.error_headers = {"/a.warc": 2}, said  # HEAD, and GET in its place
            paused.clear()
            with open_any(f"{site.url}/a.warc") as stream:
                assert stream.read() == CONTENT
            assert [expected[0] <= seconds <= expected[1] for seconds in paused] == [True], paused


def test_each_address_comes_back_at_its_own_time():
    pauses = {faults.pause(10.0, OSError(), f"http://h/{n}.warc.gz") for n in range(100)}
    assert len(pauses) > 50 and min(pauses) >= 10 and max(pauses) <= 15
    assert faults.pause(10.0, OSError(), "http://h/0.warc.gz") in pauses


def test_a_file_that_heals_is_read():
    with Site({"/a.warc": CONTENT}) as site:
        site.down, site.cut = {"/a.warc": 2}, {"/a.warc": 2}
        with open_any(f"{site.url}/a.warc") as stream:
            assert stream.read() == CONTENT
        site.down = {"/a.warc": ALWAYS}
        with pytest.raises(OSError, match="503"):
            open_any(f"{site.url}/a.warc")


def test_a_busy_store_is_asked_again_for_a_list():
    with Site({"/x.paths": b"a.warc"}) as site:
        site.down = {"/x.paths": 3}  # HEAD, then GET in its place, then HEAD
        assert names(listing(f"{site.url}/x.paths")) == ["a.warc"]


def own_address() -> str:
    """An address of this machine that is not that of its loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            pytest.skip("this machine has no network")
        return probe.getsockname()[0]


def test_nobody_is_led_to_this_machine_unasked():
    elsewhere = own_address()
    with Site({"/a.warc": CONTENT, "/secret.warc": b"secret", "/x.paths": b"secret.warc\n"}) as site:
        port = site.server.server_port
        with Site({"/a.warc": CONTENT, "/near.paths": b"b.warc"}, host=elsewhere) as other:
            # A server elsewhere that sends requests here, by whatever name.
            for number, host in enumerate(("127.0.0.1", "localhost", "2130706433", "0x7f.1")):
                other.redirects[f"/{number}.warc"] = f"http://{host}:{port}/secret.warc"
                with pytest.raises(PermissionError, match="which no input names"):
                    open_any(f"{other.url}/{number}.warc")
                assert "which no input names" in problems(f"{other.url}/{number}.warc")[0]
            other.redirects["/m.warc"] = "http://169.254.169.254/latest/meta-data/"
            assert "link-local or metadata" in problems(f"{other.url}/m.warc")[0]
            other.redirects["/moved.warc"] = f"{other.url}/a.warc"
            check_reading(open_any(f"{other.url}/moved.warc"))
            assert site.requests.total() == 0
            # A list elsewhere that names files here: by a name that only the connection shows to be here.
            (file,) = listing(f"{other.url}/near.paths").files
            assert (file.named_hosts, file.address) == ((), f"{other.url}/b.warc")
            with pytest.raises(PermissionError, match="which no input names"):
                open_source(f"http://localhost:{port}/secret.warc", storage_options={}, named_hosts=file.named_hosts)
            assert site.requests.total() == 0
            # Who asks for it gets it: by the input, or by a list that is here itself.
            site.redirects["/here.warc"] = f"http://localhost:{port}/a.warc"
            site.redirects["/there.warc"] = f"{other.url}/a.warc"
            for name in ("a", "here", "there"):
                check_reading(open_any(f"{site.url}/{name}.warc"))
            site.redirects["/m.warc"] = "http://169.254.169.254/latest/meta-data/"
            assert "link-local or metadata" in problems(f"{site.url}/m.warc")[0]
            (file,) = listing(f"{site.url}/x.paths").files
            with open_source(file.address, storage_options={}, named_hosts=file.named_hosts) as stream:
                assert stream.read() == b"secret"


SIGNED = "X-Amz-Credential=AKIDEXAMPLE%2F20220101&X-Amz-Date=20220101T000000Z&X-Amz-Signature=5ec4e7"


def test_what_gives_access_is_used_and_not_shown():
    with Site({f"/a.warc.gz?{SIGNED}": CONTENT, f"/x.paths?{SIGNED}": b"a.warc.gz\n"}) as site:
        own = site.url.replace("//", "//me:hunter22@")
        (file,) = listing(f"{own}/a.warc.gz?{SIGNED}").files
        assert file == SourceFile(f"{site.url}/a.warc.gz", len(CONTENT))
        assert "5ec4e7" not in repr(file) and "hunter22" not in repr(file)
        check_reading(open_source(file.address, storage_options={}))
        assert site.authorizations == {"Basic bWU6aHVudGVyMjI="}
        (file,) = listing(f"{own}/x.paths?{SIGNED}", base_url=f"{own}/?{SIGNED}").files
        assert file.path == f"{site.url}/a.warc.gz"
        check_reading(open_source(file.address, storage_options={}))
        same = f"{own}/a.warc.gz?{SIGNED}", f"{site.url}/a.warc.gz?{SIGNED}&x-amz-expires=9"
        site.files[f"/a.warc.gz?{SIGNED}&x-amz-expires=9"] = CONTENT
        assert "a.warc.gz (2 times)" in problems(*same)[0]
        for wrong in (f"{own}/b.warc.gz?{SIGNED}", f"{own}/folder/?{SIGNED}", f"{own}/empty.paths?{SIGNED}"):
            site.files[f"/folder/?{SIGNED}"] = site.files[f"/empty.paths?{SIGNED}"] = b""
            (problem,) = problems(wrong)
            assert not any(secret in problem for secret in ("5ec4e7", "AKIDEXAMPLE", "hunter22", "me:"))
        site.is_down = True
        for name in (
            f"{own}/a.warc.gz?{SIGNED}",
            "s3://KEYID:hunter22@bucket/x",
            "nope://me:hunter22@h/a?token=5ec4e7",
        ):
            (problem,) = problems(name)
            assert not any(secret in problem for secret in ("5ec4e7", "AKIDEXAMPLE", "hunter22", "KEYID", "me:"))
        with pytest.raises(OSError, match="503") as raised:
            open_any(f"{own}/a.warc.gz?{SIGNED}")
        said = "".join(traceback.format_exception(raised.value))
        assert not any(secret in said for secret in ("5ec4e7", "AKIDEXAMPLE", "hunter22"))


def test_folder_of_a_web_server_cannot_be_searched():
    with Site({"/folder/": b"<html>"}) as site:
        assert "cannot be searched" in problems(f"{site.url}/folder/")[0]


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip"])
def test_gzip_declared_as_an_encoding_is_left_alone(encoding):
    packed = gzip.compress(CONTENT)
    with Site({"/a.warc.gz": packed}, headers={"Content-Encoding": encoding}) as site:
        assert listing(f"{site.url}/a.warc.gz").files[0].path == f"{site.url}/a.warc.gz"
        with open_any(f"{site.url}/a.warc.gz") as stream:
            assert stream.read() == packed


def test_list_over_http():
    lines = b"crawl-data/CC-MAIN-2022-05/a.warc.gz\ncrawl-data/CC-MAIN-2022-05/b.warc.gz\n"
    files = {"/crawl-data/CC-MAIN-2022-05/warc.paths.gz": gzip.compress(lines), "/near.txt?x=1": b"a.warc",
             "/evil.paths": b"/etc/passwd\n"}  # fmt: skip
    with Site(files) as site:
        found = listing(f"{site.url}/crawl-data/CC-MAIN-2022-05/warc.paths.gz", anon=True)
        assert [file.path for file in found.files] == [f"{site.url}/{line.decode()}" for line in lines.split()]
        assert listing(f"{site.url}/near.txt?x=1").files[0].path == f"{site.url}/a.warc"
        assert "names local files" in problems(f"{site.url}/evil.paths")[0]
        assert sum(site.requests.values()) <= 9  # none for the files listed


def test_empty_remote_file():
    with Site({"/a.warc": b""}) as site, open_any(f"{site.url}/a.warc") as stream:
        assert stream.read() == b""


def test_read_ahead_is_bounded():
    with Site({"/a.warc": CONTENT}) as site, open_any(f"{site.url}/a.warc") as stream:
        stream.read(1)
        stream.raw._ahead[1].result()
        assert site.requests["GET"] == 2
        assert stream.raw._thread._work_queue.qsize() == 0


# -- S3 ---------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def s3(tmp_path_factory):
    """A bucket with two public archives and a private one: the storage options for anonymous reading."""
    with s3_server() as (url, client):
        client.create_bucket(Bucket="crawls", ACL="public-read")
        lines = b"crawl-data/D/segments/a.warc.gz\ncrawl-data/D/segments/b.warc.gz\n"
        for key, content in {
            "crawl-data/D/segments/a.warc.gz": CONTENT,
            "crawl-data/D/segments/b.warc.gz": b"",
            "crawl-data/D/segments/": b"",
            "crawl-data/D/segments/index.html": b"<html>",
            "crawl-data/D/warc.paths.gz": gzip.compress(lines),
        }.items():
            client.put_object(Bucket="crawls", Key=key, Body=content, ACL="public-read")
        yield {"anon": True, "endpoint_url": url}


def test_a_busy_bucket_is_tried_again_and_is_no_missing_file(monkeypatch):
    pytest.importorskip("s3fs")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")
    monkeypatch.setattr(faults, "PAUSES_SECONDS", (0.01, 0.01))
    path = "/crawls/a.warc.gz"
    with Site({path: CONTENT}) as site:
        options = {"key": "key", "secret": "secret", "endpoint_url": site.url}
        site.down[path] = ALWAYS
        with pytest.raises(OSError, match="could not be read in 3 tries .*Service Unavailable") as caught:
            open_source(f"s3:/{path}", storage_options=options)
        assert not isinstance(caught.value, FileNotFoundError)
        site.down.clear()
        site.once_listed[path] = 3
        with open_source(f"s3:/{path}", storage_options=options) as stream:
            assert stream.read() == CONTENT


@pytest.mark.parametrize(("status", "is_busy"), [(503, True), (429, True), (404, False), (403, False)])
def test_the_status_of_a_bucket_tells_whether_it_is_busy(status, is_busy):
    exceptions = pytest.importorskip("botocore.exceptions")
    cause = exceptions.ClientError({"ResponseMetadata": {"HTTPStatusCode": status}}, "ListObjectsV2")
    error = OSError("a bucket's answer")
    error.__cause__ = cause
    assert faults.is_busy(error) is is_busy


def test_reading_from_s3(s3):
    check_reading(open_source("s3://crawls/crawl-data/D/segments/a.warc.gz", storage_options=s3))
    with pytest.raises(FileNotFoundError):
        open_source("s3://crawls/absent.warc.gz", storage_options=s3)


def test_s3_inputs(s3):
    a = SourceFile("s3://crawls/crawl-data/D/segments/a.warc.gz", len(CONTENT))
    b = SourceFile("s3://crawls/crawl-data/D/segments/b.warc.gz", 0)
    assert listing("s3a://crawls/crawl-data/D/segments/a.warc.gz", **s3).files == (a,)
    assert listing("s3://crawls/crawl-data/*/segments/*.warc.gz", **s3).files == (a, b)
    for folder in ("s3://crawls/crawl-data/D/segments", "s3a://crawls/crawl-data/D/segments/"):
        found = listing(folder, **s3)
        assert found == Listing((a, b), ("s3://crawls/crawl-data/D/segments/index.html",))
    listed = listing("s3://crawls/crawl-data/D/warc.paths.gz", **s3)
    assert [file.path for file in listed.files] == [a.path, b.path]
    assert "does not exist" in problems("s3://crawls/absent", **s3)[0]
    assert "does not exist" in problems("s3://no-such-bucket/a.warc.gz", **s3)[0]
    assert "matches no file" in problems("s3://crawls/*.arc", **s3)[0]


def test_new_files_on_s3_are_seen(s3):
    boto3 = pytest.importorskip("boto3")
    before = listing("s3://crawls/crawl-data", **s3)
    client = boto3.client(
        "s3", endpoint_url=s3["endpoint_url"], region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x"
    )
    client.put_object(Bucket="crawls", Key="crawl-data/E/z.warc.gz", Body=b"z", ACL="public-read")
    after = listing("s3://crawls/crawl-data", **s3)
    client.delete_object(Bucket="crawls", Key="crawl-data/E/z.warc.gz")
    assert set(after.files) - set(before.files) == {SourceFile("s3://crawls/crawl-data/E/z.warc.gz", 1)}


def test_s3_endpoint_of_the_environment(s3, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3["endpoint_url"])
    with open_source("s3://crawls/crawl-data/D/segments/a.warc.gz", storage_options={"anon": True}) as stream:
        assert stream.read() == CONTENT


def test_s3_without_credentials_says_so(s3, monkeypatch, tmp_path):
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    (problem,) = problems("s3://crawls/crawl-data/D/segments/a.warc.gz", endpoint_url=s3["endpoint_url"])
    assert "anon=true" in problem
