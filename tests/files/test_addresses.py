"""Addresses as they are stored and shown: what gives access is left out, all else stays as it is."""

import pytest

from dclm_spark.files.addresses import address_of, identity_of, secrets_of, without_secrets

pytestmark = pytest.mark.once

BASE = "https://h.example/crawl/a.warc.gz"
SIGNED = {
    "aws v4": "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIA%2F20220101%2Fus-east-1%2Fs3%2Faws4_request"
    "&X-Amz-Date=20220101T000000Z&X-Amz-Expires=3600&X-Amz-SignedHeaders=host&X-Amz-Signature=00ff00ff",
    "aws v4 temporary": "X-Amz-Security-Token=FwoGZX%2F%2F&x-amz-signature=00ff",
    "aws v2": "AWSAccessKeyId=AKIA123&Signature=vjbyPxybdZaNmGa%2ByT272YEAiv4%3D&Expires=1141889120",
    "cloudfront canned": "Expires=1426500000&Signature=nitfHRCrtziwO2HwPfWw~yYDhUF5&Key-Pair-Id=K2JCJMDEHXQW5F",
    "cloudfront custom": "Policy=eyANCiAgICEXAMPLEW1lbnQi&Signature=nitfHRCr&Key-Pair-Id=K2JCJ",
    "google v4": "X-Goog-Algorithm=GOOG4&X-Goog-Credential=a%40b%2F2022&X-Goog-Date=2022&X-Goog-Expires=9"
    "&X-Goog-SignedHeaders=host&X-Goog-Signature=0f",
    "google v2": "GoogleAccessId=a%40b.iam&Expires=1458238630&Signature=VVUgfqviDCov",
    "azure service": "sv=2022-11-02&st=2022-01-01T00%3A00Z&se=2022-02-01T00%3A00Z&sr=c&sp=rl&spr=https&sip=1.2.3.4"
    "&sig=Ab%2F1",
    "azure user": "skoid=1&sktid=2&skt=3&ske=4&sks=b&skv=5&se=6&sp=r&sv=7&sr=b&sig=c3VwZXI",
    "azure stored policy": "sv=2022-11-02&si=readers&sr=c&sig=abcd",
    "token": "token=tok-en-1",
    "oauth": "access_token=ya29.abc",
    "user and password": "username=me&password=hunter22",
    "api key": "api_key=0123456789",
    "key": "key=AIzaSyD-9tSrke72PouQMnMX-a7eZSW0jkFMBWY",
    "nginx": "md5=_e4Nc3iduzkWRm01TBBNYw&expires=2147483647",
    "bunny": "token=WzhuSNXCLTbvcHb&expires=1598024587",
    "akamai": "hdnea=exp=1600000000~acl=/*~hmac=0f0f",
    "alibaba": "OSSAccessKeyId=nz2p&Expires=1141889120&Signature=vjby&security-token=abcd",
    "tencent": "q-sign-algorithm=sha1&q-ak=AK&q-sign-time=1;2&q-key-time=1;2&q-header-list=host&q-url-param-list="
    "&q-signature=f0",
    "names in per cent signs": "%58-Amz-Signature=00ff&X%2DAmz%2DDate=2022",
}


@pytest.mark.parametrize("query", SIGNED.values(), ids=SIGNED.keys())
def test_a_signature_is_no_part_of_a_file(query):
    assert identity_of(f"{BASE}?{query}") == BASE
    assert identity_of(f"{BASE}?part=2&{query}&versionId=x") == f"{BASE}?part=2&versionId=x"
    assert identity_of(f"https://me:pa%40ss@h.example/crawl/a.warc.gz?{query}") == BASE
    assert identity_of(f"simplecache::{BASE}?{query}") == f"simplecache::{BASE}"
    said = without_secrets(f"ClientResponseError: 403, url='{BASE}?{query}'")
    assert said == f"ClientResponseError: 403, url='{BASE}'"


@pytest.mark.parametrize(
    "address",
    [
        BASE, f"{BASE}?", f"{BASE}?x=1&y=", f"{BASE}?name=a&n=3#part", f"{BASE}?expires=never&x=1"[:45],
        "s3://bucket/a b@c.warc.gz",
        "/data/a.warc.gz?token=1", "/data/user:pw@host/a", "hf://datasets/me/repo@main/a.jsonl", "http://[::1]:80/a",
        "github://org:repo@main/a.warc", "abfss://crawl@account.dfs.core.windows.net/a.warc",
        f"{BASE}?author=me&tokenizer=b",
        f"{BASE}?key=a.warc.gz", f"{BASE}?sp=1&sv=2&se=3", "file:///data/a?sig=1", "s3://b/a%20b.warc.gz?versionId=3",
        "zip://a.warc::s3://bucket/b.zip", "memory://x/y", "", "a", "://",
    ],
)  # fmt: skip
def test_an_ordinary_address_is_its_identity(address):
    assert identity_of(address) == address
    assert without_secrets(address) == address
    assert secrets_of(address) == []


@pytest.mark.parametrize(
    "address, identity",
    [
        ("http://token123@h/a", "http://h/a"),
        ("HTTP://u:p@h:8080/a@b", "HTTP://h:8080/a@b"),
        ("http://u:p@ss@h/a", "http://h/a"),
        ("http://u:pa/ss@h/a", "http://h/a"),
        ("s3://KEY:SECRET@bucket/a", "s3://bucket/a"),
        ("sftp://me:pw@h/a", "sftp://h/a"),
        ("abfss://crawl:secret@account/a?sig=1234", "abfss://crawl@account/a"),
        ("http://h/a#access_token=1234", "http://h/a"),
        ("zip://a::http://u:p@h/b.zip?sig=1", "zip://a::http://h/b.zip"),
        ("http://u:p@[::1]:80/a?sig=1", "http://[::1]:80/a"),
    ],
)
def test_users_and_passwords_are_no_part_of_a_file(address, identity):
    assert identity_of(address) == identity
    assert identity_of(identity) == identity


def test_secrets_are_taken_out_of_what_libraries_say():
    address = "https://me:hunter%2122@h/a.warc.gz?sig=Ab%2Fcd"
    said = f"cannot open {address}: user me said hunter!22 and Ab/cd, not 'https://other:pw@h/b?token=x&y=1'"
    assert without_secrets(said, [address]) == (
        "cannot open https://h/a.warc.gz: user me said *** and ***, not 'https://h/b?y=1'"
    )
    options = {"key": "AKIA1234", "anon": False, "client_kwargs": {"headers": {"Authorization": "Basic bWU6cHc="}}}
    assert without_secrets("AKIA1234 with Basic bWU6cHc= failed", [], options) == "*** with *** failed"


def test_every_way_to_write_a_local_file_is_known():
    for name in ("file:///data/a", "FILE:///data/a", "File:/data/a", "file:/data/a", "file://localhost/data/a"):
        assert address_of(name) == "/data/a"
