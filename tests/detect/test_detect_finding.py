"""Finding: from a detector's shares to pixels, names and scores; what is asked for and what is refused."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from colour_detector import ColourDetector, canvas
from lensmith import check
from lensmith.boxes import Thresholds
from lensmith.detect.finding import find, finder, thresholds_of
from lensmith.records import Labels, Record

PICTURE = canvas((60, 100), ("red", (10, 20, 30, 50)), ("blue", (70, 5, 100, 15)), ("green", (40, 30, 50, 40)))


class Says:
    """A detector that says the same rows of every picture, and remembers what it was asked."""

    def __init__(self, *rows: list[float], tasks: dict[str, Any] | None = None) -> None:
        own = Thresholds(score=0.4, iou=0.3, most=7)
        self.recipe = SimpleNamespace(tasks=tasks or {"objects": SimpleNamespace(thresholds=own)})
        self.labels = {task: Labels("boxes", ("cat", "dog")) for task in self.recipe.tasks}
        self.rows = np.array(rows, np.float32).reshape(-1, 6)
        self.asked: list[Thresholds | None] = []
        self.batches: list[int] = []

    def predict(self, examples: Any, *, thresholds: Thresholds | None = None) -> dict[str, np.ndarray]:
        self.asked.append(thresholds)
        self.batches.append(len(examples))
        return {task: np.stack([self.rows] * len(examples)) for task in self.labels}


def test_boxes_in_pixels_of_the_picture() -> None:
    found = find(ColourDetector(), PICTURE)
    assert found.size == (60, 100)
    told = dict(zip(found.labels, found.boxes.round(3).tolist(), strict=True))
    assert told == {"red": [10, 20, 30, 50], "green": [40, 30, 50, 40], "blue": [70, 5, 100, 15]}
    assert found.labels[-1] == "blue", "it reaches the edge, and has the lowest score"
    assert (found.boxes.dtype, found.scores.dtype, found.classes.dtype) == (np.float32, np.float32, np.int64)
    assert found.rows.shape == (3, 6)
    assert found.to_dicts()[-1] == {"label": "blue", "score": 0.6, "box": [70.0, 5.0, 100.0, 15.0]}


def test_a_file_a_record_and_gray_pixels(tmp_path: Path) -> None:
    Image.fromarray(PICTURE).save(tmp_path / "p.png")
    for picture in (tmp_path / "p.png", str(tmp_path / "p.png"), Record("p", image=tmp_path / "p.png"), PICTURE):
        assert find(ColourDetector(), picture).labels == ("red", "green", "blue")
    assert len(find(ColourDetector(), PICTURE[..., 0])) == 0  # gray: no colour to be found


def test_what_is_missing_or_outside_is_left_out_and_the_rest_is_cut() -> None:
    model = Says(
        [-0.5, 0.25, 0.5, 1.5, 0.9, 1],  # goes on outside, left and below
        [1.2, 0.1, 1.5, 0.4, 0.8, 0],  # all of it outside
        [0.3, 0.3, 0.3, 0.6, 0.7, 0],  # no width
        [0, 0, 0, 0, 0, -1],  # missing
    )
    found = find(model, np.zeros((40, 80, 3), np.uint8))
    assert found.boxes.tolist() == [[0, 10, 40, 40]]
    assert found.labels == ("dog",)


def test_nothing_found() -> None:
    found = find(ColourDetector(), np.zeros((9, 9, 3), np.uint8))
    assert len(found) == 0
    assert found.boxes.shape == (0, 4)
    assert found.rows.shape == (0, 6)
    assert found.to_dicts() == []


def test_the_recipes_thresholds_are_the_usual_ones() -> None:
    model = Says()
    find(model, PICTURE)
    find(model, PICTURE, thresholds=Thresholds(score=0.1))
    assert model.asked == [Thresholds(score=0.4, iou=0.3, most=7), Thresholds(score=0.1)]


def test_some_classes_only_and_the_others_do_not_take_their_places() -> None:
    patches = [("red", (10 * place, 10, 10 * place + 5, 15)) for place in range(1, 6)]
    picture = canvas((40, 80), *patches, ("blue", (0, 30, 10, 40)))  # blue is at the edge: the lowest score
    few = Thresholds(most=3)
    assert find(ColourDetector(), picture, thresholds=few).labels == ("red",) * 3
    assert find(ColourDetector(), picture, thresholds=few, classes=["blue"]).labels == ("blue",)
    assert find(ColourDetector(), picture, thresholds=few, classes=["blue", "red"]).labels == ("red",) * 3
    assert find(ColourDetector(), picture, thresholds=few, classes=[]).labels == ()


def test_a_few_pictures_at_a_time() -> None:
    model = ColourDetector()
    found = finder(model)([PICTURE] * 11 + [PICTURE[:, ::-1]])
    assert model.calls == [8, 4]
    assert found[-1].boxes[0].tolist() == [70, 20, 90, 50]  # mirrored
    assert found[0].boxes[0].round(3).tolist() == [10, 20, 30, 50]


@pytest.mark.parametrize("size", [(1, 1), (5, 40), (31, 31), (400, 3)])
def test_small_pictures_are_pictures(size: tuple[int, int]) -> None:
    found = find(ColourDetector(), canvas(size, ("red", (0, 0, size[1], size[0]))))
    assert found.boxes.tolist() == [[0, 0, size[1], size[0]]]


# --- refused -------------------------------------------------------------------------------------------------------


def test_a_model_that_finds_nothing_is_told() -> None:
    model = Says(tasks={"label": SimpleNamespace()})
    model.labels = {"label": Labels("class", ("a", "b"))}
    with pytest.raises(check.SettingError, match=r"expected one that finds objects; got label \(class\)"):
        find(model, PICTURE)


def test_several_detectors_are_asked_by_name() -> None:
    one, other = (SimpleNamespace(thresholds=Thresholds(most=count)) for count in (1, 2))
    model = Says([0, 0, 1, 1, 0.9, 0], tasks={"near": one, "label": SimpleNamespace(), "far": other})
    assert list(thresholds_of(model)) == ["near", "far"]
    with pytest.raises(check.SettingError, match="task: expected one of near, far"):
        find(model, PICTURE)
    with pytest.raises(check.SettingError, match="Did you mean 'near'"):
        find(model, PICTURE, task="neer")
    assert finder(model, task="far").thresholds.most == 2
    assert len(find(model, PICTURE, task="far")) == 1


def test_an_unknown_class_has_the_nearest_named() -> None:
    with pytest.raises(check.SettingError, match=r"got 'gren'\. Did you mean 'green'"):
        find(ColourDetector(), PICTURE, classes=["red", "gren"])
    with pytest.raises(check.SettingError, match="It has red, green, blue"):
        find(ColourDetector(), PICTURE, classes=["zzz"])


def test_broken_pictures_are_named(tmp_path: Path) -> None:
    (tmp_path / "b.png").write_bytes(b"no picture")
    with pytest.raises(check.DataError, match=r"b\.png: not an image"):
        find(ColourDetector(), tmp_path / "b.png")
    with pytest.raises(check.DataError, match="picture 2: expected uint8"):
        finder(ColourDetector())([PICTURE, PICTURE.astype(np.float32)])
    with pytest.raises(check.DataError, match="table:3: expected an image"):
        find(ColourDetector(), Record("table:3", row=np.zeros(3, np.float32)))
