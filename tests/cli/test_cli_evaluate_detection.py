"""``lensmith evaluate`` of a detector, and what ``lensmith train`` says of one: documents, and tables for people."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from calling import document, lensmith
from PIL import Image
from rich.console import Console

from colour_detector import NAMES, ColourDetector, canvas
from lensmith.cli import train
from lensmith.compose import YoloV2
from lensmith.runs import opening
from lensmith.runs.folder import RunFolder

SIZE = (200, 200)
# By picture: the patches that are there and found, and further labels (class, x1, y1, x2, y2) in pixels.
PICTURES: dict[str, tuple[list, list]] = {
    "a": ([("red", (10, 10, 60, 60)), ("green", (100, 100, 180, 190))], []),
    "b": ([("red", (20, 20, 120, 150))], [(0, 150, 150, 170, 170)]),  # one more red one, which is not found
    "c": ([("green", (50, 50, 90, 90))], []),  # labelled red
    "d": ([], []),
}


def labelled(folder: Path, names: tuple[str, ...] = NAMES, *, objects: bool = True) -> Path:
    """The pictures as a YOLO data set."""
    for kind in ("images", "labels"):
        (folder / kind).mkdir(parents=True)
    (folder / "data.yaml").write_text(f"path: .\ntrain: images\nval: images\nnames: [{', '.join(names)}]\n")
    for stem, (patches, more) in PICTURES.items():
        Image.fromarray(canvas(SIZE, *patches)).save(folder / "images" / f"{stem}.png")
        rows = [(0 if stem == "c" else NAMES.index(name), *box) for name, box in patches] + more
        text = "".join(
            f"{label} {(x1 + x2) / 400} {(y1 + y2) / 400} {(x2 - x1) / 200} {(y2 - y1) / 200}\n"
            for label, x1, y1, x2, y2 in rows
        )
        (folder / "labels" / f"{stem}.txt").write_text(text if objects else "")
    return folder


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with labelled pictures, and a MODEL named ``colours`` that finds plain colours."""
    model = ColourDetector()
    model.recipe = SimpleNamespace(tasks={"objects": YoloV2(3, anchors=((9, 9),))})
    usual = opening.open_model

    def opened(path: Any, *rest: Any) -> Any:
        return model if str(path) == "colours" else usual(path, *rest)

    monkeypatch.setattr(opening, "open_model", opened)
    labelled(tmp_path / "set")
    return tmp_path


def evaluated(place: Path, *words: str) -> dict[str, Any]:
    told: dict[str, Any] = document(
        lensmith("evaluate", "colours", "set", "--part", "all", "--json", *words, cwd=place)
    )
    return told


def test_document_on_paper(place: Path) -> None:
    told = evaluated(place)
    # Red: 2 of 4 found, without a mistake: precision 1 at 51 of the 101 recalls 0, 0.01 … 1. Green: the surest right.
    assert told["map50"] == pytest.approx((51 / 101 + 1) / 2)
    assert told["map"] == pytest.approx(told["map50"])  # every box that fits does so to the pixel
    assert told["map75"] == pytest.approx(told["map50"])
    assert told["examples"] == 4
    assert told["map_small"] == pytest.approx(0.0)  # the one of 20 pixels
    assert told["recall_100"] == pytest.approx(0.75)
    assert told["counts"] == {"matched": 3, "missed": 1, "invented": 0, "confused": 1}
    assert told["threshold"] == 0.25
    assert told["detectors"]["objects"]["counts"] == told["counts"]


def test_every_class_has_its_values(place: Path) -> None:
    rows = evaluated(place)["classes"]["objects"]
    assert [(row["name"], row["objects"], row["found"]) for row in rows] == [
        ("red", 4, 2),
        ("green", 1, 2),
        ("blue", 0, 0),
    ]
    red, green, blue = rows
    assert red["map50"] == pytest.approx(51 / 101)
    assert (red["best_precision"], red["best_recall"], red["best_score"]) == pytest.approx((1.0, 0.5, 0.9))
    assert green["map50"] == pytest.approx(1.0)
    assert blue["map50"] is None


def test_a_table_for_a_person(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    done = lensmith("evaluate", "colours", "set", "--part", "all", cwd=place)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^map50 +0\.7525$", done.stdout, re.M)
    assert "found 3 of 5 objects, missed 1, called 1 by a wrong name, and invented 0." in done.stdout
    assert re.search(r"│ red +│ +4 │ +0\.505 │ +0\.505 │ +1\.000 │ +0\.500 │ +0\.667 │ +0\.900 │", done.stdout)
    assert "blue" not in done.stdout, "it neither occurs nor was found"
    assert "1 class neither occurs nor was found" in done.stdout


def test_labels_in_another_order_mean_the_same(place: Path) -> None:
    usual = evaluated(place)
    folder = labelled(place / "turned", ("green", "red", "blue"))
    for path in (folder / "labels").iterdir():
        path.write_text(_swapped(path.read_text()))
    turned = document(lensmith("evaluate", "colours", "turned", "--part", "all", "--json", cwd=place))
    assert turned["map50"] == pytest.approx(usual["map50"])
    assert [row["name"] for row in turned["classes"]["objects"]] == list(NAMES)


def _swapped(text: str) -> str:
    """The labels with the classes 0 and 1 exchanged."""
    return "".join(f"{1 - int(line[0])}{line[1:]}\n" for line in text.splitlines())


def test_without_objects_nothing_is_measured(place: Path) -> None:
    labelled(place / "bare", objects=False)
    told = document(lensmith("evaluate", "colours", "bare", "--part", "all", "--json", cwd=place))
    assert told["map"] is told["map50"] is told["map75"] is None
    assert told["counts"] == {"matched": 0, "missed": 0, "invented": 4, "confused": 0}
    done = lensmith("evaluate", "colours", "bare", "--part", "all", cwd=place)
    assert "objects: no object counts in these examples, so nothing could be measured." in done.stdout
    assert re.search(r"^map50 +-$", done.stdout, re.M)


def test_a_class_that_the_model_does_not_know_is_named(place: Path) -> None:
    labelled(place / "other", ("red", "green", "mauve"))
    done = lensmith("evaluate", "colours", "other", "--part", "all", "--json", cwd=place)
    assert done.returncode == 1
    assert done.stdout == ""
    assert "mauve" in done.stderr
    assert done.stderr.count("\n") == 1


# --- lensmith train ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("map50", 0.9532, "mAP@0.5 95.3 %"),
        ("objects_map", 0.5, "objects mAP@[.5:.95] 50.0 %"),
        ("map50", None, "mAP@0.5 unknown"),  # no object among the examples
        ("accuracy", 0.5, "accuracy 50.0 %"),
        ("loss", 0.123456, "loss 0.1235"),
    ],
)
def test_values_for_people(name: str, value: float | None, words: str) -> None:
    assert train._shown(name, value) == words


def told_of(results: dict[str, Any], tmp_path: Path, *, as_json: bool = False) -> str:
    made: Any = SimpleNamespace(results=results, folder=RunFolder(tmp_path / "run"), artifact=None)
    console = Console(width=200, markup=False, highlight=False)
    with console.capture() as captured:
        train.finish(made, as_json, console)
    return captured.get()


COUNTS = {"matched": 45, "missed": 10, "confused": 5, "invented": 7}
RESULTS = {
    "part": "test",
    "metrics": {"map50": 0.9, "map": 0.6, "map75": None},
    "examples": 20,
    "classes": {"objects": []},
    "seconds": 1.0,
    "proof": None,
    "detections": {"objects": {"scores": {"map50": 0.9}, "counts": COUNTS, "threshold": 0.25}},
}


def test_the_end_of_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = told_of(RESULTS, tmp_path).splitlines()
    assert said[1] == "Test      mAP@0.5 90.0 %, mAP@[.5:.95] 60.0 %, mAP@0.75 unknown"
    assert said[2] == (
        "Objects   At a score of 0.25 it found 45 of 60 objects, missed 10, called 5 by a wrong name, and invented 7."
    )
    assert said[3] == f"Run       {tmp_path / 'run'}"
    told_of(RESULTS, tmp_path, as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert told["map50"] == 0.9
    assert told["detectors"] == {"objects": {"map50": 0.9, "counts": COUNTS, "threshold": 0.25}}


def test_the_end_of_a_run_without_a_detector_is_as_it_was(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = {**RESULTS, "metrics": {"accuracy": 0.5}, "detections": {}}
    assert told_of(results, tmp_path).splitlines()[1:3] == [
        "Test      accuracy 50.0 %",
        f"Run       {tmp_path / 'run'}",
    ]
    told_of(results, tmp_path, as_json=True)
    assert "detectors" not in json.loads(capsys.readouterr().out)
