"""Writes a command's answer as JSON, to standard output or to a file, for other programs to read."""

import datetime as dt
import json
import math
import os
import tempfile
from pathlib import Path
from typing import Any

from dclm_spark.errors import InputError
from dclm_spark.terminal import shown_json


def to_json(answer: Any) -> str:
    """Converts an answer to JSON; an infinite number, which JSON cannot hold, becomes the text "inf".

    JSON that a table holds as a string (`recipe_json`) becomes an object.

    >>> to_json([{"recipe_json": '{"name": "mine"}', "n": float("inf")}])
    '[{"recipe_json": {"name": "mine"}, "n": "inf"}]'
    """
    return shown_json(json.dumps(_plain(answer), default=_text, ensure_ascii=False))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return dict(_entry(key, entry) for key, entry in value.items())
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _text(value: Any) -> str:
    """Converts a value that JSON cannot hold to text; times become UTC with a Z (Spark returns them in local time)."""
    if isinstance(value, dt.datetime):
        return value.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")
    return str(value)


def _entry(key: Any, value: Any) -> tuple[Any, Any]:
    if isinstance(key, str) and key.endswith(_ENDING) and isinstance(value, str):
        return key, json.loads(value)
    return key, _plain(value)


_ENDING = "_json"


def check_file(path: str) -> None:
    """Raises an error, before any work, for a file that cannot be written.

    Raises:
        InputError: The file cannot be written; the message says why.
    """
    file = Path(path)
    if file.is_dir():
        raise InputError([f"--json-file {path} is a folder; name a file"])
    if not file.absolute().parent.is_dir():
        raise InputError([f"--json-file {path}: there is no folder {file.absolute().parent}"])
    if not os.access(file.absolute().parent, os.W_OK) or (file.exists() and not os.access(file, os.W_OK)):
        raise InputError([f"--json-file {path} cannot be written: no permission"])


def write_file(path: str, answer: Any) -> None:
    """Writes an answer as JSON in one step, so that a program that waits for the file never reads a part of it."""
    file = Path(path).resolve()
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(to_json(answer) + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(name, file.stat().st_mode & 0o777 if file.exists() else 0o666 & ~_umask())
        os.replace(name, file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
