"""Other languages from the command line: limits derived from reference pages, then a recipe that keeps and removes."""

import json
from pathlib import Path

import numpy as np
import pytest

from dclm_spark.cli import main
from dclm_spark.recipe import as_json
from dclm_spark.recipe.builtin import FINEWEB2
from tests.support.archives import english_pages, html, write_warc
from tests.support.tables import read

pytestmark = [pytest.mark.slow, pytest.mark.once]

REFERENCE = "reference"
N_PAGES = 12

SENTENCES = {
    "de": (
        "Der Hafen der alten Stadt liegt westlich der Hügel, und der Weg dorthin ist älter als jede Erinnerung.",
        "Die Leute kommen mit ihren Booten, um zu verkaufen, was sie in der Nacht gefangen haben.",
        "Niemand zählt die Segel, aber jedes Kind weiß, wem welches gehört und wer darauf fährt.",
        "An den Markttagen läutet mittags eine Glocke, und der Bäcker schließt seine Läden.",
        "Fremde finden diesen Brauch seltsam und fragen, warum man die Schulden nicht aufschreibt.",
        "Im Winter stehen die meisten Kais leer, und der Schnee bedeckt die beiden Kräne.",
        "Nur eine Lampe brennt lange, denn ein alter Lotse liest jedem aus seinen Tagebüchern vor.",
        "Wer Brennholz bringt, der darf sich zu ihm setzen und bis zum Morgen zuhören.",
    ),
    "ja": (
        "古い町の港は丘の西にあり、そこへ続く道は誰も覚えていないほど昔からある。",
        "人々は夜のうちに獲ったものを売るために、小さな船でやって来る。",
        "帆の数を数える者はいないが、どの子供もそれが誰のものかを知っている。",
        "市の日には正午に鐘が鳴り、パン屋は店の戸を閉める。",
        "よその人はこの習わしを不思議に思い、なぜ借金を書き留めないのかと尋ねる。",
        "冬になると岸壁のほとんどは空になり、雪が二つの起重機を覆う。",
        "ただ一つの灯りだけが遅くまで燃え、年老いた水先人が日記を読み聞かせる。",
        "薪を持って来た人は、その隣に座って朝まで話を聞くことができる。",
    ),
    "ko": (
        "오래된 마을의 항구는 언덕의 서쪽에 있으며 그곳으로 가는 길은 아무도 기억하지 못할 만큼 오래되었다.",
        "사람들은 밤새 잡은 것을 팔기 위해 작은 배를 타고 이곳으로 온다.",
        "돛의 수를 세는 사람은 없지만 모든 아이는 그것이 누구의 것인지 알고 있다.",
        "장날에는 정오에 종이 울리고 빵집 주인은 가게 문을 닫는다.",
        "낯선 사람들은 이 풍습을 이상하게 여기며 왜 빚을 적어 두지 않는지 묻는다.",
        "겨울이 되면 부두는 대부분 비어 있고 눈이 두 개의 기중기를 덮는다.",
        "단 하나의 등불만이 늦게까지 타오르고 늙은 도선사가 일기를 읽어 준다.",
        "장작을 가져온 사람은 그의 옆에 앉아 아침까지 이야기를 들을 수 있다.",
    ),
}


def pages(language: str) -> list[tuple[str, bytes]]:
    """Pages of prose, each with its sentences in an order of its own."""
    sentences = SENTENCES[language]
    found = []
    for number in range(N_PAGES):
        order = [sentences[(number + step * (1 + number % 3 * 2)) % len(sentences)] for step in range(len(sentences))]
        found.append((f"http://{language}.example/{number}", html("".join(f"<p>{text}</p>" for text in order))))
    return found


def dclm(*arguments: object) -> int:
    return main.main([str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def place(spark, tmp_path_factory) -> Path:
    """A folder with a warehouse of reference pages, and a dump with pages to remove besides."""
    folder = tmp_path_factory.mktemp("languages")
    reference = [page for language in SENTENCES for page in pages(language)]
    write_warc(folder / "reference" / "a.warc.gz", [*reference, *english_pages(N_PAGES)])
    spam = SENTENCES["ja"][0] * 30
    other = [("http://spam.example/", html(f"<p>{spam}</p>")), *english_pages(2), *pages("de")[:2], *pages("ja")[:2]]
    write_warc(folder / "later" / "b.warc.gz", [*other, *pages("ko")[:2]])
    arguments = ("--warehouse", folder / "lake", "--recipe", "fineweb2", "--extractor", "resiliparse", "--quiet")
    assert dclm("documents", "--input", folder / "reference", "--dump", REFERENCE, *arguments) == 0
    assert dclm("annotated", "--dump", REFERENCE, *arguments) == 0
    return folder


def thresholds(place: Path, *more: object, out: str = "three.json") -> int:
    arguments = ("--recipe", "fineweb2", "--extractor", "resiliparse", "--languages", *SENTENCES)
    return dclm("thresholds", "--warehouse", place / "lake", *arguments, "--out", place / out, *more)


def test_a_limit_is_the_tail_of_the_reference_pages(place, capsys):
    assert thresholds(place, "--method", "tail", "--tail", 0.25, "--min-pages", 10, "--json") == 0
    derived = as_json.from_json((place / "three.json").read_text())
    assert {entry["n_pages"] for entry in json.loads(capsys.readouterr().out)} == {N_PAGES}
    rows = [row for row in read(place / "lake", "annotated") if row["language"]["code"] == "de"]
    (bound,) = (b for b in derived.bounds if (b.signal, b.language) == ("gopher.mean_word_chars", "de"))
    values = [row["gopher"]["mean_word_chars"] for row in rows]
    assert bound.at_least == np.floor(np.percentile(values, 25) * 1000) / 1000
    assert bound.at_most == np.ceil(np.percentile(values, 75) * 1000) / 1000
    assert derived.annotation.languages == ("de", "ja", "ko")
    assert {"der", "die", "und"} < set(derived.annotation.stop_words_of["de"])
    assert {"の", "は", "る"} < set(derived.annotation.stop_words_of["ja"])
    # What does not depend on how a language is written stays as it was, and in its place.
    assert derived.bounds[:5] == FINEWEB2.bounds[:5]


def test_the_derived_recipe_keeps_sensible_pages_and_says_why_others_go(place, capsys):
    assert thresholds(place, "--tail", 0.01, "--min-pages", 10, out="kept.json") == 0
    warehouse = ("--warehouse", place / "later-lake")
    more = ("--dump", "later", *warehouse, "--recipe", place / "kept.json")
    capsys.readouterr()
    assert dclm("run", "--input", place / "later", *more) == 0
    funnel = capsys.readouterr().out
    assert "gopher.n_stop_words" in funnel and "(de), " in funnel and "adds up" in funnel
    kept = sorted(row["url"] for row in read(place / "later-lake", "filtered"))
    assert kept == [f"http://{language}.example/{number}" for language in SENTENCES for number in range(2)]
    reasons = sorted((row["removed_by"], row["detail"]) for row in read(place / "later-lake", "removed"))
    assert [reason for reason, _ in reasons] == [
        "gopher.frac_top_2gram_chars",
        "language.p_target",
        "language.p_target",
    ]
    assert reasons[0][1].endswith("(ja)")
    assert dclm("explain", *warehouse, "http://spam.example/") == 0
    explained = capsys.readouterr().out
    assert "BROKEN" in explained and "(ja)" in explained and "(de)" not in explained
    changes = ("gopher.n_stop_words=3", f"{reasons[0][0]}[ja]=none")
    assert dclm("funnel", *warehouse, "--what-if", *changes) == 0
    assert dclm("funnel", *warehouse, "--what-if", f"{reasons[0][0]}=none") == 2


@pytest.mark.parametrize(
    "more, said",
    [
        ((), "12 reference pages in de; expected 100 or more"),
        (("--dump", "absent"), "no annotated dump absent"),
        (("--method", "best"), "expected one of auto, tail"),
        (("--tail", "2"), "expected a share between 0 and 1"),
        (("--recipe", "fineweb"), "measured with other tokens than spacy_en"),
        (("--recipe", "dclm_baseline"), "hold no signals of quality, repetition"),
        (("--out", "no/such/folder/x.json"), "no folder"),
    ],
)
def test_what_cannot_be_derived_is_named(place, capsys, more, said):
    assert thresholds(place, *more) == 2
    assert said in capsys.readouterr().err
