"""The command of docs/inputs.md with a warehouse in a bucket, against a real S3 server on this machine.

The first run on a machine fetches the jars of Hadoop's connector, 19 MB (6 MB for Spark 3.5).
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dclm_spark.spark import s3a
from tests.support.archives import english_pages, html, write_warc
from tests.support.buckets import s3_server
from tests.support.kills import ENVIRONMENT, SETTINGS

ROOT = Path(__file__).parents[2]
DUMP = "CC-MAIN-2022-05"


@pytest.fixture
def server() -> Iterator[tuple[str, Any]]:
    """An S3 server with a bucket: its address and a client."""
    with s3_server() as (url, client):
        client.create_bucket(Bucket="my-bucket")
        yield url, client


def dclm(*arguments: object, home: Path, **environment: str) -> str:
    command = [sys.executable, "-m", "dclm_spark", *map(str, arguments), *(f"--conf={one}" for one in SETTINGS)]
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "SPARK_"))}
    kept["DCLM_SPARK_CACHE"] = kept.get("DCLM_SPARK_CACHE", str(Path.home() / ".cache" / "dclm_spark"))
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        cwd=home,
        env=kept | ENVIRONMENT | {"HOME": str(home)} | environment,
        timeout=1800,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.long
def test_input_and_warehouse_in_a_bucket(server, tmp_path):
    endpoint, client = server
    file = write_warc(tmp_path / "a.warc.gz", [*english_pages(4), ("http://a.org/short", html("<p>Short.</p>"))])
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "credentials").write_text(
        "[default]\naws_access_key_id = key\naws_secret_access_key = secret\n"
    )
    client.upload_file(str(file), "my-bucket", "crawl/a.warc.gz")

    made = ("run", "--dump", DUMP, "--master", "local[2]", "--input", "s3://my-bucket/crawl/", "--warehouse")
    options = ("--storage-option", f"endpoint_url={endpoint}")
    runs = json.loads(dclm(*made, "s3a://my-bucket/lake", *options, "--json", home=tmp_path))
    counted = [(run["stage"], run["n_rows_in"], run["n_rows_out"], run["is_new"]) for run in runs]
    assert counted == [("documents", 6, 5, True), ("annotated", 5, 5, True), ("filtered", 5, 4, True)]
    # The same tables by the other name of the scheme, and an ablation on the disk that borrows from the bucket.
    said = dclm(
        *("funnel", "--warehouse", "s3://my-bucket/lake", "--json"),
        home=tmp_path,
        AWS_ENDPOINT_URL=endpoint,
        AWS_ACCESS_KEY_ID="key",
        AWS_SECRET_ACCESS_KEY="secret",
    )
    (funnel,) = json.loads(said)
    assert (funnel["documents"], funnel["filtered"], funnel["is_balanced"]) == (5, 4, True)
    keys = {entry["Key"] for entry in client.list_objects_v2(Bucket="my-bucket", Prefix="lake/")["Contents"]}
    assert "lake/documents/_delta_log/00000000000000000000.json" in keys
    assert sorted(path.name for path in tmp_path.iterdir()) == [".aws", "a.warc.gz"], "nothing is left where one works"


@pytest.mark.once
def test_settings_follow_the_options_of_the_input_and_the_environment(monkeypatch, tmp_path):
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    fs = "spark.hadoop.fs.s3a."
    assert not [key for key in s3a.settings({"anon": True}) if key.startswith(fs)]
    found = s3a.settings({"endpoint_url": "http://127.0.0.1:9000", "key": "a", "secret": "b"})
    assert (found[f"{fs}endpoint"], found[f"{fs}path.style.access"]) == ("http://127.0.0.1:9000", "true")
    assert (found[f"{fs}access.key"], found[f"{fs}secret.key"]) == ("a", "b")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://s3.eu-central-1.amazonaws.com")
    found = s3a.settings({})
    assert f"{fs}endpoint" in found and f"{fs}path.style.access" not in found
