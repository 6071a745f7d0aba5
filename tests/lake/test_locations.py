"""What could be meant as a catalog and is none is refused, with both readings."""

import pytest

from dclm_spark.errors import WarehouseError
from dclm_spark.lake.locations import Schema, check_catalog, misread, schema_of

pytestmark = pytest.mark.once


@pytest.mark.parametrize(
    "location, catalog, name",
    [
        ("main.dclm", "main", "dclm"),
        ("my-catalog.dclm", "my-catalog", "dclm"),
        ("`my-catalog`.dclm", "my-catalog", "dclm"),
        ("`my-catalog`.`a.b`", "my-catalog", "a.b"),
        ("`a``b`.c", "a`b", "c"),
        ("2024.crawl-05", "2024", "crawl-05"),
        ("données.été", "données", "été"),
    ],
)
def test_two_parts_are_a_catalogs_schema(location, catalog, name):
    assert schema_of(location) == (catalog, name)


@pytest.mark.parametrize(
    "location",
    ["lake", "./lake.v1", "../lake.v1", "/data/lake.v1", "data/lake.v1", "s3a://b/lake.v1", "file:/lake.v1", ".hidden"]
    + ["lake.", "my-lake", "..", ".", "my lake.v1", "a..b", "dbfs:/lake.v1"],
)
def test_what_no_catalog_can_be_called_is_a_folder(location):
    assert schema_of(location) is None and misread(location) == ()


@pytest.mark.parametrize("location", ["a.b.c", "`my-catalog`", "`a.b", "`a`.b.c", "v1.2.3"])
def test_what_may_be_both_and_is_neither_is_refused(location):
    with pytest.raises(WarehouseError) as error:
        schema_of(location)
    assert "catalog" in str(error.value) and "./" in str(error.value)


def test_names_are_quoted_in_sql():
    schema = Schema("my-catalog", "a`b")
    assert schema.sql("documents") == "`my-catalog`.`a``b`.`documents`" and str(schema) == "`my-catalog`.`a``b`"
    assert str(Schema("main", "dclm")) == "main.dclm" and schema_of(str(schema)) == schema


def test_a_catalog_that_ends_with_the_command_is_refused(spark):
    location = "spark_catalog.dclm"
    with pytest.raises(WarehouseError, match=r"forgets when the command ends.* Name a folder, such as \./dclm"):
        check_catalog(spark, Schema("spark_catalog", "dclm"), location, ends_with_command=True)
    check_catalog(spark, Schema("spark_catalog", "dclm"), location, ends_with_command=False)
    with pytest.raises(WarehouseError, match="there is no such catalog here.* written ./main.dclm"):
        check_catalog(spark, Schema("main", "dclm"), "main.dclm", ends_with_command=True)
