"""fastText over text: the likeliest language and its probability. A model is loaded once per worker process."""

import fcntl
import math
import mmap
import os
import re
import struct
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from importlib import resources
from pathlib import Path

import pyarrow as pa
import xxhash

from dclm_spark.schemas import LANGUAGE

BUNDLED_MODEL = "lid.176.ftz"
"""Language identification for 176 languages, part of the package; licence in data/lid.176.LICENSE.md."""

LABEL_PREFIX = "__label__"

# string.punctuation and the space, nothing else: what DCLM's is_space_or_punct takes for a text without language. A
# newline is neither.
_SPACE_OR_PUNCTUATION = re.compile(r"[ !-/:-@\[-`{-~]*")

# The head of a model file (fastText src/fasttext.cc signModel, src/args.cc save, src/dictionary.cc save).
_MAGIC = 793712314
_VERSION = 12
_HEAD = struct.Struct("<2i12id3i2q")
_MODEL_KIND = 9  # index in the head: 1 cbow, 2 skipgram, 3 supervised
_SUPERVISED = 3
_N_CENTROIDS = 256  # of a product quantizer (src/productquantizer.h ksub_)

Predict = Callable[[str, int, float, str], list[tuple[float, str]]]


def identify_language(text: pa.Array, *, model: str, languages: tuple[str, ...], newline: str) -> pa.StructArray:
    """The likeliest language of each text, with its probability: `schemas.LANGUAGE`.

    A null text gives a null struct. A text that is empty or only ASCII spaces and punctuation has no language: null
    code, null p_code, p_target 0. Texts of other white space get what the model says of an empty line (lid.176: `en`,
    0.12), as in DCLM. fastText's probabilities can pass 1 by some 1e-4 (it takes the logarithm of p + 1e-5 in float32);
    they are cut at 1.0, the others are its float32 values, widened.

    As DCLM's baselines/mappers/enrichers/language_id_enrichers.py, whole page, where `newline` is "".

    Args:
        text: Strings, any length.
        model: `lid.176.ftz` (bundled), a path, or a URL of a supervised fastText model.
        languages: Labels whose probability is p_target, without `__label__` (`en`; GlotLID: `eng_Latn`).
        newline: What each newline becomes. DCLM's "" joins the words around it; " " keeps them apart.

    >>> text = pa.array(["The cat sat on the mat.", "Le chat est assis sur le tapis.", "...", "", None])
    >>> rows = identify_language(text, model="lid.176.ftz", languages=("en",), newline=" ").to_pylist()
    >>> [row and row["code"] for row in rows]
    ['en', 'fr', None, None, None]
    >>> rows[2], rows[4]
    ({'code': None, 'p_code': None, 'p_target': 0.0}, None)
    """
    predict = load_model(model)
    wanted = frozenset(languages)
    rows: list[tuple[str | None, float | None, float] | None] = []
    # One text at a time: a batch of long pages is not held a second time as Python strings.
    for scalar in text:
        page = scalar.as_py()
        if page is None:
            rows.append(None)
            continue
        is_blank = _SPACE_OR_PUNCTUATION.fullmatch(page)
        best = None if is_blank else predict(page.replace("\n", newline) + "\n", 1, 0.0, "strict")
        if not best:
            rows.append((None, None, 0.0))
            continue
        probability, label = best[0]
        code, p_code = label.removeprefix(LABEL_PREFIX), min(probability, 1.0)
        rows.append((code, p_code, p_code if code in wanted else 0.0))
    return pa.array(rows, type=LANGUAGE)


@lru_cache(maxsize=4)
def load_model(model: str) -> Predict:
    """The prediction function of a model, loaded once per process.

    It takes one line with its newline, the number of labels, the least probability and the treatment of labels that
    are not UTF-8, and gives (probability, label) pairs. This is what fastText's Python `predict` wraps: without the
    wrapper's NumPy arrays a page costs less, and NumPy 2 needs no care.
    """
    import fasttext  # loads a compiled library, which whoever only imports this module need not have

    with model_file(model) as path:
        return fasttext.load_model(str(path)).f.predict


def check_model(model: str) -> list[str]:
    """What keeps a model from being used, one sentence each; empty if nothing does.

    The file is read to its end but not loaded: fastText accepts some clipped files without a word, predicting
    nonsense, and crashes the process on others.
    """
    try:
        with model_file(model) as path, open(path, "rb") as file:
            problem = _problem_of(file.fileno())
    except (OSError, ImportError, ValueError) as error:
        problem = f"cannot be read ({type(error).__name__}: {error})"
    hint = f"name {BUNDLED_MODEL!r}, or a path or URL of a supervised fastText model"
    return [f"fastText model {model!r} {problem}; {hint}"] if problem else []


def model_fingerprint(model: str) -> str:
    """The 128-bit xxh3 hash of the model's bytes, as 32 hex letters: equal means equal predictions.

    >>> model_fingerprint("lid.176.ftz")
    '7d805e9f600203fed958bea1490fb5da'
    """
    digest = xxhash.xxh3_128()
    with model_file(model) as path, open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


@contextmanager
def model_file(model: str) -> Iterator[Path]:
    """A local file of the model, there as long as the context: fastText reads files only, and reads them whole."""
    if model == BUNDLED_MODEL:
        # The package may lie inside a zip (spark-submit --py-files); then this is a copy, deleted afterwards.
        with resources.as_file(resources.files("dclm_spark") / "data" / BUNDLED_MODEL) as path:
            yield path
    elif "://" in model:
        yield _downloaded(model)
    else:
        yield Path(model)


def _downloaded(url: str) -> Path:
    """The model's copy in the temporary folder, one for all worker processes of a host.

    Named by the hash of the address and all that the store tells of the file (size, ETag, time), so that a model that
    is replaced is fetched again. The file appears whole or not at all.
    """
    from fsspec.core import url_to_fs
    from fsspec.implementations.local import LocalFileSystem

    store, path = url_to_fs(re.sub("^s3[an]://", "s3://", url))
    if isinstance(store, LocalFileSystem):
        return Path(path)
    info = store.info(path)
    identity = repr((url, sorted((name, str(value)) for name, value in info.items())))
    key = xxhash.xxh3_128_hexdigest(identity.encode())
    # Others must not be able to put a model there: the folder is ours alone.
    folder = Path(tempfile.gettempdir()) / f"dclm_spark-models-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise PermissionError(f"{folder} belongs to another user; remove it, or set TMPDIR to a folder of your own")
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


def _problem_of(fileno: int) -> str | None:
    """What is wrong with an open model file; null if it is a whole supervised model."""
    try:
        with mmap.mmap(fileno, 0, access=mmap.ACCESS_READ) as data:
            head = _HEAD.unpack_from(data)
            if head[0] != _MAGIC:
                return "is no fastText model"
            if head[1] > _VERSION:
                return f"has format version {head[1]}, newer than {_VERSION}"
            if head[_MODEL_KIND] != _SUPERVISED:
                return "holds word vectors and cannot label a text"
            if (expected := _n_bytes(data, head)) != len(data):
                return f"has {len(data)} bytes where its own head announces {expected}: clipped or damaged"
    except (struct.error, ValueError, IndexError):  # ends before its own account does
        return "is no fastText model, or is clipped"
    return None


def _n_bytes(data: mmap.mmap, head: tuple) -> int:
    """How long a model file is by its own account (fastText src/fasttext.cc saveModel).

    Raises:
        struct.error, ValueError, IndexError: The data ends before the account does.
    """
    n_entries, n_pruned = head[15], head[19]
    position = _HEAD.size
    for _ in range(n_entries):
        end_of_word = data.find(b"\0", position)
        if end_of_word < 0:
            raise ValueError("the dictionary has no end")
        position = end_of_word + 1 + 8 + 1  # the word's zero byte, its count, its kind
    position += 8 * max(n_pruned, 0)

    def quantizer_end(at: int) -> int:
        (dimension,) = struct.unpack_from("<i", data, at)
        return at + 16 + 4 * dimension * _N_CENTROIDS

    def matrix_end(at: int, is_quantized: bool) -> int:
        if not is_quantized:
            return at + 16 + 4 * math.prod(struct.unpack_from("<2q", data, at))
        has_norms, n_rows, _, n_codes = struct.unpack_from("<?2qi", data, at)
        at = quantizer_end(at + 21 + n_codes)
        return quantizer_end(at + n_rows) if has_norms else at

    is_input_quantized = bool(data[position])
    position = matrix_end(position + 1, is_input_quantized)
    is_output_quantized = bool(data[position])
    return matrix_end(position + 1, is_input_quantized and is_output_quantized)
