"""What could be meant as a catalog and is none is refused, with both readings."""

import pytest

from dclm_spark.errors import WarehouseError
from dclm_spark.lake.locations import Schema, misread, schema_of

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
