"""Reads the members of a JSON object as they are written, so that they can be stored without any change."""

import json
import re
from typing import Any, NamedTuple

_SPACE = re.compile(r"[ \t\r\n]*")
# Only the end of a number is needed: as a float it may have any number of digits.
_DECODER = json.JSONDecoder(parse_int=float)


class Field(NamedTuple):
    """A member of a JSON object.

    Attributes:
        name: As written, quotes and escapes included.
        written: The value as written.
        value: The value, its whole numbers as floats.
    """

    name: str
    written: str
    value: Any


def read_fields(written: str) -> dict[str, Field]:
    """Reads the members of a JSON object by name, in order; of repeated names the last, as Python's json module does.

    >>> read_fields('{"n": 12345678901234567890, "x": [1.0, 1e400]}')["x"]
    Field(name='"x"', written='[1.0, 1e400]', value=[1.0, inf])

    Raises:
        json.JSONDecodeError: The text is not an object.
        UnicodeEncodeError: A string holds a lone surrogate, which UTF-8 cannot encode.
        RecursionError: The object is nested too deeply.
    """
    fields: dict[str, Field] = {}

    def pass_over(letter: str, at: int) -> int:
        at = _after_space(written, at)
        if written[at : at + 1] != letter:
            raise json.JSONDecodeError(f"{letter!r} expected", written, at)
        return _after_space(written, at + 1)

    at = pass_over("{", 0)
    while written[at : at + 1] != "}" or fields:
        name_at = at
        name, at = _DECODER.raw_decode(written, at)
        if not isinstance(name, str):
            raise json.JSONDecodeError("a name in quotes expected", written, name_at)
        as_written = written[name_at:at]
        value_at = pass_over(":", at)
        value, at = _DECODER.raw_decode(written, value_at)
        fields[name] = Field(as_written, written[value_at:at], value)
        at = _after_space(written, at)
        if written[at : at + 1] == "}":
            break
        at = pass_over(",", at)
    end = pass_over("}", at)
    if end != len(written):
        raise json.JSONDecodeError("more after the object", written, end)
    if "\\ud" in written or "\\uD" in written:
        json.dumps({name: field.value for name, field in fields.items()}, ensure_ascii=False).encode()
    return fields


def _after_space(written: str, at: int) -> int:
    space = _SPACE.match(written, at)
    assert space is not None  # none at all matches too
    return space.end()
