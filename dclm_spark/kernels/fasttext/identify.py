"""Identifies the language of texts by a fastText model, which is loaded once for each worker process."""

import fcntl
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from importlib import resources
from pathlib import Path
from threading import Lock
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import xxhash

from dclm_spark.kernels.compiled.private_folder import is_private
from dclm_spark.kernels.fasttext.model_file import LABEL_PREFIX, BadModel, Model, read_model
from dclm_spark.kernels.fasttext.predict import Memory, empty_memory, predict
from dclm_spark.kernels.text.unicode import utf8_buffers
from dclm_spark.schemas import LANGUAGE

BUNDLED_MODEL = "lid.176.ftz"
"""Language identification for 176 languages, part of the package; licence in data/lid.176.LICENSE.md."""

_MAX_PROBED_BYTES = 1 << 30
_MAX_DIFFERENCE = 1e-4


def identify_language(text: pa.Array, *, model: str, languages: tuple[str, ...], newline: str) -> pa.StructArray:
    """Finds the likeliest language of each text, with its probability: `schemas.LANGUAGE`.

    A null text gives a null struct. A text that is empty or only ASCII spaces and punctuation has no language: null
    code, null p_code, p_target 0. Texts of other white space get the model's answer for an empty line (lid.176: `en`,
    0.12), as in DCLM. fastText's probabilities can be above 1 by about 1e-4 (it takes the logarithm of p + 1e-5 in
    float32); they are limited to 1.0. All others equal its float32 values to the last bit.

    With `newline` "", the result is that of DCLM's baselines/mappers/enrichers/language_id_enrichers.py for whole
    pages.

    Args:
        text: Strings, any length.
        model: `lid.176.ftz` (bundled), a path, or a URL of a supervised fastText model.
        languages: Labels whose probability is p_target, without `__label__` (`en`; GlotLID: `eng_Latn`).
        newline: Text that replaces each newline. DCLM's "" joins the words around it; " " keeps them separate.

    >>> text = pa.array(["The cat sat on the mat.", "Le chat est assis sur le tapis.", "...", "", None])
    >>> rows = identify_language(text, model="lid.176.ftz", languages=("en",), newline=" ").to_pylist()
    >>> [row and row["code"] for row in rows]
    ['en', 'fr', None, None, None]
    >>> rows[2], rows[4]
    ({'code': None, 'p_code': None, 'p_target': 0.0}, None)
    """
    loaded = load_model(model)
    labels = loaded.labels
    data, offsets = utf8_buffers(text)
    with loaded.lock:
        numbers, probabilities = predict(data, offsets, newline=newline, model=loaded.model, memory=loaded.memory)
    is_null = text.is_null().to_numpy(zero_copy_only=False)
    has_none = numbers < 0
    code = pa.DictionaryArray.from_arrays(pa.array(numbers, mask=has_none), pa.array(labels)).cast(pa.string())
    p_code = np.minimum(probabilities.astype(np.float64), 1.0)
    is_wanted = np.append(np.isin(labels, languages), False)[
        numbers
    ]  # texts without a label have number -1, the last element, which is False
    columns = [code, pa.array(p_code, mask=has_none), pa.array(np.where(is_wanted, p_code, 0.0))]
    return pa.StructArray.from_arrays(columns, fields=list(LANGUAGE), mask=pa.array(is_null))


class LoadedModel(NamedTuple):
    """A model, the names of its labels, its cache of tokens, and the lock of that cache."""

    model: Model
    labels: tuple[str, ...]
    memory: Memory
    lock: Lock


def load_model(model: str) -> LoadedModel:
    """Loads a model once for each process; a local file is loaded again if it was replaced.

    To replace a file, rename another one over it: writing into a mapped file may end the process.

    Raises:
        BadModel: The file is not a usable model.
        OSError: The file cannot be read.
    """
    is_local = model != BUNDLED_MODEL and "://" not in model
    status = os.stat(model) if is_local else None
    return _load(model, status and (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns))


@lru_cache(maxsize=4)
def _load(model: str, _identity: tuple[int, ...] | None) -> LoadedModel:
    with model_file(model) as path:
        return LoadedModel(*read_model(path), empty_memory(), Lock())


def check_model(model: str, expected_hash: str | None = None) -> list[str]:
    """Lists why a model cannot be used, one sentence each; empty if it can.

    A model other than the bundled one must give the same answers as the fastText library on some test lines, in case
    the library and this package read its file differently.

    Args:
        model: The bundled model's name, or a path or URL.
        expected_hash: What `model_fingerprint` must return; null: anything.
    """
    try:
        load_model(model)
        problem = None if model == BUNDLED_MODEL else _difference(model)
        if expected_hash is not None and (found := model_fingerprint(model)) != expected_hash:
            problem = f"has the hash {found}; the recipe expects {expected_hash}: the file has changed, or is another"
    except BadModel as error:
        problem = str(error)
    except (OSError, ImportError, MemoryError, ValueError) as error:
        problem = f"cannot be read ({type(error).__name__}: {error})"
    hint = f"name {BUNDLED_MODEL!r}, or a path or URL of a supervised fastText model"
    return [f"fastText model {model!r} {problem}; {hint}"] if problem else []


_PROBES = ("the of and to", "der die das ist nicht", "la de los que", "не на что он", "これは日本語です", "1 2 3 xyzzy")


def _difference(model: str) -> str | None:
    """Describes how the answers differ from the library's; null if they do not, or if the model is too large to
    test."""
    import fasttext  # a compiled library, which workers do not need

    with model_file(model) as path:
        if path.stat().st_size > _MAX_PROBED_BYTES:
            return None
        library = fasttext.load_model(str(path)).f
    found = identify_language(pa.array(_PROBES), model=model, languages=(), newline="").to_pylist()
    for line, ours in zip(_PROBES, found, strict=True):
        theirs = library.predict(line + "\n", 1, 0.0, "replace")
        probability, label = theirs[0] if theirs else (None, None)
        is_same = ours["code"] == (label and label.removeprefix(LABEL_PREFIX))
        if not is_same or abs((ours["p_code"] or 0) - min(probability or 0, 1.0)) > _MAX_DIFFERENCE:
            return f"gives {ours['code']} ({ours['p_code']}) for {line!r} where fastText gives {label} ({probability})"
    return None


def model_fingerprint(model: str) -> str:
    """Returns the 128-bit xxh3 hash of the model's bytes, 32 hex digits: equal hashes mean equal predictions.

    >>> model_fingerprint("lid.176.ftz")
    '7d805e9f600203fed958bea1490fb5da'
    """
    with model_file(model) as path:
        state = path.stat()
        return _hash_of_file(path, state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=8)
def _hash_of_file(path: Path, n_bytes: int, mtime_ns: int) -> str:
    """The hash of a file; of one that has not changed since the last call, without reading it again."""
    digest = xxhash.xxh3_128()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


@contextmanager
def model_file(model: str) -> Iterator[Path]:
    """Context manager that provides the model as a local file, which can be memory-mapped."""
    if model == BUNDLED_MODEL:
        # The package may be in a zip (spark-submit --py-files); then this is a copy, which is deleted afterwards.
        with resources.as_file(resources.files("dclm_spark") / "data" / BUNDLED_MODEL) as path:
            yield path
    elif "://" in model:
        yield _downloaded(model)
    else:
        yield Path(model)


def _downloaded(url: str) -> Path:
    """Downloads a model to the temporary folder, once for all worker processes of a host.

    Its name is the hash of the address and of the store's information on the file (size, ETag, time), so that a
    replaced model is fetched again. The file appears complete or not at all.
    """
    from fsspec.core import url_to_fs
    from fsspec.implementations.local import LocalFileSystem

    store, path = url_to_fs(re.sub("^s3[an]://", "s3://", url))
    if isinstance(store, LocalFileSystem):
        return Path(path)
    info = store.info(path)
    identity = repr((url, sorted((name, str(value)) for name, value in info.items())))
    key = xxhash.xxh3_128_hexdigest(identity.encode())
    # Other users must not be able to put a model there, so only this user may write to the folder.
    folder = Path(tempfile.gettempdir()) / f"dclm_spark-models-{os.getuid()}"
    if not is_private(folder):
        raise PermissionError(
            f"{folder} belongs to another user, or others can write to it: remove it, or set TMPDIR to a folder of "
            "your own with mode 0700"
        )
    target = folder / f"{key}.model"
    with open(folder / f"{key}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            part = target.with_suffix(".part")
            store.get_file(path, str(part))
            if info.get("size") not in (None, part.stat().st_size):
                raise OSError(f"{url} has {info['size']} bytes, but {part.stat().st_size} arrived; try again")
            part.replace(target)
    return target
