"""An S3 server on this machine, for tests of inputs and warehouses in a bucket."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest


@contextmanager
def s3_server() -> Iterator[tuple[str, Any]]:
    """The address of a new server, and a client with the key `key` and the secret `secret`; skips without moto."""
    moto_server = pytest.importorskip("moto.server", reason="moto is not installed here")
    boto3 = pytest.importorskip("boto3")
    server = moto_server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    url = f"http://127.0.0.1:{port}"
    try:
        yield (
            url,
            boto3.client(
                "s3", endpoint_url=url, region_name="us-east-1", aws_access_key_id="key", aws_secret_access_key="secret"
            ),
        )
    finally:
        server.stop()
