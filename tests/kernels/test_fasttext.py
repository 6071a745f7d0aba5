"""Language identification and the handling of model files. No JVM; remote models come from a loopback server."""

import contextlib
import functools
import mmap
import os
import random
import re
import shutil
import string
import struct
import subprocess
import sys
import threading
import time
import tracemalloc
import zipfile
from concurrent.futures import ThreadPoolExecutor
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import fasttext as fasttext_library
import pyarrow as pa
import pytest

import dclm_spark
from dclm_spark.kernels.fasttext import identify as fasttext
from dclm_spark.kernels.fasttext import model_file as fasttext_file
from dclm_spark.kernels.fasttext import predict
from dclm_spark.kernels.fasttext.identify import (
    BUNDLED_MODEL,
    check_model,
    identify_language,
    model_file,
    model_fingerprint,
)
from dclm_spark.schemas import LANGUAGE

pytestmark = pytest.mark.once

ENGLISH = "The quick brown fox jumps over the lazy dog, and then it goes home to have dinner with its family."
GERMAN = "Der schnelle braune Fuchs springt über den faulen Hund und geht danach nach Hause zum Abendessen."


def identify(*texts: str | None, model: str = BUNDLED_MODEL, languages=("en",), newline: str = "") -> list[dict | None]:
    result = identify_language(pa.array(texts, pa.string()), model=model, languages=languages, newline=newline)
    assert result.type == LANGUAGE
    assert len(result) == len(texts)
    return result.to_pylist()


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A small supervised model with labels of GlotLID's kind."""
    folder = tmp_path_factory.mktemp("trained")
    lines = [f"__label__eng_Latn the {i} of\n__label__deu_Latn der {i} von\n" for i in range(200)]
    train = folder / "train.txt"
    train.write_text("".join(lines))
    model = fasttext_library.train_supervised(str(train), dim=8, bucket=500, wordNgrams=2, lr=1.0, verbose=0)
    model.save_model(str(folder / "model.bin"))
    model.quantize(str(train), qnorm=True)
    model.save_model(str(folder / "model.ftz"))
    return folder


@pytest.fixture
def served(trained, tmp_path, monkeypatch):
    """The trained models' folder over HTTP, with a temporary folder of its own: (address, requests seen)."""
    monkeypatch.setattr(fasttext.tempfile, "tempdir", str(tmp_path))
    requests: list[str] = []

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *args):
            requests.append(f"{self.command} {self.path}")

    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(trained)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", requests
    server.shutdown()
    server.server_close()


def test_language_of_plain_texts():
    english, german = identify(ENGLISH, GERMAN)
    assert (english["code"], german["code"]) == ("en", "de")
    assert english["p_code"] == english["p_target"] > 0.9
    assert german["p_code"] > 0.9 and german["p_target"] == 0.0


def test_more_than_one_target_language():
    english, german = identify(ENGLISH, GERMAN, languages=("de", "en"))
    assert english["p_target"] == english["p_code"] and german["p_target"] == german["p_code"]


WORDS = [
    "the",
    "of",
    "der",
    "von",
    "naïve",
    "日本語",
    "x" * 70,
    "é" * 40,
    "__label__eng",
    "__label__odd",
    "</s>",
    "a\0b",
    "1.5",
]


def random_texts(n: int) -> list[str]:
    """Lines of known and unknown words, of separators of every kind, some with the end-of-line token inside."""
    rng = random.Random(7)
    letters = "abcdefghij éüßñ日本語한국어русский😀\r\t\v\f\u00a0\u2003"
    return [
        " ".join(
            rng.choice(WORDS) if rng.random() < 0.7 else "".join(rng.choices(letters, k=rng.randrange(12)))
            for _ in range(rng.randrange(1, 40))
        )
        for _ in range(n)
    ]


def assert_same_as_library(path: Path, texts: list[str], *, exactly: bool = True) -> None:
    library = fasttext_library.load_model(str(path)).f
    for text, found in zip(texts, identify(*texts, model=str(path)), strict=True):
        predicted = library.predict(text + "\n", 1, 0.0, "replace")
        probability, label = predicted[0] if predicted else (None, None)
        assert found["code"] == (label and label.removeprefix("__label__")), text
        if exactly or probability is None:
            assert found["p_code"] == (probability if probability is None else min(probability, 1.0)), text
        else:
            assert found["p_code"] == pytest.approx(min(probability, 1.0), abs=1e-5), text


def test_same_as_the_library_itself():
    with model_file(BUNDLED_MODEL) as path:
        assert_same_as_library(
            path, [ENGLISH, GERMAN, "short", "日本語のテキスト", "a\rb", "tab\tand\vmore", *random_texts(300)]
        )


@pytest.mark.busy
@pytest.mark.parametrize(
    "options",
    [
        {"loss": "hs", "minn": 2, "maxn": 4},
        {"loss": "softmax", "wordNgrams": 2},
        {"loss": "softmax", "dim": 7, "minn": 1, "maxn": 3, "wordNgrams": 4, "bucket": 333},
        {"loss": "ns"},
        {"loss": "ova", "minn": 3, "maxn": 3, "dim": 32},
        {"loss": "softmax", "bucket": 1, "maxn": 0, "wordNgrams": 1},
    ],
    ids=str,
)
def test_every_kind_of_model_predicts_as_in_the_library(tmp_path, options):
    rng = random.Random(5)
    train = tmp_path / "train.txt"
    vocabulary = WORDS[:-3] * 30 + [f"w{n}" for n in range(400)]
    lines = (f"__label__{label} {' '.join(rng.choices(vocabulary, k=9))} {label}\n" for label in "abcdefg" * 60)
    train.write_text("".join(lines))
    model = fasttext_library.train_supervised(
        str(train), **{"dim": 16, "bucket": 2000, "verbose": 0, "thread": 1} | options
    )
    model.save_model(str(tmp_path / "model.bin"))
    assert_same_as_library(tmp_path / "model.bin", random_texts(200))
    model.quantize(str(train), qnorm=True, cutoff=300, retrain=False)
    model.save_model(str(tmp_path / "model.ftz"))
    assert_same_as_library(tmp_path / "model.ftz", random_texts(200))


@pytest.mark.busy
def test_quantized_outputs_are_near_enough(tmp_path):
    """The library multiplies by a row's norm last, here it is in the row: the last bits may differ."""
    rng = random.Random(5)
    train = tmp_path / "train.txt"
    train.write_text("".join(f"__label__{n} {n} {' '.join(rng.choices(WORDS[:6], k=6))}\n" for n in range(300)))
    model = fasttext_library.train_supervised(str(train), dim=8, bucket=500, verbose=0, loss="softmax", epoch=20)
    model.quantize(str(train), qout=True, qnorm=True)
    model.save_model(str(tmp_path / "model.ftz"))
    assert_same_as_library(tmp_path / "model.ftz", random_texts(100), exactly=False)


@pytest.mark.parametrize(("n_tokens", "n_rows"), [(1, 1 << 12), (16, 1 << 12), (1 << 10, 300)])
def test_a_full_memory_changes_nothing(monkeypatch, n_tokens, n_rows):
    texts = [ENGLISH, GERMAN, *random_texts(50)]
    expected = identify(*texts)
    monkeypatch.setattr(predict, "_MEMORY_TOKENS", n_tokens)
    monkeypatch.setattr(predict, "_MEMORY_ROWS", n_rows)
    fasttext._load.cache_clear()
    assert identify(*texts) == expected
    fasttext._load.cache_clear()


@pytest.mark.parametrize("newline", ["", " ", "  ", "-", "\u2003", " b ", ". "])
def test_what_a_newline_becomes(newline):
    texts = ["one\ntwo\n\nthree " + ENGLISH, "\n1\n", GERMAN + "\n"]
    expected = identify(*(text.replace("\n", newline) for text in texts))
    assert identify(*texts, newline=newline) == expected


@pytest.mark.parametrize("text", ["", " ", "...", string.punctuation, "- - -  !"])
def test_text_without_letters_has_no_language(text):
    assert identify(text) == [{"code": None, "p_code": None, "p_target": 0.0}]


@pytest.mark.parametrize("text", ["\n", "\r\n", "\t", "\u2003"])
def test_other_white_space_is_an_empty_line_to_the_model(text):
    (result,) = identify(text)
    assert result["code"] == "en" and result["p_code"] == pytest.approx(0.1245, abs=1e-4)


@pytest.mark.parametrize(
    "text", ["a\0b", "\0", "a\rb\r\nc", "\ufffd\ufeff\u2028", "x" * 1_000_000, "😀" * 100, "</s> the </s>"]
)
def test_odd_characters_raise_nothing(text):
    (result,) = identify(text)
    assert 0.0 <= result["p_code"] <= 1.0


def test_null_is_null_and_order_is_kept():
    results = identify(None, ENGLISH, "", None, GERMAN)
    assert [result and result["code"] for result in results] == [None, "en", None, None, "de"]
    assert results[0] is None and results[3] is None
    assert identify() == []


def test_sliced_and_large_string_arrays():
    texts = pa.array([GERMAN, ENGLISH, GERMAN], pa.large_string())[1:2]
    result = identify_language(texts, model=BUNDLED_MODEL, languages=("en",), newline="")
    assert result.to_pylist() == identify(ENGLISH)


def test_newline_joins_or_separates_words():
    text = "\n".join(ENGLISH.split())
    joined, separate = identify(text, newline="")[0], identify(text, newline=" ")[0]
    assert separate == identify(ENGLISH)[0]
    assert joined == identify(ENGLISH.replace(" ", ""))[0] != separate


@pytest.mark.busy
@pytest.mark.parametrize("unit", [*"a\né .", "a ", "a\n", "ab", "words and "], ids=ascii)
def test_time_is_linear(unit):
    identify("a")
    text = unit * (3_000_000 // len(unit))
    began = time.process_time()
    identify(text)
    # A quadratic step over 3 million characters takes hours; the bound leaves room for a busy machine.
    assert time.process_time() - began < 5


def test_probability_never_passes_one():
    results = identify(*[f"{ENGLISH} {GERMAN} " * n + "Это предложение написано по-русски. " * 20 for n in range(20)])
    assert all(result["p_code"] <= 1.0 for result in results)


def test_labels_are_kept_whole(trained):
    for name in ("model.bin", "model.ftz"):
        results = identify("the of", "der von", model=str(trained / name), languages=("eng_Latn",))
        assert [result["code"] for result in results] == ["eng_Latn", "deu_Latn"]
        assert results[0]["p_target"] == results[0]["p_code"] and results[1]["p_target"] == 0.0


def test_sound_models_have_no_problem(trained):
    assert check_model(BUNDLED_MODEL) == []
    assert check_model(str(trained / "model.bin")) == []
    assert check_model(str(trained / "model.ftz")) == []
    assert check_model((trained / "model.ftz").as_uri()) == []


@pytest.mark.parametrize("n_bytes", [0, 4, 90, 500, 10_000, 900_000, 938_012])
def test_clipped_model_is_noticed(tmp_path, n_bytes):
    with model_file(BUNDLED_MODEL) as whole:
        (tmp_path / "clipped.ftz").write_bytes(whole.read_bytes()[:n_bytes])
    (problem,) = check_model(str(tmp_path / "clipped.ftz"))
    assert "clipped" in problem and "clipped.ftz" in problem


HEAD = {"n_entries": 64, "n_words": 68, "n_labels": 72, "bucket": 40, "maxn": 48, "n_pruned": 84}  # bytes into a file


@pytest.mark.parametrize("number", [-(1 << 31), -2, 0, 1, 1 << 20, (1 << 31) - 1])
@pytest.mark.parametrize("field", HEAD)
def test_a_damaged_head_is_noticed_before_anything_is_read_by_it(tmp_path, field, number):
    with model_file(BUNDLED_MODEL) as whole:
        data = bytearray(whole.read_bytes())
    struct.pack_into("<i", data, HEAD[field], number)
    (tmp_path / "model.ftz").write_bytes(data)
    problems = check_model(str(tmp_path / "model.ftz"))
    assert problems or field == "maxn"  # any length of n-grams makes sense


def test_damaged_pruned_rows_are_noticed(tmp_path):
    with model_file(BUNDLED_MODEL) as whole:
        data = bytearray(whole.read_bytes())
    model = fasttext._load(BUNDLED_MODEL, None).model
    n_entries = len(model.starts) - 1
    at = 92 + len(model.words) + 10 * n_entries  # of the first pair (bucket, row)
    struct.pack_into("<i", data, at + 4, 1 << 30)
    (tmp_path / "model.ftz").write_bytes(data)
    assert "beyond its own account" in check_model(str(tmp_path / "model.ftz"))[0]


def _numbers(path: Path) -> list[tuple[int, str]]:
    """Where in a model file the numbers are that say how large something is, and how each is written."""
    found = []

    class Recording(fasttext_file._Bytes):
        def take(self, layout):
            at = self.at
            for kind in re.sub(r"(\d+)(.)", lambda match: match[2] * int(match[1]), layout.lstrip("<")):
                found.append((at, kind))
                at += struct.calcsize("<" + kind)
            return super().take(layout)

    with open(path, "rb") as file:
        fasttext_file._read(Recording(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)))
    return found


@pytest.mark.parametrize("name", ["model.bin", "model.ftz", BUNDLED_MODEL])
def test_what_a_file_claims_is_compared_with_what_it_holds(trained, tmp_path, name):
    with model_file(BUNDLED_MODEL if name == BUNDLED_MODEL else str(trained / name)) as path:
        numbers, whole = _numbers(path), path.read_bytes()
    for at, kind in numbers:
        for value in {"i": (0, -1, 1 << 26, (1 << 31) - 1), "q": (0, -1, 1 << 40, (1 << 63) - 1)}.get(kind, ()):
            data = bytearray(whole)
            struct.pack_into(f"<{kind}", data, at, value)
            (tmp_path / "claims.bin").write_bytes(data)
            tracemalloc.start()
            with contextlib.suppress(fasttext_file.BadModel):
                fasttext_file.read_model(tmp_path / "claims.bin")
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            assert peak < (80 << 20) + 64 * len(whole), (at, kind, value)


def test_rows_that_are_nowhere_in_the_file_are_not_taken(trained, tmp_path):
    data = (trained / "model.ftz").read_bytes()
    dim, n_parts, part, last = 8, 4, 2, 2
    at = data.index(struct.pack("<4i", dim, n_parts, part, last))
    for claim in [(dim, 0, part, last), (dim, 1, dim, dim), (dim, n_parts, 0, dim), (0, n_parts, part, last)]:
        (tmp_path / "claims.ftz").write_bytes(data[:at] + struct.pack("<4i", *claim) + data[at + 16 :])
        (problem,) = check_model(str(tmp_path / "claims.ftz"))
        assert "damaged" in problem or "clipped" in problem


def test_a_model_that_the_library_reads_in_another_way_is_refused(trained, monkeypatch):
    monkeypatch.setattr(fasttext, "_MAX_DIFFERENCE", -1.0)
    (problem,) = check_model(str(trained / "model.bin"))
    assert "where fastText gives" in problem


def test_a_model_that_was_replaced_is_read_again(trained, tmp_path):
    path = tmp_path / "model.bin"
    shutil.copy(trained / "model.bin", path)
    before = fasttext.load_model(str(path))
    assert fasttext.load_model(str(path)) is before
    shutil.copy(trained / "model.ftz", tmp_path / "next")
    (tmp_path / "next").replace(path)
    assert fasttext.load_model(str(path)) is not before


def test_threads_share_a_model():
    texts = random_texts(120)
    expected = identify(*texts)
    fasttext._load.cache_clear()
    with ThreadPoolExecutor(4) as pool:
        assert all(found == expected for found in pool.map(lambda _: identify(*texts), range(8)))


def test_other_files_are_no_models(tmp_path, trained):
    (tmp_path / "page.html").write_text("<html>" + "x" * 1000)
    for model, said in [
        (str(tmp_path / "page.html"), "is no fastText model"),
        (str(tmp_path / "absent.bin"), "No such file"),
        (str(tmp_path), "cannot be read"),
        ("nope://bucket/model.bin", "Protocol not known"),
        ("http://127.0.0.1:9/model.bin", "cannot be read"),
    ]:
        (problem,) = check_model(model)
        assert said in problem and repr(model) in problem and BUNDLED_MODEL in problem


def test_word_vectors_are_no_classifier(tmp_path):
    (tmp_path / "train.txt").write_text("the of and\n" * 50)
    model = fasttext_library.train_unsupervised(str(tmp_path / "train.txt"), dim=4, bucket=50, minCount=1, verbose=0)
    model.save_model(str(tmp_path / "vectors.bin"))
    assert "word vectors" in check_model(str(tmp_path / "vectors.bin"))[0]


def test_fingerprint_is_of_the_bytes(tmp_path, trained):
    shutil.copy(trained / "model.ftz", tmp_path / "copy.ftz")
    assert model_fingerprint(str(tmp_path / "copy.ftz")) == model_fingerprint(str(trained / "model.ftz"))
    assert model_fingerprint(str(trained / "model.bin")) != model_fingerprint(str(trained / "model.ftz"))


def test_a_model_must_be_the_one_that_the_recipe_records(trained):
    model, other = str(trained / "model.bin"), str(trained / "model.ftz")
    assert check_model(model, model_fingerprint(model)) == []
    (problem,) = check_model(model, model_fingerprint(other))
    assert model_fingerprint(model) in problem and model_fingerprint(other) in problem


def test_remote_model_is_downloaded_once(served, trained):
    address, requests = served
    url = f"{address}/model.ftz"
    with ThreadPoolExecutor(4) as pool:
        fingerprints = set(pool.map(model_fingerprint, [url] * 8))
    assert fingerprints == {model_fingerprint(str(trained / "model.ftz"))}
    assert sum(request.startswith("GET") for request in requests) == 1
    assert identify("der von", model=url)[0]["code"] == "deu_Latn"
    assert check_model(f"{address}/absent.bin") != []


def test_replaced_remote_model_is_downloaded_again(served, trained):
    address, _ = served
    shutil.copy(trained / "model.bin", trained / "changing.bin")
    before = model_fingerprint(f"{address}/changing.bin")
    shutil.copy(trained / "model.ftz", trained / "changing.bin")
    assert model_fingerprint(f"{address}/changing.bin") != before


def test_download_folder_of_another_user_is_refused(served, monkeypatch):
    address, _ = served
    with model_file(f"{address}/model.ftz") as path:
        assert path.parent.stat().st_mode & 0o077 == 0
        path.parent.rename(path.parent.with_name(f"dclm_spark-models-{os.getuid() + 1}"))
    monkeypatch.setattr(fasttext.os, "getuid", lambda: os.geteuid() + 1)
    assert "another user" in check_model(f"{address}/model.ftz")[0]


@pytest.mark.parametrize("kind", ["link", "open"])
def test_download_folder_that_others_may_have_filled_is_refused(served, tmp_path, kind):
    address, _ = served
    folder = tmp_path / f"dclm_spark-models-{os.getuid()}"
    if kind == "link":
        (tmp_path / "theirs").mkdir()
        folder.symlink_to(tmp_path / "theirs")
    else:
        folder.mkdir()
        folder.chmod(0o777)
    (problem,) = check_model(f"{address}/model.ftz")
    assert "others can write to it" in problem and str(folder) in problem


@pytest.mark.busy
def test_bundled_model_works_from_a_zip(tmp_path):
    """As spark-submit --py-files ships the package."""
    package = Path(dclm_spark.__file__).parent
    with zipfile.ZipFile(tmp_path / "package.zip", "w") as archive:
        archive.writestr("dclm_spark/__init__.py", "")  # the public verbs would bring Spark
        for path in (package / "schemas.py", package / "data" / BUNDLED_MODEL, *(package / "kernels").rglob("*.py")):
            archive.write(path, f"dclm_spark/{path.relative_to(package)}")
    script = (
        "import pyarrow as pa, dclm_spark.kernels.fasttext.identify as f; assert '.zip' in f.__file__; "
        f"print(f.identify_language(pa.array([{ENGLISH!r}]), model='lid.176.ftz', languages=('en',), newline=''))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], env={**os.environ, "PYTHONPATH": str(tmp_path / "package.zip")},
        cwd=tmp_path, capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert '"en"' in done.stdout
    assert done.stderr == ""  # no warning of the library, which would be one line per worker in every log
