"""The README is true: its blocks run as written, and the funnel that it shows is what `make demo` prints."""

import re

import pytest

from tests.support.blocks import MARKS, ROOT, Runner, blocks_of, check_page

README = ROOT / "README.md"
_ZERO = re.compile(r" 0    0\.0%|  not measured  ")


def test_it_is_short_enough_to_be_read_to_its_end():
    assert len(README.read_text(encoding="utf-8").splitlines()) <= 150


def test_every_mark_is_known():
    assert {block.mark for block in blocks_of(README)} <= MARKS


def test_its_paths_exist():
    for path in re.findall(r"\]\((?!https?:)([^)#]+)[^)]*\)", README.read_text(encoding="utf-8")):
        assert (ROOT / path).exists(), path


@pytest.mark.slow
def test_its_funnel_is_what_the_demo_prints_without_zeros(demo):
    second = demo.printed[demo.printed.index("CC-MAIN-2022-21") :]
    printed = [line for line in second.splitlines() if not _ZERO.search(line)]
    shown = next(block.code for block in blocks_of(README) if block.mark == "output: make demo, one dump without zeros")
    assert shown.strip().splitlines() == printed
    assert len(printed) <= 25


@pytest.mark.slow
def test_its_blocks_run_as_written(demo, spark, tmp_path, monkeypatch):
    check_page(README, Runner(demo.checkout(tmp_path), spark, monkeypatch))
