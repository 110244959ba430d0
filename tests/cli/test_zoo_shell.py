"""``lensmith zoo`` as a user calls it: lists, one recipe, YAML files, drawings, refusals."""

import json
import sys
from pathlib import Path
from unittest import mock

import pytest

from lensmith.cli import main
from lensmith.compose import Recipe, zoo

TINY = "{input: [8, 8, 1], learner: {part: groups, groups: [{block: conv, filters: 4}]}, tasks: {label: binary}}"


def call(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    """Exit status, standard output and standard error."""
    with mock.patch.object(sys, "argv", ["lensmith", "zoo", *map(str, words)]), pytest.raises(SystemExit) as ended:
        main()
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err


def test_a_pattern_lists_what_matches(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = call(capsys, "vgg*", "--json")
    assert (status, out.count("\n")) == (0, 1)
    rows = json.loads(out)
    assert [row["name"] for row in rows] == ["vgg16", "vgg19"]
    assert (rows[0]["parameters"], rows[0]["flops"]) == (138_357_544, 15_470_264_320)
    assert (rows[0]["family"], rows[0]["input"]) == ("VGG", [224, 224, 3])
    assert "imagenet" in rows[0]["weights"]


def test_a_family_has_its_origin_and_its_convention(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = call(capsys, "--family", "vgg")
    lines = out.splitlines()
    assert status == 0
    assert "VGG · Simonyan & Zisserman 2015" in lines
    assert f"* {zoo.family('vgg16').convention}" in lines
    assert any(line.split()[:4] == ["vgg16", "138,357,544", "15.5", "G"] for line in lines)


def test_one_recipe_shows_parts_taps_and_a_drawing(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "drawn" / "resnet.svg"
    status, out, err = call(capsys, "resnet20-cifar-v1", "--draw", path, "--json")
    assert status == 0
    one = json.loads(out)
    assert [part["name"] for part in one["parts"]][:3] == ["input", "stem", "learner-group1"]
    assert sum(part["flops"] for part in one["parts"]) == one["flops"] == 40_551_040
    assert [(tap["name"], tap["stride"], tap["shape"]) for tap in one["taps"]][-1] == ("P2", 4, [8, 8, 64])
    assert Recipe.from_dict(one["recipe"]) == zoo.get("resnet20-cifar-v1")
    assert "3 × basic 16" in err
    assert path.read_text().startswith("<svg ")


def test_a_yaml_file_is_shown_as_a_row_is(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(TINY)
    status, out, _ = call(capsys, file)
    assert status == 0
    assert "45 parameters, 45 trainable; 2.31 k FLOPs" in out  # 9·4 + 4, then 4 + 1; 64·9·4 + 4


def test_yaml_alone_reads_back(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = call(capsys, "vgg16", "--yaml")
    assert status == 0
    assert Recipe.from_yaml(out) == zoo.get("vgg16")


# Each row: the words, and what the one line on standard error says; the status is that of wrong usage.
REFUSED = [
    (["vgg15"], "Did you mean"),  # a misspelt name
    (["vgh*"], "no recipe matches 'vgh*'"),
    (["--family", "resnt"], "Did you mean 'resnet'?"),
    (["nowhere.yaml"], "cannot be read"),
    (["--yaml"], "the NAME of one recipe"),  # of which?
    (["--draw", "a.svg"], "the NAME of one recipe"),
    (["vgg16", "--draw", "a.png"], "ends in .svg"),
    (["vgg16", "--yaml", "--json"], "nothing else"),
    (["vgg16", "--family", "vgg"], "a pattern or no NAME"),
]


@pytest.mark.parametrize(("words", "says"), REFUSED, ids=[" ".join(row[0]) for row in REFUSED])
def test_refusals(capsys: pytest.CaptureFixture[str], words: list[str], says: str) -> None:
    status, out, err = call(capsys, *words)
    assert (status, out) == (2, "")
    assert err.startswith("lensmith: ")
    assert err.count("\n") == 1
    assert says in err
