"""Provides what a Spark installed by pip needs for tables in S3 (`s3a://`): Hadoop's connector and its settings."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from dclm_spark.errors import SessionError
from dclm_spark.spark.jvm import fetched, minor_version

# The connector of the Hadoop that each Spark has inside, and the parts of Amazon's SDK that it uses, 6 and 19 MB of
# jars; the bundle that it names instead holds the clients of all services, 280 and 640 MB. Those for roles and single
# sign-on are for credentials.
_V1 = ("s3", "sts", "dynamodb")
_V2 = ("s3", "s3-transfer-manager", "sts", "sso", "ssooidc", "apache-client", "netty-nio-client")
PACKAGES = {
    "3.5": ("org.apache.hadoop:hadoop-aws:3.3.4", *(f"com.amazonaws:aws-java-sdk-{part}:1.12.262" for part in _V1)),
    "4.0": ("org.apache.hadoop:hadoop-aws:3.4.1", *(f"software.amazon.awssdk:{part}:2.24.6" for part in _V2)),
    "4.1": ("org.apache.hadoop:hadoop-aws:3.4.2", *(f"software.amazon.awssdk:{part}:2.29.52" for part in _V2)),
}
PROVIDED = ",".join(
    (
        "com.amazonaws:aws-java-sdk-bundle",
        "com.fasterxml.jackson.core:*",
        "commons-codec:*",
        "commons-logging:*",
        "io.netty:*",
        "joda-time:*",
        "org.apache.hadoop:hadoop-client-api",
        "org.apache.hadoop:hadoop-common",
        "org.apache.httpcomponents:*",
        "org.slf4j:*",
        "software.amazon.awssdk:bundle",
    )
)
_MARK = "spark.hadoop.fs.s3.impl"
_HADOOP = "org.apache.hadoop.fs.s3a"


def is_s3(location: str) -> bool:
    """Returns whether tables at this location need the connector.

    >>> is_s3("s3a://bucket/lake"), is_s3("S3://bucket"), is_s3("lake")
    (True, True, False)
    """
    return location.partition("://")[0].lower() in ("s3", "s3a") and "://" in location


def settings(options: Mapping[str, Any]) -> dict[str, str]:
    """Returns the settings of a session with tables in S3: `s3://` means `s3a://`, and the store is that of the inputs.

    Args:
        options: Storage options of fsspec (`endpoint_url`, `key`, `secret`, `token`); they override the environment.
            `anon` is ignored, since it holds for inputs only.
    """
    found = {_MARK: f"{_HADOOP}.S3AFileSystem", "spark.hadoop.fs.AbstractFileSystem.s3.impl": f"{_HADOOP}.S3A"}
    client = options.get("client_kwargs")
    client = client if isinstance(client, Mapping) else {}
    endpoint = options.get("endpoint_url") or client.get("endpoint_url")
    endpoint = endpoint or os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    if endpoint:
        found["spark.hadoop.fs.s3a.endpoint"] = endpoint
        if not (urlsplit(endpoint).hostname or "").endswith("amazonaws.com"):
            # Most other stores do not have a host name for each bucket.
            found["spark.hadoop.fs.s3a.path.style.access"] = "true"
    for ours, theirs in (("key", "access.key"), ("secret", "secret.key"), ("token", "session.token")):
        if options.get(ours):
            found[f"spark.hadoop.fs.s3a.{theirs}"] = str(options[ours])
    return found | _profile()


def _profile() -> dict[str, str]:
    """Returns settings for credentials in the user's file, which fsspec finds but Hadoop does not search."""
    import pyspark

    file = Path(os.environ.get("AWS_SHARED_CREDENTIALS_FILE") or Path.home() / ".aws" / "credentials")
    if not file.is_file():
        return {}
    # Java takes the home folder from the system, which may differ from HOME; each version of the SDK has its own
    # variable.
    os.environ.setdefault("AWS_SHARED_CREDENTIALS_FILE", str(file))
    os.environ.setdefault("AWS_CREDENTIAL_PROFILES_FILE", str(file))
    if pyspark.__version__.startswith("3."):
        own = (
            "com.amazonaws.auth.EnvironmentVariableCredentialsProvider",
            "com.amazonaws.auth.profile.ProfileCredentialsProvider",
        )
    else:
        own = (
            "software.amazon.awssdk.auth.credentials.EnvironmentVariableCredentialsProvider",
            "software.amazon.awssdk.auth.credentials.ProfileCredentialsProvider",
        )
    hadoops = ("TemporaryAWSCredentialsProvider", "SimpleAWSCredentialsProvider", "auth.IAMInstanceCredentialsProvider")
    names = [*(f"{_HADOOP}.{name}" for name in hadoops[:2]), *own, f"{_HADOOP}.{hadoops[2]}"]
    return {"spark.hadoop.fs.s3a.aws.credentials.provider": ",".join(names)}


def is_wanted(settings: Mapping[str, str]) -> bool:
    """Returns whether a session with these settings needs the jars: tables are in S3, and no setting provides the
    jars."""
    from pyspark.find_spark_home import _find_spark_home

    brought = settings.get("spark.jars.packages", "") + settings.get("spark.jars", "")
    if _MARK not in settings or "hadoop-aws" in brought:
        return False
    return not list((Path(_find_spark_home()) / "jars").glob("hadoop-aws-*.jar"))


def resolve_jars(*, config: Mapping[str, str] | None = None) -> list[Path]:
    """Returns the jars for the installed pyspark; fetches them from Maven Central at the first call.

    Raises:
        SessionError: No jars are known for this Spark, or they cannot be fetched.
    """
    import pyspark

    minor = minor_version(pyspark.__version__)
    if minor not in PACKAGES:
        raise SessionError(
            [f"No connector to S3 is known for pyspark {pyspark.__version__}; {', '.join(PACKAGES)} work."]
        )
    name = PACKAGES[minor][0].split(":", 1)[1].replace(":", "-")
    return fetched(PACKAGES[minor], name, PROVIDED, what="the jars for S3", config=config)
