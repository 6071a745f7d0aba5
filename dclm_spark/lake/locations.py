"""Decides whether a warehouse's location is a folder or a schema of a catalog; refuses a location that may be both."""

import os
import re
from typing import TYPE_CHECKING, NamedTuple

from dclm_spark.errors import WarehouseError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_PART = r"`(?:[^`]|``)+`|[^\s.`/\\:]+"
_PARTS = re.compile(rf"(?:{_PART})(?:\.(?:{_PART}))*")
_UNKNOWN = re.compile(
    r"CATALOG_NOT_FOUND|CatalogNotFound|SCHEMA_NOT_FOUND|NoSuchNamespace|NoSuchCatalog|SINGLE_PART_NAMESPACE|"
    r"plugin class not found|NOT_A_VALID_CATALOG"
)
SESSION_CATALOG = "spark_catalog"


class Schema(NamedTuple):
    """A schema of a catalog."""

    catalog: str
    name: str

    def __str__(self) -> str:
        return ".".join(part if re.fullmatch(r"\w+", part) else quoted(part) for part in self)

    def sql(self, *table: str) -> str:
        """Returns the name in SQL of the schema, or of a table in it."""
        return ".".join(map(quoted, (*self, *table)))


def quoted(part: str) -> str:
    """Quotes one part of a name for SQL.

    >>> quoted("my-catalog")
    '`my-catalog`'
    """
    return "`{}`".format(part.replace("`", "``"))


def schema_of(location: str) -> Schema | None:
    """Returns the schema that a location names; null if it is a folder.

    A folder has a slash in its name, or no dot between other characters.

    >>> schema_of("my-catalog.`a b`"), schema_of("lake"), schema_of("./lake.v2"), schema_of("s3a://bucket/lake.v2")
    (Schema(catalog='my-catalog', name='a b'), None, None, None)

    Raises:
        WarehouseError: The location may mean either, and as written is neither.
    """
    if not _PARTS.fullmatch(location):
        if "`" in location and "/" not in location:
            raise WarehouseError([f"the warehouse {location!r} has a back-tick without its pair; {_BOTH}"])
        return None
    parts = [part.strip("`").replace("``", "`") if part[0] == "`" else part for part in re.findall(_PART, location)]
    if len(parts) == 1 and "`" not in location:
        return None
    if len(parts) != 2:
        read = ", ".join(map(quoted, parts))
        raise WarehouseError(
            [
                f"the warehouse {location!r} may be meant as a catalog's schema, which has two parts, catalog.schema; "
                f"it has {len(parts)}: {read}. {_folder(location).capitalize()}"
            ]
        )
    return Schema(*parts)


def shares_this_disk(spark: "SparkSession") -> bool:
    """Returns whether a plain path means the same file here and in Spark; on a cluster it may mean HDFS or DBFS."""
    is_remote = ".connect." in type(spark).__module__ and "SPARK_LOCAL_REMOTE" not in os.environ
    is_local = (spark.conf.get("spark.master", "") or "").startswith("local") and not is_remote
    return is_local and "DATABRICKS_RUNTIME_VERSION" not in os.environ


def misread(location: str) -> tuple[str, ...]:
    """Lists why a location is neither a folder nor a schema, one sentence each."""
    try:
        schema_of(location)
    except WarehouseError as error:
        return error.problems
    return ()


_BOTH = "a catalog's schema is written `my-catalog`.schema, a folder ./name"


def _folder(location: str) -> str:
    return f"a folder of that name is written ./{location}"


def check_catalog(spark: "SparkSession", schema: Schema, location: str, *, ends_with_command: bool) -> None:
    """Raises an error for a catalog that does not exist, or that loses its tables when the session ends.

    Args:
        spark: The session.
        schema: The schema that the location was read as.
        location: The location as the user gave it.
        ends_with_command: Whether the session ends with this command.

    Raises:
        WarehouseError: The message says how the location was read, and what else it may mean.
    """
    read = f"the warehouse {location!r} is read as schema {quoted(schema.name)} of catalog {quoted(schema.catalog)}"
    if schema.catalog == SESSION_CATALOG:
        # Without a default: with one, Spark returns the default unless the session was given a value.
        if ends_with_command and spark.conf.get("spark.sql.catalogImplementation") == "in-memory":
            raise WarehouseError(
                [
                    f"{read}, which this Spark forgets when the command ends: it has no metastore. Name a folder, such "
                    f"as ./{schema.name}, or a Spark with a metastore (--conf spark.sql.catalogImplementation=hive and "
                    "--conf spark.hadoop.hive.metastore.uris=thrift://HOST:9083)"
                ]
            )
        return
    try:
        spark.sql(f"SHOW SCHEMAS IN {quoted(schema.catalog)}").head()
    except Exception as error:  # any other fault shows when the catalog is used
        if _UNKNOWN.search(str(error)):
            raise WarehouseError(
                [
                    f"{read}, and there is no such catalog here (spark.sql.catalog.{schema.catalog} is not set); "
                    f"{_folder(location)}"
                ]
            ) from None
