"""Machine code that goes from one process to another: used there, and never a reason to fail."""

import os
import pickle
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

from dclm_spark.kernels.compiled import machine_code

pytestmark = pytest.mark.slow  # compiles anew, in processes of its own

MAKE = """
import pickle, sys
import pyarrow as pa
from dclm_spark.kernels.compiled.machine_code import machine_code
from dclm_spark.kernels.text import words
code = machine_code("words", lambda: words.count_words_split(pa.array(["a b"])))
pickle.dump(code, open(sys.argv[1], "wb"))
print(sum(words._count_rows.stats.cache_hits.values()), sum(words._count_rows.stats.cache_misses.values()))
"""
USE = """
import pickle, sys
import pyarrow as pa
from dclm_spark.kernels.compiled import machine_code
from dclm_spark.kernels.text import words
machine_code.keep(pickle.load(open(sys.argv[1], "rb")))
assert words.count_words_split(pa.array(["a b"])).to_pylist() == [2]
print(sum(words._count_rows.stats.cache_hits.values()), sum(words._count_rows.stats.cache_misses.values()))
"""


def run(program: str, file: Path, cache: Path) -> list[int]:
    """Kernels that the process found compiled, and kernels that it compiled."""
    command = [sys.executable, "-c", program, str(file)]
    done = subprocess.run(command, env=os.environ | {"NUMBA_CACHE_DIR": str(cache)}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [int(number) for number in done.stdout.split()]


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A folder with `code`, of a process whose cache is `driver`."""
    folder = tmp_path_factory.mktemp("compiled")
    assert run(MAKE, folder / "code", folder / "driver") == [0, 1]
    return folder


def test_another_host_compiles_nothing(place):
    assert run(USE, place / "code", place / "worker") == [1, 0]
    assert run(USE, place / "code", place / "worker") == [1, 0]


def test_what_has_been_exercised_is_not_again(place):
    assert run(MAKE, place / "again", place / "driver") == [0, 0]
    assert (place / "again").read_bytes() == (place / "code").read_bytes()


def test_code_of_another_version_is_left_out(place):
    code = pickle.loads((place / "code").read_bytes())
    (place / "older").write_bytes(pickle.dumps(machine_code.MachineCode("older", code.files)))
    assert run(USE, place / "older", place / "other") == [0, 1]


def test_code_that_is_broken_is_compiled_again(place):
    code = pickle.loads((place / "code").read_bytes())
    broken = zlib.compress(b"broken")
    files = {name: content if name.endswith(".nbi") else broken for name, content in code.files.items()}
    (place / "broken").write_bytes(pickle.dumps(machine_code.MachineCode(code.version, files)))
    assert run(USE, place / "broken", place / "mended")[1] == 1


def test_without_a_place_to_keep_it_there_is_none(monkeypatch):
    monkeypatch.setattr(machine_code, "cache_folder", lambda: None)
    code = machine_code.machine_code("any", lambda: pytest.fail("not to be run"))
    assert code == machine_code.MachineCode()
    machine_code.keep(code)
