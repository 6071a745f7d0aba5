"""The picture of S-curves: a file of the kind asked for, or a sentence that says what is missing."""

import sys

import pytest

from dclm_spark.errors import InputError
from dclm_spark.reports.s_curves import plot_curve


@pytest.mark.parametrize(("suffix", "begins"), [("png", b"\x89PNG"), ("svg", b"<?xml")])
def test_a_file_of_the_kind_asked_for(tmp_path, suffix, begins):
    pytest.importorskip("matplotlib")
    path = tmp_path / f"curves.{suffix}"
    plot_curve(path)
    assert path.read_bytes().startswith(begins)
    if suffix == "svg":
        first = path.read_text()
        plot_curve(path, {"mine": (20, 5)})
        assert path.read_text() != first


def test_a_kind_of_file_that_nobody_writes(tmp_path):
    pytest.importorskip("matplotlib")
    with pytest.raises(InputError, match="matplotlib writes no such file"):
        plot_curve(tmp_path / "curves.text")


def test_without_matplotlib(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(InputError, match=r"pip install 'dclm-spark\[plot\]'"):
        plot_curve(tmp_path / "curves.png")
    assert list(tmp_path.iterdir()) == []
