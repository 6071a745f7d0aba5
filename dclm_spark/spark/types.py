"""Converts Arrow schemas to Spark SQL, and compares them with tables written by earlier versions."""

from typing import TYPE_CHECKING

import pyarrow as pa
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from dclm_spark import schemas

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

_SPARK_NAMES = {
    pa.string(): "STRING",
    pa.int32(): "INT",
    pa.int64(): "BIGINT",
    pa.float64(): "DOUBLE",
    pa.bool_(): "BOOLEAN",
    pa.binary(): "BINARY",
    schemas.UTC_TIMESTAMP: "TIMESTAMP",
}


def spark_type(type_: pa.DataType) -> str:
    """Returns the Spark SQL name of an Arrow type.

    >>> spark_type(pa.map_(pa.string(), pa.int64()))
    'MAP<STRING, BIGINT>'
    """
    if pa.types.is_struct(type_):
        return f"STRUCT<{', '.join(f'{field.name}: {spark_type(field.type)}' for field in type_)}>"
    if pa.types.is_map(type_):
        return f"MAP<{spark_type(type_.key_type)}, {spark_type(type_.item_type)}>"
    if pa.types.is_list(type_):
        return f"ARRAY<{spark_type(type_.value_type)}>"
    return _SPARK_NAMES[type_]


def spark_schema(schema: pa.Schema) -> str:
    """Converts a schema to a Spark SQL column list, without NOT NULL, as lazy DataFrames have it.

    >>> spark_schema(pa.schema([pa.field("doc_id", pa.string(), nullable=False), pa.field("n_words", pa.int32())]))
    '`doc_id` STRING, `n_words` INT'
    """
    return ", ".join(f"`{field.name}` {spark_type(field.type)}" for field in schema)


def spark_columns(schema: pa.Schema) -> str:
    """Converts a schema to the column list of CREATE TABLE, with comments and NOT NULL."""
    return ", ".join(
        f"`{field.name}` {_commented_type(field.type)}{'' if field.nullable else ' NOT NULL'}{_comment(field)}"
        for field in schema
    )


def _commented_type(type_: pa.DataType) -> str:
    if not pa.types.is_struct(type_):
        return spark_type(type_)
    return f"STRUCT<{', '.join(f'{field.name}: {spark_type(field.type)}{_comment(field)}' for field in type_)}>"


def _comment(field: pa.Field) -> str:
    return f" COMMENT {quoted(field.metadata[b'comment'].decode())}" if field.metadata else ""


def quoted(text: str) -> str:
    """Quotes a text as a string of Spark SQL.

    >>> print(quoted("a page's"))
    'a page\\'s'
    """
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def missing_columns(rows: "DataFrame", schema: "pa.Schema") -> "dict[str, Column]":
    """Returns null columns for those that rows lack of a schema, and structs completed by null fields."""
    found = {field.name: field.dataType for field in rows.schema}
    missing = {}
    for field in schema:
        if field.name not in found:
            missing[field.name] = F.lit(None).cast(spark_type(field.type))
        elif isinstance(struct := found[field.name], StructType):
            held = set(struct.names)
            column = F.col(field.name)
            for inner in field.type:
                if inner.name not in held:
                    column = column.withField(inner.name, F.lit(None).cast(spark_type(inner.type)))
                    missing[field.name] = column
    return missing


def type_conflicts(dtypes: list[tuple[str, str]], schema: pa.Schema) -> list[tuple[str, str, str]]:
    """Lists the columns of a table whose type differs from the schema's: name, type found, type expected.

    Args:
        dtypes: `dtypes` of the table's DataFrame. A missing column, or a struct with fewer fields, is no conflict.
        schema: The schema.
    """
    found = {name: _plain(type_) for name, type_ in dtypes}
    expected = {field.name: _plain(spark_type(field.type)) for field in schema}
    return [
        (name, found[name], type_)
        for name, type_ in expected.items()
        if name in found and not _extends(found[name], type_)
    ]


def _plain(type_: str) -> str:
    return type_.lower().replace(" ", "")


def _extends(found: str, expected: str) -> bool:
    # A struct that gains fields is schema evolution, not a conflict: every field found must be one expected.
    if found.startswith("struct<") and expected.startswith("struct<"):
        return set(found[7:-1].split(",")) <= set(expected[7:-1].split(","))
    return found == expected
